"""Labelled samples: a pixel's series, an image, a stack of images, with one target each.

In: samples with values (t, c, h, w) per input, in physical units. Out: batches of fields (b, t, c, h, w) and targets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch, Field, ProjectedGrid, Where

__all__ = [
    "IGNORE",
    "KINDS",
    "Labelled",
    "Layout",
    "OnDemand",
    "Piece",
    "SampleSet",
    "Target",
    "samples_batch",
    "turned",
]

IGNORE = 255
"""The class of what nobody labelled."""
KINDS = ("class", "labels", "value", "class_map", "value_map")
Floats = NDArray[np.float32]
Dates = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked of a sample: one ``class`` of ``names``, some of its ``labels``, a ``value``, or a map of these."""

    kind: str
    names: tuple[str, ...]
    """Of the classes or labels, in the order of their indices; of a value its own."""
    unit: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise GeoadaptError("target", f"kind '{self.kind}'", f"choose from {', '.join(KINDS)}")
        if not self.names or (self.valued and len(self.names) != 1):
            raise GeoadaptError("target", f"a {self.kind} named {self.names}", "one name for a value, else one each")

    @property
    def valued(self) -> bool:
        """Whether it is a number with a unit."""
        return self.kind.startswith("value")

    @property
    def mapped(self) -> bool:
        """Whether every pixel has one of its own."""
        return self.kind.endswith("map")


@dataclass(frozen=True, slots=True)
class Piece:
    """One input of a sample: values (t, c, h, w) in physical units, NaN where missing."""

    values: Floats
    channels: tuple[str, ...]
    times: Dates | None = None
    """(t,) UTC; None where unknown."""

    def __post_init__(self) -> None:
        if self.values.ndim != 4 or self.values.shape[1] != len(self.channels):
            expected = f"(t, {len(self.channels)}, h, w) for {self.channels}"
            raise GeoadaptError("sample", f"values have shape {self.values.shape}", f"expected {expected}")
        if self.times is not None and len(self.times) != len(self.values):
            raise GeoadaptError("sample", f"{len(self.times)} times for {len(self.values)} dates", "name one each")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A sample: its inputs by name, and what is known about it."""

    name: str
    inputs: Mapping[str, Piece]
    target: Any
    """By the target's kind: a class index (), labels 0 or 1 (k,), a value (), a map of classes or values (h, w).

    255 is a class that nobody knows, NaN such a value; a label that nobody knows is NaN too.
    """
    group: str = ""
    """The place or site: samples of one resemble each other, and are split and resampled together."""
    latlon: tuple[float, float] | None = None
    """Latitude and longitude of its centre [degrees]."""
    resolution: float | None = None
    """Ground size of a pixel [m]."""
    sensor: str | None = None


@dataclass(frozen=True)
class OnDemand(Sequence[Labelled]):
    """``size`` samples, each made by its number when it is asked for."""

    size: int
    make: Callable[[int], Labelled]

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, index: int) -> Labelled: ...
    @overload
    def __getitem__(self, index: slice) -> list[Labelled]: ...
    def __getitem__(self, index: int | slice) -> Labelled | list[Labelled]:
        numbers = range(self.size)[index]
        return self.make(numbers) if isinstance(numbers, int) else [self.make(n) for n in numbers]


@dataclass(frozen=True, slots=True)
class Layout:
    """What all samples of a set share: channels per input, and the most dates that one has."""

    channels: Mapping[str, tuple[str, ...]]
    dates: Mapping[str, int]

    @property
    def lead(self) -> str:
        """The input whose grid and dates are the sample's: ``optical`` where there is one, else the first."""
        return "optical" if "optical" in self.channels else next(iter(self.channels))


@dataclass(frozen=True, slots=True)
class SampleSet:
    """A labelled data set with its split; samples are read when they are asked for."""

    name: str
    train: Sequence[Labelled]
    val: Sequence[Labelled]
    test: Sequence[Labelled]
    target: Target
    layout: Layout
    note: str
    """What it is, how it was split and what is missing, in words."""
    raw: tuple[str, ...] = ()
    """Inputs that simple models see; empty = all. It leaves out what is there a second time in other units."""
    simulated: bool = False
    licence: str = ""
    units: Mapping[str, str] = field(default_factory=dict)
    """Input → units of its values."""

    @property
    def seen(self) -> tuple[str, ...]:
        """Inputs that simple models see, that on whose grid the target lies before the others."""
        return tuple(sorted(self.raw or self.layout.channels, key=lambda name: name != self.layout.lead))


def samples_batch(samples: Sequence[Labelled], target: Target, layout: Layout, multiple: int = 1) -> Batch:
    """Inputs (b, t, c, h, w) and the target: (b, 1, 1, 1, 1), labels (b, 1, k, 1, 1), maps (b, 1, 1, h, w).

    Fewer dates, and smaller images, are filled up with what is not valid: dates to those of the layout, sides to a
    multiple of ``multiple`` [px]. An image smaller than that is an error: a single patch of it would be a corner.
    """
    inputs = {name: _field(samples, name, layout, multiple) for name in layout.channels}
    lead = inputs[layout.lead]
    size = (lead.values.shape[-2], lead.values.shape[-1])
    grid = _grid(samples)
    sensors = tuple(sample.sensor for sample in samples)
    known = sensors if any(sensors) else None
    inputs = {name: replace(f, grid=grid, sensor=known if name == "optical" else None) for name, f in inputs.items()}
    where = tuple(Where(sample.name) for sample in samples)
    return Batch(inputs, _target(samples, target, size), None, where)


def turned(sample: Labelled, quarter: int, mirrored: bool) -> Labelled:
    """The sample seen from another side: turned by quarters, then mirrored; single pixels stay as they are."""

    def other(values: NDArray[Any]) -> NDArray[Any]:
        if values.ndim < 2 or max(values.shape[-2:]) == 1:
            return values
        if values.shape[-2] != values.shape[-1]:
            values = np.rot90(values, 2 * (quarter % 2), (-2, -1))
        else:
            values = np.rot90(values, quarter, (-2, -1))
        return np.ascontiguousarray(values[..., ::-1] if mirrored else values)

    inputs = {name: replace(piece, values=other(piece.values)) for name, piece in sample.inputs.items()}
    return replace(sample, inputs=inputs, target=other(np.asarray(sample.target)))


def _field(samples: Sequence[Labelled], name: str, layout: Layout, multiple: int) -> Field:
    pieces = [sample.inputs[name] for sample in samples]
    channels = layout.channels[name]
    odd = next((s.name for s, piece in zip(samples, pieces, strict=True) if piece.channels != channels), None)
    if odd is not None:
        raise GeoadaptError(odd, f"its {name} differs from the set's {channels}", "give all samples the same channels")
    dates = layout.dates[name]
    height, width = (_up(max(piece.values.shape[axis] for piece in pieces), multiple) for axis in (2, 3))
    values = np.zeros((len(pieces), dates, len(channels), height, width), np.float32)
    valid = np.zeros(values.shape, bool)
    seconds = np.zeros(values.shape[:2], np.int64)
    for n, piece in enumerate(pieces):
        t, _, h, w = piece.values.shape
        if t > dates:
            raise GeoadaptError(samples[n].name, f"{t} dates of {name}", f"the set announces at most {dates}")
        seen = np.isfinite(piece.values)
        valid[n, :t, :, :h, :w] = seen
        values[n, :t, :, :h, :w] = np.where(seen, piece.values, 0.0)
        if piece.times is not None:
            told = piece.times.astype("datetime64[s]").astype(np.int64)
            seconds[n], seconds[n, :t] = told[-1], told
    dated = all(piece.times is not None for piece in pieces)
    times = torch.from_numpy(seconds) if dated else None
    return Field(torch.from_numpy(values), channels, torch.from_numpy(valid), times)


def _up(size: int, multiple: int) -> int:
    if size < multiple:
        hint = "choose backbone.patch_size=1 where it offers that, or a backbone of pixels"
        raise GeoadaptError("data", f"samples of {size} px, the backbone takes multiples of {multiple} px", hint)
    return -(-size // multiple) * multiple


def _grid(samples: Sequence[Labelled]) -> ProjectedGrid:
    nowhere = (float("nan"), float("nan"))
    resolution = [float("nan") if s.resolution is None else s.resolution for s in samples]
    centre = torch.tensor([s.latlon or nowhere for s in samples], dtype=torch.float32)
    return ProjectedGrid(torch.tensor(resolution), None if bool(centre.isnan().all()) else centre)


def _target(samples: Sequence[Labelled], target: Target, size: tuple[int, int]) -> Field:
    names = target.names if target.kind == "labels" else (target.names[0] if target.valued else "class",)
    height, width = size if target.mapped else (1, 1)
    values = torch.zeros(len(samples), 1, len(names), height, width)
    valid = torch.zeros_like(values, dtype=torch.bool)
    for n, sample in enumerate(samples):
        told = torch.from_numpy(np.asarray(sample.target, np.float32))
        told = told.reshape(-1, 1, 1) if target.kind == "labels" else told.reshape((1, *(told.shape or (1, 1))))
        known = _known(told, target)
        h, w = told.shape[-2:]
        values[n, 0, :, :h, :w] = torch.where(known, told, 0.0)
        valid[n, 0, :, :h, :w] = known
    return Field(values, names, valid)


def _known(told: Tensor, target: Target) -> Tensor:
    if target.valued or target.kind == "labels":
        return torch.isfinite(told)
    outside = (told != IGNORE) & ((told < 0) | (told >= len(target.names)))
    if bool(outside.any()):
        wrong = sorted({int(v) for v in told[outside].tolist()})[:5]
        raise GeoadaptError("target", f"class {wrong}", f"expected 0 to {len(target.names) - 1}, or {IGNORE} = unknown")
    return told != IGNORE
