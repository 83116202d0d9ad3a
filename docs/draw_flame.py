"""Draws sampled stacks as a flame graph: docs/flame-before.svg and docs/flame-after.svg.

py-spy record -r 400 -d 40 --function -f raw -o stacks.txt -- python -m benchmarks.page
python docs/draw_flame.py stacks.txt --title "Before" --out docs/flame-before.svg

A bar is a function, as wide as the share of samples in which it was running; on it stand those that it
called. Only what happens within the reading of a page is drawn, and of each frame only the names of function
and file.
"""

import argparse
import html
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = ("PageReader.read", "page.py")  # the call within which everything drawn happens
WIDTH, ROW, MARGIN = 1200, 17, 10
LEAST = 0.0025  # share of all samples below which a bar is left out
LETTER = 6.2  # pixels, about
STAGES = {  # the functions of a page's stages, and the colour of all that runs within them
    ("Document.read", "image_document.py"): "#9fb8d9",
    ("even_light", "illumination.py"): "#a8d5ba",
    ("register", "registration.py"): "#a8d5ba",
    ("_place_field", "segmenting.py"): "#f2cf8d",
    ("cut_fields", "fields.py"): "#f2cf8d",
    ("_field", "segmenting.py"): "#eeb08f",
    ("classify_pages", "classifying.py"): "#d3a8d0",
    ("_look_again", "classifying.py"): "#eeb08f",
    ("page_rows", "reading.py"): "#e29a9a",
}
_FRAME = re.compile(r"(?P<function>.+) \((?P<file>[^)]*?)(:\d+)?\)")


@dataclass
class Bar:
    """A function within those that called it: its samples, and what it called."""

    name: tuple[str, str]
    samples: int = 0
    called: dict[tuple[str, str], "Bar"] = field(default_factory=dict)


def read_stacks(text: str) -> Bar:
    """The tree of calls below ``ROOT`` from lines ``frame;frame;frame samples``."""
    root = Bar(ROOT)
    for line in text.splitlines():
        stack, _, samples = line.rpartition(" ")
        frames = [name for name in map(_name, stack.split(";")) if "<locals>" not in name[0]]
        if ROOT not in frames or "importlib" in stack:  # what is imported by the first page alone
            continue
        bar = root
        bar.samples += int(samples)
        for name in frames[frames.index(ROOT) + 1 :]:
            bar = bar.called.setdefault(name, Bar(name))
            bar.samples += int(samples)
    return root


def _name(frame: str) -> tuple[str, str]:
    found = _FRAME.fullmatch(frame)
    return (found["function"], Path(found["file"]).name) if found else (frame, "")


def bars(
    bar: Bar, total: int, left: float = 0.0, level: int = 0, colour: str = "#d8d8d8"
) -> Iterator[tuple[Bar, float, int, str]]:
    """Yields each bar worth drawing with its left edge, 0..1, its level, and its colour."""
    colour = STAGES.get(bar.name, colour)
    yield bar, left, level, colour
    for inner in sorted(bar.called.values(), key=lambda one: -one.samples):
        if inner.samples >= LEAST * total:
            yield from bars(inner, total, left, level + 1, colour)
        left += inner.samples / total


def draw(root: Bar, title: str) -> str:
    """The graph as SVG."""
    placed = list(bars(root, root.samples))
    height = (max(level for _, _, level, _ in placed) + 1) * ROW + 2 * MARGIN + 24
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + 2 * MARGIN} {height}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="100%" height="100%" fill="#ffffff"/><text x="{MARGIN}" y="20" font-size="14">'
        f"{html.escape(title)}; {root.samples:,} samples</text>",
    ]
    for bar, left, level, colour in placed:
        x, width = MARGIN + left * WIDTH, bar.samples / root.samples * WIDTH
        y = height - MARGIN - (level + 1) * ROW
        share = f"{100 * bar.samples / root.samples:.1f} %"
        label = f"{bar.name[0]}, {bar.name[1]}, {share}"
        short = label if len(label) * LETTER < width else f"{bar.name[0]} {share}"
        if len(short) * LETTER > width:
            short = bar.name[0][: max(0, int(width / LETTER) - 1)]
        lines.append(
            f'<g><title>{html.escape(label)}</title><rect x="{x:.1f}" y="{y}" width="{width:.1f}" '
            f'height="{ROW - 1}" fill="{colour}" stroke="#ffffff" stroke-width="0.5"/>'
            + (f'<text x="{x + 2:.1f}" y="{y + 12}">{html.escape(short)}</text>' if len(short) > 2 else "")
            + "</g>"
        )
    return "\n".join([*lines, "</svg>", ""])


def main() -> int:
    """Reads the stacks and writes the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("stacks", type=Path, help="what py-spy wrote with -f raw")
    parser.add_argument("--title", required=True)
    parser.add_argument("--out", type=Path, required=True, help="SVG to write")
    args = parser.parse_args()
    root = read_stacks(args.stacks.read_text("utf-8"))
    if not root.samples:
        print(f"{args.stacks}: no sample lies within the reading of a page", file=sys.stderr)
        return 2
    args.out.write_text(draw(root, args.title), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
