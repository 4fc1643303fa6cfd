"""Some of several labels for every sample.

In: scores (b, t, k, 1, 1), of several dates their mean. Out: a loss; probabilities; F1 from hits and misses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's usual name

from geoadapt.fields.types import Batch
from geoadapt.tasks.processes import sum_over_processes
from geoadapt.tasks.samples import Floats, SampleTally, asked, over_dates, ratio
from geoadapt.tasks.samples_config import MultilabelConfig

__all__ = ["Multilabel", "build"]

LEAST = 1e-12
HALF = 0.5
"""A label is predicted from this probability on."""


@dataclass(frozen=True, slots=True)
class Multilabel:
    """Labels and how those that are there are weighed; the mean F1 over the labels, as GEO-Bench-2 reports, chooses."""

    names: tuple[str, ...]
    weight: Tensor | None = None
    """(k,) of a label that is there, over one that is not."""
    name: str = "multilabel"
    monitor: str = "macro_f1"
    mode: str = "max"

    @property
    def outputs(self) -> int:
        """One score for each label."""
        return len(self.names)

    @property
    def sums(self) -> int:
        """Hits, false alarms and misses by label, the negative log-likelihood, and what it was summed over."""
        return 3 * len(self.names) + 2

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Binary cross-entropy, mean over the labels that are known."""
        scores = over_dates(output)
        target, known = asked(scores, batch)
        weight = None if self.weight is None else self.weight.to(scores.device)[:, None, None]
        each = F.binary_cross_entropy_with_logits(scores, target.values.float(), pos_weight=weight, reduction="none")
        sums = torch.stack([torch.where(known, each, 0.0).sum(), known.sum().to(each.dtype)])
        above, below = sum_over_processes(sums)
        mean: Tensor = above / below.clamp(min=1)
        return mean

    def tally(self) -> SampleTally:
        """Empty sums."""
        return SampleTally(self)

    def predict(self, output: Tensor) -> Tensor:
        """Probabilities (b, 1, k, 1, 1)."""
        return over_dates(output).sigmoid()

    def statistics(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Sums of every sample (b, 3k + 2)."""
        target, known = asked(prediction, batch)
        there, said = target.values > HALF, prediction >= HALF
        parts = [there & said & known, ~there & said & known, there & ~said & known]
        chance = torch.where(there, prediction, 1 - prediction).double().clamp(min=LEAST)
        told = torch.where(known, -chance.log(), 0.0)
        counts = [part.sum((1, 3, 4)).double() for part in parts]
        return torch.cat([*counts, told.flatten(1).sum(1, keepdim=True), known.flatten(1).sum(1, keepdim=True)], 1)

    def finish(self, sums: Floats) -> dict[str, Floats]:
        """``f1`` of all labels together (micro), ``macro_f1``, ``f1/NAME`` and ``loss``, of sums (…, 3k + 2).

        A label that is neither there nor predicted is left out of the macro mean.
        """
        k = len(self.names)
        hit, false, missed = (sums[..., i * k : (i + 1) * k] for i in range(3))
        each = ratio(2 * hit, 2 * hit + false + missed)
        known = ~np.isnan(each)
        together = ratio(2 * hit.sum(-1), (2 * hit + false + missed).sum(-1))
        macro = ratio(np.where(known, each, 0).sum(-1), known.sum(-1).astype(np.float64))
        found = {"f1": together, "macro_f1": macro, "loss": ratio(sums[..., -2], sums[..., -1])}
        return found | {f"f1/{name}": each[..., i] for i, name in enumerate(self.names)}


def build(config: MultilabelConfig, names: tuple[str, ...], counts: NDArray[np.integer], total: int) -> Multilabel:
    """The task on labels ``names``, of which ``counts`` (k,) are there among ``total`` training samples."""
    weight = None
    if config.class_weights == "balanced":
        there = np.maximum(np.asarray(counts, np.float64), 1)
        weight = torch.from_numpy(np.sqrt(np.maximum(total - there, 1) / there)).float()
    return Multilabel(names, weight)
