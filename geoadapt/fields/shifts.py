"""Crafted distribution shifts: validation blocks as another sensor, another air or another sun would have shown them.

In: validation blocks. Out: every block under every shift; the weights of a fit may be chosen by the mean score over
them (Efthymiadis 2024, arXiv 2409.19774). What training already draws is left out, so that it is not what is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import Sampler

from geoadapt.cubes.responses import RESPONSES, Band, band_of
from geoadapt.fields.augment import Augmentation, resample
from geoadapt.fields.chips import BlockChips, Sample, read_block

__all__ = ["SHIFTS", "Shift", "ShiftBatches", "ShiftedBlocks", "held_out"]

Floats = NDArray[np.float32]
Change = Callable[[Sample, tuple[str, ...], np.random.Generator], Sample]
"""A sample and its channels to a changed copy."""
NEAREST = "sentinel2"
"""Where bands lie, for a sample that does not say which sensor took it."""
BLUE = 490.0
"""Wavelength at which the strength of air and haze is given [nm]."""
OTHERS = ("sentinel2", "landsat7", "landsat8")


@dataclass(frozen=True, slots=True)
class Shift:
    """One way in which images differ from those of the training."""

    name: str
    change: Change | None = None
    zoom: float = 1.0
    """How many times its side a chip covers: 3 shows 10 m pixels as if they had 30 m."""
    seen: Callable[[Augmentation], bool] = lambda how: False
    """Whether training with such an augmentation draws this already."""


class ShiftedBlocks(TorchDataset[Sample]):
    """Every validation block under every shift, shift by shift; what shift j does to block i depends on the seed, i, j.

    All chips have the side that ``BlockChips`` gives them.
    """

    def __init__(self, blocks: BlockChips, seed: int, shifts: Sequence[Shift]) -> None:
        self.blocks, self.seed, self.shifts = blocks, seed, tuple(shifts)

    def __len__(self) -> int:
        return len(self.shifts) * len(self.blocks)

    def __getitem__(self, index: int) -> Sample:
        """The block, changed; its name is that of the shift in ``where``."""
        number, block = divmod(index, len(self.blocks))
        shift = self.shifts[number]
        rng = np.random.default_rng((self.seed, block, SHIFTS.index(shift)))
        scene, window = self.blocks.items[block]
        size, channels = self.blocks.size(scene), self.blocks.data.channels
        sample = resample(read_block(scene, window, round(size * shift.zoom), channels, rng), size)
        if shift.change is not None:
            sample = shift.change(sample, channels, rng)
        return replace(sample, where=replace(sample.where, shift=shift.name))


class ShiftBatches(Sampler[list[int]]):
    """Indices into ``ShiftedBlocks`` in batches of one shift each; every ``world``-th block is for process ``rank``."""

    def __init__(self, data: ShiftedBlocks, batch: int, world: int = 1, rank: int = 0) -> None:
        self.starts = range(0, len(data), len(data.blocks))
        self.own = range(rank, len(data.blocks), world)
        self.batch = batch

    def __iter__(self) -> Iterator[list[int]]:
        for start in self.starts:
            for first in range(0, len(self.own), self.batch):
                yield [start + block for block in self.own[first : first + self.batch]]

    def __len__(self) -> int:
        return len(self.starts) * -(-len(self.own) // self.batch)


def held_out(how: Augmentation | None) -> tuple[Shift, ...]:
    """The shifts that training with this augmentation does not draw; the blocks as they are come first."""
    return tuple(s for s in SHIFTS if how is None or not s.seen(how))


def _gain(sample: Sample, channels: tuple[str, ...], rng: np.random.Generator) -> Sample:
    """Calibrations that differ by some percent."""
    gain = np.exp(rng.normal(0, 0.04, _per_band(sample)) + rng.normal(0, 0.04))
    return _with(sample, sample.values * gain + rng.normal(0, 0.01, _per_band(sample)))


def _bandpass(sample: Sample, channels: tuple[str, ...], rng: np.random.Generator) -> Sample:
    """The bands of another sensor, by the spectrum between the channels that there are."""
    own = sample.sensor if sample.sensor in RESPONSES else NEAREST
    other = str(rng.choice([name for name in OTHERS if RESPONSES[name].bands is not RESPONSES[own].bands]))
    bands = {i: band for i, c in enumerate(channels) if (band := band_of(own, c)) is not None}
    centres = {i: band.centre for i, band in bands.items()}
    matrix = np.eye(len(channels))
    for i, band in bands.items():
        moved = band_of(other, channels[i])
        if moved is not None:
            moved = Band(moved.centre + rng.normal(0, 5), moved.width)
            matrix[i] += _weights(moved, centres, len(channels)) - _weights(band, centres, len(channels))
    whole = sample.valid.all(axis=0)  # a spectrum with a gap cannot be read between its bands
    return _with(sample, np.where(whole, np.tensordot(matrix, sample.values, 1), sample.values))


def _weights(band: Band, centres: dict[int, float], count: int) -> NDArray[np.float64]:
    """Share of each channel (count,) in what a band sees of a spectrum that is linear between the channels' centres."""
    order = sorted(centres, key=lambda i: centres[i])
    across = band.centre + band.width * np.linspace(-0.5, 0.5, 5)
    weights = np.zeros(count)
    for position, channel in enumerate(order):
        peak = np.eye(len(order))[position]
        weights[channel] = np.interp(across, [centres[i] for i in order], peak).mean()
    return weights


def _noise(sample: Sample, channels: tuple[str, ...], rng: np.random.Generator) -> Sample:
    """A worse signal-to-noise ratio."""
    return _with(sample, sample.values + rng.uniform(0.005, 0.02) * rng.standard_normal(sample.values.shape))


def _steps(sample: Sample, channels: tuple[str, ...], rng: np.random.Generator) -> Sample:
    """Numbers of 6 to 8 bits over a range about as wide as reflectance."""
    step = rng.uniform(0.7, 1.4) / 2 ** int(rng.integers(6, 9))
    return _with(sample, np.round(sample.values / step) * step)


def _saturation(sample: Sample, channels: tuple[str, ...], rng: np.random.Generator) -> Sample:
    """Bright pixels cut off, as in Landsat-7."""
    return _with(sample, np.minimum(sample.values, rng.uniform(0.6, 0.75, _per_band(sample))))


def _haze(sample: Sample, channels: tuple[str, ...], rng: np.random.Generator) -> Sample:
    """A veil over everything, thicker at short wavelengths."""
    veil = rng.uniform(0.04, 0.12) * _bluer(sample, channels, rng.uniform(1, 2.5))
    return _with(sample, sample.values * (1 - veil) + veil * 0.8)


def _gamma(sample: Sample, channels: tuple[str, ...], rng: np.random.Generator) -> Sample:
    """A response that is not linear."""
    power = np.exp(rng.choice([-1, 1]) * rng.uniform(np.log(1.15), np.log(1.5)))
    return _with(sample, 0.5 * (np.maximum(sample.values, 0) / 0.5) ** power)


def _contrast(sample: Sample, channels: tuple[str, ...], rng: np.random.Generator) -> Sample:
    """Less or more contrast round the chip's mean."""
    count = np.maximum(sample.valid.sum((1, 2), keepdims=True), 1)
    mean = (sample.values * sample.valid).sum((1, 2), keepdims=True) / count
    factor = rng.choice([rng.uniform(0.6, 0.8), rng.uniform(1.25, 1.6)])
    return _with(sample, np.maximum(mean + factor * (sample.values - mean), 0))


def _blur(sample: Sample, channels: tuple[str, ...], rng: np.random.Generator) -> Sample:
    """A wider point spread."""
    sigma = (0, *(rng.uniform(0.8, 1.8),) * 2)
    inside = sample.valid.astype(np.float32)
    share = ndimage.gaussian_filter(inside, sigma, mode="nearest")
    spread = ndimage.gaussian_filter(sample.values * inside, sigma, mode="nearest")
    return _with(sample, spread / np.maximum(share, 1e-6))


def _lost_band(sample: Sample, channels: tuple[str, ...], rng: np.random.Generator) -> Sample:
    """A band that is not there."""
    if len(channels) < 2:
        return sample
    valid = sample.valid.copy()
    valid[int(rng.integers(len(channels)))] = False
    return replace(sample, values=np.where(valid, sample.values, 0).astype(np.float32), valid=valid)


def _low_sun(sample: Sample, channels: tuple[str, ...], rng: np.random.Generator) -> Sample:
    """Less light on the ground and a longer way through the air, which takes more of the blue and adds some."""
    blue = _bluer(sample, channels, 2.0)
    through = rng.uniform(0.55, 0.8) * (1 - 0.15 * blue)
    return _with(sample, sample.values * through + rng.uniform(0.01, 0.04) * blue)


def _bluer(sample: Sample, channels: tuple[str, ...], power: float) -> NDArray[np.float64]:
    """(490 nm / wavelength)^power per channel (c, 1, 1); 1 where the wavelength is unknown."""
    own = sample.sensor if sample.sensor in RESPONSES else NEAREST
    bands = [band_of(own, c) or band_of(NEAREST, c) for c in channels]
    return np.array([1.0 if b is None else (BLUE / b.centre) ** power for b in bands])[:, None, None]


def _per_band(sample: Sample) -> tuple[int, int, int]:
    return len(sample.values), 1, 1


def _with(sample: Sample, values: NDArray[np.floating]) -> Sample:
    return replace(sample, values=np.where(sample.valid, values, 0).astype(np.float32))


def _zoomed(factor: float) -> Callable[[Augmentation], bool]:
    return lambda how: 1 / how.zoom <= factor <= how.zoom


SHIFTS: tuple[Shift, ...] = (
    Shift("plain"),
    Shift("gain", _gain, seen=lambda how: how.gain > 0 or how.offset > 0),
    Shift("bandpass", _bandpass),
    Shift("coarser_2", zoom=2, seen=_zoomed(2)),
    Shift("coarser_3", zoom=3, seen=_zoomed(3)),
    Shift("finer_2", zoom=1 / 2, seen=_zoomed(1 / 2)),
    Shift("finer_3", zoom=1 / 3, seen=_zoomed(1 / 3)),
    Shift("noise", _noise),
    Shift("steps", _steps),
    Shift("saturation", _saturation),
    Shift("haze", _haze),
    Shift("gamma", _gamma),
    Shift("contrast", _contrast),
    Shift("blur", _blur),
    Shift("lost_band", _lost_band, seen=lambda how: how.band_dropout > 0),
    Shift("low_sun", _low_sun),
)
"""In a fixed order, which the draws depend on: new ones go to the end."""
