"""Files as an enemy or a broken scanner would send them, made by code from a seed: ``case(seed, index)``.

Two kinds take turns: whole pages of every format that were damaged afterwards (with the checksums put right
again, or a decoder would never see the damage), and files built to be wrong.
"""

import re
import struct
import zlib
from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image
from test_images import (
    BINARY,
    GRAY,
    chunk,
    encrypted_pdf,
    group_4_body,
    ihead_of,
    pdf_of,
    png_of,
    saved,
    tiff_of,
)

PNG = b"\x89PNG\r\n\x1a\n"
EXTREMES = (0, 1, 2, 7, 8, 255, 256, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
PACKINGS = (2, 3, 4, 5, 6, 7, 8, 9, 32773, 34712)
WIDE = 3000  # pixels a side of what should be decoded although little stands in it


def interlaced_png(gray: np.ndarray) -> bytes:
    """Adam7, which Pillow does not write."""
    height, width = gray.shape
    rows = b""
    passes = (
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    )
    for top, left, down, right in passes:
        for row in gray[top::down, left::right]:
            rows += b"\0" + row.tobytes() if len(row) else b""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 1)
    return PNG + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@cache
def specimens() -> dict[str, bytes]:
    """One whole file of every kind that is read, and of some that are not."""
    gray, color = Image.fromarray(GRAY), Image.fromarray(GRAY).convert("RGB")
    bits = Image.fromarray(BINARY).convert("1")
    deep = Image.fromarray(GRAY.astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112] = 6
    tiff = {
        kind: saved(bits, "TIFF", compression=kind)
        for kind in ("group3", "group4", "tiff_ccitt", "packbits", "tiff_deflate")
    }
    return {
        "png_gray": saved(gray, "PNG", dpi=(300, 300)),
        "png_bits": saved(bits, "PNG"),
        "png_palette": saved(color.quantize(4), "PNG", transparency=1),
        "png_rgb": saved(color, "PNG", transparency=(0, 0, 0)),
        "png_rgba": saved(color.convert("RGBA"), "PNG", exif=exif),
        "png_la": saved(gray.convert("LA"), "PNG"),
        "png_16": saved(deep, "PNG"),
        "png_interlaced": interlaced_png(GRAY),
        "png_animated": saved(gray, "PNG", save_all=True, append_images=[bits.convert("L")], duration=9),
        "jpeg_gray": saved(gray, "JPEG"),
        "jpeg_rgb": saved(color, "JPEG", dpi=(300, 300), exif=exif),
        "jpeg_cmyk": saved(color.convert("CMYK"), "JPEG"),
        "jpeg_progressive": saved(color, "JPEG", progressive=True),
        "jpeg_restarts": saved(gray, "JPEG", restart_marker_rows=1),
        **tiff,
        "tiff_lzw": saved(color, "TIFF", compression="tiff_lzw"),
        "tiff_jpeg": saved(color, "TIFF", compression="jpeg"),
        "tiff_raw": saved(gray, "TIFF"),
        "tiff_16": saved(deep, "TIFF"),
        "tiff_cmyk": saved(color.convert("CMYK"), "TIFF"),
        "tiff_rgba": saved(color.convert("RGBA"), "TIFF", compression="tiff_lzw"),
        "tiff_float": saved(gray.convert("F"), "TIFF"),
        "tiff_lab": saved(Image.merge("LAB", [gray] * 3), "TIFF"),
        "tiff_big": saved(gray, "TIFF", big_tiff=True, compression="tiff_lzw"),
        "tiff_pages": saved(bits, "TIFF", save_all=True, append_images=[bits] * 3, compression="group4"),
        "ihead_g4": ihead_of(BINARY, group_4_body(BINARY)),
        "ihead_raw": ihead_of(GRAY, GRAY.tobytes(), compress=0, depth=8),
        "pdf": pdf_of([BINARY, BINARY], resolution=300),
        "pdf_gray": saved(gray, "PDF"),
        "pdf_vector": drawn_pdf(b"0 0 1 rg 10 10 50 50 re f BT /F1 12 Tf 20 40 Td (form) Tj ET"),
        "pdf_encrypted": encrypted_pdf(),
        "gif": saved(gray, "GIF", save_all=True, append_images=[bits]),
        "webp": saved(color, "WEBP"),
        "bmp": saved(gray, "BMP"),
        "jpeg2000": saved(gray, "JPEG2000"),
        "text": b"no picture at all\n" * 20,
    }


# --- PDF by hand


def pdf_file(bodies: dict[int, bytes], trailer: bytes = b"/Root 1 0 R") -> bytes:
    """A PDF of numbered objects with its table of places."""
    out, places = b"%PDF-1.7\n", {}
    for number, body in bodies.items():
        places[number] = len(out)
        out += b"%d 0 obj" % number + body + b"endobj\n"
    top = max(bodies) + 1
    table = b"".join(
        b"%010d 00000 n \n" % places[n] if n in places else b"0000000000 65535 f \n" for n in range(top)
    )
    start = len(out)
    return out + b"xref\n0 %d\n" % top + table + b"trailer<</Size %d%s>>\nstartxref\n%d\n%%%%EOF" % (
        top, trailer, start,
    )  # fmt: skip


def stream(content: bytes, entries: bytes = b"", packed: bool = False) -> bytes:
    content = zlib.compress(content) if packed else content
    how = b"/Filter/FlateDecode" if packed else b""
    return b"<</Length %d%s%s>>stream\n%s\nendstream\n" % (len(content), how, entries, content)


def drawn_pdf(
    drawing: bytes, box: bytes = b"0 0 200 100", packed: bool = False, resources: bytes = b"", **more: bytes
) -> bytes:
    """A page with a drawing; ``more`` are objects by number, such as ``o6=b"..."``."""
    font = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
    bodies = {
        1: b"<</Type/Catalog/Pages 2 0 R>>",
        2: b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        3: b"<</Type/Page/Parent 2 0 R/MediaBox[%s]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>%s>>>>"
        % (box, resources),
        4: stream(drawing, packed=packed),
        5: font,
        **{int(name[1:]): body for name, body in more.items()},
    }
    return pdf_file(bodies)


def pdf_image(width: int, height: int, body: bytes, entries: bytes) -> bytes:
    image = b"/Type/XObject/Subtype/Image/Width %d/Height %d%s" % (width, height, entries)
    return drawn_pdf(
        b"q 200 0 0 100 0 0 cm /I Do Q", resources=b"/XObject<</I 6 0 R>>", o6=stream(body, image)
    )


FORM = b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<<%s>>>>"
GRAY_8 = b"/ColorSpace/DeviceGray/BitsPerComponent 8"
CATALOG = b"<</Type/Catalog/Pages 2 0 R>>"


def recursive_form_pdf() -> bytes:
    """A drawing that draws itself twice: PDFium takes gigabytes for it."""
    itself = stream(b"/X Do /X Do", FORM % b"/X 6 0 R")
    return drawn_pdf(b"/X Do", resources=b"/XObject<</X 6 0 R>>", o6=itself)


def doubled_form_pdf(times: int = 30) -> bytes:
    """A drawing of two drawings of two drawings, and so on."""
    forms = {}
    for n in range(6, 7 + times):
        drawing = b"/X%d Do /X%d Do" % (n + 1, n + 1) if n < 6 + times else b"0 0 9 9 re f"
        forms[f"o{n}"] = stream(drawing, FORM % (b"/X%d %d 0 R" % (n + 1, n + 1)))
    return drawn_pdf(b"/X6 Do", resources=b"/XObject<</X6 6 0 R>>", **forms)


def endless_tiles_pdf(pages: int = 1) -> bytes:
    """Pages filled with a pattern of so small a step that PDFium never comes to the end."""
    kids = range(6, 6 + pages)
    page = (
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]/Contents 3 0 R/Resources<</Pattern<</P 4 0 R>>>>>>"
    )
    tile = b"/PatternType 1/PaintType 1/TilingType 1/BBox[0 0 1 1]/XStep 0.001/YStep 0.001/Resources<<>>"
    return pdf_file(
        {
            1: CATALOG,
            2: b"<</Type/Pages/Kids[%s]/Count %d>>" % (b" ".join(b"%d 0 R" % n for n in kids), pages),
            3: stream(b"/Pattern cs /P scn 0 0 200 100 re f"),
            4: stream(b"0 0 1 1 re f", tile),
            **dict.fromkeys(kids, page),
        }
    )


def odd_page_tree(rng: np.random.Generator) -> bytes:
    size = int(rng.choice(EXTREMES))
    leaf = b"<</Type/Page/Parent %d 0 R/MediaBox[0 0 9 9]>>"
    deep = {n: b"<</Type/Pages/Parent %d 0 R/Kids[%d 0 R]/Count 1>>" % (n - 1, n + 1) for n in range(2, 2000)}
    trees = [
        {1: CATALOG, 2: b"<</Type/Pages/Kids[2 0 R]/Count 1>>"},
        {1: CATALOG, 2: b"<</Type/Pages/Kids[2 0 R 2 0 R]/Count %d>>" % size},
        {1: b"<</Type/Catalog/Pages 1 0 R/Kids[1 0 R]/Count 9>>"},
        {1: CATALOG, **deep, 2000: leaf % 1999},
        {1: CATALOG, 2: b"<</Type/Pages/Kids[%s]/Count 5000>>" % (b"3 0 R " * 5000), 3: leaf % 2},
        {1: CATALOG, 2: b"<</Type/Pages/Kids[%s]/Count 40>>" % (b"3 0 R " * 40), 3: leaf % 2},
        {1: CATALOG, 2: b"<</Type/Pages/Kids[]/Count %d>>" % size},
    ]
    return pdf_file(trees[int(rng.integers(len(trees)))])


def odd_drawing(rng: np.random.Generator) -> bytes:
    size, other = int(rng.choice(EXTREMES)), int(rng.choice(EXTREMES))
    box = rng.choice(
        [b"0 0 -5 -5", b"a b c d", b"9 9 9 9", b"0 0 1e30 1", b"", b"nan", b"0 0 %d %d" % (size, other)]
    )
    shading = b"/Shading<</S<</ShadingType 1/ColorSpace/DeviceGray/Function 6 0 R>>>>"
    function = stream(b"{ " * 3000 + b"} " * 3000, b"/FunctionType 4/Domain[0 1 0 1]/Range[0 1]")
    makers: list[Callable[[], bytes]] = [
        recursive_form_pdf,
        lambda: doubled_form_pdf(int(rng.integers(1, 31))),
        endless_tiles_pdf,
        lambda: drawn_pdf(b"0 0 1 rg 0 0 9 9 re f\n" * 100_000, packed=True),
        lambda: drawn_pdf(b"q " * int(rng.integers(1000, 200_000)), packed=True),
        lambda: drawn_pdf(b"[" * 50_000),
        lambda: drawn_pdf(b" " * 60_000_000, packed=True),
        lambda: drawn_pdf(b"[0.0001 0.0001] 0 d 0 0 m 200 100 l S " * 20),
        lambda: drawn_pdf(b"99999999999999999999 w 0 0 m 1e30 1e30 l S 0 0 1 0 -1e38 1e38 c f"),
        lambda: drawn_pdf(b"", box=bytes(box)),
        lambda: drawn_pdf(b"/S sh", resources=shading, o6=function),
        lambda: drawn_pdf(b"x").replace(b"trailer<<", b"trailer<</Prev 15 "),
        lambda: re.sub(rb"startxref\n\d+", b"startxref\n%d" % size, drawn_pdf(b"x")),
        lambda: b"%PDF-1.7\n" + b"1 0 obj<</A " * 20_000 + b"\n%%EOF",
        lambda: b"%PDF-1.4\n" + rng.bytes(3000) + b"\nstartxref\n0\n%%EOF",
    ]
    return makers[int(rng.integers(len(makers)))]()


def odd_pdf_image(rng: np.random.Generator) -> bytes:
    size, other = int(rng.choice(EXTREMES)), int(rng.choice(EXTREMES))
    filters = [b"CCITTFaxDecode", b"JBIG2Decode", b"JPXDecode", b"DCTDecode", b"LZWDecode", b"ASCII85Decode"]
    bits = b"/ColorSpace/DeviceGray/BitsPerComponent 1/Filter/"
    predictor = b"/DecodeParms<</Predictor 15/Columns %d/Colors %d>>" % (size, other)
    packed = b"/Filter/FlateDecode"
    twice = b"/Filter[/FlateDecode/FlateDecode]"
    makers: list[Callable[[], bytes]] = [
        lambda: pdf_image(size, other, b"\0" * 99, GRAY_8),
        lambda: pdf_image(WIDE, WIDE, zlib.compress(bytes(WIDE * WIDE)), GRAY_8 + packed),
        lambda: pdf_image(9, 9, zlib.compress(zlib.compress(bytes(50_000_000))), GRAY_8 + twice),
        lambda: pdf_image(99, 99, zlib.compress(bytes(9999)), GRAY_8 + packed + predictor),
        lambda: pdf_image(50, 50, rng.bytes(400), bits + bytes(rng.choice(filters))),
        lambda: pdf_image(9, 9, b"\0" * 81, b"/ColorSpace 6 0 R/SMask 6 0 R/BitsPerComponent 8"),
    ]
    return makers[int(rng.integers(len(makers)))]()


def odd_pdf(rng: np.random.Generator) -> bytes:
    return (odd_page_tree, odd_drawing, odd_pdf_image)[int(rng.integers(3))](rng)


# --- PNG, JPEG, TIFF, IHEAD by hand


def ihdr(*values: int) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", *values))


def odd_png(rng: np.random.Generator) -> bytes:
    size = [int(rng.choice(EXTREMES)) for _ in range(2)]
    depth, color = int(rng.choice([0, 1, 2, 4, 8, 16, 99])), int(rng.choice([0, 1, 2, 3, 4, 5, 6, 9]))
    bomb, few = zlib.compress(bytes(20_000_000)), int(rng.integers(0, 9))
    whole = png_of(20, 20, (b"\0" + bytes(20)) * 20)
    before_end = whole[: -len(chunk(b"IEND", b""))]
    end = chunk(b"IEND", b"")
    header, data = before_end[: len(PNG) + 25], before_end[len(PNG) + 25 :]
    makers: list[Callable[[], bytes]] = [
        lambda: png_of(*size, b"\0" * 50, depth, color),
        lambda: png_of(*rng.integers(1, 60, 2).tolist(), bytes(20_000), depth, color),
        lambda: png_of(WIDE, WIDE, b"", 8, int(rng.choice([0, 2, 4, 6]))),
        lambda: png_of(WIDE, WIDE, bytes((WIDE + 1) * WIDE)),
        lambda: png_of(2, 2, bytes(20_000_000)),  # far more pixels than there is room for
        lambda: header + chunk(rng.choice([b"zTXt", b"iCCP", b"iTXt"]), b"a\0\0" + bomb) + data + end,
        lambda: header + chunk(b"eXIf", rng.bytes(60)) + chunk(b"tRNS", rng.bytes(few)) + data + end,
        lambda: header + chunk(b"pHYs", rng.bytes(9)) * 500 + data + end,
        lambda: before_end + chunk(b"tEXt", b"k\0v") * 20_000 + end,
        lambda: header + ihdr(2**31 - 1, 2**31 - 1, 8, 0, 0, 0, 0) + data + end,
        lambda: header + chunk(b"PLTE", rng.bytes(int(rng.choice([0, 3, 4, 768, 771])))) + data + end,
        lambda: PNG + ihdr(20, 20, depth, color, *rng.integers(0, 3, 3).tolist()) + data + end,
        lambda: header + chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)) + data
        + chunk(b"fcTL", rng.bytes(26)) + chunk(b"fdAT", rng.bytes(90)) + end,
        lambda: header + end,
        lambda: header + b"".join(chunk(b"IDAT", data[8 + n : 9 + n]) for n in range(len(data) - 12)) + end,
    ]  # fmt: skip
    return makers[int(rng.integers(len(makers)))]()


def odd_jpeg(rng: np.random.Generator) -> bytes:
    name = str(rng.choice(["jpeg_gray", "jpeg_rgb", "jpeg_cmyk", "jpeg_progressive"]))
    data = bytearray(specimens()[name])
    frame = max(data.find(mark) for mark in (b"\xff\xc0\x00", b"\xff\xc2\x00"))
    kind = int(rng.integers(7))
    if kind == 0:  # the size of the page
        data[frame + 5 : frame + 9] = struct.pack(">HH", *rng.choice([0, 1, 99, 3000, 65535], 2).tolist())
    elif kind == 1:  # sampling factors, tables, the number of colours
        data[frame + 9 + int(rng.integers(0, 6))] = int(rng.integers(256))
    elif kind == 2:
        data[2:2] = (b"\xff\xe1\xff\xff" + rng.bytes(65533)) * int(rng.integers(1, 30))
    elif kind == 3:
        data[2:2] = b"\xff\xe1" + struct.pack(">H", 40) + b"Exif\0\0" + rng.bytes(32)
    elif kind == 4:
        scan = data.rindex(b"\xff\xda")
        data = data[:scan] + data[scan:-2] * int(rng.integers(2, 150)) + b"\xff\xd9"
    elif kind == 5:
        data[2:2] = b"\xff\xd8" * int(rng.integers(1, 2000))
    else:
        data[int(data.rfind(b"\xff\xda")) + 12 : -2] = b"\xff\0" * int(rng.integers(1, 50_000))
    return bytes(data)


def odd_tiff(rng: np.random.Generator) -> bytes:
    size = [int(rng.choice(EXTREMES)) for _ in range(4)]
    order = str(rng.choice(["<", ">"]))
    plain = {256: 20, 257: 20, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 20, 279: 400}
    tiles = {key: value for key, value in plain.items() if key not in (273, 278, 279)}
    tiles |= {322: size[0], 323: size[1], 324: 8, 325: 400}
    tag, other = (int(rng.choice([*plain, 254, 266, 274, 284, 297, 317, 330, 338, 339, 34665])) for _ in "ab")
    bomb = zlib.compress(bytes(30_000_000))

    def loop() -> bytes:
        data = bytearray(tiff_of(plain, bytes(400)))
        data[-4:] = struct.pack("<I", int(rng.choice([8, 408, 4, 0xFFFFFFF0])))
        return bytes(data)

    def chain() -> bytes:  # pages upon pages, each pointing at the next
        count = int(rng.choice([50, 1500, 20_000]))
        page = struct.pack("<HHHIIHHII", 2, 256, 4, 1, 20, 257, 4, 1, 20)
        return b"II*\0" + struct.pack("<I", 8) + b"".join(
            page + struct.pack("<I", 8 + (n + 1) * (len(page) + 4)) for n in range(count)
        )  # fmt: skip

    makers: list[Callable[[], bytes]] = [
        lambda: tiff_of(plain | {256: size[0], 257: size[1]}, bytes(400), order),
        lambda: tiff_of(plain | {tag: size[2], other: size[3]}, bytes(400), order),
        lambda: tiff_of(plain | {256: WIDE, 257: WIDE, 278: int(rng.choice([1, WIDE]))}, bytes(400), order),
        lambda: tiff_of(plain | {259: int(rng.choice(PACKINGS))}, rng.bytes(400), order),
        lambda: tiff_of(plain | {259: 8, 279: len(bomb)}, bomb, order),
        lambda: tiff_of(plain | {259: 8, 256: WIDE, 257: WIDE, 278: WIDE, 279: len(bomb)}, bomb, order),
        lambda: tiff_of(tiles, bytes(400), order),
        lambda: tiff_of(plain | {258: int(rng.choice([0, 1, 3, 12, 16, 32, 64, 65535]))}, bytes(400), order),
        lambda: tiff_of(plain | {277: int(rng.choice([0, 2, 3, 4, 5, 65535])), 262: int(rng.integers(0, 11))},
                        bytes(2000), order),
        loop,
        chain,
        lambda: b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 65535) + rng.bytes(5000),
        lambda: b"II+\0\x08\0\0\0" + struct.pack("<Q", size[0]) + rng.bytes(300),
        lambda: b"MM\0*" + struct.pack(">I", size[0]) + rng.bytes(300),
    ]  # fmt: skip
    return makers[int(rng.integers(len(makers)))]()


def odd_ihead(rng: np.random.Generator) -> bytes:
    names = ["width", "height", "depth", "density", "compress", "complen", "align", "sigbit", "pix_offset"]
    names += ["whitepix", "rm_cm", "tb_bt", "lr_rl"]
    values = [*EXTREMES, -1, "", "x", " 7", "1e5", "99999999"]
    fields = {
        str(name): values[int(rng.integers(len(values)))]
        for name in rng.choice(names, int(rng.integers(1, 4)), replace=False)
    }
    one = {name for name in fields if name in ("sigbit", "rm_cm", "tb_bt", "lr_rl")}
    fields = {k: str(v)[: 1 if k in one else 8] for k, v in fields.items()}
    raw = bool(rng.integers(2))
    body = GRAY.tobytes() if raw else group_4_body(BINARY)
    return ihead_of(GRAY, body, **({"compress": 0, "depth": 8} if raw else {}) | fields)


# --- damage


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """A whole file with some of its bytes changed, cut, doubled or taken from another."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(0, max(len(changed), 1)))
        early = int(rng.integers(0, max(min(300, len(changed)), 1)))
        kind = int(rng.integers(8))
        if kind == 0:
            del changed[at:]
        elif kind in (1, 2):  # headers are short and decide most
            place = early if kind == 1 else at
            changed[place : place + 1] = bytes(
                b ^ (1 << int(rng.integers(8))) for b in changed[place : place + 1]
            )
        elif kind == 3:
            order = str(rng.choice(["<", ">"]))
            changed[early : early + 4] = struct.pack(order + "I", int(rng.choice(EXTREMES)))
        elif kind == 4:
            changed[early : early + 2] = struct.pack("<H", int(rng.choice(EXTREMES)) & 0xFFFF)
        elif kind == 5:
            changed[at:at] = changed[at : at + int(rng.integers(1, 200))] * int(rng.integers(1, 20))
        elif kind == 6:
            del changed[at : at + int(rng.integers(1, 40))]
        else:
            other = list(specimens().values())[int(rng.integers(len(specimens())))]
            changed[at:] = other[at:]
    return bytes(changed)


def mended(data: bytes) -> bytes:
    """A damaged PNG whose checksums fit again, as far as it still is one."""
    if not data.startswith(PNG):
        return data
    out, at = bytearray(PNG), len(PNG)
    while at + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if at + 12 + length > len(data):
            break
        out += chunk(data[at + 4 : at + 8], data[at + 8 : at + 8 + length])
        at += 12 + length
    return bytes(out) + data[at:]


def renumbered(data: bytes, rng: np.random.Generator) -> bytes:
    """A PDF in which a few numbers are others; places of objects are repaired by the reader."""
    numbers = list(re.finditer(rb"(?<![\w.])\d+(?![\w.])", data[: data.rfind(b"xref")]))
    for found in sorted(rng.choice(len(numbers), min(2, len(numbers)), replace=False), reverse=True):
        new = str(int(rng.choice([*EXTREMES, *range(8)]))).encode()
        data = data[: numbers[found].start()] + new + data[numbers[found].end() :]
    return data


def repacked(data: bytes, rng: np.random.Generator) -> bytes:
    """A PNG whose rows were changed and packed again: filters that do not exist, rows too few or many."""
    at = data.find(b"IDAT")
    (length,) = struct.unpack_from(">I", data, at - 4)
    rows = bytearray(zlib.decompress(data[at + 4 : at + 4 + length]))
    for place in rng.integers(0, len(rows), 9):
        rows[place] = int(rng.integers(256))
    rows = rows[: int(rng.integers(1, 2 * len(rows)))]
    return data[: at - 4] + chunk(b"IDAT", zlib.compress(bytes(rows))) + data[at + 8 + length :]


ODD = (odd_png, odd_jpeg, odd_tiff, odd_ihead, odd_pdf)


def case(seed: int, index: int) -> bytes:
    """File number ``index``; always the same for a seed."""
    rng = np.random.default_rng([seed, index])
    if index % 3 == 0:
        return ODD[index // 3 % len(ODD)](rng)
    names = list(specimens())
    name = names[index % len(names)]
    data = specimens()[name]
    if name.startswith("png") and rng.integers(2):
        return mended(damaged(data, rng)) if rng.integers(3) else repacked(data, rng)
    if name in ("pdf", "pdf_gray", "pdf_vector") and rng.integers(2):
        return renumbered(data, rng)
    return damaged(data, rng)
