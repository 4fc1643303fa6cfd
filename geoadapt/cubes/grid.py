"""Bands from several files brought to one grid, while they are read.

In: one raster per band. Out: sources that share size, CRS and transform, and how that was done.
"""

from __future__ import annotations

from odc.geo.geobox import GeoBox

from geoadapt.errors import GeoadaptError
from geoadapt.io.base import Source
from geoadapt.io.raster import RasterSource
from geoadapt.io.stack import WarpedSource, geobox

__all__ = ["one_grid"]


def one_grid(sources: list[RasterSource], resolution: float | None, resampling: str) -> tuple[list[Source], list[str]]:
    """Every band on the finest grid, or on one of ``resolution``; and a sentence on how.

    Coarser bands and those of another CRS are resampled by ``resampling``, finer ones averaged. Raises GeoadaptError
    where they cannot be related.
    """
    if all(s.info.transform is None for s in sources):
        sizes = {(s.info.height, s.info.width) for s in sources}
        if len(sizes) > 1:
            raise GeoadaptError(sources[0].info.origin, f"bands of sizes {sorted(sizes)} without a georeference")
        return list(sources), []
    grids = [geobox(s.info) for s in sources]
    target = min(grids, key=_pixel)
    if resolution is not None:
        target = GeoBox.from_bbox(target.extent.boundingbox, target.crs, resolution=resolution)
    parts: list[Source] = []
    methods: dict[str, int] = {}
    for source, grid in zip(sources, grids, strict=True):
        if _same(grid, target):
            parts.append(source)
            continue
        method = "average" if grid.crs == target.crs and _pixel(grid) < _pixel(target) * 0.99 else resampling
        parts.append(WarpedSource(source, target, method))
        crs = "" if grid.crs == target.crs or source.info.crs is None else f" {source.info.crs.to_string()[:40]}"
        key = f"{_pixel(grid):g}{crs} by {method}"
        methods[key] = methods.get(key, 0) + 1
    how = ", ".join(f"{n} of {key}" for key, n in methods.items())
    return parts, [f"bands were brought to one grid of {_pixel(target):g}: {how}"] if how else []


def _pixel(grid: GeoBox) -> float:
    """The pixel's side, in units of the CRS."""
    return float(abs(grid.transform.determinant) ** 0.5)


def _same(one: GeoBox, other: GeoBox) -> bool:
    """Whether two grids are one, to a thousandth of a pixel."""
    if one.shape != other.shape or one.crs != other.crs:
        return False
    step = _pixel(other) * 1e-3
    return all(abs(a - b) <= step for a, b in zip(one.transform[:6], other.transform[:6], strict=True))
