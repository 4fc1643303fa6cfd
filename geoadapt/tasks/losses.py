"""Losses for classes on a grid; pixels whose target is 255 are left out.

In: scores (n, k, h, w) before the softmax, targets (n, h, w) class indices. Out: a scalar.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's usual name

__all__ = ["IGNORE", "LOSSES", "Loss", "cross_entropy", "dice", "focal", "lovasz"]

IGNORE = 255
Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def cross_entropy(scores: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean cross-entropy, classes weighted by ``weight`` (k,); zero where nothing is labelled."""
    if not bool((target != IGNORE).any()):
        return scores.sum() * 0
    return F.cross_entropy(scores, target, weight=weight, ignore_index=IGNORE)


def focal(scores: Tensor, target: Tensor, weight: Tensor | None = None, gamma: float = 2.0) -> Tensor:
    """Cross-entropy times (1 − p)^γ (Lin 2017, eq. 4)."""
    known = target != IGNORE
    if not bool(known.any()):
        return scores.sum() * 0
    logs = F.log_softmax(scores, dim=1)
    picked = logs.gather(1, target.where(known, 0)[:, None])[:, 0]
    loss = -((1 - picked.exp()) ** gamma) * picked
    share = known.to(loss.dtype) if weight is None else known * weight[target.where(known, 0)]
    return (loss * share).sum() / share.sum()


def dice(scores: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """One minus the soft Dice coefficient, mean over the classes in the target (Milletari 2016)."""
    onehot, soft, present = _parts(scores, target)
    if not bool(present.any()):
        return scores.sum() * 0
    both = (soft * onehot).sum(dim=(0, 2, 3))
    coefficient = (2 * both + 1) / (soft.sum(dim=(0, 2, 3)) + onehot.sum(dim=(0, 2, 3)) + 1)
    return (1 - coefficient)[present].mean()


def lovasz(scores: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Lovász-softmax over the classes in the target: a convex surrogate of 1 − IoU (Berman 2018, eq. 12)."""
    onehot, soft, present = _parts(scores, target)
    known = (target != IGNORE).flatten()
    losses = []
    for index in torch.nonzero(present).flatten().tolist():
        truth = onehot[:, index].flatten()[known]
        errors, order = (truth - soft[:, index].flatten()[known]).abs().sort(descending=True)
        losses.append(torch.dot(errors, _jaccard_steps(truth[order])))
    return torch.stack(losses).mean() if losses else scores.sum() * 0


def _parts(scores: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    known = (target != IGNORE)[:, None]
    onehot = F.one_hot(target.where(target != IGNORE, 0), scores.shape[1]).movedim(-1, 1) * known
    soft = scores.softmax(dim=1) * known
    return onehot.to(soft.dtype), soft, onehot.sum(dim=(0, 2, 3)) > 0


def _jaccard_steps(truth: Tensor) -> Tensor:
    """Increments of the Jaccard loss along errors sorted from large to small (Berman 2018, algorithm 1)."""
    total = truth.sum()
    jaccard = 1 - (total - truth.cumsum(0)) / (total + (1 - truth).cumsum(0))
    return torch.cat([jaccard[:1], jaccard[1:] - jaccard[:-1]])


LOSSES: dict[str, Loss] = {"ce": cross_entropy, "focal": focal, "dice": dice, "lovasz": lovasz}
