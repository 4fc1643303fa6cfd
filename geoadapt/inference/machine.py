"""Where a model runs: on which device, with how many threads."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn.functional import conv2d

from geoadapt.errors import GeoadaptError

__all__ = ["choose_device", "limited_threads", "use_threads"]

ROUNDS = 20


def choose_device(wanted: str) -> str:
    """The device that ``runtime.device`` means here; raises GeoadaptError where there is none such."""
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise GeoadaptError("runtime.device", f"'{wanted}', and torch sees no such device", "choose cpu or auto")
    return wanted


def use_threads(wanted: int = 0) -> int:
    """Set torch's threads to ``wanted``, or for 0 to what is faster now, one or all cores; returns their number.

    On a busy machine threads that wait for each other can be many times slower than one alone.
    """
    threads = wanted or _faster()
    torch.set_num_threads(threads)
    return threads


@contextmanager
def limited_threads(threads: int | None) -> Iterator[None]:
    """Torch's threads while a block runs; None or 0 leaves them."""
    before = torch.get_num_threads()
    if threads:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _faster() -> int:
    cores = os.cpu_count() or 1
    if cores == 1:
        return 1
    image, weight = torch.rand(4, 16, 128, 128), torch.rand(16, 16, 3, 3)
    taken: dict[int, float] = {}
    for threads in (1, cores):
        torch.set_num_threads(threads)
        conv2d(image, weight)
        begin = time.perf_counter()
        for _ in range(ROUNDS):
            conv2d(image, weight)
        taken[threads] = time.perf_counter() - begin
    return min(taken, key=lambda threads: taken[threads])
