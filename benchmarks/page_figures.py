"""What was measured of a page, as tables in Markdown and as a picture of the same numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.timing import Spread, ratio, table

STAGES = {  # and the colours that they have in the flame graphs too
    "decode": "#7fb2e5",
    "register": "#8ac98a",
    "clean": "#f2d24b",
    "cut": "#f0a04b",
    "classify": "#b08fd8",
    "read": "#e58a8a",
}
BARE, LABEL, OURS = "decode", "label", "ours"
AGAINST = {BARE: "bare decode", LABEL: "decode, Otsu and components", OURS: "ours"}


@dataclass(frozen=True)
class PageFigures:
    """One page, round by round.

    Attributes:
        name: of its file.
        taken: seconds of each of ``AGAINST``.
        stages: seconds of each of ``STAGES``, and of the whole as ``page``, of the same rounds of ours.
        candidates: pictures that may be a character, in the end.
        crops: pictures that the model was asked for, in both looks together.
    """

    name: str
    taken: Mapping[str, Sequence[float]]
    stages: Sequence[Mapping[str, float]]
    candidates: int
    crops: int

    def stage(self, name: str) -> Spread:
        """Milliseconds."""
        return Spread.of([1000 * one[name] for one in self.stages])

    def share(self, name: str) -> Spread:
        """Percent of the page, round by round."""
        return Spread.of([100 * one[name] / one["page"] for one in self.stages])

    def whole(self, name: str) -> Spread:
        """Milliseconds of one of ``AGAINST``."""
        return Spread.of([1000 * one for one in self.taken[name]])


def against_table(pages: Sequence[PageFigures]) -> str:
    """Our page beside the least that a reader does."""
    heads = ["page", "decode, ms", "with Otsu and components, ms", "ours, ms", "ours : decode", "ours : this"]
    rows = []
    for page in pages:
        ratios = [ratio(page.taken[OURS], page.taken[other]).text() for other in (BARE, LABEL)]
        rows.append([page.name, *(page.whole(name).text() for name in AGAINST), *ratios])
    return table(heads, rows)


def stages_table(pages: Sequence[PageFigures]) -> str:
    """What each stage takes, and its share."""
    rows = []
    for page in pages:
        rows += [[page.name, name, page.stage(name).text(), page.share(name).text("", 0)] for name in STAGES]
        rows.append([page.name, "candidates", f"{page.candidates:,}", ""])
        rows.append([page.name, "crops the model was asked for", f"{page.crops:,}", ""])
    return table(["page", "stage", "ms", "% of our page"], rows)


def draw(pages: Sequence[PageFigures], title: str, target: Path) -> None:
    """The medians of both tables: for each page our stages on top of each other, beside what is compared."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9.0, 0.9 + 1.15 * len(pages)))
    names: list[str] = []
    for page in pages:
        for kind in AGAINST:
            row = len(names)
            names.append(f"{page.name}: {AGAINST[kind]}")
            if kind != OURS:
                end = page.whole(kind).median
                axes.barh(row, end, color=STAGES["decode"] if kind == BARE else "0.75", height=0.7)
            else:
                end = _stack(axes, row, page)
            axes.text(end, row, f" {end:,.0f} ms", va="center", fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("milliseconds, medians, one thread")
    axes.set_xlim(0, 1.12 * axes.dataLim.x1)
    axes.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.4, 1.0), ncol=len(STAGES), frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.text(0.01, 0.01, title, fontsize=6, color="0.4")
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    figure.savefig(target, dpi=110)


def _stack(axes: object, row: int, page: PageFigures) -> float:
    """Draws the stages of a page in one row; where they end."""
    left = 0.0
    for stage, color in STAGES.items():
        width = page.stage(stage).median
        label = stage if row < len(AGAINST) else None  # the legend has each stage once
        axes.barh(row, width, left=left, color=color, height=0.7, label=label)  # type: ignore[attr-defined]
        left += width
    return left
