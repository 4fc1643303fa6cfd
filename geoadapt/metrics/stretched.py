"""PSNR and SSIM of 8-bit colour images, each stretched on its own: what papers on Sen2_MTC publish.

In: images [reflectance] with red, green and blue among their bands. Out: one number per image, and the mean over
images, which is what a paper prints. An offset or a wrong gain hardly shows after such a stretch: ``restoration`` is
the radiometric measure, and the default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from geoadapt.errors import GeoadaptError, nearest
from geoadapt.metrics.blocks import draw_blocks
from geoadapt.metrics.intervals import interval
from geoadapt.metrics.restoration import Asked

__all__ = [
    "COLOURS",
    "MARGIN",
    "PROTOCOLS",
    "compare_stretched",
    "delivered",
    "psnr_8bit",
    "ssim_8bit",
    "stretched_scores",
]

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]

COLOURS = ("red", "green", "blue")
SIGMA, MARGIN = 1.5, 5
"""Of the window, 11 × 11 pixels; the margin is left out [px]."""
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
BRIGHT = 2000
"""The number, reflectance times 10,000, from which on a pixel of Sen2_MTC_New is as bright as can be."""


def stretched_scores(
    prediction: NDArray[np.floating], truth: NDArray[np.floating], protocol: str, channels: Sequence[str] = COLOURS
) -> dict[str, Floats]:
    """``psnr`` [dB] and ``ssim`` of every image (b,), of two arrays (b, c, h, w), c ≥ 3 [reflectance].

    ``channels`` names the bands, by default red, green and blue first. NaN where an image is not finite everywhere:
    neither protocol knows missing pixels. PSNR is inf for equal images. Raises GeoadaptError for an unknown protocol, a
    missing colour, shapes that differ, or images that are too small for SSIM's window.
    """
    if protocol not in PROTOCOLS:
        raise GeoadaptError("protocol", f"'{protocol}' is unknown", nearest(protocol, PROTOCOLS))
    if prediction.shape != truth.shape or truth.ndim != 4 or truth.shape[1] < 3:
        raise GeoadaptError(protocol, f"images are {prediction.shape} and {truth.shape}", "expected two (b, ≥ 3, h, w)")
    if min(truth.shape[-2:]) <= 2 * MARGIN:
        raise GeoadaptError(protocol, f"images have {truth.shape[-2:]} px", f"need more than {2 * MARGIN}")
    if missing := [name for name in COLOURS if name not in channels]:
        raise GeoadaptError(protocol, f"the images have {', '.join(channels)}", f"it needs {', '.join(missing)} too")
    order = [list(channels).index(name) for name in COLOURS]
    prediction, truth = prediction[:, order], truth[:, order]
    draw = PROTOCOLS[protocol]
    found = {"psnr": np.full(len(truth), np.nan), "ssim": np.full(len(truth), np.nan)}
    for n in range(len(truth)):
        if np.isfinite(prediction[n]).all() and np.isfinite(truth[n]).all():
            pair = draw(prediction[n]), draw(truth[n])
            found["psnr"][n], found["ssim"][n] = psnr_8bit(*pair), ssim_8bit(*pair)
    return found


def delivered(image: NDArray[np.floating], asked: Asked) -> NDArray[np.floating]:
    """The image as it is delivered (b, c, h, w): restored where it was masked, as it was seen elsewhere."""
    return np.where(asked.masked, image, np.where(asked.known, asked.truth, np.nan))


def compare_stretched(
    scores: Mapping[str, Mapping[str, Floats]],
    places: Sequence[str],
    *,
    model: str = "test",
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, float]:
    """Means over the images that all entries have whole, with 90 % intervals over places, and what ``model`` gains.

    Keys: ``WHO/psnr_8bit/all``, ``WHO/psnr_8bit_low/all``, ``WHO/psnr_8bit_gain/all`` …, and ``WHO/images_8bit/all``,
    how many images they are; without any, or for intervals with fewer than two places, NaN.
    """
    whole = np.logical_and.reduce([np.isfinite(found["ssim"]) for found in scores.values()])
    names, which = np.unique(np.array(places, dtype=str)[whole], return_inverse=True)
    times = draw_blocks(len(names), draws, seed)[:, which]
    flat = {f"{who}/images_8bit/all": float(whole.sum()) for who in scores}
    for metric in ("psnr", "ssim"):
        kept = {who: found[metric][whole] for who, found in scores.items()}
        with np.errstate(invalid="ignore", divide="ignore"):
            drawn = {who: np.where(times > 0, times * v, 0).sum(1) / times.sum(1) for who, v in kept.items()}
        for who, values in kept.items():
            mean = _mean(values)
            flat |= _told(f"{who}/{metric}_8bit", mean, drawn[who], len(names))
            if who != model:
                with np.errstate(invalid="ignore"):
                    gains = drawn[model] - drawn[who]
                    flat |= _told(f"{who}/{metric}_8bit_gain", _mean(kept[model]) - mean, gains, len(names))
    return flat


def _mean(values: Floats) -> float:
    return float(values.mean()) if values.size else float("nan")


def _told(name: str, value: float, drawn: Floats, places: int) -> dict[str, float]:
    with np.errstate(invalid="ignore"):  # draws may be inf, where images are equal
        low, high = interval(drawn) if places > 1 else (float("nan"), float("nan"))
    return {f"{name}/all": value, f"{name}_low/all": low, f"{name}_high/all": high}


def _new_rgb(image: NDArray[np.floating]) -> Bytes:
    """Colours (h, w, 3) as published for Sen2_MTC_New: up to 0.2, then from the image's own darkest to brightest."""
    numbers = np.clip(image[:3] * 10000 + 0.5, 0, 10000).astype(np.uint16)
    shown = np.clip(numbers, 0, BRIGHT).astype(np.float64)
    shown -= shown.min()
    if shown.max() == 0:
        return np.full((*image.shape[-2:], 3), 255, np.uint8)
    return np.asarray(np.moveaxis(shown / shown.max() * 255, 0, -1), np.uint8)


def _old_rgb(image: NDArray[np.floating]) -> Bytes:
    """Colours (h, w, 3) as published for Sen2_MTC_Old: 0 to 1 as 0 to 255, cut off."""
    return np.asarray(np.moveaxis(np.clip(image[:3], 0, 1) * 255, 0, -1), np.uint8)


PROTOCOLS: dict[str, Callable[[NDArray[np.floating]], Bytes]] = {
    "sen2_mtc_new": _new_rgb,
    "sen2_mtc_old": _old_rgb,
}
"""How each data set's images become colours."""


def psnr_8bit(prediction: Bytes, truth: Bytes) -> float:
    """Peak signal-to-noise ratio, 10 log₁₀ 255² / MSE [dB]; inf for equal images."""
    mse = float(((prediction.astype(np.float64) - truth.astype(np.float64)) ** 2).mean())
    return float(10 * np.log10(255**2 / mse)) if mse > 0 else float("inf")


def ssim_8bit(prediction: Bytes, truth: Bytes) -> float:
    """Structural similarity of two images (h, w, 3), mean over pixels and colours (Wang 2004, eq. 13)."""
    x, y = prediction.astype(np.float64), truth.astype(np.float64)
    mean_x, mean_y = _blurred(x), _blurred(y)
    var_x, var_y = _blurred(x * x) - mean_x**2, _blurred(y * y) - mean_y**2
    both = _blurred(x * y) - mean_x * mean_y
    top = (2 * mean_x * mean_y + C1) * (2 * both + C2)
    found = top / ((mean_x**2 + mean_y**2 + C1) * (var_x + var_y + C2))
    return float(found[MARGIN:-MARGIN, MARGIN:-MARGIN].mean())


def _blurred(image: Floats) -> Floats:
    return np.asarray(gaussian_filter(image, (SIGMA, SIGMA, 0), radius=(MARGIN, MARGIN, 0)))
