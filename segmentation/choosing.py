"""Which form is this? Of several templates a page goes to the one that registers best."""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segmentation.page import SegmentedPage
from segmentation.preparing import find_on_page
from segmentation.registration import (
    QUARTER_TURNS,
    Registration,
    RegistrationError,
    RuleFinder,
    register_in_any_size,
    register_rules,
)
from segmentation.segmenting import segment_page
from segmentation.templates import FormTemplate, TemplateError, load_template, shipped_templates

SAME_SHARE = 0.1  # of matched rules, within which the form with more of them matched is the better one


def load_templates(names: Sequence[str]) -> tuple[FormTemplate, ...]:
    """Loads shipped templates by name, TOML files by path, and all TOML files of a folder.

    Raises:
        TemplateError: one of them cannot be used, a folder has none, or two forms have the same name.
    """
    files: list[str] = []
    for name in names:
        if name not in shipped_templates() and Path(name).is_dir():
            inside = sorted(str(path) for path in Path(name).glob("*.toml"))
            if not inside:
                raise TemplateError(name, "--template", "the folder holds no .toml file", "Name another.")
            files += inside
        else:
            files.append(name)
    loaded = {file: load_template(file) for file in files}
    first: dict[str, str] = {}
    for file, template in loaded.items():
        if template.name in first:
            raise TemplateError(
                file,
                "form name",
                f"{template.name!r} is also the name of {first[template.name]}",
                "Give each form its own name.",
            )
        first[template.name] = file
    return tuple(loaded.values())


def register_best(
    gray: NDArray[np.uint8], templates: Sequence[FormTemplate]
) -> tuple[FormTemplate, Registration]:
    """Finds out which form lies on a page, and where.

    The form with the largest share of its rules on the page is taken. Forms within ``SAME_SHARE`` of it count
    as equal: of them the one with more rules matched, which says more than a few that fit by chance, then the
    one with the smaller residual. Pages are tried upright for all forms before they are tried turned. The
    rules of the page are found once, not once for each form.

    Args:
        gray: uint8 (H, W), 0 = black, origin top left.
        templates: at least one.

    Raises:
        RegistrationError: ``form_not_found`` if none of the forms is on the page; of a single template
            what ``register`` raises.
    """
    finder = RuleFinder(gray)
    errors: list[RegistrationError] = []
    for turn in QUARTER_TURNS if len(templates) > 1 else [None]:
        fits: list[tuple[FormTemplate, Registration]] = []
        for template in templates:
            turns = QUARTER_TURNS if turn is None else (turn,)
            try:
                fits.append((template, register_rules(finder, template, turns)))
            except RegistrationError as error:
                errors.append(error)
        if fits:
            return _best(fits)
    sized = [
        (template, found)
        for template in templates
        if (found := register_in_any_size(finder, template)) is not None
    ]
    if sized:
        return _best(sized)
    if len(templates) == 1:
        raise errors[0]
    names = ", ".join(repr(template.name) for template in templates)
    raise RegistrationError("form_not_found", f"none of the forms {names} is on this page")


def segment_best(gray: NDArray[np.uint8], templates: Sequence[FormTemplate]) -> SegmentedPage:
    """Cuts a page into the fields of the form that lies on it; see ``register_best`` and ``segment_page``."""
    begin = time.perf_counter()
    gray, (template, registration) = find_on_page(gray, partial(register_best, templates=templates))
    seconds = time.perf_counter() - begin
    page = segment_page(gray, template, registration)
    return replace(page, seconds={**page.seconds, "register": seconds})


def _best(fits: Sequence[tuple[FormTemplate, Registration]]) -> tuple[FormTemplate, Registration]:
    top = max(_share(found) for _, found in fits)
    near = [fit for fit in fits if _share(fit[1]) >= top - SAME_SHARE]
    return max(near, key=lambda fit: (fit[1].matched, -fit[1].residual))


def _share(found: Registration) -> float:
    return found.matched / found.landmarks
