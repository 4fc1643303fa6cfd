"""Samples, and what a backbone's frozen blocks made of them, kept in a folder of plain arrays.

In: samples and states, batch by batch. Out: the same again, for any choice of samples. A folder is whole when it has an
index, which is written last and names every file's size and sha256.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoadapt.backbones.base import State
from geoadapt.errors import GeoadaptError
from geoadapt.fields.chips import Sample
from geoadapt.fields.types import Where
from geoadapt.io.atomic import staged_folder, sweep

__all__ = ["DamagedError", "Store", "locked", "size_of", "write_store"]

INDEX = "index.json"
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
SPARE = 1.05
"""Free space that a store must find, over its own size."""
Arrays = dict[str, NDArray[Any]]


class DamagedError(Exception):
    """A store is there and cannot be trusted."""


class Store:
    """A whole store, read by the numbers of its samples."""

    def __init__(self, folder: Path, *, verify: bool = True) -> None:
        """Open it, every file checked; raises FileNotFoundError where none is, DamagedError where one has changed."""
        self.folder = folder
        if not folder.is_dir():
            raise FileNotFoundError(folder)
        try:
            self.index: dict[str, Any] = json.loads((folder / INDEX).read_text(encoding="utf-8"))
            files = self.index["files"]
            for name, stored in files.items():
                if verify and _identity(folder / name) != stored:
                    raise DamagedError(f"{name} is not what was written")
            self.arrays: Arrays = {name.removesuffix(".npy"): np.load(folder / name, mmap_mode="r") for name in files}
            self.samples: list[dict[str, Any]] = self.index["samples"]
            self.dtypes: dict[str, str] = self.index["dtypes"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DamagedError(f"{type(error).__name__}: {error}") from error

    def __len__(self) -> int:
        return len(self.samples)

    def read(self, numbers: Sequence[int]) -> tuple[list[Sample], State]:
        """The samples with these numbers, and their states as one."""
        own = [name for name in self.arrays if name in ARRAY_FIELDS]
        samples = [Sample(**_where(self.samples[n]), **{name: self.arrays[name][n] for name in own}) for n in numbers]
        seen = torch.from_numpy(self.arrays["seen"][list(numbers)]) if "seen" in self.arrays else None
        maps = tuple(self._tensor(f"map{i}", numbers) for i in range(self.index["maps"]))
        tokens = self._tensor("tokens", numbers) if "tokens" in self.arrays else None
        visible = None if seen is None or bool(seen.all()) else seen
        return samples, State(maps, tokens, visible, tuple(self.index["grid"]))

    def _tensor(self, name: str, numbers: Sequence[int]) -> Tensor:
        picked = torch.from_numpy(self.arrays[name][list(numbers)])
        if picked.dtype == torch.int16:
            picked = picked.view(torch.bfloat16)
        return picked.to(DTYPES[self.dtypes[name]])


def write_store(
    folder: Path, count: int, batches: Iterable[tuple[Sequence[Sample], State]], dtype: str, about: Mapping[str, Any]
) -> Store:
    """Write ``count`` samples, whole or not at all, with maps and tokens as ``fp32`` or ``bf16``.

    Raises GeoadaptError where the folder's disk has not enough free space, before anything is written.
    """
    samples: list[dict[str, Any]] = []
    arrays: Arrays = {}
    dtypes: dict[str, str] = {}
    grid: tuple[int, ...] = ()
    maps = 0
    folder.parent.mkdir(parents=True, exist_ok=True)
    sweep(folder.parent)
    with staged_folder(folder) as part:
        for chips, state in batches:
            rows = slice(len(samples), len(samples) + len(chips))
            found = _plain(chips, state, dtype)
            if not samples:
                grid, maps, dtypes = state.grid, len(state.maps), _names(state)
                _must_fit(folder, sum(v[:1].nbytes for v in found.values()) * count)
            for name, values in found.items():
                if name not in arrays:
                    shape = (count, *values.shape[1:])
                    arrays[name] = np.lib.format.open_memmap(part / f"{name}.npy", "w+", values.dtype, shape)
                    if name == "seen":  # a batch in which every token takes part does not say so
                        arrays[name][:] = True
                arrays[name][rows] = values
            samples.extend(_told(chip) for chip in chips)
        for array in arrays.values():
            array.flush()  # type: ignore[attr-defined]
        index = {
            "about": about,
            "samples": samples,
            "grid": grid,
            "maps": maps,
            "dtypes": dtypes,
            "files": {f"{name}.npy": _identity(part / f"{name}.npy") for name in arrays},
        }
        (part / INDEX).write_text(json.dumps(index, default=_simple), encoding="utf-8")
    return Store(folder, verify=False)


def size_of(chips: Sequence[Sample], state: State, dtype: str) -> int:
    """Bytes that samples and their states take in a store."""
    return sum(array.nbytes for array in _plain(chips, state, dtype).values())


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Only one process at a time gets past here; the others wait. Where the system has no such locks, all do."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _plain(chips: Sequence[Sample], state: State, dtype: str) -> Arrays:
    """Everything that is an array (n, …), as it is stored."""
    found: Arrays = {name: np.stack([getattr(chip, name) for chip in chips]) for name in ARRAY_FIELDS}
    for name, tensor in _tensors(state).items():
        kept = tensor.detach().to("cpu", tensor.dtype if tensor.dtype == torch.bfloat16 else DTYPES[dtype]).contiguous()
        # numpy knows no bfloat16: its bits are kept
        found[name] = (kept.view(torch.int16) if kept.dtype == torch.bfloat16 else kept).numpy()
    if state.seen is not None:
        found["seen"] = state.seen.cpu().numpy()
    return found


def _tensors(state: State) -> dict[str, Tensor]:
    named = {f"map{i}": m for i, m in enumerate(state.maps)}
    return named if state.tokens is None else {**named, "tokens": state.tokens}


def _names(state: State) -> dict[str, str]:
    """Which type each tensor had: it comes back as that."""
    return {n: "bf16" if t.dtype == torch.bfloat16 else "fp32" for n, t in _tensors(state).items()}


ARRAY_FIELDS = ("values", "valid", "label")


def _told(chip: Sample) -> dict[str, Any]:
    """What is known of a chip beside its arrays."""
    told = {f.name: getattr(chip, f.name) for f in fields(chip) if f.name not in ARRAY_FIELDS}
    return told | {"where": asdict(chip.where)}


def _simple(value: object) -> object:
    """For JSON: numpy's numbers as Python's, anything else as text."""
    return value.item() if isinstance(value, np.generic) else str(value)


def _where(told: Mapping[str, Any]) -> dict[str, Any]:
    return {**told, "where": Where(**told["where"])}


def _identity(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _must_fit(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder.parent).free
    if size * SPARE > free:
        raise GeoadaptError(
            folder.parent,
            f"the cache needs {size / 2**20:,.0f} MiB, {free / 2**20:,.0f} MiB are free",
            "lower train.cache or train.cache_chips, choose train.cache_dtype=bf16, or name another train.cache_dir",
        )
