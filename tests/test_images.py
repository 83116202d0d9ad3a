import io
import pickle
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pypdfium2
import pytest
from PIL import Image, PngImagePlugin

from segmentation.images import Document, ImageError, ImageErrorCode, ImageLimits, open_document

WIDTH, HEIGHT = 97, 61  # no multiples of eight, so that padded rows show


def pattern(seed: int = 0) -> np.ndarray:
    """A page without symmetry: rectangles of three greys on white."""
    rng = np.random.default_rng(seed)
    gray = np.full((HEIGHT, WIDTH), 255, np.uint8)
    for value in (0, 90, 170) * 4:
        x, y = rng.integers(0, WIDTH - 12), rng.integers(0, HEIGHT - 12)
        gray[y : y + rng.integers(3, 12), x : x + rng.integers(3, 12)] = value
    return gray


GRAY = pattern()
BINARY = np.where(GRAY < 128, 0, 255).astype(np.uint8)


def bitmap(gray: np.ndarray = BINARY) -> Image.Image:
    return Image.fromarray(gray).convert("1", dither=Image.Dither.NONE)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def read(data: bytes, number: int = 1, limits: ImageLimits | None = None) -> np.ndarray:
    with open_document(data, limits) as document:
        page = document.read(number)
    assert page.gray.dtype == np.uint8
    assert page.gray.ndim == 2
    assert page.gray.flags.c_contiguous
    assert not page.gray.flags.writeable
    assert page.number == number
    return page.gray


def refusal(data: bytes, number: int = 1, limits: ImageLimits | None = None) -> ImageErrorCode:
    with pytest.raises(ImageError) as caught:
        read(data, number, limits)
    assert str(caught.value).rstrip().endswith(".")
    return caught.value.code


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of(
    width: int,
    height: int,
    rows: bytes,
    depth: int = 8,
    color: int = 0,
    *,
    methods: tuple[int, int, int] = (0, 0, 0),
    parts: int = 1,
) -> bytes:
    """A PNG of filtered rows; ``methods``: of compression, filters, interlacing; so many IDAT chunks."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, *methods)
    stored = zlib.compress(rows)
    size = -(-len(stored) // parts)
    data = b"".join(chunk(b"IDAT", stored[i : i + size]) for i in range(0, len(stored), size))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def filtered(rows: np.ndarray, kind: int) -> bytes:
    """Rows of bytes, uint8 (H, W), as PNG's filter of a kind from 0 to 4 stores them, one byte a pixel."""
    signed = rows.astype(int)
    left, above = np.pad(signed, ((0, 0), (1, 0)))[:, :-1], np.pad(signed, ((1, 0), (0, 0)))[:-1]
    corner = np.pad(signed, ((1, 0), (1, 0)))[:-1, :-1]
    nearest = left + above - corner
    far = [np.abs(nearest - other) for other in (left, above, corner)]
    paeth = np.where((far[0] <= far[1]) & (far[0] <= far[2]), left, np.where(far[1] <= far[2], above, corner))
    guess = [np.zeros_like(signed), left, above, (left + above) // 2, paeth][kind]
    stored = ((signed - guess) % 256).astype(np.uint8)
    return np.column_stack([np.full(len(rows), kind, np.uint8), stored]).tobytes()


def bits_of(pixels: np.ndarray) -> np.ndarray:
    """A black-and-white page as the bytes of its rows."""
    return np.packbits(pixels > 0, axis=1)


def tiff_of(entries: dict[int, int | tuple[int, ...]], body: bytes = b"", order: str = "<") -> bytes:
    """A TIFF of one page whose tags are single LONGs or a few SHORTs."""
    start = 8 + len(body) + len(body) % 2
    directory = struct.pack(order + "H", len(entries))
    for tag, value in sorted(entries.items()):
        directory += struct.pack(order + "HHII", tag, 4, 1, value)
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(order + "I", start) + body + b"\0" * (len(body) % 2) + directory + bytes(4)


def ihead_of(gray: np.ndarray, body: bytes, **fields: object) -> bytes:
    """A page with NIST's header; ``fields`` replace what is written by default."""
    height, width = gray.shape
    values: dict[str, object] = {
        "id": "page", "created": "", "width": width, "height": height, "depth": 1, "density": 300,
        "compress": 2, "complen": len(body), "align": 8, "unitsize": 8, "sigbit": 0, "byte_order": 0,
        "pix_offset": 0, "whitepix": 0, "issigned": 0, "rm_cm": 0, "tb_bt": 0, "lr_rl": 0,
        "parent": "", "par_x": 0, "par_y": 0,
    }  # fmt: skip
    sizes = {"id": 80, "created": 26, "parent": 80} | dict.fromkeys(
        ("sigbit", "byte_order", "issigned", "rm_cm", "tb_bt", "lr_rl"), 1
    )
    values |= fields
    header = b"".join(str(value).encode().ljust(sizes.get(name, 8), b"\0") for name, value in values.items())
    assert len(header) == 288
    return b"288".ljust(8, b"\0") + header + body


def group_4_body(gray: np.ndarray) -> bytes:
    """The CCITT Group 4 data of a page, white as zeros, taken out of a TIFF of one strip."""
    options = {"compression": "group4", "tiffinfo": {278: gray.shape[0], 262: 0}}
    with Image.open(io.BytesIO(saved(bitmap(gray), "TIFF", **options))) as image:
        (offset,), (count,) = image.tag_v2[273], image.tag_v2[279]
        assert image.tag_v2[262] == 0
        return image.fp.getvalue()[offset : offset + count]


def pdf_of(pages: list[np.ndarray], **options: object) -> bytes:
    first, *rest = [bitmap(page) for page in pages]
    return saved(first, "PDF", save_all=True, append_images=rest, **options)


def encrypted_pdf() -> bytes:
    """A blank page under the user password "secret" (40-bit RC4), the two keys worked out beforehand."""
    owner = "92fe0f4454ad4c9644693f33c07cb54f587dce1e2682fe9ecea6107a1ef630dd"
    user = "902d6c0d6b77adef97ca1c71e49308c613b917b2ad6ef711a0cb410737994360"
    bodies = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]>>",
        f"<</Filter/Standard/V 1/R 2/P -4/O<{owner}>/U<{user}>>>",
    ]
    out, offsets = "%PDF-1.4\n", []
    for number, body in enumerate(bodies, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj{body}endobj\n"
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    identity = b"0123456789abcdef".hex()
    return (
        f"{out}xref\n0 5\n0000000000 65535 f \n{table}"
        f"trailer<</Size 5/Root 1 0 R/Encrypt 4 0 R/ID[<{identity}><{identity}>]>>\n"
        f"startxref\n{len(out)}\n%%EOF"
    ).encode()


class TestPng:
    def test_gray(self):
        assert np.array_equal(read(saved(Image.fromarray(GRAY), "PNG")), GRAY)

    def test_one_bit(self):
        assert np.array_equal(read(saved(bitmap(), "PNG")), BINARY)

    @pytest.mark.parametrize("width", [1, 7, 8, 9, 96, WIDTH])
    @pytest.mark.parametrize("kind", range(5), ids=["none", "sub", "up", "average", "paeth"])
    def test_one_bit_under_every_filter(self, kind: int, width: int):
        page = BINARY[:, :width]
        data = png_of(width, HEIGHT, filtered(bits_of(page), kind), depth=1, parts=3)
        with Image.open(io.BytesIO(data)) as image:
            assert np.array_equal(np.asarray(image.convert("L")), page)
        assert np.array_equal(read(data), page)

    def test_one_bit_interlaced(self):
        # Pass by pass; of so small a page the second and the third have no pixel.
        passes = [[[0]], [], [], [[1]], [[1, 0]], [[0, 1], [1, 0]], [[1, 1, 0, 1], [0, 1, 1, 1]]]
        rows = b"".join(b"\0" + np.packbits(row).tobytes() for rows in passes for row in rows)
        pixels = [[0, 0, 1, 1], [1, 1, 0, 1], [1, 1, 0, 0], [0, 1, 1, 1]]
        data = png_of(4, 4, rows, depth=1, methods=(0, 0, 1))
        assert read(data).tolist() == (255 * np.array(pixels)).tolist()

    @pytest.mark.parametrize("methods", [(1, 0, 0), (0, 1, 0), (0, 0, 2)])
    def test_one_bit_by_methods_that_png_has_not(self, methods: tuple[int, int, int]):
        data = png_of(8, 1, b"\0\xaa", depth=1, methods=methods)
        assert refusal(data) == ImageErrorCode.CORRUPT_IMAGE

    def test_palette(self):
        image = Image.fromarray(GRAY).convert("RGB").quantize(4)
        assert image.mode == "P"
        assert np.array_equal(read(saved(image, "PNG")), np.asarray(image.convert("L")))

    def test_color_is_weighted_as_luma(self):
        colors = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)
        assert np.allclose(read(saved(Image.fromarray(colors), "PNG")), [[76, 150, 29, 255]], atol=1)

    def test_sixteen_bits_keep_the_upper_eight(self):
        deep = Image.fromarray(np.array([[0, 0x00FF, 0x8000, 0xFFFF]], np.uint16))
        assert np.allclose(read(saved(deep, "PNG")), [[0, 0, 128, 255]], atol=1)

    @pytest.mark.parametrize("mode", ["LA", "RGBA"])
    def test_alpha_lies_over_white(self, mode: str):
        gray = Image.fromarray(np.array([[0, 0, 0, 200]], np.uint8))
        image = gray.convert(mode)
        image.putalpha(Image.fromarray(np.array([[255, 128, 0, 0]], np.uint8)))
        assert np.allclose(read(saved(image, "PNG")), [[0, 127, 255, 255]], atol=1)

    def test_white_ink_on_nothing_lies_over_black(self):
        ink = np.array([[0, 128, 255]], np.uint8)
        white = Image.new("RGBA", (3, 1), "white")
        white.putalpha(Image.fromarray(ink))
        assert np.array_equal(read(saved(white, "PNG")), ink)
        for alpha in (0, 255):  # a blank page, or nothing at all
            white.putalpha(alpha)
            assert read(saved(white, "PNG")).tolist() == [[255, 255, 255]]

    def test_transparent_palette_entry_is_white(self):
        image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "L").convert("P")
        image.putpalette([0, 0, 0, 0, 0, 0, 50, 50, 50])
        assert read(saved(image, "PNG", transparency=b"\xff\x00\xff")).tolist() == [[0, 255, 50]]

    def test_transparent_gray_is_white(self):
        gray = Image.fromarray(np.array([[0, 100, 200]], np.uint8))
        assert read(saved(gray, "PNG", transparency=100)).tolist() == [[0, 255, 200]]
        deep = Image.fromarray(np.array([[0, 1000, 0xC800]], np.uint16))
        assert read(saved(deep, "PNG", transparency=1000)).tolist() == [[0, 255, 200]]
        bits = Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1")
        assert read(saved(bits, "PNG", transparency=0)).tolist() == [[255, 255]]

    def test_transparent_color_is_white(self):
        colors = Image.fromarray(np.array([[[0, 0, 0], [10, 20, 30]]], np.uint8))
        assert read(saved(colors, "PNG", transparency=(0, 0, 0))).tolist() == [[255, 18]]

    def test_interlaced(self):
        # Pillow writes no interlaced files: the seven passes of a page of one pixel are one row.
        header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 1)
        content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\x7b")) + chunk(b"IEND", b"")
        assert read(b"\x89PNG\r\n\x1a\n" + content).tolist() == [[123]]

    def test_truncated_at_every_length(self):
        data = saved(Image.fromarray(GRAY), "PNG")
        for end in range(8, len(data) - 1, 7):
            assert refusal(data[:end]) == ImageErrorCode.TRUNCATED

    def test_flipped_bit_in_the_pixels(self):
        data = bytearray(saved(Image.fromarray(GRAY), "PNG"))
        data[len(data) // 2] ^= 4
        assert refusal(bytes(data)) == ImageErrorCode.CORRUPT_IMAGE

    def test_too_few_rows_are_not_half_a_page(self):
        assert refusal(png_of(4, 4, b"\0\0\0\0\0" * 2)) == ImageErrorCode.CORRUPT_IMAGE
        assert refusal(png_of(9, 4, b"\0\0\0" * 3, depth=1)) == ImageErrorCode.CORRUPT_IMAGE

    def test_without_a_header(self):
        data = b"\x89PNG\r\n\x1a\n" + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
        assert refusal(data) == ImageErrorCode.CORRUPT_IMAGE

    def test_trailing_bytes_are_ignored(self):
        assert np.array_equal(read(saved(Image.fromarray(GRAY), "PNG") + b"more"), GRAY)


class TestJpeg:
    def test_gray(self):
        page = read(saved(Image.fromarray(GRAY), "JPEG", quality=95))
        assert np.abs(page.astype(int) - GRAY).mean() < 3

    @pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
    def test_color(self, options: dict):
        tinted = np.stack([GRAY, GRAY, np.full_like(GRAY, 255)], axis=2)
        page = read(saved(Image.fromarray(tinted), "JPEG", quality=95, **options))
        luma = np.asarray(Image.fromarray(tinted).convert("L"))
        assert np.abs(page.astype(int) - luma).mean() < 3

    def test_cmyk(self):
        image = Image.fromarray(GRAY).convert("RGB").convert("CMYK")
        page = read(saved(image, "JPEG", quality=95))
        assert np.abs(page.astype(int) - GRAY).mean() < 3

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_orientation_is_applied(self, orientation: int):
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = saved(Image.fromarray(GRAY), "JPEG", quality=95, exif=exif)
        quarter = np.rot90(GRAY, -1)  # clockwise, what a camera held upright needs
        expected = {
            1: GRAY, 2: GRAY[:, ::-1], 3: np.rot90(GRAY, 2), 4: GRAY[::-1],
            5: GRAY.T, 6: quarter, 7: np.rot90(GRAY, 2).T, 8: np.rot90(GRAY),
        }[orientation]  # fmt: skip
        page = read(data)
        assert page.shape == expected.shape
        assert np.abs(page.astype(int) - expected).mean() < 3

    def test_truncated(self):
        data = saved(Image.fromarray(GRAY), "JPEG")
        assert refusal(data[: len(data) * 2 // 3]) == ImageErrorCode.TRUNCATED
        assert refusal(data[:-2]) == ImageErrorCode.TRUNCATED
        refusal(data[:30])

    def test_thousands_of_scans(self):
        data = saved(Image.fromarray(GRAY), "JPEG", progressive=True)
        scan = data.rindex(b"\xff\xda")
        assert refusal(data[:scan] + data[scan:-2] * 1000 + b"\xff\xd9") == ImageErrorCode.CORRUPT_IMAGE


class TestTiff:
    @pytest.mark.parametrize("compression", ["raw", "group3", "group4", "tiff_ccitt", "packbits", "tiff_lzw"])
    @pytest.mark.parametrize("photometric", [0, 1])
    def test_one_bit_both_ways_round(self, compression: str, photometric: int):
        data = saved(bitmap(), "TIFF", compression=compression, tiffinfo={262: photometric})
        with Image.open(io.BytesIO(data)) as image:
            written = image.tag_v2[262]
        assert np.array_equal(read(data), BINARY)
        assert compression == "raw" or written == photometric

    def test_min_is_white_without_compression(self):
        bits = np.packbits(BINARY == 0, axis=1).tobytes()  # ones are ink
        data = tiff_of(
            {256: WIDTH, 257: HEIGHT, 258: 1, 259: 1, 262: 0, 273: 8, 277: 1, 278: HEIGHT, 279: len(bits)},
            bits,
        )
        assert np.array_equal(read(data), BINARY)

    @pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
    def test_gray(self, compression: str):
        assert np.array_equal(read(saved(Image.fromarray(GRAY), "TIFF", compression=compression)), GRAY)

    @pytest.mark.parametrize("order", ["<", ">"])
    def test_gray_min_is_white(self, order: str):
        body = (255 - GRAY).tobytes()
        tags = {256: WIDTH, 257: HEIGHT, 258: 8, 259: 1, 262: 0, 273: 8, 277: 1, 278: HEIGHT, 279: len(body)}
        assert np.array_equal(read(tiff_of(tags, body, order)), GRAY)

    @pytest.mark.parametrize("order", ["<", ">"])
    @pytest.mark.parametrize("photometric", [0, 1])
    def test_sixteen_bits(self, order: str, photometric: int):
        deep = (GRAY.astype(np.uint16) * 257).astype(order + "u2")
        body = (65535 - deep).astype(order + "u2").tobytes() if photometric == 0 else deep.tobytes()
        tags = {256: WIDTH, 257: HEIGHT, 258: 16, 259: 1, 262: photometric, 273: 8, 277: 1, 278: HEIGHT}
        data = tiff_of(tags | {279: len(body)}, body, order)
        if photometric == 0 and order == ">":
            assert refusal(data) == ImageErrorCode.CORRUPT_IMAGE  # Pillow knows no such mode
        else:
            assert np.array_equal(read(data), GRAY)

    @pytest.mark.parametrize(
        ("mode", "compression"),
        [(mode, packed) for mode in ("RGB", "CMYK", "P") for packed in ("raw", "tiff_lzw")]
        + [("YCbCr", "tiff_lzw")],
    )
    def test_color(self, mode: str, compression: str):
        tinted = np.stack([GRAY, GRAY, np.full_like(GRAY, 255)], axis=2)
        image = Image.fromarray(tinted)
        image = image.quantize(8) if mode == "P" else image.convert(mode)
        page = read(saved(image, "TIFF", compression=compression))
        luma = np.asarray(Image.fromarray(tinted).convert("L"))
        assert np.abs(page.astype(int) - luma).max() <= 3

    @pytest.mark.parametrize("mode", ["LA", "RGBA"])
    def test_alpha_lies_over_white(self, mode: str):
        image = Image.fromarray(np.array([[0, 0, 0, 200]], np.uint8)).convert(mode)
        image.putalpha(Image.fromarray(np.array([[255, 128, 0, 0]], np.uint8)))
        assert np.allclose(read(saved(image, "TIFF")), [[0, 127, 255, 255]], atol=1)

    def test_jpeg_inside(self):
        page = read(saved(Image.fromarray(GRAY), "TIFF", compression="jpeg", quality=95))
        assert np.abs(page.astype(int) - GRAY).mean() < 3

    def test_orientation_is_applied_once(self):
        page = read(saved(Image.fromarray(GRAY), "TIFF", tiffinfo={274: 6}))
        assert np.array_equal(page, np.rot90(GRAY, -1))

    @pytest.mark.parametrize("options", [{}, {"big_tiff": True}])
    @pytest.mark.parametrize("compression", ["raw", "group4"])
    def test_pages_in_any_order(self, compression: str, options: dict):
        pages = [np.where(pattern(seed) < 128, 0, 255).astype(np.uint8) for seed in range(4)]
        first, *rest = [bitmap(page) for page in pages]
        data = saved(first, "TIFF", save_all=True, append_images=rest, compression=compression, **options)
        with open_document(data) as document:
            assert document.page_count == 4
            for number in (1, 2, 3, 4, 2, 2, 1):
                assert np.array_equal(document.read(number).gray, pages[number - 1])

    def test_a_page_larger_than_a_block_of_memory(self):
        large = np.full((4300, 4200), 255, np.uint8)  # more than the 16 MB that can be shared with Pillow
        large[100:4000, 50:90] = 0
        assert np.array_equal(read(saved(bitmap(large), "TIFF", compression="group4")), large)

    def test_pages_do_not_share_memory(self):
        pages = [np.where(pattern(seed) < 128, 0, 255).astype(np.uint8) for seed in range(3)]
        first, *rest = [bitmap(page) for page in pages]
        data = saved(first, "TIFF", save_all=True, append_images=rest, compression="group4")
        with open_document(data) as document:
            decoded = [document.read(number).gray for number in (1, 2, 3)]
        assert all(np.array_equal(page, gray) for page, gray in zip(pages, decoded, strict=True))

    def test_a_preview_is_no_page(self):
        preview = Image.fromarray(GRAY[::4, ::4])
        preview.encoderinfo = {"tiffinfo": {254: 1}}
        data = saved(Image.fromarray(GRAY), "TIFF", save_all=True, append_images=[preview])
        with open_document(data) as document:
            assert document.page_count == 1
            assert np.array_equal(document.read(1).gray, GRAY)

    def test_a_damaged_page_costs_only_itself(self):
        pages = [pattern(seed) for seed in range(3)]
        first, *rest = [Image.fromarray(page) for page in pages]
        data = bytearray(saved(first, "TIFF", save_all=True, append_images=rest, compression="tiff_lzw"))
        with Image.open(io.BytesIO(bytes(data))) as image:
            image.seek(1)
            start = image.tag_v2[273][0]
        data[start : start + 40] = b"\xff" * 40
        with open_document(bytes(data)) as document:
            assert np.array_equal(document.read(1).gray, pages[0])
            with pytest.raises(ImageError) as caught:
                document.read(2)
            assert caught.value.code == ImageErrorCode.CORRUPT_IMAGE
            assert np.array_equal(document.read(3).gray, pages[2])

    def test_truncated_directory(self):
        data = saved(bitmap(), "TIFF", compression="group4")
        assert refusal(data[:6]) == ImageErrorCode.TRUNCATED
        assert refusal(data[:12]) == ImageErrorCode.TRUNCATED

    def test_truncated_pixels(self):
        tags = {256: 8, 257: 80, 258: 8, 262: 1, 273: 200, 277: 1, 278: 80, 279: 640}
        assert refusal(tiff_of(tags | {259: 4, 258: 1})) == ImageErrorCode.TRUNCATED
        assert refusal(tiff_of(tags | {259: 1})) == ImageErrorCode.TRUNCATED

    def test_a_circle_of_directories_ends(self):
        data = bytearray(saved(bitmap(), "TIFF"))
        (start,) = struct.unpack_from("<I", data, 4)
        (entries,) = struct.unpack_from("<H", data, start)
        struct.pack_into("<I", data, start + 2 + 12 * entries, start)
        assert refusal(bytes(data)) == ImageErrorCode.CORRUPT_IMAGE

    def test_no_directory(self):
        assert refusal(b"II*\0" + bytes(40)) == ImageErrorCode.CORRUPT_IMAGE

    def test_unknown_compression(self):
        tags = {256: 8, 257: 8, 258: 8, 259: 34661, 262: 1, 273: 8, 277: 1, 278: 8, 279: 64}
        assert refusal(tiff_of(tags, bytes(64))) == ImageErrorCode.UNSUPPORTED_COMPRESSION

    def test_floating_point(self):
        data = saved(Image.fromarray(GRAY.astype(np.float32)), "TIFF")
        assert refusal(data) == ImageErrorCode.UNSUPPORTED_FORMAT

    def test_a_giant_tile(self):
        tags = {256: 8, 257: 8, 258: 8, 259: 5, 262: 1, 277: 1, 322: 32768, 323: 32768, 324: 8, 325: 64}
        assert refusal(tiff_of(tags, bytes(64))) == ImageErrorCode.TOO_MANY_PIXELS


class TestIhead:
    def test_group_4(self):
        assert np.array_equal(read(ihead_of(BINARY, group_4_body(BINARY))), BINARY)

    def test_group_4_with_ones_for_white(self):
        assert np.array_equal(read(ihead_of(BINARY, group_4_body(255 - BINARY), whitepix=1)), BINARY)

    @pytest.mark.parametrize("padding", [b"\0", b" "])
    def test_fields_padded_either_way(self, padding: bytes):
        data = ihead_of(BINARY, group_4_body(BINARY)).replace(b"\0", padding, 290)
        assert np.array_equal(read(data), BINARY)

    @pytest.mark.parametrize("whitepix", [0, 1])
    @pytest.mark.parametrize("align", [8, 16, 32])
    @pytest.mark.parametrize("sigbit", [0, 1])
    def test_uncompressed_bits(self, whitepix: int, align: int, sigbit: int):
        ones = (BINARY == 255) == bool(whitepix)
        padded = np.pad(ones, ((0, 0), (0, -WIDTH % align)))
        body = np.packbits(padded, axis=1, bitorder="little" if sigbit else "big").tobytes()
        data = ihead_of(BINARY, body, compress=0, whitepix=whitepix, align=align, sigbit=sigbit)
        assert np.array_equal(read(data), BINARY)

    def test_uncompressed_bytes(self):
        data = ihead_of(GRAY, GRAY.tobytes(), compress=0, depth=8, whitepix=255)
        assert np.array_equal(read(data), GRAY)
        data = ihead_of(GRAY, (255 - GRAY).tobytes(), compress=0, depth=8, whitepix=0)
        assert np.array_equal(read(data), GRAY)

    def test_scan_order(self):
        data = ihead_of(BINARY, group_4_body(BINARY), tb_bt=1, lr_rl=1)
        assert np.array_equal(read(data), BINARY[::-1, ::-1])

    @pytest.mark.parametrize("code", [1, 4, 5, 6, 99])
    def test_unknown_compression(self, code: int):
        data = ihead_of(BINARY, group_4_body(BINARY), compress=code)
        assert refusal(data) == ImageErrorCode.UNSUPPORTED_COMPRESSION

    @pytest.mark.parametrize("fields", [{"depth": 2}, {"depth": 8}, {"rm_cm": 1}, {"pix_offset": 3}])
    def test_unsupported_layout(self, fields: dict):
        assert refusal(ihead_of(BINARY, group_4_body(BINARY), **fields)) == ImageErrorCode.UNSUPPORTED_FORMAT

    @pytest.mark.parametrize("fields", [{"width": "wide"}, {"height": ""}, {"width": 0}, {"height": "-5"}])
    def test_bad_header(self, fields: dict):
        assert refusal(ihead_of(BINARY, group_4_body(BINARY), **fields)) == ImageErrorCode.CORRUPT_IMAGE

    def test_truncated(self):
        data = ihead_of(BINARY, group_4_body(BINARY))
        for end in (100, 296, len(data) - 1):
            assert refusal(data[:end]) == ImageErrorCode.TRUNCATED
        data = ihead_of(GRAY, GRAY.tobytes(), compress=0, depth=8)
        assert refusal(data[:-1]) == ImageErrorCode.TRUNCATED


class TestPdf:
    def test_a_scan_at_300_dpi_comes_back_exactly(self):
        pages = [np.where(pattern(seed) < 128, 0, 255).astype(np.uint8) for seed in range(3)]
        with open_document(pdf_of(pages, resolution=300)) as document:
            assert document.page_count == 3
            for number in (1, 3, 2):
                page = document.read(number)
                assert np.array_equal(page.gray, pages[number - 1])
                assert page.dpi == pytest.approx(300, rel=1e-3)

    @pytest.mark.parametrize(
        "size", [(1240, 1754), (640, 480), (60, 40), (1275, 1650), (2544, 96), (1000, 10)]
    )
    def test_no_size_is_resampled(self, size: tuple[int, int]):
        width, height = size
        noise = np.random.default_rng(0).integers(0, 2, (height, width), np.uint8) * 255
        with open_document(pdf_of([noise], resolution=300)) as document:
            for _ in range(2):
                assert np.array_equal(document.read(1).gray, noise)

    @pytest.mark.parametrize("turn", [90, 180, 270])
    def test_a_page_is_turned_upright(self, turn: int):
        pdf = pypdfium2.PdfDocument(pdf_of([BINARY], resolution=300))
        pdf[0].set_rotation(turn)
        out = io.BytesIO()
        pdf.save(out)
        assert np.array_equal(read(out.getvalue()), np.rot90(BINARY, -turn // 90))

    def test_a_scan_of_another_resolution_is_scaled_to_300_dpi(self):
        page = read(pdf_of([BINARY], resolution=150))
        assert page.shape == (2 * HEIGHT, 2 * WIDTH)

    def test_a_page_of_one_point_a_pixel_keeps_its_pixels(self):
        large = np.full((2000, 1500), 255, np.uint8)
        large[100:300, 200:220] = 0
        with open_document(pdf_of([large], resolution=72)) as document:
            page = document.read(1)
        assert np.array_equal(page.gray, large)
        assert page.dpi is None

    def test_rendering_is_bounded(self):
        blank = pypdfium2.PdfDocument.new()
        blank.new_page(14_000, 7_000)
        out = io.BytesIO()
        blank.save(out)
        page = read(out.getvalue(), limits=ImageLimits(max_pixels=1_000_000))
        assert page.size == pytest.approx(1_000_000, rel=0.01)
        assert page.min() == 255

    def test_an_image_with_too_many_pixels(self):
        code = refusal(pdf_of([BINARY]), limits=ImageLimits(max_pixels=BINARY.size - 1))
        assert code == ImageErrorCode.TOO_MANY_PIXELS

    def test_threads_may_read_at_once(self):
        pages = [noise(seed) for seed in range(4)]
        data = pdf_of(pages, resolution=300)
        with ThreadPoolExecutor(4) as pool:
            decoded = list(pool.map(lambda number: read(data, number), [1, 2, 3, 4] * 5))
        assert all(np.array_equal(gray, pages[index % 4]) for index, gray in enumerate(decoded))

    def test_encrypted(self):
        assert refusal(encrypted_pdf()) == ImageErrorCode.ENCRYPTED_PDF

    def test_truncated(self):
        data = pdf_of([np.random.default_rng(0).integers(0, 2, (200, 300), np.uint8) * 255] * 2)
        assert refusal(data[: len(data) // 2]) == ImageErrorCode.TRUNCATED

    def test_nonsense(self):
        assert refusal(b"%PDF-1.7 nonsense %%EOF") == ImageErrorCode.CORRUPT_IMAGE

    def test_no_pages(self):
        out = io.BytesIO()
        pypdfium2.PdfDocument.new().save(out)
        assert refusal(out.getvalue()) == ImageErrorCode.CORRUPT_IMAGE


class TestLimits:
    @pytest.mark.parametrize(
        "data",
        [
            saved(Image.fromarray(GRAY), "PNG"),
            saved(Image.fromarray(GRAY), "JPEG"),
            saved(Image.fromarray(GRAY), "TIFF"),
            saved(bitmap(), "TIFF", compression="group4"),
            ihead_of(BINARY, group_4_body(BINARY)),
        ],
        ids=["png", "jpeg", "tiff", "tiff_g4", "ihead"],
    )
    def test_pixels(self, data: bytes):
        assert read(data, limits=ImageLimits(max_pixels=GRAY.size)).size == GRAY.size
        assert refusal(data, limits=ImageLimits(max_pixels=GRAY.size - 1)) == ImageErrorCode.TOO_MANY_PIXELS
        assert refusal(data, limits=ImageLimits(max_side=WIDTH - 1)) == ImageErrorCode.TOO_MANY_PIXELS

    def test_a_bomb_is_refused_by_its_header(self):
        # Neither pixels nor an end: whatever looked further than the header would say something else.
        bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
        assert refusal(bomb) == ImageErrorCode.TOO_MANY_PIXELS
        assert refusal(ihead_of(BINARY, b"", width=60_000, height=60_000)) == ImageErrorCode.TOO_MANY_PIXELS
        tags = {256: 60_000, 257: 60_000, 258: 1, 259: 4, 262: 0, 273: 8, 277: 1, 278: 60_000, 279: 4}
        assert refusal(tiff_of(tags, bytes(4))) == ImageErrorCode.TOO_MANY_PIXELS

    @pytest.mark.parametrize("kind", ["TIFF", "PDF"])
    def test_pages(self, kind: str):
        data = saved(bitmap(), kind, save_all=True, append_images=[bitmap()] * 3)
        assert refusal(data, limits=ImageLimits(max_pages=3)) == ImageErrorCode.TOO_MANY_PAGES
        assert read(data, 4, ImageLimits(max_pages=4)).size

    def test_bytes(self):
        data = saved(bitmap(), "PNG")
        assert refusal(data, limits=ImageLimits(max_bytes=len(data) - 1)) == ImageErrorCode.FILE_TOO_LARGE
        assert read(data, limits=ImageLimits(max_bytes=len(data))).size

    def test_pillow_keeps_its_own_limit(self):
        assert Image.MAX_IMAGE_PIXELS == 1024 * 1024 * 1024 // 4 // 3


class TestRecognition:
    def test_empty(self):
        assert refusal(b"") == ImageErrorCode.EMPTY_FILE

    @pytest.mark.parametrize(
        "data", [b"a", b"Dear Sir,\nplease find enclosed", b"\0" * 100, b"<html>", b"\xff\xd8"]
    )
    def test_not_an_image(self, data: bytes):
        assert refusal(data) == ImageErrorCode.NOT_AN_IMAGE

    @pytest.mark.parametrize("kind", ["GIF", "BMP", "WEBP", "JPEG2000"])
    def test_images_that_are_not_read(self, kind: str):
        assert refusal(saved(Image.fromarray(GRAY), kind)) == ImageErrorCode.UNSUPPORTED_FORMAT

    @pytest.mark.parametrize("number", [-1, 0, 2])
    def test_page_out_of_range(self, number: int):
        assert refusal(saved(bitmap(), "PNG"), number) == ImageErrorCode.PAGE_OUT_OF_RANGE


class TestResolution:
    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
    def test_stated(self, kind: str):
        with open_document(saved(Image.fromarray(GRAY), kind, dpi=(200, 200))) as document:
            assert document.read(1).dpi == pytest.approx(200, rel=1e-3)

    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
    @pytest.mark.parametrize("options", [{}, {"dpi": (1, 1)}])
    def test_unstated_or_absurd(self, kind: str, options: dict):
        with open_document(saved(Image.fromarray(GRAY), kind, **options)) as document:
            assert document.read(1).dpi is None

    def test_ihead(self):
        with open_document(ihead_of(BINARY, group_4_body(BINARY), density=300)) as document:
            assert document.read(1).dpi == 300

    def test_png_orientation(self):
        exif = Image.Exif()
        exif[0x0112] = 6
        for mode in ("L", "RGBA"):
            data = saved(Image.fromarray(GRAY).convert(mode), "PNG", exif=exif)
            assert np.array_equal(read(data), np.rot90(GRAY, -1))

    def test_damaged_exif_is_ignored(self):
        info = PngImagePlugin.PngInfo()
        info.add(b"eXIf", b"garbage")
        assert np.array_equal(read(saved(Image.fromarray(GRAY), "PNG", pnginfo=info)), GRAY)


class TestErrors:
    @pytest.mark.parametrize(
        ("raised", "code"),
        [
            (MemoryError(), "out_of_memory"),
            (struct.error("unpack requires 4 bytes"), "corrupt_image"),
            (OSError("image file is truncated (3 bytes not processed)"), "truncated"),
            (Image.DecompressionBombError("too large"), "corrupt_image"),
            (SyntaxError("not a TIFF"), "corrupt_image"),
            (KeyError(), "corrupt_image"),
        ],
    )
    def test_whatever_a_decoder_raises(self, raised: Exception, code: str):
        class Failing(Document):
            page_count = 1
            kind = "PNG"

            def _decode(self, number: int):
                raise raised

        with pytest.raises(ImageError) as caught:
            Failing().read(1)
        assert caught.value.code == code

    def test_survives_pickling(self):
        error = pickle.loads(pickle.dumps(ImageError(ImageErrorCode.TRUNCATED, "Cut off.")))
        assert (error.code, str(error)) == ("truncated", "Cut off.")


def oblong(dpi: tuple[float, float], orientation: int = 1) -> bytes:
    """A page of a fax machine, 200 columns and 120 rows, with a bar across a quarter of its height."""
    page = np.full((120, 200), 255, np.uint8)
    page[30:60] = 0
    return saved(Image.fromarray(page).convert("1"), "TIFF", dpi=dpi, tiffinfo={274: orientation})


def test_the_pixels_of_a_fax_are_made_square():
    with open_document(oblong((204, 98))) as document:
        page = document.read(1)
    assert page.dpi == 204
    assert page.gray.shape == (250, 200)
    dark = np.flatnonzero(page.gray[:, 100] < 128)
    assert (dark[0], dark[-1]) == pytest.approx((62, 124), abs=2)


def test_a_fax_that_lies_on_its_side_is_made_square_too():
    assert read(oblong((204, 98), orientation=6)).shape == (200, 250)
    assert read(oblong((98, 204))).shape == (120, 416)


@pytest.mark.parametrize("dpi", [(204, 196), (300, 300), (300, 40), (72, 300.0), (0, 98)])
def test_pixels_that_are_nearly_square_or_said_to_be_slivers_stay(dpi: tuple[float, float]):
    assert read(oblong(dpi)).shape == (120, 200)


def test_a_fax_made_square_keeps_to_the_limits():
    limits = ImageLimits(max_pixels=120 * 200)
    assert refusal(oblong((204, 98)), limits=limits) == ImageErrorCode.TOO_MANY_PIXELS


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, (40, 60), np.uint8) * 255


SPECIMENS = {
    "png": saved(Image.fromarray(GRAY), "PNG"),
    "png_rgba": saved(Image.fromarray(GRAY).convert("RGBA"), "PNG"),
    "jpeg": saved(Image.fromarray(GRAY).convert("RGB"), "JPEG", dpi=(300, 300)),
    "jpeg_progressive": saved(Image.fromarray(GRAY).convert("RGB"), "JPEG", progressive=True),
    "tiff_g4": saved(bitmap(), "TIFF", save_all=True, append_images=[bitmap(noise(1))], compression="group4"),
    "tiff_g3": saved(bitmap(), "TIFF", compression="group3"),
    "tiff_lzw": saved(Image.fromarray(GRAY).convert("RGB"), "TIFF", compression="tiff_lzw"),
    "tiff_raw": saved(Image.fromarray(GRAY), "TIFF"),
    "ihead_g4": ihead_of(BINARY, group_4_body(BINARY)),
    "ihead_raw": ihead_of(GRAY, GRAY.tobytes(), compress=0, depth=8),
    "pdf": pdf_of([BINARY, noise(2)], resolution=300),
}


def mutations(data: bytes, count: int, seed: int) -> list[bytes]:
    rng = np.random.default_rng(seed)
    out = []
    for index in range(count):
        changed = bytearray(data)
        if index % 3 == 0:
            del changed[int(rng.integers(0, len(data))) :]
        else:
            # Headers are short and decide most, so every other change lies in the first 300 bytes.
            reach = min(300, len(data)) if index % 3 == 1 else len(data)
            for position in rng.integers(0, reach, int(rng.integers(1, 5))):
                changed[position] ^= 1 << int(rng.integers(0, 8))
        out.append(bytes(changed))
    return out


@pytest.mark.parametrize("name", SPECIMENS)
def test_damaged_files_give_pages_or_image_errors(name: str):
    limits = ImageLimits(max_pixels=2_000_000, max_pages=20)
    codes = set()
    for data in mutations(SPECIMENS[name], 60, seed=7):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                with open_document(data, limits) as document:
                    for number in range(1, document.page_count + 1):
                        page = document.read(number)
                        assert page.gray.dtype == np.uint8
                        assert 0 < page.gray.size <= limits.max_pixels
            except ImageError as error:
                codes.add(error.code)
    assert codes, "no mutation was noticed"
