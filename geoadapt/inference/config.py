"""How a forecast is run, as plain data; no torch."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from geoadapt.errors import GeoadaptError, nearest

__all__ = ["PERTURB", "ForecastConfig"]

PERTURB = ("initial", "dropout", "adapters")
"""What makes members differ: noise on the first state, dropout that stays on, or a bundle for each."""
_DAY = 86400


@dataclass(frozen=True, slots=True)
class ForecastConfig:
    """How far, how many members, and what is kept of it."""

    lead: int = 10 * _DAY
    """The last lead time [s]."""
    every: int = 0
    """Between two lead times that are kept [s]; 0 = every step."""
    members: int = 1
    perturb: str = "initial"
    """One of ``PERTURB``; counts from two members on."""
    amplitude: float = 0.2
    """Of the initial noise: its standard deviation over that of the usual change in one step."""
    length: float = 500.0
    """Of the initial noise: the distance at which its correlation has fallen to 0.61 [km]."""
    seed: int = 0
    batch: int = 8
    """Init times that the model sees at once; numbers may differ in their last bits between one and another."""
    variables: tuple[str, ...] = ()
    """Variables or channels to keep; none = all."""
    bbox: tuple[float, float, float, float] | None = None
    """West, south, east, north of what is kept [degrees]."""

    def __post_init__(self) -> None:
        for name in ("lead", "members", "batch"):
            if getattr(self, name) < 1:
                raise GeoadaptError(f"--{name}", f"{getattr(self, name)}", "choose more than 0")
        if self.every < 0 or (self.every and self.lead % self.every):
            raise GeoadaptError("--every", f"{self.every} s does not divide the lead of {self.lead} s", "mend it")
        if self.perturb not in PERTURB:
            raise GeoadaptError("--perturb", f"'{self.perturb}'", nearest(self.perturb, PERTURB))
        for name in ("amplitude", "length"):
            if not 0 < getattr(self, name) < math.inf:
                raise GeoadaptError(f"--{name}", f"{getattr(self, name)}", "choose more than 0")
        if not 0 <= self.seed < 2**32:
            raise GeoadaptError("--seed", f"{self.seed}", "choose a whole number from 0 to 2³² − 1")

    def numbers(self) -> tuple[int, ...] | None:
        """The members by number; None where there is but one forecast."""
        return tuple(range(self.members)) if self.members > 1 else None

    def plain(self) -> dict[str, Any]:
        """What decides the bytes of a forecast: what has no bearing on it is left out."""
        shown: dict[str, Any] = asdict(self)
        shown |= {"variables": list(self.variables), "bbox": self.bbox and list(self.bbox)}
        perturbed = self.perturb if self.members > 1 else ""
        unused = {"": ("perturb", "amplitude", "length", "seed"), "dropout": ("amplitude", "length")}
        for name in unused.get(perturbed, ("amplitude", "length", "seed") if perturbed == "adapters" else ()):
            del shown[name]
        return shown
