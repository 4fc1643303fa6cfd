"""Raw numbers to physical values: scale, offset, and what is missing, applied once and in one place.

In: raw pixels (c, h, w) and what their source says of them. Out: float32 values, finite everywhere, and a mask.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.io.base import SourceInfo

__all__ = ["decode", "present"]


def decode(
    raw: NDArray[np.generic],
    info: SourceInfo,
    bands: Sequence[int] | None = None,
    out: NDArray[np.float32] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None]:
    """Physical values (c, h, w) = raw · scale + offset, missing as 0; and where they are valid, None if everywhere.

    ``bands`` are the positions in ``info`` of the raw bands; ``out`` takes the values where given.
    Raises GeoadaptError for complex numbers.
    """
    if np.iscomplexobj(raw):
        raise GeoadaptError(info.origin, f"holds complex numbers ({raw.dtype})", "give the amplitude or the phase")
    values = np.empty(raw.shape, np.float32) if out is None else out
    with np.errstate(over="ignore", invalid="ignore"):
        np.copyto(values, raw, casting="unsafe")
    valid = present(raw, info.nodata)
    if raw.dtype == np.float64 and valid is not None:
        valid &= np.isfinite(values)
    _scale(values, info, range(raw.shape[0]) if bands is None else bands)
    if valid is None or valid.all():
        return values, None
    np.copyto(values, np.float32(0), where=~valid)
    return values, valid


def present(raw: NDArray[np.generic], nodata: float | None) -> NDArray[np.bool_] | None:
    """Where raw values are neither nodata nor, in floats, NaN or infinite; None if none can be missing."""
    floating = np.issubdtype(raw.dtype, np.floating)
    valid: NDArray[np.bool_] | None = np.isfinite(raw) if floating else None
    if nodata is None or np.isnan(nodata):
        return valid
    if not floating and not _holds(raw.dtype, nodata):
        return None
    differs: NDArray[np.bool_] = np.not_equal(raw, np.asarray(nodata).astype(raw.dtype))
    return differs if valid is None else np.logical_and(valid, differs, out=valid)


def _holds(dtype: np.dtype[np.generic], value: float) -> bool:
    """Whether an integer type can hold ``value``: a nodata of −9999 never occurs in uint16."""
    if dtype == np.bool_:
        return value in (0, 1)
    limits = np.iinfo(dtype)  # type: ignore[type-var]
    return float(value).is_integer() and limits.min <= value <= limits.max


def _scale(values: NDArray[np.float32], info: SourceInfo, bands: Sequence[int]) -> None:
    for position, band in enumerate(bands):
        scale = info.scale[band] if info.scale else 1.0
        offset = info.offset[band] if info.offset else 0.0
        if scale != 1.0:
            values[position] *= np.float32(scale)
        if offset != 0.0:
            values[position] += np.float32(offset)
