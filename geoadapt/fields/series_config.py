"""Configurations of time series that training reads; plain data, no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from geoadapt.errors import GeoadaptError, nearest
from geoadapt.fields.config import check_shares

__all__ = ["RealSeriesConfig", "SimulatedSeriesConfig", "TimeseriesConfig"]

SPLITS = ("place", "time")
REAL = ("worldcereal", "modis_mt", "l8ny18", "landsat_p035r032")


@dataclass
class SimulatedSeriesConfig:
    """Simulated places over a year with a known truth, made once under ``root``; the test has other places and months.

    A place shows the year as it feels it. Dates in ``test_months`` (of the northern year as felt) are taken out of
    training and validation, and are the only ones to be restored in the test.
    """

    name: str = "simulated_series"
    root: str = "outputs/simulated_series"
    train: int = 24
    """Places; so for ``val`` and ``test``."""
    val: int = 12
    """As many as a scale takes that is calibrated on them: with four, one place decides it."""
    test: int = 16
    size: int = 128
    """[px]"""
    dates: int = 16
    seed: int = 0
    resolution: float = 20.0
    """[m]"""
    radar: bool = False
    """Whether VV and VH come along as a second input."""
    test_months: list[int] = field(default_factory=lambda: [4, 7, 10])

    def __post_init__(self) -> None:
        for name, least in (("train", 1), ("val", 1), ("test", 1), ("size", 16), ("dates", 6)):
            if getattr(self, name) < least:
                raise GeoadaptError(f"data.{name}", f"{getattr(self, name)}", f"choose {least} or more")
        months = set(self.test_months)
        if not months or not months <= set(range(1, 13)) or len(months) > 6:
            raise GeoadaptError("data.test_months", f"{self.test_months}", "choose one to six of 1–12")


@dataclass
class TimeseriesConfig:
    """Time series of one's own: whatever ``open_series`` opens, one path per place."""

    name: str = "timeseries"
    root: str = ""
    """One place: a folder of scenes, a STAC catalogue, a store with dates."""
    paths: list[str] = field(default_factory=list)
    """Several places; in place of ``root``."""
    bands: list[str] = field(default_factory=list)
    """Common names; empty = those of the first place."""
    mask: str = "auto"
    """``auto`` = every scene's quality layer; ``none``; or a glob of masks."""
    mask_scheme: str | None = None
    duplicates: str = "mosaic"
    """Two scenes of one day: ``error``, ``first`` or ``mosaic``."""
    damaged: str = "error"
    """A scene that cannot be read: ``error``, or ``skip`` it with a warning."""
    max_gap: float | None = None
    """Refuse a gap between two dates that is longer [days]; None = any."""
    resolution: float | None = None
    """Pixel size of the grid; None = the first scene's."""
    sensor: str | None = None
    start: str | None = None
    end: str | None = None
    window: list[int] = field(default_factory=list)
    """Row, column, height and width of the part to use [px]; empty = everything."""
    split: str = "place"
    """``place``: other places in the test, or of a single one its eastern part; ``time``: its last dates."""
    val_fraction: float = 0.15
    test_fraction: float = 0.3
    memory_gb: float = 4.0
    """Series larger than this are refused; they are held in memory."""

    def __post_init__(self) -> None:
        check_shares(self.val_fraction, self.test_fraction)
        if self.split not in SPLITS:
            raise GeoadaptError("data.split", f"'{self.split}' is unknown", nearest(self.split, SPLITS))
        if self.window and (len(self.window) != 4 or min(self.window) < 0 or min(self.window[2:]) < 1):
            raise GeoadaptError("data.window", f"{self.window}", "expected [row, column, height, width]")
        if self.root and self.paths:
            raise GeoadaptError("data.root, data.paths", "both are given", "name one place, or several")

    def places(self) -> list[str]:
        """All paths; raises GeoadaptError where none is named."""
        if not self.root and not self.paths:
            raise GeoadaptError("data.root", "no time series is named", "set data.root=FOLDER or data.paths=[A,B]")
        return list(self.paths) or [self.root]


@dataclass
class RealSeriesConfig:
    """A small public time series with the split that it allows, which its note states."""

    name: str = "worldcereal"
    root: str = ""
    """Empty = its folder under ``timeseries`` in the folder that GEOADAPT_DATA names."""
    val_fraction: float = 0.15
    test_fraction: float = 0.35
    """Of the columns, or of the dates; ``l8ny18`` tests on its other scene."""
    radar: bool = True
    """Whether Sentinel-1 comes along where the set has it."""

    def __post_init__(self) -> None:
        if self.name not in REAL:
            raise GeoadaptError("data.name", f"'{self.name}' is unknown", nearest(self.name, REAL))
        check_shares(self.val_fraction, self.test_fraction)
