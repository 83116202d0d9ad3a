"""Writes the pictures of the desk in ``docs``: ``python -m docs.generate_desk_pictures``.

Only rendered sample forms are on them. Needs Chromium and the extras ``review`` and ``test``.
"""

import io
import sys
import tempfile
from pathlib import Path
from shutil import which

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from benchmarks.desk_pages import ARGUMENTS, served
from jobs import cli

DOCS = Path(__file__).parent
SAMPLES = DOCS.parent / "sample_forms" / "hsf"
COLOURS = 64
WAIT = 300_000  # milliseconds


def save(page: Page, name: str) -> None:
    """A screenshot with few colours."""
    page.wait_for_timeout(400)  # fonts and pictures settle
    with Image.open(io.BytesIO(page.screenshot())) as image:
        image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(
            DOCS / f"desk-{name}.png", optimize=True
        )


def visit(page: Page, address: str) -> None:
    """Goes from page to page as a verifier would."""
    page.goto(address)
    page.wait_for_selector("#stage img")
    page.wait_for_selector("#kind option[value='hsf/fld_02']", state="attached")
    page.select_option("#kind", "hsf/fld_02")
    page.wait_for_function("() => document.getElementById('field-name').textContent === 'fld_02'")
    page.wait_for_selector("#stage img")
    save(page, "verify")
    page.keyboard.press("F2")
    page.wait_for_selector(".layer .mark")
    for _ in range(3):
        page.keyboard.press("+")
    save(page, "page")
    page.keyboard.press("Escape")
    page.emulate_media(color_scheme="dark")
    page.keyboard.press("ArrowRight")
    save(page, "dark")
    page.emulate_media(color_scheme="light")
    page.goto(f"{address}grid?label=7")
    page.wait_for_selector(".tile.active")
    for key in ("ArrowRight", "Space", "ArrowDown", "1", "ArrowRight"):
        page.keyboard.press(key)
    page.wait_for_timeout(1500)
    save(page, "grid")
    page.once("dialog", lambda dialog: dialog.accept())
    page.goto(f"{address}upload")
    page.wait_for_selector("#template option[value=hsf]", state="attached")
    page.set_input_files("#file", SAMPLES / "form_0006.png")
    page.wait_for_selector("#overlay img")
    save(page, "upload")


def write_pictures() -> int:
    """Reads the sample forms, opens a desk, and photographs it; gives an exit code."""
    if which("chromium") is None:
        print("needs Chromium: sudo apt install -y chromium", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "forms"
        code = cli.main(["run", "--input", str(SAMPLES), "--output", str(output), "--template", "hsf"])
        if code:
            return code
        with served(output) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=which("chromium"), args=ARGUMENTS)
            context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
            context.set_default_timeout(WAIT)
            context.add_init_script("localStorage.setItem('formscribe.verifier', '\"Ann\"')")
            visit(context.new_page(), address)
            browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(write_pictures())
