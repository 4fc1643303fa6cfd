"""PSNR and SSIM of 8-bit colour images, each stretched on its own: what papers on Sen2_MTC publish.

In: images [reflectance] whose first three bands are red, green and blue. Out: one number per image; a paper's is the
mean over images. An offset or a wrong gain hardly shows after such a stretch: ``restoration`` is the radiometric
measure, and the default.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from geoadapt.errors import GeoadaptError, nearest

__all__ = ["PROTOCOLS", "psnr_8bit", "ssim_8bit", "stretched_scores"]

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]

SIGMA, MARGIN = 1.5, 5
"""Of the window, 11 × 11 pixels; the margin is left out [px]."""
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
BRIGHT = 2000
"""The number, reflectance times 10,000, from which on a pixel of Sen2_MTC_New is as bright as can be."""


def stretched_scores(prediction: NDArray[np.floating], truth: NDArray[np.floating], protocol: str) -> dict[str, Floats]:
    """``psnr`` [dB] and ``ssim`` of every image (b,), of two arrays (b, c, h, w), c ≥ 3 [reflectance].

    NaN where an image is not finite everywhere: neither protocol knows missing pixels. PSNR is inf for equal images.
    Raises GeoadaptError for an unknown protocol, shapes that differ, or images that are too small for SSIM's window.
    """
    if protocol not in PROTOCOLS:
        raise GeoadaptError("protocol", f"'{protocol}' is unknown", nearest(protocol, PROTOCOLS))
    if prediction.shape != truth.shape or truth.ndim != 4 or truth.shape[1] < 3:
        raise GeoadaptError(protocol, f"images are {prediction.shape} and {truth.shape}", "expected two (b, ≥ 3, h, w)")
    if min(truth.shape[-2:]) <= 2 * MARGIN:
        raise GeoadaptError(protocol, f"images have {truth.shape[-2:]} px", f"need more than {2 * MARGIN}")
    draw = PROTOCOLS[protocol]
    found = {"psnr": np.full(len(truth), np.nan), "ssim": np.full(len(truth), np.nan)}
    for n in range(len(truth)):
        if np.isfinite(prediction[n, :3]).all() and np.isfinite(truth[n, :3]).all():
            pair = draw(prediction[n]), draw(truth[n])
            found["psnr"][n], found["ssim"][n] = psnr_8bit(*pair), ssim_8bit(*pair)
    return found


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
