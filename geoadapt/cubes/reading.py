"""How a scene is to be read, and which of its bands.

In: what the caller says, names of bands. Out: ``Reading``, checked; the places of the wanted bands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from geoadapt.cubes.bands import COMMON_NAMES, REFLECTIVE, match
from geoadapt.cubes.sensors import sensor_named
from geoadapt.errors import GeoadaptError, nearest

__all__ = ["Reading", "chosen_bands"]

UNITS = ("auto", "reflectance", "raw")
RESAMPLING = ("nearest", "bilinear", "cubic", "average")


@dataclass(frozen=True, slots=True)
class Reading:
    """How a scene is to be read; what each part means is said at ``open_scene``."""

    sensor: str | None = None
    channels: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None
    scale: float | None = None
    offset: float | None = None
    units: str = "auto"
    zero_is_nodata: str = "auto"
    resolution: float | None = None
    resampling: str = "nearest"
    allow_external: bool = False

    def __post_init__(self) -> None:
        """Raise GeoadaptError for a word that is none of the choices."""
        choices = {"units": UNITS, "zero_is_nodata": ("auto", "yes", "no"), "resampling": RESAMPLING}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise GeoadaptError(name, f"'{getattr(self, name)}' is unknown", nearest(getattr(self, name), known))
        if self.sensor is not None:
            sensor_named(self.sensor)


def chosen_bands(
    names: Sequence[str], reading: Reading, where: str, *, everything: bool = False
) -> tuple[list[int], list[str]]:
    """Positions of the wanted bands; without a wish all, or of a product with many files all reflective ones."""
    if reading.channels is not None:
        return match(reading.channels, names, where)
    if everything:
        return list(range(len(names))), []
    order = {name: i for i, name in enumerate(COMMON_NAMES)}
    positions = [i for i, n in enumerate(names) if n in REFLECTIVE]
    if not positions:
        positions = list(range(len(names)))
    return sorted(positions, key=lambda i: (order.get(names[i], len(order)), i)), []
