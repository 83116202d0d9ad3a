"""Drafts a template from a page of your form, says what is wrong with one, and draws it over a page."""

import argparse
import os
import shlex
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from jobs.exit_codes import CommandError, ExitCode
from jobs.template_print import told_of_each, told_of_print
from segmentation.checking import check_template
from segmentation.drafting import DraftingError, draft_template, guess_dpi, template_text
from segmentation.field_print import find_print
from segmentation.finding import FoundForm, find_form
from segmentation.image_document import ImageError, Page
from segmentation.images import open_document
from segmentation.registration import Registration, RegistrationError
from segmentation.templates import FieldSpec, FormTemplate, TemplateError, load_template

EPILOG = """examples:
  formscribe template new blank.png --out my_form.toml
  formscribe template check my_form.toml
  formscribe template preview my_form.toml scan.png --out overlay.png

`formscribe template new --help` and so on explain each.
"""
FIELD_COLOR, CELL_COLOR, TEXT_COLOR = (215, 25, 40), (30, 90, 230), (0, 110, 45)
IGNORED_COLOR = (240, 140, 0)
PAPER_SIDES = (3.0, 12.5)  # inches of the shorter side of a page: files state 72 or 96 dpi without meaning it

SAME_SKEW = 1.0  # degrees by which a draft may lie off its own page
UNDRAFTED = {
    "no_boxes": "Scan it upright at 200 dpi or more, or write the template by hand.",
    "only_lines": "A form is found on its scans by printed boxes: print at least two on it, around some of "
    "its fields or empty near its corners, scan it blank and draft again. Scans without them cannot be read.",
}
UNFIT = (
    "Look at it with `formscribe template preview`; add boxes that are missing, delete what are none, "
    "or draft from a clean scan of the blank page."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the three subcommands and their flags."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    new = _action(
        actions, "new", "find the boxes of a blank page (or a filled one) and write a template to edit"
    )
    new.add_argument(
        "file", metavar="FILE", help="a scan: PNG, JPEG, TIFF, PDF or IHEAD; upright, skew is taken out"
    )
    new.add_argument("--out", required=True, metavar="TOML", help="the template to write")
    new.add_argument("--name", metavar="NAME", help="name of the form (default: that of the template file)")
    new.add_argument("--page", type=int, default=1, metavar="N", help="page of the file, from 1 (default: 1)")
    new.add_argument(
        "--dpi",
        type=float,
        metavar="DPI",
        help="resolution of the scan (default: what the file states, else as if the paper were A4 or letter)",
    )
    new.add_argument(
        "--upright",
        metavar="PNG",
        help="write the page turned upright too: the picture of which the template's boxes are pixels",
    )
    new.add_argument(
        "--overwrite", action="store_true", help="replace what is written if it is there already"
    )
    check = _action(actions, "check", "report all that is wrong with a template")
    check.add_argument("template", metavar="TOML", help="the template")
    check.add_argument(
        "--blank",
        metavar="FILE",
        help="a scan of the form with nothing written on it: warn of fields that have print inside",
    )
    check.add_argument(
        "--page", type=int, default=1, metavar="N", help="page of that file, from 1 (default: 1)"
    )
    preview = _action(actions, "preview", "draw a template over a page, and say how well it fits")
    preview.add_argument("template", metavar="FORM", help="name of a shipped form (hsf) or a TOML file")
    preview.add_argument("file", metavar="FILE", help="a scan: PNG, JPEG, TIFF, PDF or IHEAD")
    preview.add_argument("--out", required=True, metavar="PNG", help="the picture to write")
    preview.add_argument(
        "--page", type=int, default=1, metavar="N", help="page of the file, from 1 (default: 1)"
    )


def _action(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, line: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(
        name, help=line, description=f"{line[0].upper()}{line[1:]}.", allow_abbrev=False
    )
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        default=argparse.SUPPRESS,
        help="show warnings, logs and tracebacks",
    )
    return parser


def run(args: argparse.Namespace) -> int:
    """Does what the subcommand says."""
    return {"new": _new, "check": _check, "preview": _preview}[args.action](args)


def _new(args: argparse.Namespace) -> int:
    out = Path(args.out)
    _may_be_written("--out", args.out, args.overwrite)
    if args.upright is not None:
        _may_be_written("--upright", args.upright, args.overwrite)
    page = _read_page(args.file, args.page)
    dpi = page_dpi(page, args.dpi)
    try:
        draft = draft_template(page.gray, dpi)
    except DraftingError as error:
        raise CommandError(
            ExitCode.ALL_PAGES_FAILED,
            f"{args.file}, page {args.page}: {error} ({error.code}). {UNDRAFTED[error.code]}",
        ) from None
    name = args.name or out.stem
    text = template_text(draft, name, args.file)
    template, problems = check_template(text.encode(), args.out)
    told, found = ("", None) if template is None else _find_draft(page, template, draft.skew)
    inside = None if found is None else find_print(found)
    if inside is not None and inside.areas:
        text = template_text(draft, name, args.file, inside)
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _not_writable("--out", args.out, error) from None
    if args.upright is not None:
        _write_picture(Image.fromarray(draft.upright), "--upright", args.upright, dpi)
    for problem in problems:
        print(problem)
    print(f"{len(draft.fields)} fields found at {dpi:g} dpi, skew {draft.skew:+.2f}° taken out: {out}")
    if args.dpi is None and believed_dpi(page) is None:
        print(_told_of_guess(page, dpi))
    if told:
        print(told)
    if inside is not None and inside.areas:
        print(told_of_print(inside))
    if args.upright is not None:
        print(f"upright page: {args.upright}")
    quoted, scan = shlex.quote(str(out)), shlex.quote(args.file)
    print(f"next:   formscribe template preview {quoted} {scan} --out overlay.png")
    return ExitCode.OK


def page_dpi(page: Page, wanted: float | None) -> float:
    """The resolution of a page: as asked for, else as the file states it if it can be true, else a guess.

    Raises:
        CommandError: what was asked for is no resolution.
    """
    if wanted is not None:
        if not 50 <= wanted <= 2400:
            raise CommandError(ExitCode.USAGE, f"--dpi {wanted:g}: is not between 50 and 2400.")
        return wanted
    height, width = page.gray.shape
    return believed_dpi(page) or guess_dpi(width, height)


def believed_dpi(page: Page) -> float | None:
    """The resolution that the file of a page states, if paper has such a size; else None."""
    if page.dpi is not None and PAPER_SIDES[0] <= min(page.gray.shape) / page.dpi <= PAPER_SIDES[1]:
        return round(page.dpi)
    return None


def _told_of_guess(page: Page, dpi: float) -> str:
    why = "no resolution is stated in the file"
    if page.dpi is not None:
        inches = min(page.gray.shape) / page.dpi
        why = f"the file states {page.dpi:.0f} dpi, {inches:.1f} inches for the shorter side of the page"
    return f"{why}: {dpi:g} dpi guessed; --dpi names it"


def _find_draft(page: Page, template: FormTemplate, skew: float) -> tuple[str, FoundForm | None]:
    """Whether a draft is found on the page that it was made from, ``skew`` degrees askew, and where."""
    try:
        on_page = find_form(page.gray, [template])
    except RegistrationError as error:
        return f"warning: the draft is not found on its own page ({error.code}): {error}. {UNFIT}", None
    found = on_page.registration
    lines = f"{found.matched} of {found.landmarks} lines"
    if abs(found.skew - skew) > SAME_SKEW:
        return f"warning: the draft is found on its own page in another place, {lines}. {UNFIT}", None
    return f"checked: the draft is found on its own page, {lines}", on_page


def _check(args: argparse.Namespace) -> int:
    try:
        if not Path(args.template).is_file():
            raise FileNotFoundError(0, "it is no file")
        data = Path(args.template).read_bytes()
    except OSError as error:
        raise CommandError(
            ExitCode.BAD_TEMPLATE, f"{args.template}: cannot be opened ({error.strerror}). Name a TOML file."
        ) from None
    template, problems = check_template(data, args.template)
    for problem in problems:
        print(problem)
    if problems:
        print(f"{len(problems)} to correct", file=sys.stderr)
        return ExitCode.BAD_TEMPLATE
    assert template is not None
    print(f"{args.template}: {len(template.fields)} fields, nothing wrong")
    if args.blank is not None:
        _check_print(args, template)
    return ExitCode.OK


def _check_print(args: argparse.Namespace, template: FormTemplate) -> None:
    """Says which fields have print inside, on a page that nobody has filled."""
    gray = _read_page(args.blank, args.page).gray
    try:
        found = find_form(gray, [template])
    except RegistrationError as error:
        raise CommandError(
            ExitCode.ALL_PAGES_FAILED,
            f"--blank {args.blank}, page {args.page}: {error} ({error.code}). Name a scan of the blank form.",
        ) from None
    warnings = told_of_each(find_print(found))
    for line in warnings or ["no field has print inside that is not ignored"]:
        print(line)


def _preview(args: argparse.Namespace) -> int:
    try:
        template = load_template(args.template)
    except (TemplateError, OSError) as error:
        raise CommandError(ExitCode.BAD_TEMPLATE, str(error)) from None
    gray = _read_page(args.file, args.page).gray
    try:
        found = find_form(gray, [template]).registration
    except RegistrationError as error:
        zoom = gray.shape[1] / template.width
        found, code = (
            Registration(np.array([[zoom, 0, 0], [0, zoom, 0]]), 0.0, 0, 0),
            ExitCode.ALL_PAGES_FAILED,
        )
        told = f"not registered, drawn as it is: {error} ({error.code})"
    else:
        code = ExitCode.OK
        told = (
            f"residual {found.residual:.1f} px, {found.matched} of {found.landmarks} rules matched, "
            f"skew {found.skew:+.2f}°"
        )
    _write_picture(draw_template(gray, template, found), "--out", args.out)
    print(f"{template.name}: {told}")
    print(f"picture: {args.out}")
    return code


def draw_template(gray: NDArray[np.uint8], template: FormTemplate, found: Registration) -> Image.Image:
    """A page with the boxes, cells and names of a template over it.

    Args:
        gray: uint8 (H, W), 0 = black.
        template: the form.
        found: where it lies.
    """
    picture = Image.fromarray(gray).convert("RGB")
    draw = ImageDraw.Draw(picture)
    inch = template.dpi * found.scale
    font = ImageFont.load_default(max(10, round(0.08 * inch)))
    width = max(1, round(inch / 100))
    for spec in template.fields:
        box = spec.box
        for x in spec.cell_lines:
            draw.line(_placed(found, [(x, box.y), (x, box.bottom)]), CELL_COLOR, width)
        corners = [
            (box.x, box.y),
            (box.right, box.y),
            (box.right, box.bottom),
            (box.x, box.bottom),
            (box.x, box.y),
        ]
        for area in spec.ignored:
            ends = [(area.x, area.y), (area.right, area.y), (area.right, area.bottom), (area.x, area.bottom)]
            draw.line(_placed(found, [*ends, ends[0]]), IGNORED_COLOR, width)
        placed = _placed(found, corners)
        draw.line(placed, FIELD_COLOR, width)
        x, y = placed[0]
        left, top, right, bottom = draw.textbbox((x, y - width), _label(spec), font, "ld")
        draw.rectangle((left - 1, top - 1, right + 1, bottom), fill="white")
        draw.text((x, y - width), _label(spec), TEXT_COLOR, font, "ld")
    return picture


def _label(spec: FieldSpec) -> str:
    what = f"{spec.layout} {spec.cells}" if spec.layout == "comb" else spec.layout
    kind = "" if spec.layout == "mark" else f" {spec.charset}"
    return f"{spec.name}: {what}{kind}"


def _placed(found: Registration, points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    placed = np.column_stack([points, np.ones(len(points))]) @ found.matrix.T
    return [(float(x), float(y)) for x, y in placed]


def _read_page(file: str, number: int) -> Page:
    try:
        data = Path(file).read_bytes()
    except OSError as error:
        raise CommandError(
            ExitCode.NO_INPUT, f"{file}: cannot be opened ({error.strerror}). Name a scan on this machine."
        ) from None
    try:
        with open_document(data) as document:
            if not 1 <= number <= document.page_count:
                raise CommandError(
                    ExitCode.USAGE,
                    f"--page {number}: {file} has {document.page_count} page(s). Name one, counting from 1.",
                )
            return document.read(number)
    except ImageError as error:
        raise CommandError(ExitCode.ALL_PAGES_FAILED, f"{file}: {error} ({error.code})") from None


def _may_be_written(flag: str, path: str, overwrite: bool) -> None:
    if os.path.exists(path) and not overwrite:  # what may not be known is told when it is written
        raise CommandError(
            ExitCode.USAGE, f"{flag} {path}: is there already. Name another, or add --overwrite."
        )


def _write_picture(picture: Image.Image, flag: str, path: str, dpi: float | None = None) -> None:
    stated = {} if dpi is None else {"dpi": (dpi, dpi)}
    try:
        picture.save(path, "PNG", compress_level=3, **stated)
    except (OSError, ValueError) as error:
        raise _not_writable(flag, path, error) from None


def _not_writable(flag: str, path: str, error: Exception) -> CommandError:
    reason = getattr(error, "strerror", None) or error
    return CommandError(
        ExitCode.OUTPUT_NOT_WRITABLE,
        f"{flag} {path}: cannot be written ({reason}). Name a file in a folder that exists.",
    )
