"""A STAC item beside every output: where and when it is, what its values mean, and what it was made from.

In: the output's grid and what made it. Out: an item with the projection, raster, classification and processing
extensions, as a JSON file; written without any network.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pystac
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer
from pyproj.exceptions import ProjError
from rasterio.crs import CRS
from shapely.affinity import translate
from shapely.geometry import MultiPoint, MultiPolygon, Polygon, box, mapping
from shapely.geometry.base import BaseGeometry
from shapely.geometry.polygon import orient

from geoadapt.io.atomic import write_text
from geoadapt.io.category import Category

__all__ = ["OutputAsset", "OutputItem", "build_asset", "build_item", "footprint", "write_item"]

PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
RASTER = "https://stac-extensions.github.io/raster/v1.1.0/schema.json"
CLASSIFICATION = "https://stac-extensions.github.io/classification/v2.0.0/schema.json"
PROCESSING = "https://stac-extensions.github.io/processing/v1.2.0/schema.json"
COG = "image/tiff; application=geotiff; profile=cloud-optimized"
Points = TypeVar("Points", float, NDArray[np.float64])
_EDGE = 21
"""Points per edge of a footprint, so that it stays true where the projection bends."""


@dataclass(frozen=True, slots=True)
class OutputAsset:
    """One file of an item. ``bands``: names in file order; ``classes`` for labels."""

    key: str
    path: Path
    media_type: str
    roles: tuple[str, ...]
    title: str = ""
    dtype: str = ""
    nodata: float | None = None
    scale: float = 1.0
    offset: float = 0.0
    bands: tuple[str, ...] = ()
    classes: tuple[Category, ...] = ()


@dataclass(frozen=True, slots=True)
class OutputItem:
    """What an item says. ``height``, ``width`` [px]; ``crs`` and ``transform`` None where not georeferenced."""

    name: str
    height: int
    width: int
    assets: tuple[OutputAsset, ...]
    crs: CRS | None = None
    transform: Affine | None = None
    time: datetime | None = None
    """When the scene was taken; None where unknown, which the item says with a null datetime."""
    derived_from: Sequence[str] = ()
    """Paths or URLs of the inputs and of the model."""
    processing: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the processing extension, without its prefix: ``software``, ``lineage``, ``level``…"""
    properties: Mapping[str, Any] = field(default_factory=dict)


def write_item(item: OutputItem, path: Path) -> Path:
    """Write the item to ``path``; links and assets below its folder are relative."""
    built = build_item(item, path)
    return write_text(path, json.dumps(built.to_dict(include_self_link=False), indent=2, ensure_ascii=False) + "\n")


def build_item(item: OutputItem, path: Path) -> pystac.Item:
    """The pystac item that ``write_item`` writes."""
    area = footprint(item.height, item.width, item.crs, item.transform)
    now = datetime.now(UTC)
    when = item.time if item.time is None or item.time.tzinfo else item.time.replace(tzinfo=UTC)
    span = (
        {} if when else {"start_datetime": "1970-01-01T00:00:00Z", "end_datetime": now.strftime("%Y-%m-%dT%H:%M:%SZ")}
    )
    built = pystac.Item(
        id=item.name,
        geometry=None if area is None else _plain(mapping(area)),
        bbox=None if area is None else _bbox(area),
        datetime=when,
        properties={"created": now.isoformat().replace("+00:00", "Z"), **span, **_projection(item), **item.properties},
        stac_extensions=[PROJECTION, RASTER, CLASSIFICATION, PROCESSING],
    )
    built.properties.update({f"processing:{key}": value for key, value in item.processing.items()})
    for asset in item.assets:
        built.add_asset(asset.key, build_asset(asset, path.parent))
    for target in item.derived_from:
        built.add_link(pystac.Link(pystac.RelType.DERIVED_FROM, _href(target, path.parent)))
    return built


def footprint(height: int, width: int, crs: CRS | None, transform: Affine | None) -> BaseGeometry | None:
    """The raster's outline in longitude and latitude [degrees], None where it has no place on Earth.

    Cut in two at the antimeridian; closed over the pole where it holds one; of a disc seen from space, its inside.
    """
    if crs is None or transform is None:
        return None
    x, y = _edge(height, width, transform)
    try:
        to_degrees = Transformer.from_crs(crs.to_wkt(), "EPSG:4326", always_xy=True)
        longitude, latitude = to_degrees.transform(x, y)
        pole = _pole(to_degrees, height, width, transform)
    except ProjError:
        return None
    if not (np.isfinite(longitude).all() and np.isfinite(latitude).all()):
        return _seen(to_degrees, height, width, transform)
    if pole is not None:
        return _over_pole(longitude, latitude, pole)
    if crs.is_geographic:
        longitude, latitude = x, y
    return _cut(longitude, latitude)


def _edge(height: int, width: int, transform: Affine) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates along the raster's outline, clockwise from the upper left corner, not closed."""
    step = np.linspace(0, 1, _EDGE)[:-1]
    zero, one = np.zeros_like(step), np.ones_like(step)
    cols = np.concatenate([step, one, 1 - step, zero]) * width
    rows = np.concatenate([zero, step, one, 1 - step]) * height
    return _place(transform, cols, rows)


def _place(transform: Affine, cols: Points, rows: Points) -> tuple[Points, Points]:
    x = transform.a * cols + transform.b * rows + transform.c
    y = transform.d * cols + transform.e * rows + transform.f
    return x, y


def _pole(to_degrees: Transformer, height: int, width: int, transform: Affine) -> float | None:
    """Latitude of the pole that lies strictly inside a projected raster, if one does [degrees]."""
    if to_degrees.source_crs is not None and to_degrees.source_crs.is_geographic:
        return None
    for latitude in (90.0, -90.0):
        x, y = to_degrees.transform(0.0, latitude, direction="INVERSE", errcheck=False)
        if not (np.isfinite(x) and np.isfinite(y)):
            continue
        col, row = _place(~transform, x, y)
        back = to_degrees.transform(x, y)
        if 0 < col < width and 0 < row < height and abs(back[1] - latitude) < 1e-6:
            return latitude
    return None


def _over_pole(longitude: NDArray[np.float64], latitude: NDArray[np.float64], pole: float) -> BaseGeometry:
    order = np.argsort(longitude)
    longitude, latitude = longitude[order], latitude[order]
    seam = float(np.interp(180.0, [longitude[-1], longitude[0] + 360.0], [latitude[-1], latitude[0]]))
    ring = [(-180.0, seam), *zip(longitude, latitude, strict=True), (180.0, seam), (180.0, pole), (-180.0, pole)]
    return _valid(Polygon(ring))


def _seen(to_degrees: Transformer, height: int, width: int, transform: Affine) -> BaseGeometry | None:
    """The hull of those points of a raster that lie on Earth."""
    cols, rows = np.meshgrid(np.linspace(0, width, 2 * _EDGE), np.linspace(0, height, 2 * _EDGE))
    x, y = _place(transform, cols.ravel(), rows.ravel())
    longitude, latitude = to_degrees.transform(x, y)
    known = np.isfinite(longitude) & np.isfinite(latitude)
    if known.sum() < 3:
        return None
    hull = MultiPoint(np.column_stack([longitude[known], latitude[known]])).convex_hull
    return orient(hull) if isinstance(hull, Polygon) else None


def _cut(longitude: NDArray[np.float64], latitude: NDArray[np.float64]) -> BaseGeometry:
    """A ring as a polygon, in two parts where it crosses the antimeridian."""
    whole = float(longitude.max() - longitude.min())
    unwrapped = np.unwrap(longitude, period=360.0) if whole < 359.999 else longitude
    area = _valid(Polygon(np.column_stack([unwrapped, np.clip(latitude, -90, 90)])))
    parts = []
    for shift in (-360.0, 0.0, 360.0):
        part = translate(area, xoff=shift).intersection(box(-180, -90, 180, 90))
        parts += [orient(g) for g in getattr(part, "geoms", [part]) if g.area > 0]
    return parts[0] if len(parts) == 1 else MultiPolygon(parts)


def _valid(area: Polygon) -> BaseGeometry:
    made: BaseGeometry = orient(area) if area.is_valid else area.buffer(0)
    return made


def _projection(item: OutputItem) -> dict[str, Any]:
    fields: dict[str, Any] = {"proj:shape": [item.height, item.width]}
    if item.crs is None:
        return {**fields, "proj:code": None}
    code = item.crs.to_authority()
    fields["proj:code"] = ":".join(code) if code else None
    if code is None:
        fields["proj:wkt2"] = item.crs.to_wkt(version="WKT2_2019")
    if item.transform is not None:
        fields["proj:transform"] = list(item.transform)
    return fields


def build_asset(asset: OutputAsset, folder: Path) -> pystac.Asset:
    """The pystac asset of a file, for an item or a collection that lies in ``folder``."""
    fields: dict[str, Any] = {}
    if asset.dtype:
        band: dict[str, Any] = {"data_type": asset.dtype}
        if asset.nodata is not None:
            band["nodata"] = asset.nodata
        if asset.scale != 1.0 or asset.offset != 0.0:
            band |= {"scale": asset.scale, "offset": asset.offset}
        names = asset.bands or ("",)
        fields["raster:bands"] = [{**band, **({"name": name} if name else {})} for name in names]
    if asset.classes:
        fields["classification:classes"] = [_class(c) for c in asset.classes]
    return pystac.Asset(
        href=_href(str(asset.path), folder),
        title=asset.title or None,
        media_type=asset.media_type,
        roles=list(asset.roles),
        extra_fields=fields,
    )


def _class(entry: Category) -> dict[str, Any]:
    red, green, blue = entry.colour
    title = entry.name.replace("_", " ")
    return {"value": entry.value, "name": entry.name, "title": title, "color_hint": f"{red:02X}{green:02X}{blue:02X}"}


def _href(target: str, folder: Path) -> str:
    """Relative below ``folder``, absolute elsewhere, untouched for a URL."""
    if "://" in target:
        return target
    path = Path(target).absolute()
    base = folder.absolute()
    return "./" + path.relative_to(base).as_posix() if path.is_relative_to(base) else path.as_posix()


def _bbox(area: BaseGeometry) -> list[float]:
    """West, south, east, north; west is larger than east where the area crosses the antimeridian."""
    parts = list(getattr(area, "geoms", [area]))
    west, south, east, north = area.bounds
    if len(parts) == 2 and east - west > 359.99 and max(p.bounds[2] - p.bounds[0] for p in parts) < 359:
        west = max(p.bounds[0] for p in parts)
        east = min(p.bounds[2] for p in parts)
    return [west, south, east, north]


def _plain(geometry: Mapping[str, Any]) -> dict[str, Any]:
    """GeoJSON with lists instead of tuples."""
    plain: dict[str, Any] = json.loads(json.dumps(geometry))
    return plain
