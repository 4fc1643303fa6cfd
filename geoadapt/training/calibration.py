"""How a predicted scale is calibrated on validation samples, and how far that may be off at a place it has not seen.

In: a restorer and samples. Out: a factor for each channel; ratios of predicted to found error by place.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoadapt.errors import GeoadaptError
from geoadapt.fields.gaps import val_batches
from geoadapt.fields.restorer import Restorer
from geoadapt.fields.series import Sample
from geoadapt.metrics.reliability import ERROR, SCALE, calibration_factor, scale_histograms
from geoadapt.tasks.cloud_removal import asked

__all__ = ["calibrate", "left_out"]

Floats = NDArray[np.float64]


def calibrate(restorer: Restorer, samples: Sequence[Sample], size: int, device: str) -> Tensor:
    """What each channel's scale must be multiplied by (c,), so that its mean is the mean absolute error."""
    sums = np.sum(list(_by_place(restorer, samples, size, device).values()), axis=0)
    return torch.from_numpy(calibration_factor(sums)).float()


def left_out(restorer: Restorer, samples: Sequence[Sample], size: int, device: str) -> Floats:
    """Predicted over found error of every place (places,), the scale calibrated on all the others; empty for one place.

    Errors differ more between places than a scale tells, so a factor that few places gave may be far off at another.
    """
    sums = np.stack(list(_by_place(restorer, samples, size, device).values()))
    if len(sums) < 2:
        return np.zeros(0)
    factors = np.stack([calibration_factor(np.delete(sums, n, axis=0).sum(0)) for n in range(len(sums))])
    totals = sums.sum(-2)
    predicted, found = (factors * totals[..., SCALE]).sum(-1), totals[..., ERROR].sum(-1)
    return np.asarray(predicted[found > 0] / found[found > 0])


def _by_place(restorer: Restorer, samples: Sequence[Sample], size: int, device: str) -> dict[str, Floats]:
    """Sums by level of the scale (c, levels, 4) of every place, over what was asked for."""
    batches = val_batches(samples, size)
    sums: dict[str, Floats] = {}
    for index in range(len(batches)):
        batch = batches[index].to(device)
        found = restorer.restore(batch)
        if found.scale is None or batch.target is None:
            raise GeoadaptError("restorer", "gives no scale, so there is nothing to calibrate", "use its image alone")
        off = found.image - batch.target.values[:, 0]
        scale, error, counted = (v.cpu().numpy() for v in (found.scale, off, asked(batch)))
        for where, own in zip(batch.where, scale_histograms(scale, error, counted), strict=True):
            sums[where.scene] = sums[where.scene] + own if where.scene in sums else own
    return sums
