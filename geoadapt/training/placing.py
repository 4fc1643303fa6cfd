"""Where a fit runs: on one device, or in all of torchrun's processes.

In: the machine's settings, the module under training and its batches. Out: words for Lightning's trainer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from geoadapt.config import RuntimeConfig
from geoadapt.fields.loaders import Loaders
from geoadapt.tasks.processes import local_world, sum_over_processes, world
from geoadapt.training.feeding import draw

if TYPE_CHECKING:
    from geoadapt.training.loop import Fit

__all__ = ["placed"]


def placed(runtime: RuntimeConfig, fitted: Fit, batches: Loaders) -> dict[str, Any]:
    """Lightning's words for where a fit runs: on one device, or in all of torchrun's processes."""
    kind, _, index = runtime.device.partition(":")
    accelerator = "cpu" if kind == "cpu" else "auto"
    if world() == 1:
        return {"accelerator": accelerator, "devices": [int(index)] if index else 1}
    from lightning.pytorch.strategies import DDPStrategy

    # buffers are constants here, and in validation the processes do not take the same number of batches
    strategy = DDPStrategy(broadcast_buffers=False, find_unused_parameters=_leaves_some_out(fitted, batches))
    nodes = world() // local_world()
    return {"accelerator": accelerator, "devices": local_world(), "num_nodes": nodes, "strategy": strategy}


def _leaves_some_out(fitted: Fit, batches: Loaders) -> bool:
    """Whether the first batch moves only some of the parameters: DDP waits for the others unless it is told."""
    module = fitted.module
    batch = next(iter(batches.train), None)
    if batch is None:  # a finished fit is resumed for what comes after it
        return False
    device = next(module.parameters()).device
    batch = batch.to(device)
    module.train()
    draw(module, fitted.seed, 0, batch, fitted.config.batch)
    fitted.task.loss(module(batch), batch).backward()  # type: ignore[no-untyped-call]
    trained = [p for p in module.parameters() if p.requires_grad]
    idle = torch.tensor(float(sum(p.grad is None for p in trained)), device=device)
    module.zero_grad(set_to_none=True)
    return bool(sum_over_processes(idle) > 0)
