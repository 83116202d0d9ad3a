"""Pages in a process of their own: hangs, crashes and want of memory cost only the page."""

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import isolated_work
import numpy as np
import pytest
from fuzz_files import doubled_form_pdf, endless_tiles_pdf, recursive_form_pdf
from PIL import Image
from test_images import BINARY, GRAY, pdf_of, png_of, saved

from pipeline.reading import decode_pages
from pipeline.resume import TRANSIENT
from segmentation import isolation
from segmentation.image_document import decoder_errors
from segmentation.images import Bounds, ImageError, ImageErrorCode, ImageLimits, open_document
from segmentation.isolation import (
    MOST_ENDED,
    CellError,
    IsolatedDocument,
    IsolatedSegmenter,
    shared_isolation,
)

ROOT = Path(__file__).resolve().parent.parent
WIDE = Bounds(seconds=60, memory=2_000_000_000)
BRIEF = Bounds(seconds=1.5)
PNG = saved(Image.fromarray(GRAY), "PNG", dpi=(300, 300))


def refusal(call) -> ImageError:
    with pytest.raises(ImageError) as caught:
        call()
    assert str(caught.value).rstrip().endswith(".")
    return caught.value


def read(data: bytes, bounds: Bounds | None, limits: ImageLimits | None = None) -> np.ndarray:
    with open_document(data, limits, bounds) as document:
        return document.read(1).gray


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "PDF"])
def test_pages_are_the_same_as_in_this_process(kind):
    data = saved(Image.fromarray(GRAY), kind)
    with open_document(data, None, WIDE) as there:
        page = there.read(1)
    if kind != "PDF":
        with open_document(data) as here:
            own = here.read(1)
        assert np.array_equal(page.gray, own.gray)
        assert page.dpi == own.dpi
    assert page.gray.dtype == np.uint8
    assert not page.gray.flags.writeable


def test_pdfs_are_always_read_there_and_others_only_with_bounds():
    with open_document(pdf_of([BINARY])) as document:
        assert isinstance(document, IsolatedDocument)
    with open_document(PNG) as document:
        assert not isinstance(document, IsolatedDocument)
    with open_document(PNG, None, WIDE) as document:
        assert isinstance(document, IsolatedDocument)


def test_errors_come_back_as_they_were():
    assert refusal(lambda: read(PNG[:60], WIDE)).code == ImageErrorCode.TRUNCATED
    tall = png_of(1, 5000, b"\0\0" * 5000)
    assert refusal(lambda: read(tall, WIDE, ImageLimits(max_pixels=4000))).code == "too_many_pixels"
    with open_document(PNG, None, WIDE) as document:
        assert refusal(lambda: document.read(2)).code == ImageErrorCode.PAGE_OUT_OF_RANGE
    with pytest.raises(ZeroDivisionError, match="nobody expected this"):
        IsolatedSegmenter(isolated_work.is_wrong, WIDE)(GRAY, None)
    with pytest.raises(CellError, match="this is not the form") as found:  # which cannot be pickled
        IsolatedSegmenter(isolated_work.is_elsewhere, WIDE)(GRAY, None)
    assert found.value.code == "form_not_found"


def test_a_page_that_was_read_there_is_not_sent_back(monkeypatch):
    sent = []
    ask = shared_isolation()._ask
    monkeypatch.setattr(shared_isolation(), "_ask", lambda *words: sent.append(words[1]) or ask(*words))
    with open_document(PNG, None, WIDE) as document:
        gray = document.read(1).gray
        segment = IsolatedSegmenter(isolated_work.shape_of, WIDE)
        assert segment(gray, "form") == (GRAY.shape, int(GRAY.sum()), "form")
        assert isinstance(sent[-1][1], int)
        assert segment(gray.copy(), "form") == (GRAY.shape, int(GRAY.sum()), "form")
        assert isinstance(sent[-1][1], np.ndarray)


@pytest.mark.parametrize(
    ("work", "bounds", "code"),
    [
        (isolated_work.sleeps, BRIEF, "page_too_slow"),
        (isolated_work.crashes, WIDE, "page_crashed"),
        (isolated_work.aborts, Bounds(60), "page_crashed"),
        (isolated_work.aborts, WIDE, "too_much_memory"),  # as PDFium ends when it gets no memory
        (isolated_work.takes_memory, WIDE, "too_much_memory"),
    ],
)
def test_work_that_goes_wrong_costs_only_itself(work, bounds, code):
    begun = time.monotonic()
    assert refusal(lambda: IsolatedSegmenter(work, bounds)(GRAY, None)).code == code
    assert time.monotonic() - begun < 45
    assert np.array_equal(read(PNG, WIDE), GRAY)


def test_the_time_of_decoding_counts_for_segmenting(monkeypatch):
    bounds = Bounds(30)
    with open_document(PNG, None, bounds) as document:
        gray = document.read(1).gray
        isolation = shared_isolation()
        where, name, _ = isolation._page
        isolation._page = where, name, 29.5  # as if it had taken so long
        begun = time.monotonic()
        assert (
            refusal(lambda: IsolatedSegmenter(isolated_work.sleeps, bounds)(gray, None)).code
            == "page_too_slow"
        )
        assert time.monotonic() - begun < 15


def test_the_pages_after_one_that_hangs_are_read():
    with open_document(pdf_of([BINARY, BINARY]), None, Bounds(30)) as document:
        shared_isolation().end()  # as after a page that hung
        assert document.read(2).gray.size
        assert document.read(1).gray.size


def test_a_file_of_pages_that_all_hang_is_given_up(monkeypatch):
    pages = endless_tiles_pdf(pages=6)
    with open_document(pages, None, BRIEF) as document:
        assert document.page_count == 6
        begun = [shared_isolation().starts]
        for number in range(1, 7):
            error = refusal(lambda number=number: document.read(number))
            assert error.code == ImageErrorCode.PAGE_TOO_SLOW
            begun.append(shared_isolation().starts)
    assert "pages of this file went wrong before it" in str(error)
    assert begun[-1] - begun[0] <= MOST_ENDED


@pytest.mark.parametrize("maker", [recursive_form_pdf, doubled_form_pdf, endless_tiles_pdf])
def test_small_pdfs_that_never_end(maker):
    data = maker()
    assert len(data) < 10_000
    error = refusal(lambda: read(data, Bounds(8, 800_000_000)))
    assert error.code in (ImageErrorCode.PAGE_TOO_SLOW, ImageErrorCode.TOO_MUCH_MEMORY)


def test_a_page_that_needs_too_much_is_refused_before_it_is_decoded():
    wide = png_of(10_000, 10_000, b"", depth=16, color=6)
    error = refusal(lambda: read(wide, Bounds(60, 1_500_000_000)))
    assert error.code == ImageErrorCode.TOO_MUCH_MEMORY
    assert "needs up to 1,700 MB" in str(error)
    assert read(PNG, Bounds(60, 900_000_000)).shape == GRAY.shape


def test_the_kernel_holds_the_other_process_to_its_memory():
    bounds = Bounds(60, 1_000_000_000)
    refusal(lambda: IsolatedSegmenter(isolated_work.takes_memory, bounds)(GRAY, None))
    process = IsolatedSegmenter(isolated_work.process, bounds)(GRAY, None)
    limits = Path(f"/proc/{process}/limits").read_text().splitlines()
    (line,) = [line for line in limits if line.startswith("Max data size")]
    assert 0 < int(line.split()[3]) < 1_000_000_000


def test_a_worker_that_is_too_large_already_leaves_nothing(monkeypatch):
    monkeypatch.setattr("segmentation.isolation.resident_bytes", lambda: 2_000_000_000)
    error = refusal(
        lambda: IsolatedSegmenter(isolated_work.takes_memory, Bounds(60, 1_000_000_000))(GRAY, None)
    )
    assert error.code == ImageErrorCode.TOO_MUCH_MEMORY


def test_it_ends_with_its_owner():
    code = (
        "import os, sys; sys.path.insert(0, 'tests'); import isolated_work, numpy;"
        "from segmentation.isolation import *;"
        "print(IsolatedSegmenter(isolated_work.process, Bounds(60))(numpy.zeros((2, 2), numpy.uint8), None));"
        "sys.stdout.flush(); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == -9
    process = int(done.stdout)
    deadline = time.monotonic() + 30
    while Path(f"/proc/{process}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path(f"/proc/{process}").exists()


def test_threads_take_turns():
    results: list[bool] = []

    def work() -> None:
        results.extend(np.array_equal(read(PNG, WIDE), GRAY) for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert results == [True] * 20


def test_no_open_file_is_left():
    read(PNG, WIDE)
    before = len(os.listdir("/proc/self/fd"))
    process = shared_isolation().process_id
    there = len(os.listdir(f"/proc/{process}/fd"))
    for _ in range(30):
        read(PNG, WIDE)
        refusal(lambda: read(PNG[:60], WIDE))
    assert len(os.listdir("/proc/self/fd")) <= before + 1
    assert len(os.listdir(f"/proc/{process}/fd")) <= there + 1


def test_what_the_machine_refuses_is_no_damage(monkeypatch):
    def refuse(*words):
        raise OSError(errno.EMFILE, "Too many open files")

    pdf = pdf_of([BINARY])
    with open_document(pdf, None, WIDE) as document:
        monkeypatch.setattr(isolation, "mapped", refuse)
        with pytest.raises(OSError, match="Too many open files"):
            document.read(1)
    monkeypatch.setattr(isolation, "shared_file", refuse)
    with pytest.raises(OSError, match="Too many open files"):
        open_document(pdf)
    (failure,) = decode_pages("a.pdf", pdf, "0" * 64, open_document)
    assert failure.code == "internal_error"
    assert failure.code in TRANSIENT


def test_a_file_that_did_not_fit_into_the_process_is_no_damage(monkeypatch):
    receive = isolation.receive

    def without_files(channel):
        answer, files = receive(channel)
        for file in files:
            os.close(file)
        return answer, []

    with open_document(PNG, None, WIDE) as document:
        monkeypatch.setattr(isolation, "receive", without_files)
        with pytest.raises(OSError, match="Too many open files"):
            document.read(1)


def test_a_decoder_that_the_system_refuses_something_says_nothing_of_the_file():
    with pytest.raises(OSError, match="open files"), decoder_errors("PNG"):
        raise OSError(errno.EMFILE, "Too many open files")
    with pytest.raises(ImageError), decoder_errors("PNG"):
        raise OSError("broken data stream")


def test_a_limit_that_no_machine_reaches_is_no_crash():
    assert np.array_equal(read(PNG, Bounds(60, 10**24)), GRAY)
