"""Which form is this? Of several templates a page goes to the one that registers best."""

import os
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from segmentation.finding import find_form
from segmentation.page import SegmentedPage
from segmentation.segmenting import segment_page
from segmentation.templates import FormTemplate, TemplateError, load_template, shipped_templates


def load_templates(names: Sequence[str]) -> tuple[FormTemplate, ...]:
    """Loads shipped templates by name, TOML files by path, and all TOML files of a folder.

    Raises:
        TemplateError: one of them cannot be used, a folder has none, or two forms have the same name.
    """
    loaded = {file: load_template(file) for file in template_files(names)}
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


def template_files(names: Sequence[str]) -> list[str]:
    """The names of shipped templates and the TOML files that names of both and of folders mean, each once.

    Raises:
        TemplateError: a folder has none, or cannot be read.
    """
    files: list[str] = []
    for name in names:
        is_folder = name not in shipped_templates() and os.path.isdir(name)
        files += _templates_in(name) if is_folder else [name]
    return list(dict.fromkeys(files))


def _templates_in(folder: str) -> list[str]:
    try:
        inside = sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".toml"))
    except OSError as error:
        told = f"the folder cannot be read ({error.strerror})"
        raise TemplateError(folder, "--template", told, "Make it readable.") from None
    if not inside:
        raise TemplateError(folder, "--template", "the folder holds no .toml file", "Name another.")
    return inside


def segment_best(gray: NDArray[np.uint8], templates: Sequence[FormTemplate]) -> SegmentedPage:
    """Cuts a page into the fields of the form that lies on it; see ``find_form`` and ``segment_page``."""
    begin = time.perf_counter()
    found = find_form(gray, templates)
    seconds = time.perf_counter() - begin
    page = segment_page(found.gray, found.template, found.registration)
    return replace(page, seconds={**page.seconds, "register": seconds})
