"""What ``inspect`` finds, as data and as text. In: facts about a file. Out: JSON, or lines for a person."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from geoadapt.words import counted

__all__ = ["BandReport", "Report"]


@dataclass(frozen=True, slots=True)
class BandReport:
    """One band: its name, its stored type, how numbers become physical, and the range that was seen [raw units]."""

    name: str
    dtype: str
    scale: float
    offset: float
    nodata: float | None
    minimum: float | None
    maximum: float | None
    missing: float
    """Share of missing pixels among those that were looked at."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a file is, and what is odd about it."""

    path: str
    kind: str
    driver: str
    height: int
    width: int
    crs: str | None
    transform: tuple[float, ...] | None
    bounds: tuple[float, float, float, float] | None
    """West, south, east, north [degrees]."""
    time: str | None
    sensor: str | None
    bands: tuple[BandReport, ...]
    subdatasets: tuple[str, ...]
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The report as plain data that JSON can hold."""
        return asdict(self)

    def as_text(self) -> str:
        """The report for a person, one fact per line."""
        facts = [
            ("what", f"{self.kind} ({self.driver})"),
            ("size", f"{self.height} × {self.width} px, {counted(len(self.bands), 'band')}"),
            ("CRS", self.crs or "none"),
            ("pixel", _pixel_text(self.transform)),
            (
                "bounds",
                "unknown" if self.bounds is None else "{:.5f} {:.5f} {:.5f} {:.5f} (W S E N)".format(*self.bounds),
            ),
            ("time", self.time or "unknown"),
            ("sensor", self.sensor or "unknown"),
        ]
        lines = [self.path, *(f"  {name:<8}{value}" for name, value in facts)]
        lines += [f"  band    {_band_text(b)}" for b in self.bands]
        lines += [f"  holds   {name}" for name in self.subdatasets]
        lines += [f"  warning {text}" for text in self.warnings]
        return "\n".join(lines)


def _pixel_text(transform: tuple[float, ...] | None) -> str:
    return (
        "unknown"
        if transform is None
        else f"{(transform[0] ** 2 + transform[3] ** 2) ** 0.5:g} × {(transform[1] ** 2 + transform[4] ** 2) ** 0.5:g}"
    )


def _band_text(band: BandReport) -> str:
    reach = "all missing" if band.minimum is None or band.maximum is None else f"{band.minimum:g}…{band.maximum:g}"
    scaled = "" if (band.scale, band.offset) == (1.0, 0.0) else f", × {band.scale:g} + {band.offset:g}"
    missing = "" if band.missing == 0 else f", {band.missing:.1%} missing"
    nodata = "" if band.nodata is None else f", nodata {band.nodata:g}"
    return f"{band.name}: {band.dtype}, {reach}{scaled}{nodata}{missing}"
