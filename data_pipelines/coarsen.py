"""From a latitude–longitude grid to a coarser one: each new cell is the area-weighted mean of what it covers.

First-order conservative (Jones 1999) on cells whose edges lie half-way between grid points. Weights are sparse and
applied on one thread, so that the bits depend on nothing but the field. Missing values are left out of a mean; a cell
of which less than half is known is missing.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import sparse

from geoadapt.errors import GeoadaptError

__all__ = ["Coarsening", "coarse_grid"]

Degrees = NDArray[np.float64]
LEAST_KNOWN = 0.5


def coarse_grid(
    latitude: Degrees, longitude: Degrees, resolution: float, poles: bool = True
) -> tuple[Degrees, Degrees]:
    """Latitudes (h,) descending and longitudes (w,) ascending [degrees], as far as the finer grid covers their cells.

    With ``poles`` the rows at ±90° are grid points (121 × 240 for 1.5°), without they are edges (32 × 64 for 5.625°).
    Raises GeoadaptError for a resolution that does not divide the globe or is finer than the grid's own.
    """
    rows, columns = 180 / resolution if resolution > 0 else 0, 360 / resolution if resolution > 0 else 0
    if rows < 1 or abs(rows - round(rows)) > 1e-6 or abs(columns - round(columns)) > 1e-6:
        raise GeoadaptError("resolution", f"{resolution:g}° does not divide 180° and 360°", "choose 1.5, 2.5 or 5.625")
    own = abs(float(np.diff(latitude).mean())) if len(latitude) > 1 else 0.0
    if own > resolution * 1.001:
        raise GeoadaptError(
            "resolution", f"{resolution:g}° is finer than the archive's {own:g}°", "choose a coarser one"
        )
    count = round(rows) + (1 if poles else 0)
    wanted = 90 - (np.arange(count) + (0 if poles else 0.5)) * resolution
    edges, span = _edges(latitude), _edges(longitude)
    half, hair = resolution / 2, own * 1e-3
    north, south = np.minimum(wanted + half, 90), np.maximum(wanted - half, -90)
    inside = (north <= edges.max() + hair) & (south >= edges.min() - hair)
    east = np.arange(round(columns)) * resolution
    if not _round(longitude):
        east = np.unique(np.concatenate([east - 360, east]))
        east = east[(east - half >= span.min() - hair) & (east + half <= span.max() + hair)]
    if not inside.any() or not len(east):
        raise GeoadaptError(
            "resolution", f"no cell of {resolution:g}° lies within the archive's grid", "choose a finer one"
        )
    return wanted[inside], east.astype(np.float64)


class Coarsening:
    """The mean over the cells of one grid for every cell of another."""

    def __init__(self, source: tuple[Degrees, Degrees], target: tuple[Degrees, Degrees]) -> None:
        """Both are latitudes (h,) and longitudes (w,) [degrees]."""
        self.source, self.target = source, target
        self._rows = sparse.csr_matrix(_overlap(_sines(target[0]), _sines(source[0])))
        period = 360.0 if _round(source[1]) else None
        self._columns = sparse.csr_matrix(_overlap(_spans(target[1]), _spans(source[1]), period))

    def __call__(self, cube: xr.Dataset) -> xr.Dataset:
        """The Dataset on the coarser grid, lazy where it was, float32; latitude and longitude are the last dims."""
        made = {str(n): self._array(v) for n, v in cube.data_vars.items()}
        axes = {str(d): cube[d] for d in cube.dims if d not in ("latitude", "longitude")}
        grid = {"latitude": self.target[0], "longitude": self.target[1]}
        return xr.Dataset(made, coords={**axes, **grid}, attrs=cube.attrs)

    def mean(self, fields: NDArray[np.floating]) -> NDArray[np.float32]:
        """Fields (…, h, w) on the coarser grid."""
        known = np.isfinite(fields)
        filled = np.where(known, fields, 0).astype(np.float64)
        weight = self._apply(np.ones(fields.shape[-2:]))
        total = self._apply(filled)
        share = weight if known.all() else self._apply(known.astype(np.float64))
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(share >= LEAST_KNOWN * weight, total / share, np.nan).astype(np.float32)

    def _apply(self, fields: NDArray[np.float64]) -> NDArray[np.float64]:
        lead, (height, width) = fields.shape[:-2], fields.shape[-2:]
        rows = [self._rows @ field @ self._columns.T for field in fields.reshape(-1, height, width)]
        return np.stack(rows).reshape(*lead, len(self.target[0]), len(self.target[1]))

    def _array(self, array: xr.DataArray) -> xr.DataArray:
        grid = ["latitude", "longitude"]
        whole = array.chunk(dict.fromkeys(grid, -1)) if array.chunks else array
        made: xr.DataArray = xr.apply_ufunc(
            self.mean,
            whole,
            input_core_dims=[grid],
            output_core_dims=[grid],
            exclude_dims=set(grid),
            dask="parallelized",
            output_dtypes=[np.float32],
            dask_gufunc_kwargs={"output_sizes": dict(zip(grid, map(len, self.target), strict=True))},
            keep_attrs=True,
        )
        return made


def _edges(points: Degrees) -> Degrees:
    """Edges (n + 1,) of cells around points (n,), half-way between them and as far beyond the last."""
    if len(points) < 2:
        raise GeoadaptError("grid", "one row or column has no cell", "give at least two")
    middle = (points[1:] + points[:-1]) / 2
    return np.concatenate([[2 * points[0] - middle[0]], middle, [2 * points[-1] - middle[-1]]])


def _sines(latitude: Degrees) -> NDArray[np.float64]:
    """Cells (n, 2) from south to north as sines of latitude, whose differences are areas."""
    edges = np.sin(np.deg2rad(np.clip(_edges(latitude), -90, 90)))
    return np.sort(np.stack([edges[:-1], edges[1:]], axis=1), axis=1)


def _spans(longitude: Degrees) -> NDArray[np.float64]:
    edges = _edges(longitude)
    return np.stack([edges[:-1], edges[1:]], axis=1)


def _overlap(
    target: NDArray[np.float64], source: NDArray[np.float64], period: float | None = None
) -> NDArray[np.float64]:
    """How much of each source cell (n, 2) lies within each target cell (m, 2): (m, n)."""
    total = np.zeros((len(target), len(source)))
    for shift in (0.0,) if period is None else (-period, 0.0, period):
        low = np.maximum(target[:, None, 0], source[None, :, 0] + shift)
        high = np.minimum(target[:, None, 1], source[None, :, 1] + shift)
        total += np.maximum(high - low, 0)
    return np.where(total > 1e-9 * np.abs(target[:, 1] - target[:, 0])[:, None], total, 0)


def _round(longitude: Degrees) -> bool:
    """Whether the grid goes round the globe."""
    step = float(np.diff(longitude).mean()) if len(longitude) > 1 else 0.0
    return abs(float(longitude[-1] - longitude[0]) + step - 360) < step / 2
