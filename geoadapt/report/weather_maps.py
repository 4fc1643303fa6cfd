"""Maps of fields on a latitude–longitude grid: forecast, truth and their difference, in the field's unit.

In: fields (h, w), latitude descending, longitude ascending [degrees]. Out: drawings with a colour bar per scale.
Equirectangular, true to scale at the grid's middle latitude. Missing values are hatched. There are no coastlines, which
would have to come from elsewhere, unless a land mask of the same grid is given.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.report.charts import INK, figure
from geoadapt.report.numbers import MINUS, number
from geoadapt.report.wording import safe_text, unit_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

__all__ = [
    "LatLon", "MapColumn", "Scale", "colour_bar", "difference_scale", "draw_map", "drawable", "field_scale", "map_size",
    "weather_maps",
]  # fmt: skip

Values = NDArray[np.floating]
WIDTH = 10.4
"""Of a grid of maps [inch]."""
MOST_CELLS = 360
"""Longest side of a map that goes onto the page; larger grids are averaged over whole cells."""
ROBUST = (0.5, 99.5)
"""Percentiles where the colours end, so that one cell does not pale the others."""
GLOBE = 359
TICKS = (1, 2, 5, 10, 20, 30, 60)
"""Steps of the graticule [degrees]."""


@dataclass(frozen=True, slots=True)
class LatLon:
    """Where the cells of a field lie: their centres [degrees], and optionally what is land (h, w), 0 to 1."""

    latitude: NDArray[np.floating]
    longitude: NDArray[np.floating]
    land: Values | None = None

    def __post_init__(self) -> None:
        if len(self.latitude) < 2 or len(self.longitude) < 2:
            shape = f"{len(self.latitude)} × {len(self.longitude)}"
            raise GeoadaptError("map", f"a grid of {shape} cells", "expected at least 2 × 2")
        if not ((np.diff(self.latitude) < 0).all() and (np.diff(self.longitude) > 0).all()):
            raise GeoadaptError("map", "its grid runs another way", "expected latitude descending, longitude ascending")

    @property
    def shape(self) -> tuple[int, int]:
        """(h, w)."""
        return len(self.latitude), len(self.longitude)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """West, east, south and north edge [degrees], poles included and never passed."""
        west, east = _edges(self.longitude)
        north, south = _edges(self.latitude)
        return west, east, max(-90.0, south), min(90.0, north)

    @property
    def stretch(self) -> float:
        """Height of a degree of latitude over the width of one of longitude, at the middle latitude."""
        _, _, south, north = self.extent
        return 1 / max(0.2, math.cos(math.radians((south + north) / 2)))


@dataclass(frozen=True, slots=True)
class Scale:
    """Colours for values: from ``low`` to ``high``, ``diverging`` from the middle or not."""

    low: float
    high: float
    diverging: bool = False

    @property
    def colours(self) -> str:
        """A colour map that the colour-blind can read, by matplotlib's name."""
        return "RdBu_r" if self.diverging else "viridis"

    def norm(self) -> Normalize:
        """Values to 0–1."""
        from matplotlib.colors import Normalize

        return Normalize(self.low, self.high)


@dataclass(frozen=True, slots=True)
class MapColumn:
    """Maps of one kind, one per row of the grid: their heading, and the fields (rows, h, w)."""

    heading: str
    fields: Values
    scale: Scale


def field_scale(*fields: Values) -> Scale:
    """One scale for several fields, without their most extreme cells."""
    known = np.concatenate([f[np.isfinite(f)].ravel() for f in fields])
    low, high = (float(v) for v in np.percentile(known, ROBUST)) if known.size else (0.0, 1.0)
    return Scale(low, high) if high > low else Scale(low - 0.5, low + 0.5)


def difference_scale(*fields: Values) -> Scale:
    """A scale about zero."""
    known = np.concatenate([np.abs(f[np.isfinite(f)]).ravel() for f in fields])
    end = float(np.percentile(known, ROBUST[1])) if known.size else 1.0
    return Scale(-end, end, diverging=True) if end > 0 else Scale(-1.0, 1.0, diverging=True)


def map_size(place: LatLon, width: float) -> float:
    """Height of a map of this width, its frame alone."""
    west, east, south, north = place.extent
    return width * (north - south) * place.stretch / (east - west)


def weather_maps(
    columns: Sequence[MapColumn], rows: Sequence[str], place: LatLon, unit: str, caption: str, name: str
) -> Markup:
    """A grid of maps, such as forecast, truth and difference by lead time; columns of one scale share a colour bar.

    Args:
        columns: what stands side by side; each holds as many fields as there are rows.
        rows: heading of every row.
        place: the grid.
        unit: of the values.
        caption: under the maps.
        name: of the channel, for those who cannot see them.
    """
    from matplotlib.figure import Figure

    _check(columns, rows, place)
    height = map_size(place, WIDTH / len(columns) - 0.5) + 0.25
    drawing = Figure(figsize=(WIDTH, 0.7 + height * len(rows)), layout="constrained")
    grid = drawing.subplots(len(rows), len(columns), squeeze=False, sharex=True, sharey=True)
    for j, column in enumerate(columns):
        for i, row in enumerate(rows):
            axes = grid[i, j]
            shown = draw_map(axes, column.fields[i], place, column.scale)
            axes.tick_params(labelbottom=i == len(rows) - 1, labelleft=j == 0)
            if i == 0:
                axes.set_title(safe_text(column.heading), color=INK, fontsize=10.5)
            if j == 0:
                axes.set_ylabel(safe_text(row), color=INK, fontsize=10.5)
        if j == len(columns) - 1 or columns[j + 1].scale != column.scale:
            sharing = [k for k in range(j + 1) if columns[k].scale == column.scale]
            colour_bar(drawing, shown, grid[:, sharing].ravel(), unit)
    return figure(drawing, f"Maps of {name}. {_spoken(columns, rows, unit)}", caption, "chart wide")


def draw_map(
    axes: Axes, values: Values, place: LatLon, scale: Scale, ink: str = INK, *, hatched: bool | None = None
) -> AxesImage:
    """Draw a field (h, w) with its graticule on axes; what is missing stays ``hatched``, by default if anything is."""
    from matplotlib.patches import Rectangle

    west, east, south, north = place.extent
    corner = Rectangle(
        (west, south), east - west, north - south, facecolor="#8a8f8c", edgecolor="#b9bdba", hatch="////", linewidth=0
    )
    if not np.isfinite(values).all() if hatched is None else hatched:
        axes.add_patch(corner)
    even, extent = drawable(values, place)
    image = axes.imshow(
        even, cmap=scale.colours, norm=scale.norm(), extent=extent, origin="upper", interpolation="none", zorder=2
    )
    if place.land is not None:
        axes.contour(
            place.longitude, place.latitude, place.land, levels=[0.5], colors=[ink], linewidths=0.6, alpha=0.7, zorder=3
        )
    axes.set_xlim(west, east)
    axes.set_ylim(south, north)
    axes.set_aspect(place.stretch)
    axes.set_xticks(_ticks(west, east), [_degrees(x, "EW") for x in _ticks(west, east)])
    axes.set_yticks(_ticks(south, north), [_degrees(y, "NS") for y in _ticks(south, north)])
    axes.tick_params(colors=ink, labelsize=8, length=0)
    axes.grid(color="#ffffff", alpha=0.35, linewidth=0.5, zorder=3)
    axes.set_axisbelow(False)
    axes.spines[:].set_visible(False)
    return image


def colour_bar(drawing: Figure, image: AxesImage, axes: Iterable[Axes], unit: str, ink: str = INK) -> None:
    """A horizontal bar of an image's colours under the axes that share them, with the unit."""
    bar = drawing.colorbar(image, ax=list(axes), orientation="horizontal", shrink=0.8, aspect=40, extend="both")
    bar.set_label(safe_text(unit_words(unit)), color=ink, fontsize=9.5)
    bar.ax.tick_params(colors=ink, labelsize=8.5, length=0)
    bar.ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}".replace("-", MINUS))
    bar.outline.set_visible(False)


def _check(columns: Sequence[MapColumn], rows: Sequence[str], place: LatLon) -> None:
    for column in columns:
        expected = (len(rows), *place.shape)
        if column.fields.shape != expected:
            raise GeoadaptError("map", f"{column.heading} {column.fields.shape}", f"expected (rows, h, w) = {expected}")


def drawable(values: Values, place: LatLon) -> tuple[NDArray[np.float32], tuple[float, float, float, float]]:
    """The field on an even grid of cells no finer than the page needs, and its extent."""
    even = np.asarray(values, np.float32)[_even_rows(place.latitude)]
    west, east = _edges(place.longitude)
    north, south = _edges(place.latitude)
    factor = max(1, math.ceil(max(even.shape) / MOST_CELLS))
    rows, cols = (n // factor * factor for n in even.shape)
    # Cells that do not fill a block are left off the far edges; the extent shrinks with them.
    east -= (even.shape[1] - cols) * (east - west) / even.shape[1]
    south += (even.shape[0] - rows) * (north - south) / even.shape[0]
    return _block_means(even[:rows, :cols], factor), (west, east, south, north)


def _block_means(values: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Means over blocks of ``factor`` × ``factor`` cells, of the known ones; missing where none is known."""
    if factor == 1:
        return values
    blocks = values.reshape(values.shape[0] // factor, factor, values.shape[1] // factor, factor)
    known = np.isfinite(blocks)
    count = known.sum(axis=(1, 3))
    total = np.where(known, blocks, 0).sum(axis=(1, 3), dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _even_rows(latitude: NDArray[np.floating]) -> NDArray[np.intp]:
    """For evenly spaced rows, the nearest row of a grid whose latitudes may not be (Gaussian ones are not quite)."""
    targets = np.linspace(float(latitude[0]), float(latitude[-1]), len(latitude))
    nearest: NDArray[np.intp] = np.abs(targets[:, None] - latitude[None, :]).argmin(axis=1)
    return nearest


def _edges(centres: NDArray[np.floating]) -> tuple[float, float]:
    """Outer edges of the first and the last cell."""
    half = float(centres[-1] - centres[0]) / (len(centres) - 1) / 2
    return float(centres[0]) - half, float(centres[-1]) + half


def _ticks(low: float, high: float) -> list[float]:
    """Round places on an axis [degrees], four or five of them; the last meridian of a globe is its first."""
    step = next((s for s in TICKS if (high - low) / s <= 5.5), TICKS[-1])
    last = high - 1e-6 if high - low > GLOBE else high + 1e-6
    return [float(v) for v in np.arange(math.ceil(low / step - 1e-9) * step, last, step)]


def _degrees(value: float, sides: str) -> str:
    turned = (value + 180) % 360 - 180 if sides == "EW" and value != 180 else value
    side = "" if turned in (0, 180, -180) else sides[0] if turned > 0 else sides[1]
    return f"{abs(turned):g}°{side}"


def _spoken(columns: Sequence[MapColumn], rows: Sequence[str], unit: str) -> str:
    """The range of every map in words."""
    told = []
    for i, row in enumerate(rows):
        ranges = []
        for column in columns:
            known = column.fields[i][np.isfinite(column.fields[i])]
            ends = [number(float(v)) for v in (known.min(), known.max())] if known.size else []
            told_range = f"{' to '.join(ends)} {unit_words(unit)}" if ends else "unknown"
            ranges.append(f"{column.heading} {told_range}")
        told.append(f"{row}: {', '.join(ranges)}")
    return "; ".join(told) + "."
