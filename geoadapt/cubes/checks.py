"""Does a scene look like what it says? A few small windows are read, and the answer is an error, a warning or nothing.

In: a source. Out: sentences for a person; GeoadaptError where numbers that should be reflectance cannot be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoadapt.cubes.bands import REFLECTIVE, common_name
from geoadapt.errors import GeoadaptError
from geoadapt.io.base import Source, SourceInfo, Window
from geoadapt.io.decode import decode

__all__ = ["Sample", "check_reflectance", "offset_doubt", "sample", "zero_corners"]

_SAMPLES = 5
_SIDE = 48
_CORNER = 16
_HIGHEST = 2.0
_LOWEST = -0.5
_S2_DARK = 900


@dataclass(frozen=True, slots=True)
class Sample:
    """Pixels from a few windows: raw (c, n), physical (c, n), and where they are valid (c, n)."""

    raw: NDArray[np.generic]
    values: NDArray[np.float32]
    valid: NDArray[np.bool_]


def sample(source: Source) -> Sample:
    """Pixels from windows spread over the scene; all of a small scene."""
    info = source.info
    height, width = min(_SIDE, info.height), min(_SIDE, info.width)
    parts = []
    for row in _spread(info.height, height):
        for col in _spread(info.width, width):
            raw = source.read(Window(row, col, height, width))
            parts.append(raw.reshape(raw.shape[0], -1))
    pixels = np.concatenate(parts, axis=1)
    values, valid = decode(pixels[:, None, :], info)
    everywhere = np.ones(pixels.shape, bool) if valid is None else valid[:, 0]
    return Sample(pixels, values[:, 0], everywhere)


def check_reflectance(info: SourceInfo, taken: Sample) -> list[str]:
    """Warnings on values that should be reflectance 0–1; raises GeoadaptError where they cannot be."""
    said: list[str] = []
    for band, name in enumerate(info.bands):
        if common_name(name) not in REFLECTIVE or not taken.valid[band].any():
            continue
        held = taken.valid[band] & ~_full(taken.raw[band])
        values = taken.values[band][held if held.any() else taken.valid[band]]
        low, middle, high = (float(v) for v in np.percentile(values, (5, 50, 95)))
        declared = bool(info.scale) or any(info.offset)
        if middle > _HIGHEST or high > 2 * _HIGHEST or low < _LOWEST:
            what = "after the declared scale and offset" if declared else "and no scale is declared"
            raise GeoadaptError(
                info.origin,
                f"band '{name}' holds {low:.4g}…{high:.4g} {what}, but reflectance is 0–1",
                _scale_hint(info),
            )
        if not declared and info.dtype.kind in "iu":
            raise GeoadaptError(
                info.origin,
                f"band '{name}' holds whole numbers ({info.dtype}) and no scale is declared, but reflectance is 0–1",
                _scale_hint(info),
            )
        if 0 < float(np.abs(values).max()) < 1e-3:
            said.append(f"band '{name}' stays below 0.001: is the scale applied twice?")
        said += _saturated(info, name, taken.raw[band])
    return said


def _scale_hint(info: SourceInfo) -> str:
    """What to try, by what the scene is."""
    first = "name the sensor (sensor=… or --sensor …), or say scale=0.0001 offset=0"
    if (info.sensor or "").startswith("landsat"):
        first = "put the scene's *_MTL.txt beside its bands, or say scale=… offset=…"
    return f"{first}; units='raw' keeps the numbers as they are"


def zero_corners(source: Source) -> bool:
    """Whether a corner is zero in every band though zero is not declared as nodata: probably an undeclared border."""
    info = source.info
    if info.nodata == 0 or info.height < 4 or info.width < 4:
        return False
    height, width = min(_CORNER, info.height // 4), min(_CORNER, info.width // 4)
    corners = [(r, c) for r in (0, info.height - height) for c in (0, info.width - width)]
    zero = [not np.any(source.read(Window(r, c, height, width))) for r, c in corners]
    return any(zero) and not all(zero)


def offset_doubt(info: SourceInfo, taken: Sample) -> str | None:
    """A warning where Sentinel-2 numbers look as if the offset of baseline 04.00 were still in them."""
    if any(info.offset) or taken.raw.dtype.kind not in "iu" or not taken.valid.any():
        return None
    darkest = min(float(np.percentile(taken.raw[b][v], 2)) for b, v in enumerate(taken.valid) if v.any())
    if darkest < _S2_DARK:
        return None
    return (
        f"the darkest pixels are {darkest:.0f}: probably of processing baseline 04.00 or newer, whose offset −1000 "
        "the file does not declare; say offset=-0.1 if so"
    )


def _full(raw: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Where whole numbers are the largest that their type holds: saturated, and no witness of the scale."""
    if raw.dtype.kind not in "iu":
        return np.zeros(raw.shape, bool)
    full: NDArray[np.bool_] = np.equal(raw, np.iinfo(raw.dtype).max)  # type: ignore[type-var]
    return full


def _saturated(info: SourceInfo, name: str, raw: NDArray[np.generic]) -> list[str]:
    if info.dtype.kind not in "iu":
        return []
    top = np.iinfo(info.dtype).max  # type: ignore[type-var]
    share = float(_full(raw).mean())
    if share <= 0.001 or top == info.nodata:
        return []
    return [f"band '{name}' is saturated ({top}) in {share:.1%} of the sampled pixels"]


def _spread(length: int, side: int) -> list[int]:
    """Starts of up to five windows, evenly spaced; windows that would overlap are left out."""
    count = min(_SAMPLES, max(1, length // side)) if length > side else 1
    return sorted({round(i * (length - side) / max(1, count - 1)) for i in range(count)})
