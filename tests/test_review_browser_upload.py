"""The upload page in a real browser: every format, and files that mean harm."""

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from segmentation.templates import load_template
from tests.desk_browser import browser, desk_server, visit
from tests.desk_folder import open_desk, slips
from tests.test_images import group_4_body, ihead_of

pytestmark = pytest.mark.slow
SAMPLES = Path(__file__).resolve().parent.parent / "sample_forms" / "hsf"
TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "tif": "image/tiff",
    "pdf": "application/pdf",
    "pct": "application/octet-stream",
}


@pytest.fixture(scope="module")
def chromium():
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    output = slips(tmp_path_factory.mktemp("upload"), 1)
    with desk_server(open_desk(output, templates={"hsf": load_template("hsf")})) as served:
        yield served


def page_as(kind: str) -> bytes:
    """The first sample form in a format; two pages of it as PDF."""
    if kind == "png":
        return (SAMPLES / "form_0001.png").read_bytes()
    with Image.open(SAMPLES / "form_0001.png") as image:
        gray = image.convert("L")
    if kind == "pct":
        pixels = np.asarray(gray)
        return ihead_of(pixels, group_4_body(pixels))
    data = io.BytesIO()
    if kind == "pdf":
        gray.save(data, "PDF", resolution=300, save_all=True, append_images=[gray])
    else:
        gray.save(data, {"jpg": "JPEG", "tif": "TIFF"}[kind], dpi=(300, 300))
    return data.getvalue()


def choose(page, name: str, data: bytes, kind: str = "image/png") -> None:
    page.set_input_files("#file", {"name": name, "mimeType": kind, "buffer": data})


def reading_of(page, field: str) -> str:
    return page.inner_text(f"#fields tr:has(th:text-is('{field}')) td.text")


@pytest.mark.parametrize("kind", TYPES)
def test_a_page_of_each_format_is_shown_with_its_boxes_and_readings(chromium, address, kind):
    with visit(chromium, address) as visited:
        page = visited.open("/upload")
        page.wait_for_selector("#template option[value=hsf]", state="attached")
        choose(page, f"scan.{kind}", page_as(kind), TYPES[kind])
        page.wait_for_selector("#overlay img")
        pages = 2 if kind == "pdf" else 1
        assert page.inner_text("#result-title").startswith(f"scan.{kind}: {pages} page")
        width = page.evaluate("document.querySelector('#overlay img').naturalWidth")
        assert width > 1000
        assert page.locator("#overlay .field").count() == 34
        assert reading_of(page, "fld_06").isdigit()
        drawn = page.locator("#overlay .field", has_text="fld_06:").locator("text")
        assert drawn.text_content() == reading_of(page, "fld_06")
        box, sheet = (
            page.locator(at).bounding_box() for at in ("#overlay .field .frame >> nth=0", "#overlay")
        )
        assert sheet["x"] < box["x"] < sheet["x"] + sheet["width"]
        if pages == 2:
            page.click("#pages button:text('Page 2')")
            page.wait_for_selector("#pages button[aria-current]:text('Page 2')")
            page.wait_for_function("() => document.querySelector('#overlay img')?.alt === 'Page 2'")


def test_one_character_is_read_and_dropped_files_are_taken(chromium, address):
    digit = np.full((80, 60), 255, np.uint8)
    cv2.putText(digit, "7", (8, 66), cv2.FONT_HERSHEY_SIMPLEX, 2.4, 0, 5)
    data = cv2.imencode(".png", digit)[1].tobytes()
    with visit(chromium, address) as visited:
        page = visited.open("/upload")
        page.check("input[value=character]")
        page.select_option("#charset", "digits")
        drop = """async (bytes) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "seven.png"));
            document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true}));
        }"""
        page.evaluate(drop, list(data))
        page.wait_for_selector("#one img")
        assert page.inner_text("#one .label") == "7"
        blank = cv2.imencode(".png", np.full((60, 60), 255, np.uint8))[1].tobytes()
        choose(page, "blank.png", blank)
        page.wait_for_selector("#one p:text('There is no ink on it.')")


def enormous_png() -> bytes:
    """A PNG that says it has 60,000 x 60,000 pixels, in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


SCRIPT = "<script>window.harmed = 1</script><img src=x onerror='window.harmed = 1'>"
HOSTILE = {
    "page.png": (f"<!doctype html><body>{SCRIPT}".encode(), "is no PNG, JPEG"),
    f"{SCRIPT.replace('/', ':')}.png": (b"nothing", "is no PNG, JPEG"),
    "drawing.svg": (f"<svg xmlns='http://www.w3.org/2000/svg'>{SCRIPT}</svg>".encode(), "is no PNG, JPEG"),
    "enormous.png": (enormous_png(), "60000x60000 pixels"),
    "cut.png": (page_as("png")[:5000], "The end of this PNG is missing"),
    "empty.png": (b"", "is empty"),
}


@pytest.mark.parametrize("what", ["page", "character"])
@pytest.mark.parametrize("name", HOSTILE)
def test_files_that_mean_harm_are_told_as_text(chromium, address, name, what):
    data, reason = HOSTILE[name]
    with visit(chromium, address) as visited:
        page = visited.open("/upload")
        page.wait_for_selector("#template option[value=hsf]", state="attached")
        page.check(f"input[value={what}]")
        choose(page, name, data)
        told = page.locator("#problem:visible, #failures:visible").first
        told.wait_for()
        page.wait_for_selector("#busy", state="hidden")
        text = page.inner_text("main")
        assert name in text
        assert reason in told.inner_text()
        assert page.evaluate("window.harmed") is None
        assert page.locator("main script, main img").count() == 0


def test_a_page_of_another_form_is_told(chromium, address):
    other = SAMPLES.parent / "comb" / "form_0001.png"
    with visit(chromium, address) as visited:
        page = visited.open("/upload")
        page.wait_for_selector("#template option[value=hsf]", state="attached")
        choose(page, "other.png", other.read_bytes())
        page.wait_for_selector("#failures li")
        assert "form_not_found" in page.inner_text("#failures")
        assert page.inner_text("#result-title") == "other.png: no page read"


def test_a_file_that_is_too_large_is_not_even_sent(chromium, address):
    with visit(chromium, address) as visited:
        page = visited.open("/upload")
        page.evaluate(
            """() => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(51e6)], "large.png"));
            document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true}));
        }"""
        )
        page.wait_for_selector("#problem:text('large.png has 51.0 MB; at most 50 MB are taken.')")
        assert not [url for url in visited.asked if url.endswith(("/api/read", "/api/predict"))]
