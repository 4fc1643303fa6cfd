"""Weather archives at an address (``gs://…``, ``s3://…``, ``https://…``), in the canonical form of ``open_weather``.

In: the address of a Zarr store, which fsspec reads. Out: a lazy canonical cube; nothing but metadata and a few samples
is fetched before a part of it is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from geoadapt.cubes.axes import fields_of
from geoadapt.cubes.naming import Unnamed, name_field
from geoadapt.cubes.weather import open_weather
from geoadapt.cubes.weather_field import Request, finished, selected
from geoadapt.cubes.weather_files import Candidate, choose
from geoadapt.cubes.weather_merge import merged
from geoadapt.errors import GeoadaptError

__all__ = ["is_address", "open_archive"]

_PACKAGES = {"gs": "gcsfs", "gcs": "gcsfs", "s3": "s3fs", "http": "aiohttp", "https": "aiohttp"}
_ANONYMOUS: dict[str, dict[str, Any]] = {"gs": {"token": "anon"}, "gcs": {"token": "anon"}, "s3": {"anon": True}}


def is_address(source: str) -> bool:
    """Whether ``source`` is behind a protocol, not a path."""
    return "://" in source


def open_archive(
    source: str,
    variables: Sequence[str] = (),
    levels: Sequence[float] = (),
    start: str = "",
    end: str = "",
) -> xr.Dataset:
    """The canonical cube of a path or address, lazy; empty arguments want everything.

    Raises GeoadaptError as ``open_weather`` does, and where an address cannot be opened.
    """
    wanted, held = list(variables) or None, list(levels) or None
    if not is_address(source):
        return open_weather(
            source, variables=wanted, levels=held, start=start or None, end=end or None, gaps="error", chunks={}
        )
    fields = fields_of(_store(source), source)
    found = [
        Candidate(Path(source), n, a, Unnamed(a.problem) if isinstance(a, GeoadaptError) else name_field(a))
        for n, a in fields.items()
    ]
    request = Request(None if held is None else tuple(held), start or None, end or None, chunks={})
    chosen = [(w, selected(w, request)) for w in choose(found, wanted, source)[0]]
    lazy = [finished(w, array, request) for w, array in chosen if array.size]
    if not lazy:
        raise GeoadaptError(source, f"has no date from {start or 'its first'} to {end or 'its last'}", "choose others")
    return merged(lazy, source, duplicates="error", gaps="error")


def _store(address: str) -> xr.Dataset:
    """A Zarr store behind an address; raises GeoadaptError where what reads it is not installed, or it is not there."""
    import fsspec

    scheme = address.partition("://")[0]
    try:
        fsspec.get_filesystem_class(scheme)
    except (ImportError, ValueError) as error:
        package = _PACKAGES.get(scheme)
        hint = f"pip install {package}" if package else "give a path, or an address that fsspec knows"
        raise GeoadaptError(address, f"cannot be opened: {error}", hint) from error
    try:
        return xr.open_dataset(
            address,
            engine="zarr",
            chunks={},
            decode_times=False,
            storage_options=_ANONYMOUS.get(scheme, {}),
        )
    except Exception as error:  # noqa: BLE001  every file system has exceptions of its own
        raise GeoadaptError(address, f"cannot be opened: {error}", "check the address and the network") from error
