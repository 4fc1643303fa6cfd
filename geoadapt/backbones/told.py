"""What encoders are told beside measured values: months, places, and the vegetation index of two bands.

In: fields, coordinates. Out: months (b, t), unit vectors (…, 3), an index (b, t, h, w).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from geoadapt.fields.types import Field

__all__ = ["DEFAULT_MONTH", "months", "unit_vector", "vegetation_index"]

DEFAULT_MONTH = 5
"""June, where the date is unknown (0-based)."""


def months(given: Field) -> Tensor:
    """The month of each date (b, t), 0–11; ``DEFAULT_MONTH`` where it is unknown."""
    shape = given.values.shape[:2]
    if given.times is None:
        return torch.full(shape, DEFAULT_MONTH, device=given.values.device)
    seconds = given.times.detach().cpu().double().numpy()
    known = np.isfinite(seconds)
    dates = np.where(known, seconds, 0).astype("datetime64[s]").astype("datetime64[M]").astype(np.int64) % 12
    return torch.from_numpy(np.where(known, dates, DEFAULT_MONTH)).to(given.values.device)


def unit_vector(latitude: Tensor, longitude: Tensor) -> Tensor:
    """Points on the unit sphere (…, 3) of coordinates [degrees]: 0° N 0° E, 0° N 90° E and the North Pole are axes."""
    lat, lon = torch.deg2rad(latitude), torch.deg2rad(longitude)
    return torch.stack([lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()], -1)


def vegetation_index(given: Field) -> tuple[Tensor, Tensor | None] | None:
    """(nir − red) / (nir + red), (b, t, 1, h, w), 0 where the sum is not positive, and its validity (b, t, h, w).

    None where a channel is missing.
    """
    if not {"red", "nir"} <= set(given.channels):
        return None
    pair = given.select(("red", "nir"))
    red, nir = pair.values.float().unbind(2)
    total = red + nir
    values = torch.where(total > 0, (nir - red) / torch.where(total > 0, total, 1.0), 0.0)
    return values.unsqueeze(2), None if pair.valid is None else pair.valid.all(2)
