"""Several processes that fit one model, as torchrun starts them.

In: what each holds of a batch. Out: what the batch as a whole holds. In one process nothing here does anything.
"""

from __future__ import annotations

import atexit
import gc
import logging
import os
from datetime import timedelta
from importlib import import_module
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from geoadapt.errors import GeoadaptError

__all__ = ["join", "local_rank", "local_world", "rank", "same_on_all", "sum_over_processes", "wait_for_all", "world"]

Value = TypeVar("Value")
PATIENCE = timedelta(hours=24)
"""The others wait while the first simulates data or scores a test; torchrun itself ends them where one fails."""


def world() -> int:
    """How many processes fit together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is, from 0; the first writes the files."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def local_world() -> int:
    """How many of them are on this machine."""
    return int(os.environ["LOCAL_WORLD_SIZE"]) if world() > 1 else 1


def local_rank() -> int:
    """Which of those on this machine this is, from 0."""
    return int(os.environ["LOCAL_RANK"]) if world() > 1 else 0


def join(device: str) -> None:
    """Make torchrun's processes one group, until they end; nothing where there is one process, or the group already.

    ``device`` is cpu, or cuda for a device each; raises GeoadaptError for any other, or where there are too few.
    """
    if not dist.is_available() or not dist.is_torchelastic_launched() or dist.is_initialized():
        return
    if int(os.environ["WORLD_SIZE"]) == 1:
        return
    if device == "cuda":
        _take_own_device()
    elif device != "cpu":
        raise GeoadaptError("runtime.device", f"'{device}' is not for several processes", "choose cpu or cuda")
    # the defaults of its functions are the group at the time of their import, which DDP would make later than this
    import_module("torch.distributed.nn.functional")
    dist.init_process_group("nccl" if device == "cuda" else "gloo", timeout=PATIENCE)
    atexit.register(_leave)
    if rank() > 0:
        logging.getLogger("geoadapt").setLevel(logging.WARNING)  # the first says what all do


def _leave() -> None:
    """End the group with its threads: one of gloo's that still tidies up when the interpreter ends aborts the process.

    They end with the group itself, so that nothing may hold it: no trainer in a cycle of references, by DDP.
    """
    gc.collect()
    dist.destroy_process_group()


def _take_own_device() -> None:
    asked, found = int(os.environ["LOCAL_WORLD_SIZE"]), torch.cuda.device_count()
    if asked > found:
        raise GeoadaptError(
            "runtime.device",
            f"{asked} processes on a machine with {found} cuda devices",
            f"choose --nproc-per-node {found}, or runtime.device=cpu",
        )
    torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))


def same_on_all(value: Value) -> Value:
    """What the first process holds."""
    if world() == 1:
        return value
    held = [value]
    dist.broadcast_object_list(held, src=0)
    return held[0]


def wait_for_all() -> None:
    """Go on when every process has come here."""
    if world() > 1:
        dist.barrier()


def sum_over_processes(sums: Tensor) -> Tensor:
    """The sum of a tensor over all processes, the same on each.

    Differentiable, for a loss that every process makes of such sums in the same way: each process's gradient is
    ``world`` times its share, so that the average that DDP takes is the gradient of one process with the whole batch.
    """
    if world() == 1:
        return sums
    total: Tensor = _Sum.apply(sums)  # type: ignore[no-untyped-call]
    return total


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, sums: Tensor) -> Tensor:
        total = sums.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> Tensor:
        return gradient[0] * world()
