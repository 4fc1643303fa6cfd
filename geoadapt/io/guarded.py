"""Lazy arrays whose errors name the file, the array and, in a Zarr store, the chunk that cannot be read.

In: a variable of a dataset that was opened lazily. Out: the same variable, in whose place of reading an error of some
codec becomes a GeoadaptError; with dask the error comes when it is computed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing

from geoadapt.errors import GeoadaptError
from geoadapt.io.reason import reason
from geoadapt.io.zarr_chunks import broken_chunk

__all__ = ["guarded"]


def guarded(dataset: xr.Dataset, path: Path, *, zarr: bool) -> xr.Dataset:
    """The same dataset, its data variables guarded."""
    made = {
        name: xr.Variable(
            a.dims, indexing.LazilyIndexedArray(_Guarded(a.variable, str(name), path, zarr)), a.attrs, a.encoding
        )
        for name, a in dataset.data_vars.items()
        if a.dtype.kind in "fiu"
    }
    kept: xr.Dataset = dataset.assign(made)
    kept.set_close(dataset.close)
    return kept


class _Guarded(BackendArray):
    """What xarray asks of a lazy array: shape, dtype, and reading by outer index."""

    def __init__(self, variable: xr.Variable, name: str, path: Path, zarr: bool) -> None:
        self.shape = variable.shape
        self.dtype = variable.dtype
        self._variable = variable
        self._name = name
        self._path = path
        self._zarr = zarr

    def __getitem__(self, key: indexing.ExplicitIndexer) -> NDArray[Any]:
        read = indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)
        return np.asarray(read)

    def _read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        try:
            return np.asarray(self._variable[key].values)
        except GeoadaptError:
            raise
        except Exception as error:  # noqa: BLE001  every codec and library has exceptions of its own
            raise self._explained(key, error) from error

    def _explained(self, key: tuple[Any, ...], error: Exception) -> GeoadaptError:
        chunk = None
        if self._zarr and self._path.is_dir():
            chunk = broken_chunk(self._path, self._name, [_extent(k, n) for k, n in zip(key, self.shape, strict=True)])
        what = f"chunk '{chunk}' of array '{self._name}'" if chunk else f"array '{self._name}'"
        return GeoadaptError(self._path, f"{what} cannot be read: {reason(error)}", "copy it again from its source")


def _extent(key: Any, length: int) -> tuple[int, int]:
    """The first place that an index touches, and the one after the last."""
    if isinstance(key, slice):
        places = range(length)[key]
        return (min(places[0], places[-1]), max(places[0], places[-1]) + 1) if len(places) else (0, 0)
    flat = np.atleast_1d(np.asarray(key))
    return (int(flat.min()), int(flat.max()) + 1) if flat.size else (0, 0)
