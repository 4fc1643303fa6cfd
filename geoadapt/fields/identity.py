"""What a dataset is, as plain data: what was computed from it may be used again only while this stays the same."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from geoadapt.fields.scenes import BlockSplit, Dataset, LabelledScene
from geoadapt.io.base import Source, Window

__all__ = ["identity"]

PROBE = 256
"""Side of the window that stands for a remote image, and height of the strips in which others are read [px]."""


def identity(data: Dataset) -> dict[str, Any]:
    """Scenes by name, files by size and time of change, arrays by content, and how they are split."""
    return {
        "channels": data.channels,
        "turns": data.turns,
        "scenes": [_scene(scene) for scene in data.train],
        "train": _split(data.train_blocks),
        "val": _split(data.val_blocks),
    }


def _scene(scene: LabelledScene) -> dict[str, Any]:
    return {
        "name": scene.name,
        "classes": scene.classes,
        "resolution": scene.resolution,
        "image": _source(scene.image),
        "label": None if scene.label is None else _source(scene.label),
    }


def _source(source: Source) -> dict[str, Any]:
    info = source.info
    path = Path(info.origin)
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else []
    return {
        "files": [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in files],
        "content": "" if files else _hash(source),
        "size": (info.height, info.width),
        "bands": info.bands,
        "units": (info.scale, info.offset, info.nodata),
        "table": sorted(getattr(source, "table", {}).items()),
        "taken": (info.sensor, info.time),
    }


def _hash(source: Source) -> str:
    """The sha256 of the raw pixels, read by strips; of a remote image those in its middle."""
    info = source.info
    window = Window(0, 0, info.height, info.width)
    if "://" in info.origin or info.origin.startswith("/vsi"):
        height, width = min(PROBE, info.height), min(PROBE, info.width)
        window = Window((info.height - height) // 2, (info.width - width) // 2, height, width)
    digest = hashlib.sha256()
    for row in range(window.row, window.row + window.height, PROBE):
        height = min(PROBE, window.row + window.height - row)
        pixels = source.read(Window(row, window.col, height, window.width))
        digest.update(np.ascontiguousarray(pixels).tobytes())
    return digest.hexdigest()


def _split(sides: Mapping[str, BlockSplit]) -> dict[str, tuple[int, str]]:
    return {n: (s.block, hashlib.sha256(np.packbits(s.mask).tobytes()).hexdigest()) for n, s in sides.items()}
