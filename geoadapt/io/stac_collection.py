"""A STAC collection over the items of one job: what they have in common, where and when they lie.

In: items as ``stac_write`` takes them. Out: their JSON files and the collection's, linked to each other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pystac

from geoadapt.io.atomic import write_text
from geoadapt.io.stac_write import OutputAsset, OutputItem, build_asset, build_item

__all__ = ["write_collection"]


def write_collection(
    path: Path,
    name: str,
    description: str,
    items: Mapping[Path, OutputItem],
    *,
    span: tuple[datetime, datetime],
    assets: Sequence[OutputAsset] = (),
    licence: str = "other",
) -> Path:
    """Write every item to its path below the folder of ``path``, and the collection that holds them; returns ``path``.

    ``assets``: files that belong to all items together; ``span``: first and last date.
    """
    built = {file: build_item(item, file) for file, item in items.items()}
    collection = pystac.Collection(name, description, _extent(list(built.values()), span), license=licence)
    for file, item in built.items():
        item.collection_id = name
        _link(item, "collection", path, file.parent)
        _link(collection, "item", file, path.parent)
    for asset in assets:
        collection.add_asset(asset.key, build_asset(asset, path.parent))
    for file, item in built.items():
        _write(file, item.to_dict(include_self_link=False, transform_hrefs=False))
    plain = collection.to_dict(include_self_link=False, transform_hrefs=False)
    plain["links"] = [link for link in plain["links"] if link["rel"] != "root"]
    return _write(path, plain)


def _extent(items: Sequence[pystac.Item], span: tuple[datetime, datetime]) -> pystac.Extent:
    boxes = [item.bbox for item in items if item.bbox is not None]
    first, last = (when if when.tzinfo else when.replace(tzinfo=UTC) for when in span)
    return pystac.Extent(
        pystac.SpatialExtent([boxes[0] if boxes else [-180.0, -90.0, 180.0, 90.0]]),
        pystac.TemporalExtent([[first, last]]),
    )


def _link(of: pystac.STACObject, relation: str, target: Path, folder: Path) -> None:
    href = "./" + target.relative_to(folder).as_posix()
    of.add_link(pystac.Link(relation, href, media_type="application/json"))


def _write(path: Path, plain: dict[str, Any]) -> Path:
    return write_text(path, json.dumps(plain, indent=2, ensure_ascii=False) + "\n")
