"""What a scanner does to a page: it lies askew, is sampled anew, gains specks, turns black and white.

The counterpart of registration: ``scan`` returns the matrix that registration has to find.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

NOISE_LEVELS = ("clean", "normal", "hard")


@dataclass(frozen=True, slots=True)
class ScannerSettings:
    """One pass through a scanner. Lengths are px of a 300 dpi scan, whatever its resolution.

    Attributes:
        skew_degrees: rotation of the page about its middle, positive clockwise as seen on screen.
        dpi: resolution of the scan; None keeps the page's own.
        shift: how far the page slid to the right and down, px.
        stretch: share by which the transport stretches the page vertically, -0.01..0.01 in real scanners.
        blur: standard deviation of the optics, px.
        roughness: jaggedness of edges, 0..1.
        fading: share of the contrast by which the threshold moves: positive thins ink, negative thickens it.
        specks: how many specks of dust.
        salt_and_pepper: share of the pixels that are set to black or white at random, 0..1.
        rule_breaks: how many gaps are torn into the printed rules.
        black_edge: largest width of the black frame around the page, px; 0 for none.
        binary: whether the scan is black and white; else grey, with uneven light.
    """

    skew_degrees: float = 0.0
    dpi: float | None = None
    shift: tuple[float, float] = (0.0, 0.0)
    stretch: float = 0.0
    blur: float = 0.9
    roughness: float = 0.5
    fading: float = 0.0
    specks: int = 0
    salt_and_pepper: float = 0.0
    rule_breaks: int = 0
    black_edge: float = 0.0
    binary: bool = True


def random_settings(
    level: str, rng: np.random.Generator, dpi: float | None = None, binary: bool = True
) -> ScannerSettings:
    """Draws the settings of one scan.

    Args:
        level: ``clean`` (straight, no noise), ``normal`` (an office scanner in order: skew up to 3 degrees,
            shift up to 60 px), or ``hard`` (up to 5 degrees, 100 px, salt and pepper, broken rules, black
            edges, faded ink).
        rng: the only source of chance.
        dpi: resolution; None keeps the page's own.
        binary: see ``ScannerSettings``.

    Raises:
        ValueError: the level is none of ``NOISE_LEVELS``.
    """
    if level not in NOISE_LEVELS:
        raise ValueError(f"{level!r} is no noise level; name one of {', '.join(NOISE_LEVELS)}")
    if level == "clean":
        return ScannerSettings(dpi=dpi, roughness=0.2, binary=binary)
    hard = level == "hard"
    reach = 100 if hard else 60
    return ScannerSettings(
        skew_degrees=float(rng.uniform(-5, 5) if hard else np.clip(rng.normal(0, 1.3), -3, 3)),
        dpi=dpi,
        shift=(float(rng.uniform(-reach, reach)), float(rng.uniform(-reach, reach))),
        stretch=float(rng.uniform(-0.012, 0.012) if hard else rng.normal(0, 0.004)),
        blur=float(rng.uniform(0.8, 1.4)),
        roughness=float(rng.uniform(0.3, 0.75)),
        fading=float(rng.uniform(-0.15, 0.22) if hard else rng.normal(0, 0.06)),
        specks=int(rng.integers(150, 500) if hard else rng.integers(20, 130)),
        salt_and_pepper=float(rng.choice([0, 0.002, 0.006, 0.01])) if hard else 0.0,
        rule_breaks=int(rng.integers(20, 120)) if hard else int(rng.integers(0, 8)),
        black_edge=float(rng.uniform(10, 70)) if hard or rng.random() < 0.15 else 0.0,
        binary=binary,
    )


def scan(
    page: NDArray[np.uint8], page_dpi: float, settings: ScannerSettings, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Scans a page.

    Args:
        page: uint8 (H, W), 0 = ink, 255 = paper; not changed.
        page_dpi: its resolution.
        settings: what happens to it.
        rng: the only source of chance.

    Returns:
        The scan, uint8 (H', W') with H' = H * dpi / page_dpi; only 0 and 255 if ``settings.binary``. And
        float64 (2, 3), which takes a point (x, y, 1) of the page to its pixel of the scan.
    """
    zoom = (settings.dpi or page_dpi) / page_dpi
    unit = (settings.dpi or page_dpi) / 300
    height, width = page.shape
    size = (round(width * zoom), round(height * zoom))
    matrix = _placement(settings, zoom, unit, width, height)
    printed = _break_rules(page, settings.rule_breaks, page_dpi / 300, rng)
    method = cv2.INTER_AREA if zoom < 0.9 else cv2.INTER_LINEAR
    if zoom < 0.9:  # warpAffine samples single pixels: shrink first, so that thin strokes stay whole
        printed = cv2.resize(printed, size, interpolation=method)
    warped = cv2.warpAffine(
        printed,
        matrix @ _homogeneous(_resized(page.shape, printed.shape)),
        size,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=255,
    )
    blurred = cv2.GaussianBlur(warped, (0, 0), max(settings.blur * unit, 0.3))
    _add_specks(blurred, settings.specks, unit, rng)
    image = _threshold(blurred, settings, rng) if settings.binary else _expose(blurred, settings, rng)
    _add_black_edge(image, settings.black_edge * unit, rng)
    _add_salt_and_pepper(image, settings.salt_and_pepper, rng)
    return image, matrix


def _placement(
    settings: ScannerSettings, zoom: float, unit: float, width: int, height: int
) -> NDArray[np.float64]:
    """The affine map from the page to the scan: zoom and stretch, a turn about the middle, a shift."""
    angle = np.radians(settings.skew_degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.diag([zoom, zoom * (1 + settings.stretch)])
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    target = middle * zoom + (zoom - 1) / 2 + np.array(settings.shift) * unit
    return np.hstack([linear, (target - linear @ middle)[:, None]])


def _resized(before: tuple[int, ...], after: tuple[int, ...]) -> NDArray[np.float64]:
    """The map from a resized image back to the original, pixel centres at whole numbers: (2, 3)."""
    sy, sx = before[0] / after[0], before[1] / after[1]
    return np.array([[sx, 0, (sx - 1) / 2], [0, sy, (sy - 1) / 2]])


def _homogeneous(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.vstack([matrix, [0.0, 0.0, 1.0]])


def _break_rules(
    page: NDArray[np.uint8], count: int, unit: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Tears gaps of 2 to 12 px into the long straight lines of a page."""
    if count == 0:
        return page
    torn, ink = page.copy(), 255 - page
    long = max(9, round(91 * unit))
    for kernel, share in ((np.ones((1, long), np.uint8), 2 / 3), (np.ones((long, 1), np.uint8), 1 / 3)):
        lines = np.flatnonzero(cv2.erode(ink, kernel) > 127)
        if len(lines) == 0:
            continue
        across = 6 * unit
        for place in lines[rng.integers(len(lines), size=round(count * share))]:
            along = float(rng.gamma(2.0, 2.0)) * unit
            rx, ry = (along, across) if kernel.shape[0] == 1 else (across, along)
            axes = (max(1, round(rx)), max(1, round(ry)))
            y, x = divmod(int(place), page.shape[1])
            cv2.ellipse(torn, (x, y), axes, 0, 0, 360, 255, -1)
    return torn


def _threshold(
    gray: NDArray[np.uint8], settings: ScannerSettings, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Black and white, with a grain of about two pixels that makes edges jagged."""
    grain = _grain(gray.shape, rng)
    strength = 0.6 * settings.roughness
    noisy = cv2.addWeighted(gray, 1.0, grain, strength, -127.5 * strength)
    level = 127 * (1 - settings.fading)
    return cv2.threshold(noisy, level, 255, cv2.THRESH_BINARY)[1]


def _expose(
    gray: NDArray[np.uint8], settings: ScannerSettings, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Grey tones: ink is never quite black, paper never white nor evenly lit."""
    ink, paper = 35 + 120 * max(settings.fading, 0.0), 238.0
    light = rng.normal(0, 5, (3, 3)).astype(np.float32)
    size = (gray.shape[1], gray.shape[0])
    shade = cv2.convertScaleAbs(cv2.resize(light, size, interpolation=cv2.INTER_LINEAR) + 20)
    tones = cv2.addWeighted(
        gray, (paper - ink) / 255, _grain(gray.shape, rng), 0.06 * settings.roughness, ink
    )
    return cv2.subtract(tones, shade)


def _grain(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Noise around 127, correlated over about two pixels."""
    rows, columns = shape[0] // 2 + 2, shape[1] // 2 + 2
    coarse = np.frombuffer(rng.bytes(rows * columns), np.uint8).reshape(rows, columns)
    return cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)


def _add_specks(page: NDArray[np.uint8], count: int, unit: float, rng: np.random.Generator) -> None:
    """Dust: mostly a pixel or two, seldom up to eight."""
    height, width = page.shape
    for x, y in zip(rng.integers(width, size=count), rng.integers(height, size=count), strict=True):
        long = float(np.clip(rng.gamma(1.2, 1.1), 0.5, 5)) * unit
        axes = (max(1, round(long)), max(1, round(long * rng.uniform(0.4, 1))))
        cv2.ellipse(page, (int(x), int(y)), axes, float(rng.uniform(0, 180)), 0, 360, 0, -1)


def _add_salt_and_pepper(page: NDArray[np.uint8], share: float, rng: np.random.Generator) -> None:
    count = round(share * page.size)
    if count:
        page.reshape(-1)[rng.integers(page.size, size=count)] = (
            rng.integers(0, 2, count).astype(np.uint8) * 255
        )


def _add_black_edge(page: NDArray[np.uint8], width: float, rng: np.random.Generator) -> None:
    """A black wedge along one to three sides, where the page did not cover the glass."""
    if width < 1:
        return
    rows, columns = page.shape
    for side in rng.permutation(4)[: rng.integers(1, 4)]:
        depth = rng.uniform(0.1, 1, 2) * width
        long, across = (columns, rows) if side < 2 else (rows, columns)
        wedge = np.array([[0, 0], [long, 0], [long, depth[1]], [0, depth[0]]])
        if side % 2:
            wedge[:, 1] = across - wedge[:, 1]
        cv2.fillPoly(page, [np.round(wedge if side < 2 else wedge[:, ::-1]).astype(np.int32)], 0)
