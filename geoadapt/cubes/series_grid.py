"""Scenes of one place on one grid: which grid, and pixels brought to it window by window.

In: the grids of scenes (odc-geo's GeoBox). Out: the common one, and values on it; NaN where a scene does not reach.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from geoadapt.errors import GeoadaptError, nearest
from geoadapt.io.base import Window

__all__ = ["METHODS", "Read", "Sampler", "common_grid", "offset"]

METHODS = ("nearest", "bilinear", "cubic", "average")
GRIDS = ("first", "union", "intersection")
Read = Callable[[Window], NDArray[np.float32]]
Coordinates = NDArray[np.float64]

_TIE = 1e-6
"""[px]. Coordinates so close to a pixel's edge or centre are on it: else rounding would decide, window by window."""
_FINER = 1.5
"""So many pixels of a scene along one of the target, and interpolation between four of them would pass others over."""
_STEPS = (32, 8, 2)
_STRAIGHT = 1e-3
"""[px]. Between the points of a lattice positions are interpolated, if they are off by no more than this."""
_MOST_PARTS = 16
_LEAST_WEIGHT = 0.2
"""Of the known pixels among those that have a share: with less, the nearest one speaks alone."""


def common_grid(grids: Sequence[GeoBox], names: Sequence[str], how: str | GeoBox, resolution: float | None) -> GeoBox:
    """The grid for all of ``grids``: ``first``, or its lattice over the ``union`` or ``intersection`` of all.

    ``resolution`` [units of the CRS] replaces the first grid's own. Raises GeoadaptError where they share no pixel.
    """
    if isinstance(how, GeoBox):
        if resolution is not None:
            raise GeoadaptError("resolution", "is given beside a grid", "the grid has a resolution of its own")
        return how
    if how not in GRIDS:
        raise GeoadaptError("grid", f"'{how}' is unknown", nearest(how, GRIDS))
    base = grids[0]
    if resolution is not None:
        base = GeoBox.from_bbox(base.extent.boundingbox, base.crs, resolution=resolution)
    if how == "first":
        return base
    spans = np.array([_span(grid, base) for grid in grids])
    if how == "union":
        (top, left), (bottom, right) = np.floor(spans[:, :2].min(0) + _TIE), np.ceil(spans[:, 2:].max(0) - _TIE)
    else:
        (top, left), (bottom, right) = np.ceil(spans[:, :2].max(0) - _TIE), np.floor(spans[:, 2:].min(0) + _TIE)
    if bottom <= top or right <= left:
        raise GeoadaptError(names[0], f"these {len(grids)} scenes share no pixel", "choose grid='first' or 'union'")
    place = base.transform * Affine.translation(int(left), int(top))
    return GeoBox((int(bottom - top), int(right - left)), place, base.crs)


def offset(own: GeoBox, target: GeoBox) -> tuple[int, int] | None:
    """Row and column of the target's first pixel on the own grid where both are one lattice, else None.

    One lattice means that no pixel is off by more than a thousandth of its side.
    """
    if own.crs != target.crs:
        return None
    move = ~own.transform * target.transform
    row, col = round(move.f), round(move.c)
    along_x = abs(move.c - col) + target.width * abs(move.a - 1) + target.height * abs(move.b)
    along_y = abs(move.f - row) + target.height * abs(move.e - 1) + target.width * abs(move.d)
    return (row, col) if max(along_x, along_y) < 1e-3 else None


class Sampler:
    """Brings values from their own grid to another one; a pixel comes out the same whatever window asks for it.

    Interpolation leaves missing pixels out, and a pixel is missing where the nearest one of the scene is.
    """

    def __init__(self, own: GeoBox, target: GeoBox, method: str) -> None:
        """From ``own`` to ``target``; raises GeoadaptError where one of them has a CRS and the other has none."""
        if method not in METHODS:
            raise GeoadaptError("resampling", f"'{method}' is unknown", nearest(method, METHODS))
        if (own.crs is None) != (target.crs is None):
            raise GeoadaptError("grid", "a scene without a CRS cannot be brought to a grid that has one", "declare it")
        self._offset = offset(own, target)
        self._own = own
        self._target = target
        self._inverse = ~own.transform
        self._moved = None
        if own.crs != target.crs and own.crs is not None and target.crs is not None:
            self._moved = Transformer.from_crs(target.crs.to_wkt(), own.crs.to_wkt(), always_xy=True)
        self._step = 0 if self._moved is None else self._straight()
        self._fine = _parts(own, target)
        self._method = "average" if method in ("bilinear", "cubic") and self._fine >= _FINER else method
        self._last: tuple[Window, int, Coordinates, Coordinates] | None = None

    @property
    def method(self) -> str:
        """How values come to the target: ``as they are``, or the way of resampling."""
        return "as they are" if self._offset is not None else self._method

    @property
    def touches(self) -> bool:
        """Whether any pixel of the target lies on the own grid, as far as its outline and centre tell."""
        whole = Window(0, 0, self._target.height, self._target.width)
        rows, cols = self._at(*self._lattice(whole, max(1, min(whole.height, whole.width) // 32)))
        inside = (rows >= 0) & (rows <= self._own.height) & (cols >= 0) & (cols <= self._own.width)
        if inside.any():
            return True
        # In a union of places far apart a scene may lie between the points of the lattice.
        top, left, bottom, right = _span(self._own, self._target)
        return top >= -_TIE and left >= -_TIE and bottom <= whole.height + _TIE and right <= whole.width + _TIE

    def read(self, read: Read, window: Window, method: str | None = None) -> NDArray[np.float32]:
        """Values (n, h, w) on the target's ``window``; ``read`` gives them on a window of the own grid."""
        if self._offset is not None:
            return self._shifted(read, window, *self._offset)
        wanted = method or self._method
        if wanted != "average":
            return self._gather(read, *self._coordinates(window, 1), wanted)
        fine = int(np.clip(np.ceil(self._fine - 1e-3), 1, _MOST_PARTS))
        return _mean(self._gather(read, *self._coordinates(window, fine), "nearest"), fine)

    def _shifted(self, read: Read, window: Window, down: int, right: int) -> NDArray[np.float32]:
        """Values on the same lattice: copied, with nothing where the scene does not reach."""
        top, left = window.row + down, window.col + right
        r0, r1 = max(0, top), min(self._own.height, top + window.height)
        c0, c1 = max(0, left), min(self._own.width, left + window.width)
        if (r0, c0, r1 - r0, c1 - c0) == (top, left, window.height, window.width):
            return read(Window(top, left, window.height, window.width))
        if r1 <= r0 or c1 <= c0:
            return self._nothing(read, window.height, window.width)
        values = read(Window(r0, c0, r1 - r0, c1 - c0))
        out = np.full((values.shape[0], window.height, window.width), np.nan, np.float32)
        out[:, r0 - top : r1 - top, c0 - left : c1 - left] = values
        return out

    def _nothing(self, read: Read, height: int, width: int) -> NDArray[np.float32]:
        """Missing everywhere; one pixel is read to know how many layers there are."""
        return np.full((read(Window(0, 0, 1, 1)).shape[0], height, width), np.nan, np.float32)

    def _gather(self, read: Read, rows: Coordinates, cols: Coordinates, method: str) -> NDArray[np.float32]:
        """Values at positions on the own grid [px from its corner]."""
        (first_row, row_weights), (first_col, col_weights) = _taps(rows, method), _taps(cols, method)
        near_row, near_col = _taps(rows, "nearest")[0], _taps(cols, "nearest")[0]
        inside = (near_row >= 0) & (near_row < self._own.height) & (near_col >= 0) & (near_col < self._own.width)
        if not inside.any():
            return self._nothing(read, *rows.shape)
        top, bottom = _between(first_row[inside], len(row_weights), self._own.height)
        left, right = _between(first_col[inside], len(col_weights), self._own.width)
        values = read(Window(top, left, bottom - top, right - left))
        flat = values.reshape(values.shape[0], -1)
        here = (near_row >= top) & (near_row < bottom) & (near_col >= left) & (near_col < right)
        place = np.where(here, (near_row - top) * (right - left) + near_col - left, 0)
        near = np.take(flat, place, axis=1)
        near[:, ~here] = np.nan
        if method == "nearest":
            return near
        known = np.isfinite(flat)
        complete = bool(known.all())
        flat = flat if complete else np.where(known, flat, np.float32(0))
        total = np.zeros(near.shape, np.float32)
        weights = np.zeros((1, *rows.shape) if complete else near.shape, np.float32)
        for i, j in product(range(len(row_weights)), range(len(col_weights))):
            row, col = first_row + i - top, first_col + j - left
            held = (row >= 0) & (row < bottom - top) & (col >= 0) & (col < right - left)
            weight = np.where(held, row_weights[i] * col_weights[j], 0).astype(np.float32)
            place = np.where(held, row * (right - left) + col, 0)
            total += np.take(flat, place, axis=1) * weight
            weights += weight if complete else np.take(known, place, axis=1) * weight
        mixed = total / np.where(weights > _LEAST_WEIGHT, weights, 1)
        return np.where(np.isfinite(near) & (weights > _LEAST_WEIGHT), mixed, near)

    def _coordinates(self, window: Window, fine: int) -> tuple[Coordinates, Coordinates]:
        """Row and column on the own grid of every (sub)pixel's centre, (h·fine, w·fine) each; the last are kept."""
        if self._last is not None and self._last[:2] == (window, fine):
            return self._last[2:]
        y = window.row + (np.arange(window.height * fine) + 0.5) / fine
        x = window.col + (np.arange(window.width * fine) + 0.5) / fine
        if self._step:
            rows, cols = self._interpolated(window, y, x)
        else:
            rows, cols = self._at(*np.meshgrid(y, x, indexing="ij"))
        self._last = (window, fine, rows, cols)
        return rows, cols

    def _interpolated(self, window: Window, y: Coordinates, x: Coordinates) -> tuple[Coordinates, Coordinates]:
        """Positions between those of a lattice over the whole grid, which does not depend on the window."""
        lattice_y, lattice_x = self._lattice(window, self._step)
        rows, cols = self._at(lattice_y, lattice_x)
        i, v = np.divmod((y - lattice_y[0, 0]) / self._step, 1)
        j, u = np.divmod((x - lattice_x[0, 0]) / self._step, 1)
        a, b = i.astype(int)[:, None], j.astype(int)[None]
        v, u = v[:, None], u[None]

        def between(grid: Coordinates) -> Coordinates:
            upper = grid[a, b] * (1 - u) + grid[a, b + 1] * u
            lower = grid[a + 1, b] * (1 - u) + grid[a + 1, b + 1] * u
            mixed: Coordinates = upper * (1 - v) + lower * v
            return mixed

        return between(rows), between(cols)

    def _straight(self) -> int:
        """The widest lattice that keeps positions true at its cells' centres, all over the target; 0 if none does."""
        for step in _STEPS:
            y = np.linspace(0, self._target.height, 9)[:, None]
            x = np.linspace(0, self._target.width, 9)[None]
            corners = [self._at(y + v, x + u) for v, u in product((0, step), (0, step))]
            centre = self._at(y + step / 2, x + step / 2)
            errors = [np.abs(np.mean([c[k] for c in corners], axis=0) - centre[k]) for k in (0, 1)]
            if np.isfinite(errors).all() and np.max(errors) < _STRAIGHT:
                return step
        return 0

    def _lattice(self, window: Window, step: int) -> tuple[Coordinates, Coordinates]:
        """Target positions on multiples of ``step`` around the window."""
        y = np.arange(window.row // step, (window.row + window.height) // step + 2) * float(step)
        x = np.arange(window.col // step, (window.col + window.width) // step + 2) * float(step)
        grid_y, grid_x = np.meshgrid(y, x, indexing="ij")
        return grid_y, grid_x

    def _at(self, row: Coordinates, col: Coordinates) -> tuple[Coordinates, Coordinates]:
        """Row and column on the own grid of positions on the target."""
        place = self._target.transform
        x = place.a * col + place.b * row + place.c
        y = place.d * col + place.e * row + place.f
        if self._moved is not None:
            x, y = (np.asarray(v) for v in self._moved.transform(x, y))
        inverse = self._inverse
        return inverse.d * x + inverse.e * y + inverse.f, inverse.a * x + inverse.b * y + inverse.c


def _taps(at: Coordinates, method: str) -> tuple[NDArray[np.int64], list[Coordinates]]:
    """The first pixel that has a share in every position along one axis, and the share of it and those that follow."""
    finite = np.where(np.isfinite(at), at, -9.0)
    if method == "nearest":
        return np.floor(finite + _TIE).astype(np.int64), [np.ones_like(finite)]
    first = np.floor(finite - 0.5 + _TIE)
    t = finite - 0.5 - first
    t = np.where(np.abs(t) < _TIE, 0.0, t)
    if method == "bilinear":
        return first.astype(np.int64), [1 - t, t]
    # Keys 1981 with a = -1/2: the convolution that reproduces parabolas.
    weights = [
        ((-0.5 * t + 1) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1,
        ((-1.5 * t + 2) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    ]
    return first.astype(np.int64) - 1, weights


def _between(first: NDArray[np.int64], taps: int, length: int) -> tuple[int, int]:
    return max(0, int(first.min())), min(length, int(first.max()) + taps)


def _mean(values: NDArray[np.float32], fine: int) -> NDArray[np.float32]:
    """The mean of what is known among ``fine`` × ``fine`` parts of a pixel; missing where less than half is."""
    n, h, w = values.shape
    parts = values.reshape(n, h // fine, fine, w // fine, fine)
    known = np.isfinite(parts)
    count = known.sum((2, 4))
    total = np.where(known, parts, 0).sum((2, 4), dtype=np.float64)
    enough = count * 2 >= fine * fine
    return np.where(enough, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _parts(own: GeoBox, target: GeoBox) -> float:
    """How many of the own pixels lie along a target pixel's side."""
    extent = own.extent
    if target.crs is not None and own.crs != target.crs:
        extent = extent.to_crs(target.crs)
    return float(_side(target) / (extent.area / (own.width * own.height)) ** 0.5)


def _span(grid: GeoBox, base: GeoBox) -> tuple[float, float, float, float]:
    """Top, left, bottom, right of ``grid`` in pixels of ``base``."""
    extent = grid.extent
    if base.crs is not None and grid.crs != base.crs:
        extent = extent.to_crs(base.crs, resolution="auto")
    x, y = np.asarray(extent.exterior.coords).T[:2]
    inverse = ~base.transform
    cols, rows = inverse.a * x + inverse.b * y + inverse.c, inverse.d * x + inverse.e * y + inverse.f
    return float(rows.min()), float(cols.min()), float(rows.max()), float(cols.max())


def _side(grid: GeoBox) -> float:
    """A pixel's side, in units of the CRS."""
    return float(abs(grid.transform.determinant) ** 0.5)
