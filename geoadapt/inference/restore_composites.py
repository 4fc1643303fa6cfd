"""What the clear dates of a block say together: the median, the best real observation, each month's median.

In: values (t, c, h, w) and what is clear. Out: packed layers, nodata where no date is clear, with the number of dates
that each pixel rests on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geoadapt.baselines.composites_archive import composite, masked_median
from geoadapt.inference.restore_pack import UNKNOWN, pack

__all__ = ["composite_parts", "months_of"]

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Dates = NDArray[np.datetime64]
Parts = dict[str, NDArray[np.generic]]


def composite_parts(
    values: Floats, clear: Bools, middle: Floats | None, times: Dates, wanted: Sequence[str]
) -> tuple[Parts, int]:
    """The layers of ``wanted``, and how many values of theirs were cut; ``middle``: the median, if wanted."""
    if not wanted:
        return {}, 0
    shown = np.asarray((clear[:, None] & np.isfinite(values)).any(axis=1))
    parts: Parts = {"count": np.count_nonzero(shown, axis=0).astype(np.uint16)}
    clipped = 0
    if "median" in wanted and middle is not None:
        parts["median"], clipped = pack(middle)
    if "best_pixel" in wanted:
        image, _, chosen = composite(values, clear, times, "best_pixel", middle=middle)
        parts["best_pixel"], _ = pack(image)
        assert chosen is not None
        days = times.astype("datetime64[D]").astype(np.int64)[chosen]
        parts["best_pixel_day"] = np.where(chosen >= 0, days, UNKNOWN).astype(np.uint16)
    if "monthly" in wanted:
        months, member = months_of(times)
        picked = [member == month for month in range(len(months))]
        medians = [masked_median(values[p], clear[p][:, None] & np.isfinite(values[p])) for p in picked]
        parts["monthly_median"] = np.stack([pack(image)[0] for image in medians])
        parts["monthly_count"] = np.stack([np.count_nonzero(shown[p], axis=0) for p in picked]).astype(np.uint16)
    return parts, clipped


def months_of(times: Dates) -> tuple[Dates, NDArray[np.intp]]:
    """The calendar months (m,) that ``times`` (t,) touch, in order, and each date's position among them (t,)."""
    months, member = np.unique(times.astype("datetime64[M]"), return_inverse=True)
    return months, member
