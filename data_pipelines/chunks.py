"""Training cubes: weather as Zarr of which one date is whole chunks, made region by region, whole or absent.

In: dates, and a function that gives any run of them as a lazy Dataset. Out: a Zarr v3 store with chunks of one date and
all levels, latitudes and longitudes. An interrupted run goes on where it stopped and ends with the same bytes; what is
computed goes through dask, on threads or on the cluster of whichever client is active.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
import zarr
import zarr.errors
from numpy.typing import NDArray
from zarr.codecs import BloscCodec

from data_pipelines.resume import Making, label_text
from geoadapt.errors import GeoadaptError

__all__ = ["LABEL", "TrainingCube", "write_training"]

LABEL = "geoadapt_training"
"""The attribute that says what a store was made from, and how."""
REGION = 2**29
"""Bytes that are read, computed and written together, about."""
DIMS = ("time", "level", "model_level", "latitude", "longitude")


@dataclass(frozen=True, slots=True)
class TrainingCube:
    """What is to be written."""

    times: NDArray[np.datetime64]
    """(t,) ascending."""
    region: Callable[[slice], xr.Dataset]
    """A run of dates → their fields, lazy, dims among ``DIMS`` in this order; the bits depend on the date alone."""
    static: xr.Dataset
    """Fields (latitude, longitude)."""
    label: Mapping[str, Any]
    """Plain data: where it all comes from. A store with another label is never continued or replaced."""


def write_training(
    cube: TrainingCube, path: Path, *, shard: int = 1, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Write ``cube`` to ``path``, ``shard`` dates in a file; returns ``path``, at once where it is there already.

    What was made is kept beside it as ``.NAME.making`` until all is. ``progress`` hears dates done, and of how many.
    Raises GeoadaptError for a store of another label, for no dates, and where the disk refuses.
    """
    if shard < 1:
        raise GeoadaptError("shard", f"{shard} dates in a file", "choose 1 or more")
    if not len(cube.times):
        raise GeoadaptError(path, "would hold no date", "choose a longer period")
    label = label_text({**cube.label, "shard": shard})
    if path.exists():
        return _finished(path, label)
    making = Making(path, label)
    with making.alone():
        if not making.begun():
            _create(making, cube, shard)
            making.begin()
        arrays = _arrays(making.product, cube)
        for region in _regions(cube, shard):
            files = partial(_files, making.product, arrays, region, shard)
            if not making.has(f"{region.start}-{region.stop}", files()):
                _write(arrays, cube, region, shard, path)
                making.note(f"{region.start}-{region.stop}", files())
            if progress is not None:
                progress(region.stop, len(cube.times))
        with _quiet():
            zarr.consolidate_metadata(making.product)
        with xr.open_zarr(making.product, chunks=None) as made:
            made.isel(time=[0, -1]).load()
        return making.publish()


def _finished(path: Path, label: str) -> Path:
    """``path``, where it is the store that is wanted."""
    try:
        found = json.loads((path / "zarr.json").read_bytes())["attributes"][LABEL]
    except (OSError, ValueError, KeyError, TypeError):
        raise GeoadaptError(path, "exists, and is no training cube", "name another, or remove it") from None
    if found != label:
        old, new = json.loads(found), json.loads(label)
        other = sorted(k for k in old.keys() | new.keys() if old.get(k) != new.get(k))
        raise GeoadaptError(path, f"was made with another {', '.join(other)}", "name another path, or remove it")
    return path


def _regions(cube: TrainingCube, shard: int) -> Iterator[slice]:
    """Runs of whole shards that fit into memory."""
    size = max(1, sum(v.nbytes for v in cube.region(slice(0, 1)).data_vars.values()))
    length = max(1, REGION // (size * shard)) * shard
    for start in range(0, len(cube.times), length):
        yield slice(start, min(start + length, len(cube.times)))


def _create(making: Making, cube: TrainingCube, shard: int) -> None:
    """Empty arrays, coordinates and what does not change."""
    one = cube.region(slice(0, 1))
    coordinates = {d: one[d] for d in DIMS if d in one.dims and d != "time"}
    empty = xr.Dataset(coords={"time": cube.times.astype("datetime64[ns]"), **coordinates}).drop_encoding()
    whole_hours = not (cube.times.astype("datetime64[s]").astype(np.int64) % 3600).any()
    unit = "hours" if whole_hours else "seconds"
    empty["time"].encoding = {"units": f"{unit} since 1970-01-01", "dtype": "int64", "calendar": "standard"}
    empty.attrs = {"Conventions": "CF-1.11", **one.attrs, LABEL: making.label}
    with _quiet():
        empty.merge(cube.static.drop_encoding(), combine_attrs="override", compat="override").to_zarr(
            making.product, mode="w", zarr_format=3, consolidated=False
        )
        for name, field in one.data_vars.items():
            _create_array(making.product / str(name), field, len(cube.times), shard)


def _arrays(store: Path, cube: TrainingCube) -> dict[str, Any]:
    # a date of which all is missing is a chunk like any other: an absent one would look damaged
    with zarr.config.set({"array.write_empty_chunks": True}):
        group = zarr.open_group(store, mode="r+")
        return {str(n): group[str(n)] for n in cube.region(slice(0, 1)).data_vars}


def _write(arrays: Mapping[str, Any], cube: TrainingCube, region: slice, shard: int, path: Path) -> None:
    """Compute a region, with whichever scheduler or cluster dask is told to use."""
    fields = cube.region(region)
    sources, places = [], []
    for name, array in arrays.items():
        if fields[name].shape != (region.stop - region.start, *array.shape[1:]):
            raise GeoadaptError(path, f"'{name}' changes its grid between dates", "give one grid")
        whole = {"time": shard, **dict.fromkeys(fields[name].dims[1:], -1)}
        sources.append(fields[name].astype(np.float32).chunk(whole).data)
        places.append((region, *(slice(0, n) for n in array.shape[1:])))
    da.store(sources, list(arrays.values()), regions=places, lock=False)


def _files(store: Path, names: Iterable[str], region: slice, shard: int) -> list[Path]:
    """The files that hold a region."""
    parts = range(region.start // shard, -(-region.stop // shard))
    return [p for n in names for i in parts for p in (store / n / "c" / str(i)).rglob("*") if p.is_file()]


def _create_array(path: Path, field: xr.DataArray, count: int, shard: int) -> None:
    if field.dims[0] != "time" or field.dims[-2:] != ("latitude", "longitude") or not set(field.dims) <= set(DIMS):
        raise GeoadaptError(str(field.name), f"has dims {list(map(str, field.dims))}", f"expected some of {list(DIMS)}")
    grid = field.shape[1:]
    zarr.create_array(
        path,
        shape=(count, *grid),
        dtype="float32",
        chunks=(1, *grid),
        shards=(shard, *grid) if shard > 1 else None,
        compressors=BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle"),
        fill_value=np.nan,
        dimension_names=[str(d) for d in field.dims],
        attributes={k: v for k, v in field.attrs.items() if isinstance(v, str | int | float)},
        zarr_format=3,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Consolidated metadata spare a reader many small requests, and a reader that does not know them ignores them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Consolidated metadata", zarr.errors.ZarrUserWarning)
        yield
