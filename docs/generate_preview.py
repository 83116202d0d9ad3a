"""Writes ``docs/preview.png``, the picture in the README: ``python docs/generate_preview.py``."""

import sys
import tempfile
from pathlib import Path

from PIL import Image

from jobs import cli
from segmentation.templates import load_template

PAGE = Path(__file__).parent.parent / "sample_forms" / "hsf" / "form_0006.png"
PICTURE = Path(__file__).with_name("preview.png")
WIDTH = 1200
COLOURS = 32


def write_preview() -> int:
    """Makes the overlay of all fields but the paragraph, smaller and with few colours; gives an exit code."""
    names = [spec.name for spec in load_template("hsf").fields if spec.layout == "line"]
    with tempfile.TemporaryDirectory() as folder:
        overlay = Path(folder) / "overlay.png"
        words = ["preview", str(PAGE), "--template", "hsf", "--out", str(overlay), "--field", *names]
        code = cli.main(words)
        if code == 0:
            with Image.open(overlay) as image:
                size = (WIDTH, round(WIDTH * image.height / image.width))
                small = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
            small.quantize(COLOURS).save(PICTURE, optimize=True)
    return code


if __name__ == "__main__":
    sys.exit(write_preview())
