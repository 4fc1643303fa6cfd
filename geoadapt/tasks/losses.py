"""Losses for classes on a grid; pixels whose target is 255 are left out.

In: scores (n, k, h, w) before the softmax, targets (n, h, w) class indices. Out: sums that add over parts of a batch,
and a scalar made of them: so the loss of a batch that several processes share is that of the whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's usual name

__all__ = ["IGNORE", "LOSSES", "Loss", "cross_entropy_sums", "dice_sums", "focal_sums", "lovasz_sums", "ratio"]

IGNORE = 255


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss as sums over pixels, and what is made of them; zero where nothing is labelled."""

    sums: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    """Scores, targets, class weights (k,) or None to (m,)."""
    finish: Callable[[Tensor], Tensor]
    """(m,) to a scalar."""
    size: Callable[[int], int] = lambda classes: 2
    """How many sums there are, for k classes."""
    divisible: bool = True
    """Whether the sums of a batch are the sums of its parts."""

    def __call__(self, scores: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss of one whole batch."""
        return self.finish(self.sums(scores, target, weight))


def cross_entropy_sums(scores: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Cross-entropy times class weight, and class weight, summed over pixels (2,)."""
    total = F.cross_entropy(scores, target, weight=weight, ignore_index=IGNORE, reduction="sum")
    return torch.stack([total, _shares(target, weight, scores.dtype).sum()])


def focal_sums(scores: Tensor, target: Tensor, weight: Tensor | None = None, gamma: float = 2.0) -> Tensor:
    """As of cross-entropy, times (1 − p)^γ (Lin 2017, eq. 4) (2,)."""
    known = target != IGNORE
    logs = F.log_softmax(scores, dim=1)
    picked = logs.gather(1, target.where(known, 0)[:, None])[:, 0]
    loss = -((1 - picked.exp()) ** gamma) * picked
    share = _shares(target, weight, scores.dtype)
    return torch.stack([(loss * share).sum(), share.sum()])


def dice_sums(scores: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Per class: probability on its pixels, probability everywhere, and its pixels (3 · k,)."""
    onehot, soft = _parts(scores, target)
    return torch.cat([part.sum(dim=(0, 2, 3)) for part in (soft * onehot, soft, onehot)])


def lovasz_sums(scores: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Lovász-softmax of the batch times its chips, and its chips (2,).

    The mean over the classes in the target of a convex surrogate of 1 − IoU (Berman 2018, eq. 12).
    """
    onehot, soft = _parts(scores, target)
    known = (target != IGNORE).flatten()
    losses = []
    for index in torch.nonzero(onehot.sum(dim=(0, 2, 3))).flatten().tolist():
        truth = onehot[:, index].flatten()[known]
        errors, order = (truth - soft[:, index].flatten()[known]).abs().sort(descending=True)
        losses.append(torch.dot(errors, _jaccard_steps(truth[order])))
    loss = torch.stack(losses).mean() if losses else scores.sum() * 0
    return torch.stack([loss * len(scores), loss.new_tensor(len(scores))])


def ratio(sums: Tensor) -> Tensor:
    """The first of two sums over the second; zero where the second is."""
    above, below = sums.unbind()
    return above / below.where(below > 0, 1)


def _dice(sums: Tensor) -> Tensor:
    """One minus the soft Dice coefficient, mean over the classes in the target (Milletari 2016)."""
    both, soft, pixels = sums.reshape(3, -1).unbind()
    present = pixels > 0
    if not bool(present.any()):
        return sums.sum() * 0
    return (1 - (2 * both + 1) / (soft + pixels + 1))[present].mean()


def _shares(target: Tensor, weight: Tensor | None, dtype: torch.dtype) -> Tensor:
    known = target != IGNORE
    return known.to(dtype) if weight is None else known * weight[target.where(known, 0)]


def _parts(scores: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    known = (target != IGNORE)[:, None]
    onehot = F.one_hot(target.where(target != IGNORE, 0), scores.shape[1]).movedim(-1, 1) * known
    soft = scores.softmax(dim=1) * known
    return onehot.to(soft.dtype), soft


def _jaccard_steps(truth: Tensor) -> Tensor:
    """Increments of the Jaccard loss along errors sorted from large to small (Berman 2018, algorithm 1)."""
    total = truth.sum()
    jaccard = 1 - (total - truth.cumsum(0)) / (total + (1 - truth).cumsum(0))
    return torch.cat([jaccard[:1], jaccard[1:] - jaccard[:-1]])


LOSSES: dict[str, Loss] = {
    "ce": Loss(cross_entropy_sums, ratio),
    "focal": Loss(focal_sums, ratio),
    "dice": Loss(dice_sums, _dice, size=lambda classes: 3 * classes),
    "lovasz": Loss(lovasz_sums, ratio, divisible=False),
}
