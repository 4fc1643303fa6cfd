"""Fields and batches: what every model takes, for a satellite stack and a reanalysis alike."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from geoadapt.errors import GeoadaptError

__all__ = ["Batch", "Field", "Grid", "LatLonGrid", "ProjectedGrid", "Where"]


@dataclass(frozen=True, slots=True)
class ProjectedGrid:
    """A map projection: ground resolution [m], and each sample's centre (b, 2), latitude and longitude [degrees]."""

    resolution: float | Tensor
    """One for all, or (b,) where samples differ, NaN where it is unknown."""
    centre: Tensor | None = None


@dataclass(frozen=True, slots=True)
class LatLonGrid:
    """A regular grid on the sphere: latitude (h,) and longitude (w,) [degrees]."""

    latitude: Tensor
    longitude: Tensor


Grid = ProjectedGrid | LatLonGrid


@dataclass(frozen=True, slots=True)
class Where:
    """Which sample this is: the scene's name and the upper left pixel of its chip."""

    scene: str
    row: int = 0
    col: int = 0
    shift: str = ""
    """How its image was changed on purpose, where it was."""


@dataclass(frozen=True, slots=True)
class Field:
    """Values on a grid with their labels.

    ``values`` (b, t, c, h, w), finite everywhere; ``valid`` the same shape, bool, None where all is valid;
    ``times`` (b, t) seconds since 1970 UTC, None where unknown; ``sensor`` one per sample, as in ``cubes.sensors``.
    """

    values: Tensor
    channels: tuple[str, ...]
    valid: Tensor | None = None
    times: Tensor | None = None
    grid: Grid | None = None
    sensor: tuple[str | None, ...] | None = None

    def __post_init__(self) -> None:
        if self.values.ndim != 5:
            raise GeoadaptError("field", f"values have shape {tuple(self.values.shape)}", "expected (b, t, c, h, w)")
        if self.values.shape[2] != len(self.channels):
            raise GeoadaptError("field", f"{self.values.shape[2]} channels, {len(self.channels)} names {self.channels}")
        if self.valid is not None and self.valid.shape != self.values.shape:
            raise GeoadaptError(
                "field", f"valid {tuple(self.valid.shape)} differs from values {tuple(self.values.shape)}"
            )
        if self.sensor is not None and len(self.sensor) != len(self.values):
            raise GeoadaptError("field", f"{len(self.sensor)} sensors for {len(self.values)} samples", "name one each")

    def select(self, channels: tuple[str, ...]) -> Field:
        """The same field with these channels, in this order; raises GeoadaptError where one is missing."""
        if channels == self.channels:
            return self
        missing = [c for c in channels if c not in self.channels]
        if missing:
            raise GeoadaptError("field", f"channels {missing} are missing", f"it has {list(self.channels)}")
        index = [self.channels.index(c) for c in channels]
        valid = None if self.valid is None else self.valid[:, :, index]
        return replace(self, values=self.values[:, :, index], valid=valid, channels=channels)

    def to(self, device: torch.device | str) -> Field:
        """The same field on ``device``."""
        return replace(
            self,
            values=self.values.to(device),
            valid=None if self.valid is None else self.valid.to(device),
            times=None if self.times is None else self.times.to(device),
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """What a model sees at once: named inputs, and in training the target.

    ``target`` values (b, t, 1, h, w) hold class indices for segmentation, 255 = ignore. ``lead_time`` (b,) [s].
    """

    inputs: dict[str, Field]
    target: Field | None = None
    lead_time: Tensor | None = None
    where: tuple[Where, ...] = field(default=())

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on ``device``."""
        return replace(
            self,
            inputs={name: value.to(device) for name, value in self.inputs.items()},
            target=None if self.target is None else self.target.to(device),
            lead_time=None if self.lead_time is None else self.lead_time.to(device),
        )
