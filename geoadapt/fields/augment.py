"""Augmentation that matters from sensor to sensor: geometry, gain and offset per band, a lost band."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

    from geoadapt.fields.chips import Sample

__all__ = ["Augmentation", "augment", "resample"]


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How strongly chips are varied; zeros switch a part off."""

    geometry: bool = True
    zoom: float = 2.0
    """Chips cover between 1/zoom and zoom times their side: a cloud of 1 km is 100 px in one sensor, 33 in another."""
    gain: float = 0.15
    """Standard deviation of the logarithm of the gain, half of it common to all bands."""
    offset: float = 0.02
    """Standard deviation [reflectance]."""
    band_dropout: float = 0.1

    def draw_zoom(self, rng: np.random.Generator) -> float:
        """How many times its side a chip covers, evenly drawn on a logarithmic scale."""
        reach = float(np.log(self.zoom))
        return float(np.exp(rng.uniform(-reach, reach))) if reach else 1.0


def augment(sample: Sample, how: Augmentation, rng: np.random.Generator) -> Sample:
    """A varied copy: one of the eight symmetries of the square, then band-wise gain and offset, then a lost band."""
    values, valid, label = sample.values, sample.valid, sample.label
    if how.geometry:
        turns, flip = int(rng.integers(4)), bool(rng.integers(2))
        values = np.rot90(values, turns, axes=(-2, -1))
        valid = np.rot90(valid, turns, axes=(-2, -1))
        label = np.rot90(label, turns, axes=(-2, -1))
        if flip:
            values, valid, label = values[..., ::-1], valid[..., ::-1], label[..., ::-1]
    bands = values.shape[0]
    if how.gain or how.offset:
        drawn = rng.normal(0, how.gain / np.sqrt(2), 1 + bands)
        gain = np.exp(drawn[0] + drawn[1:, None, None])
        offset = rng.normal(0, how.offset, (bands, 1, 1))
        values = np.where(valid, values * gain + offset, 0).astype(np.float32)
    if how.band_dropout and bands > 1 and rng.random() < how.band_dropout:
        lost = int(rng.integers(bands))
        values, valid = values.copy(), valid.copy()
        values[lost], valid[lost] = 0, False
    return replace(
        sample,
        values=np.ascontiguousarray(values, np.float32),
        valid=np.ascontiguousarray(valid),
        label=np.ascontiguousarray(label),
    )


def resample(sample: Sample, size: int) -> Sample:
    """The sample on ``size`` × ``size`` px: labels and validity by nearest pixel.

    Values are averaged or interpolated over what is valid.
    """
    if sample.values.shape[-1] == size:
        return sample
    import torch
    from torch.nn import functional as F  # noqa: N812 - the field's usual name

    def smooth(image: NDArray[np.float32]) -> NDArray[np.float32]:
        pixels = torch.from_numpy(image)[None]
        made: Tensor = F.interpolate(pixels, (size, size), mode="bilinear", antialias=True, align_corners=False)
        return np.asarray(made[0].numpy(), np.float32)

    values = smooth(sample.values)
    if not sample.valid.all():  # the zeros that stand for missing values count for nothing
        values /= np.maximum(smooth(sample.valid.astype(np.float32)), 1e-6)
    index = ((np.arange(size) + 0.5) * sample.label.shape[-1] / size).astype(int)
    valid = sample.valid[:, index][:, :, index]
    resolution = None if sample.resolution is None else sample.resolution * sample.label.shape[-1] / size
    return replace(
        sample,
        values=np.where(valid, values, 0).astype(np.float32),
        valid=valid,
        label=sample.label[index][:, index],
        resolution=resolution,
    )
