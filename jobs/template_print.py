"""What `formscribe template` tells of print inside fields: it would be read as if it were written."""

from collections.abc import Sequence

from segmentation.drafting import areas_text
from segmentation.field_print import PrintInside

MOST_NAMES = 12  # of fields that a message lists


def told_of_print(inside: PrintInside) -> str:
    """The message of a draft that has ink inside fields; what it has in the template is an ignored area."""
    names, count = _listed(list(inside.areas)), _counted(len(inside.areas))
    if inside.filled:
        return (
            f"warning: ink inside {count}: {names}. If the page is blank, it is print and will be read as "
            "writing: take the # away before `ignore` in the template"
        )
    return (
        f"warning: print inside {count}, which `ignore` in the template leaves out of the reading: {names}. "
        "Delete `ignore` where it is writing"
    )


def told_of_each(inside: PrintInside) -> list[str]:
    """The messages of a check, one for each field with print inside that is not ignored."""
    return [
        f"warning: field {name!r}: print inside, which will be read as writing. If the page is blank, add "
        f"ignore = {areas_text(areas)}"
        for name, areas in inside.areas.items()
    ]


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _counted(count: int) -> str:
    return f"{count} field{'s' if count > 1 else ''}"
