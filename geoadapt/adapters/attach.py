"""Attach an adapter to a backbone, and see that it is alive.

In: a frozen backbone and an adapter's configuration. Out: ``Attached``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from geoadapt.adapters import ADAPTERS
from geoadapt.adapters.base import Attached
from geoadapt.backbones.base import Features
from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch
from geoadapt.registry import build

__all__ = ["Attached", "attach", "probe"]

NUDGE = 0.02
"""Standard deviation of the noise that the probe adds to every parameter."""


def attach(backbone: nn.Module, config: object) -> Attached:
    """The backbone with the adapter that ``config`` describes; the backbone itself is changed in place."""
    attached: Attached = build(ADAPTERS, config, backbone)
    return attached


def probe(attached: Attached, batch: Batch) -> None:
    """See that every adapted module moves the output; all parameters are as before afterwards.

    Adds a little noise to every adapter parameter and asks in eval mode for the gradient of the features.

    Raises:
        GeoadaptError: naming the modules that change nothing.
    """
    modules = attached.modules()
    if not modules:
        return
    parameters = attached.parameters()
    kept = [(p.detach().clone(), p.grad) for p in parameters]
    training = {module: module.training for module in attached.backbone.modules()}
    attached.backbone.eval()
    generator = torch.Generator().manual_seed(0)
    try:
        with torch.enable_grad():
            before = _flat(attached.backbone(batch)).detach()
            with torch.no_grad():
                for parameter in parameters:
                    parameter.add_(torch.randn(parameter.shape, generator=generator).to(parameter), alpha=NUDGE)
            after = _flat(attached.backbone(batch))
            weights = torch.randn(after.shape, generator=generator).to(after)
            gradients = _gradients((after * weights).sum(), parameters)
    finally:
        with torch.no_grad():
            for parameter, (value, gradient) in zip(parameters, kept, strict=True):
                parameter.copy_(value)
                parameter.grad = gradient
        for module, was in training.items():
            module.training = was
    alive = {id(p): g is not None and bool((g != 0).any()) for p, g in zip(parameters, gradients, strict=True)}
    enough = all if attached.each_reaches else any
    dead = [name for name, own in modules.items() if not enough(alive[id(p)] for p in own)]
    if torch.equal(before, after):
        dead = list(modules)
    if dead:
        more = f" and {len(dead) - 5} more" if len(dead) > 5 else ""
        raise GeoadaptError(
            "adapter.targets",
            f"the adapter of {', '.join(dead[:5])}{more} does not reach the output",
            "leave them out: the backbone does not call these modules for this input",
        )


def _flat(features: Features) -> Tensor:
    return torch.cat([m.float().flatten() for m in features.maps])


def _gradients(loss: Tensor, parameters: list[nn.Parameter]) -> list[Tensor | None]:
    if not loss.requires_grad:
        return [None] * len(parameters)
    return list(torch.autograd.grad(loss, parameters, allow_unused=True))
