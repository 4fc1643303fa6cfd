"""STAC items and collections, read: which asset holds which band, with scale, offset and nodata.

In: a local STAC JSON file. Out: one ``SceneFiles`` per item. Links and assets that lead to the network are followed
only when that is allowed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pystac
from pystac.stac_io import DefaultStacIO

from geoadapt.errors import GeoadaptError
from geoadapt.io.gdal import local_file
from geoadapt.io.listing import BandFile, SceneFiles
from geoadapt.io.reason import reason

__all__ = ["is_stac", "read_stac"]

_PLATFORMS = {f"landsat-{n}": f"landsat{n}" for n in (5, 7, 8, 9)}


def is_stac(path: Path) -> bool:
    """Whether ``path`` is a STAC JSON file."""
    if path.suffix.lower() not in (".json", ".geojson") or not path.is_file():
        return False
    with path.open("rb") as stream:
        return b'"stac_version"' in stream.read(1 << 20)


def read_stac(path: Path, *, allow_external: bool = False) -> list[SceneFiles]:
    """The scene of an item, or the scenes of all items of a collection or catalogue, by date.

    Raises GeoadaptError for broken JSON, an item without raster assets, or a link to the network.
    """
    try:
        found = _read(path, _LocalIO(allow_external))
        if isinstance(found, pystac.Item):
            items = [found]
        elif isinstance(found, pystac.Catalog):
            items = list(found.get_items(recursive=True))
        elif isinstance(found, pystac.ItemCollection):
            items = [_placed(item, path) for item in found.items]
        else:
            raise GeoadaptError(path, f"is a STAC {type(found).__name__}", "give an item or a collection")
        if not items:
            raise GeoadaptError(path, "holds no items", "give an item, or a collection with item links")
        scenes = [_scene(item, str(path), allow_external) for item in items]
    except GeoadaptError:
        raise
    except (
        pystac.STACError,
        pystac.STACTypeError,
        LookupError,
        ValueError,
        TypeError,
        AttributeError,
        OSError,
    ) as error:
        raise GeoadaptError(
            path, f"no STAC item or collection that can be read: {reason(error)}", "check the file"
        ) from error
    return sorted(scenes, key=lambda s: (s.time is None, s.time.timestamp() if s.time else 0.0, s.origin))


def _read(path: Path, stac_io: DefaultStacIO) -> pystac.STACObject | pystac.ItemCollection:
    """What the file holds; the answer of a search is a FeatureCollection, which pystac reads by another way."""
    plain = stac_io.read_json(str(path.resolve()))
    if plain.get("type") == "FeatureCollection":
        return pystac.ItemCollection.from_dict(plain)
    return pystac.read_file(str(path.resolve()), stac_io=stac_io)


def _placed(item: pystac.Item, path: Path) -> pystac.Item:
    """The item, its relative assets counted from the file it came in where it says no other place."""
    if item.get_self_href() is None:
        item.set_self_href(str(path.resolve()))
    return item


class _LocalIO(DefaultStacIO):
    """pystac's own reader, which asks before it goes to the network."""

    def __init__(self, allow_external: bool) -> None:
        super().__init__()
        self._allow_external = allow_external

    def read_text_from_href(self, href: str, *args: Any, **kwargs: Any) -> str:
        """The text behind ``href``; raises GeoadaptError for a URL that is not allowed."""
        if local_file(href) is None and not self._allow_external:
            raise GeoadaptError(
                href, "a STAC link leads to the network", "allow it with allow_external=True if you trust it"
            )
        return str(super().read_text_from_href(href, *args, **kwargs))


def _scene(item: pystac.Item, where: str, allow_external: bool) -> SceneFiles:
    bands: list[BandFile] = []
    for key, asset in item.assets.items():
        if not _is_raster(asset):
            continue
        href = asset.get_absolute_href() or asset.href
        if local_file(href) is None and not allow_external:
            raise GeoadaptError(
                where, f"asset '{key}' lies elsewhere: '{href}'", "allow it with allow_external=True if you trust it"
            )
        bands += list(_bands(key, asset, href))
    if not bands:
        raise GeoadaptError(
            where, f"item '{item.id}' has no raster asset", f"its assets: {', '.join(item.assets) or 'none'}"
        )
    platform = str(item.properties.get("platform", "")).lower()
    time = item.datetime or item.common_metadata.start_datetime
    sensor = "sentinel2" if platform.startswith("sentinel-2") else _PLATFORMS.get(platform)
    return SceneFiles(item.self_href or where, tuple(bands), sensor, time, {"scene": item.id})


def _is_raster(asset: pystac.Asset) -> bool:
    """Whether an asset holds data: by its roles where it has any, else by its type or name."""
    if asset.roles and not {"data", "reflectance"} & set(asset.roles):
        return False
    kind = (asset.media_type or "").lower()
    return "tiff" in kind or "jp2" in kind or asset.href.lower().endswith((".tif", ".tiff", ".jp2"))


def _bands(key: str, asset: pystac.Asset, href: str) -> Iterator[BandFile]:
    fields = asset.extra_fields
    described: list[Mapping[str, Any]] = fields.get("bands") or fields.get("eo:bands") or [{}]
    stored: list[Mapping[str, Any]] = fields.get("raster:bands") or described
    for index, band in enumerate(described):
        raster = stored[index] if index < len(stored) else {}
        common = band.get("eo:common_name") or band.get("common_name") or fields.get("eo:common_name")
        name = str(band.get("name") or (key if len(described) == 1 else f"{key}_{index + 1}"))
        yield BandFile(
            name=name,
            path=href,
            index=index,
            scale=_number(raster, "scale", fields),
            offset=_number(raster, "offset", fields),
            nodata=_number(raster, "nodata", fields),
            common=None if common is None else str(common),
        )


def _number(raster: Mapping[str, Any], key: str, fields: Mapping[str, Any]) -> float | None:
    """A band's own value under either version of the raster extension."""
    for source, name in ((raster, key), (raster, f"raster:{key}"), (fields, f"raster:{key}"), (fields, key)):
        value = source.get(name)
        if value is not None:
            return float("nan") if str(value).lower() == "nan" else float(value)
    return None
