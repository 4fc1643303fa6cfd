"""Where a stack lies while it is restored: a GeoZarr (time, band, y, x), written block by block, kept over a kill.

In: blocks of what was restored. Out: windows of any date or composite; and, finished, the cube as one store.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.io.atomic import publish, remove, write_text
from geoadapt.io.base import Window
from geoadapt.io.zarr_cube import CubeSpec, Layer, add_layer, create_cube, finish_cube

__all__ = ["Store"]

Looks = tuple[NDArray[np.int16], NDArray[np.int16]]


@dataclass(frozen=True, slots=True)
class _Paths:
    folder: Path

    @property
    def key(self) -> Path:
        return self.folder / "key.json"

    @property
    def journal(self) -> Path:
        return self.folder / "blocks.txt"

    @property
    def cube(self) -> Path:
        return self.folder / "cube.zarr"

    def look(self, block: int) -> Path:
        return self.folder / "looks" / f"{block}.npz"


class Store:
    """The work folder of one stack: a cube, small pictures of it, and a journal of the blocks that are whole.

    What another run of the same job left in ``folder`` is taken up; anything else in it is removed.
    """

    def __init__(
        self, folder: Path, job: Mapping[str, Any], spec: CubeSpec, layers: Sequence[Layer], tile: int
    ) -> None:
        """``job``: plain data that make two runs one job; ``tile``: side of the chunks [px]."""
        self._at, self._spec, self._tile = _Paths(folder), spec, tile
        self._layers = {layer.name: layer for layer in layers}
        key = json.dumps(job, sort_keys=True, default=str)
        if not self._continues(key):
            remove(folder)
            (folder / "looks").mkdir(parents=True)
            create_cube(self._at.cube, spec)
            write_text(self._at.key, key)
        for torn in self._at.cube.rglob("*.partial"):
            torn.unlink()  # zarr writes a chunk under such a name first, and a kill leaves it there
        self._group: Any = zarr.open_group(self._at.cube, mode="r+")
        self.done = self._journal()

    def write(self, block: int, window: Window, parts: Mapping[str, NDArray[np.generic]], looks: Looks) -> None:
        """Put one block's parts (…, h, w) at ``window``, by layer, and the pixels of its pictures before and after."""
        try:
            self._write(block, window, parts, looks)
        except OSError as error:
            problem = f"cannot be written: {error.strerror or error}"
            raise GeoadaptError(self._at.folder, problem, "check the free space and the folder's rights") from error
        self.done.add(block)

    def holds(self, name: str) -> bool:
        """Whether any block had a part of this name."""
        return name in self._group

    def read(self, name: str, window: Window, index: int | None = None) -> NDArray[np.generic]:
        """A window (c, h, w) of a layer, of its date or month ``index`` where it has those; c = 1 without bands."""
        lead = () if index is None else (index,)
        values = np.asarray(self._group[name][(*lead, ..., *_slices(window))])
        return values[None] if values.ndim == 2 else values

    def looks(self, block: int) -> Looks:
        """The pixels of a block's pictures before and after (t, c, h, w), as they were given to ``write``."""
        with np.load(self._at.look(block)) as held:
            return held["before"], held["after"]

    def publish(self, path: Path) -> Path:
        """Make the cube a store of its own at ``path``; nothing can be read from here any more."""
        finish_cube(self._at.cube, path)
        return publish(self._at.cube, path)

    def remove(self) -> None:
        """Remove the work folder."""
        remove(self._at.folder)

    def _write(self, block: int, window: Window, parts: Mapping[str, NDArray[np.generic]], looks: Looks) -> None:
        rows, cols = _slices(window)
        for name, values in parts.items():
            self._array(name)[..., rows, cols] = values
        np.savez(self._at.look(block), before=looks[0], after=looks[1])
        with self._at.journal.open("a") as file:
            file.write(f"{block}\n")
            file.flush()
            os.fsync(file.fileno())

    def _array(self, name: str) -> Any:
        if name not in self._group:
            return add_layer(self._group, self._spec, self._layers[name], self._tile)
        return self._group[name]

    def _continues(self, key: str) -> bool:
        try:
            return self._at.key.read_text() == key and self._at.cube.is_dir()
        except OSError:
            return False

    def _journal(self) -> set[int]:
        """Blocks that are whole; a line that a kill cut short does not count."""
        if not self._at.journal.exists():
            return set()
        text = self._at.journal.read_text()
        return {int(line) for line in text[: text.rfind("\n") + 1].split()}


def _slices(window: Window) -> tuple[slice, slice]:
    return slice(window.row, window.row + window.height), slice(window.col, window.col + window.width)
