"""A pointwise bundle and a source that counts what is read, for tests of the streaming engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoadapt.cubes.classes import CLOUD_CLASSES, ClassInfo
from geoadapt.io.arrays import ArraySource
from geoadapt.io.base import SourceInfo, Window


@dataclass
class FakeBundle:
    """Cloud where the first band exceeds 0.3, shadow where it is below 0.05, else clear."""

    name: str = "fake"
    channels: tuple[str, ...] = ("blue", "green", "red")
    classes: tuple[ClassInfo, ...] = CLOUD_CLASSES
    multiple: int = 4
    threshold: float | None = None
    calls: list[tuple[int, ...]] = field(default_factory=list)
    before: Callable[[Tensor], None] | None = None

    def scores(
        self,
        values: Tensor,
        valid: Tensor | None,
        *,
        time: datetime | None,
        resolution: float | None,
        sensor: str | None = None,
    ) -> Tensor:
        self.calls.append(tuple(values.shape))
        if self.before:
            self.before(values)
        assert torch.isfinite(values).all()
        first = values[:, 0]
        return torch.stack([0 * first + 0.5, first + 0.2, 0 * first, 0.55 - first], 1).softmax(1)


def expected_labels(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    first = torch.from_numpy(np.nan_to_num(image, nan=0.1))[:1][None]
    labels = FakeBundle().scores(first, None, time=None, resolution=None)[0].numpy().argmax(0).astype(np.uint8)
    labels[~np.isfinite(image).all(0)] = 255
    return labels


class CountingSource:
    """A source that notes its windows, and can fail at a row."""

    def __init__(self, array: NDArray[np.generic], fail_at: int | None = None, nodata: float | None = None) -> None:
        self._inner = ArraySource(array, [f"b{i}" for i in range(len(array))], nodata=nodata)
        self.windows: list[Window] = []
        self._fail_at = fail_at

    @property
    def info(self) -> SourceInfo:
        return self._inner.info

    def read(self, window: Window, bands: Sequence[int] | None = None) -> NDArray[np.generic]:
        self.windows.append(window)
        if self._fail_at is not None and window.row + window.height > self._fail_at:
            raise OSError("the disk is gone")
        return self._inner.read(window, bands)

    def close(self) -> None:
        pass


class MemorySink:
    """Keeps what is written, and checks that every pixel comes once."""

    def __init__(self, count: int, height: int, width: int) -> None:
        self.values = np.zeros((count, height, width), np.uint8)
        self.times = np.zeros((height, width), int)

    def write(self, window: Window, values: NDArray[np.generic]) -> None:
        part = np.s_[window.row : window.row + window.height, window.col : window.col + window.width]
        self.values[(slice(None), *part)] = values
        self.times[part] += 1

    def commit(self) -> Path:
        return Path()

    def abort(self) -> None:
        pass
