"""The most memory that a piece of work takes.

In: work, as a block. Out: MiB of the device's memory where there is one, else of this process; None where the system
does not say. The system counts anew from when the block begins, what the process holds then included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["peak_memory"]

RESET, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
MIB = 1024 * 1024


@contextmanager
def peak_memory(device: str) -> Iterator[Callable[[], float | None]]:
    """Yield a function that says how much it was since the block began [MiB]."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
        yield lambda: torch.cuda.max_memory_allocated() / MIB
        return
    try:
        RESET.write_text("5")
    except OSError:  # another system, or one that does not let us
        yield lambda: None
        return
    yield _resident


def _resident() -> float | None:
    lines = STATUS.read_text().splitlines()
    found = next((line for line in lines if line.startswith("VmHWM:")), None)
    return None if found is None else int(found.split()[1]) / 1024
