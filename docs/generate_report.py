"""Writes ``docs/report.png``, the picture in docs/report.md: ``python docs/generate_report.py [CHROMIUM]``.

Reads the sample forms, writes their report, and takes two pictures of it with the system's Chromium.
"""

import io
import os
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from jobs import cli

FORMS = Path(__file__).parent.parent / "sample_forms" / "hsf"
PICTURE = Path(__file__).with_name("report.png")
WIDTH, HEIGHT = 1240, 1560  # of each part of the page
SHOWN = 640  # wide, of each part in the picture
COLOURS = 256


def write_picture(browser: str = "/usr/bin/chromium") -> int:
    """Makes the picture, beginning of the page and its confidences side by side; gives an exit code."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for words in (
            ["run", "--input", str(FORMS), "--output", "out", "--template", "hsf"],
            ["report", "out", "--truth", str(FORMS), "--out", "report.html"],
        ):
            code = cli.main(words)
            if code:
                return code
        parts = [_scaled(part) for part in take_pictures(Path(folder) / "report.html", browser)]
    gap = 20
    picture = Image.new("RGB", (2 * SHOWN + gap, parts[0].height), "#c9ced6")
    for i, part in enumerate(parts):
        picture.paste(part, (i * (SHOWN + gap), 0))
    picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE).save(PICTURE, optimize=True)
    return 0


def take_pictures(page_file: Path, browser: str) -> list[bytes]:
    """The page from its top, and from its confidences on, as PNG."""
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        page = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(page_file.as_uri())
        places = ("document.body.offsetTop", "document.getElementById('confidence').offsetTop")
        tops = [page.evaluate(place) for place in places]
        clips = [{"x": 0, "y": top, "width": WIDTH, "height": HEIGHT} for top in tops]
        parts = [page.screenshot(full_page=True, clip=clip) for clip in clips]
        chromium.close()
    return parts


def _scaled(part: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(part)).convert("RGB")
    return image.resize((SHOWN, round(SHOWN * image.height / image.width)), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    sys.exit(write_picture(*sys.argv[1:2]))
