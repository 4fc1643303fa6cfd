"""What simulating scenes would cost on this machine, from one small scene that is made and thrown away."""

from __future__ import annotations

import os
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from geoadapt.errors import GeoadaptError

__all__ = ["Cost", "check_folder", "simulation_cost"]

TRIED = 192
"""Side of the scene that is tried [px]."""
STORED = 2
"""Bytes of a band's pixel on disk, before compression."""
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds [s], memory above the program's own and disk before compression [bytes]."""

    seconds: float
    memory: float
    disk: float

    def __add__(self, other: Cost) -> Cost:
        """One after the other."""
        return Cost(self.seconds + other.seconds, max(self.memory, other.memory), self.disk + other.disk)

    def __str__(self) -> str:
        return f"{self.seconds:.0f} s, {self.memory / MIB:.0f} MiB of memory, at most {self.disk / MIB:.0f} MiB on disk"


def simulation_cost(scenes: int, size: int, sensors: Sequence[str]) -> Cost:
    """The cost of ``scenes`` scenes of ``size`` px, one after the other; raises GeoadaptError for an unknown sensor."""
    from data_pipelines.simulate.scene import SceneSpec, simulate_scene

    tracemalloc.start()
    try:
        begin = time.perf_counter()
        made = simulate_scene(SceneSpec(min(size, TRIED), 0, sensors[0]))
        seconds = time.perf_counter() - begin
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    times = (size / min(size, TRIED)) ** 2
    return Cost(seconds * times * scenes, peak * times, scenes * size**2 * (len(made.bands) * STORED + 1))


def check_folder(folder: Path, key: str) -> None:
    """Raise GeoadaptError where ``folder`` cannot be a folder to write to; nothing is made."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not there.is_dir():
        raise GeoadaptError(key, f"'{there}' is a file", "choose a folder")
    if not os.access(there, os.W_OK):
        raise GeoadaptError(key, f"'{there}' cannot be written to", "choose another folder")
