"""What the page of a forecasting run tells, and what its entries are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.report.spectra import Spectra
from geoadapt.report.weather_maps import LatLon
from geoadapt.training.story import SHARED_NAMES, Story

__all__ = ["NAMES", "ForecastExample", "ForecastStory"]

NAMES = {
    **SHARED_NAMES,
    "persistence": "persistence",
    "climatology": "climatology",
    "damped": "damped persistence",
    "eof_ridge": "EOF ridge regression",
    "cnn": "the CNN from scratch",
    "zero_shot": "the backbone as it was pre-trained",
}
BASELINES = ("eof_ridge", "damped", "climatology", "persistence")
"""What the scorecard is held against, the first that was scored."""
Fields = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class ForecastExample:
    """One forecast of the test period and what came true, in SI units, NaN where unknown."""

    init: np.datetime64
    leads_hours: tuple[float, ...]
    forecast: Fields
    """(lead, c, h, w)."""
    truth: Fields
    """(lead, c, h, w)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastStory(Story):
    """What the page tells; ``metrics`` are ``WHO/METRIC/CHANNEL/LEADh``, and with a fifth part by region or event."""

    called: ClassVar[Mapping[str, str]] = NAMES
    units: tuple[str, ...]
    leads_hours: tuple[float, ...]
    place: LatLon | None = None
    """The grid of ``example`` and ``averages``."""
    example: ForecastExample | None = None
    averages: Mapping[str, Fields] = field(default_factory=dict)
    """``rmse`` or ``bias`` over the test dates as maps (lead, c, h, w)."""
    spectra: Mapping[str, Spectra] = field(default_factory=dict)
    """Channel → its spectra, a row per lead time."""
    baseline: str = ""
    """WHO the scorecard is held against; by default the strongest simple one."""
    method: str = "Paired bootstrap over weeks of the same test dates; one seed."
    """Where the intervals come from."""

    def __post_init__(self) -> None:
        Story.__post_init__(self)
        if len(self.units) != len(self.channels):
            raise GeoadaptError(
                "page", f"{len(self.units)} units of {len(self.channels)} channels", "name one for each"
            )
        if (self.example or self.averages) and self.place is None:
            raise GeoadaptError("page", "maps without a grid", "give the story its place")

    def unit(self, channel: str) -> str:
        """Of a channel's values."""
        return self.units[self.channels.index(channel)]

    @property
    def reference(self) -> str:
        """WHO the scorecard is held against; empty without controls."""
        controls = self.controls
        return next((who for who in (self.baseline, *BASELINES, *controls) if who in controls), "")
