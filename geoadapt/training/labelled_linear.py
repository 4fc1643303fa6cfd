"""Linear models of what samples look like: on raw inputs, on frozen features, and as the beginning of a head.

In: samples, and what makes vectors (n, f) of a batch. Out: a LinearModel; a head that begins with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from geoadapt.baselines.linear import LinearModel, fit_linear
from geoadapt.fields.samples import Labelled, SampleSet
from geoadapt.fields.samples_loaders import WholeSamples
from geoadapt.fields.types import Batch
from geoadapt.heads.pooled import PooledHead, pool
from geoadapt.model import AdaptedModel
from geoadapt.tasks.regression import Regression
from geoadapt.tasks.samples import SampleTask

__all__ = ["begin_with_linear", "fit_vectors"]

PIXELS = 40_000
"""Of maps, those that a linear model is fitted to: evenly taken."""
SIZE = 64
"""Samples that are looked at together."""


def fit_vectors(
    vectors: Callable[[Batch], Tensor],
    data: SampleSet,
    parts: Sequence[Sequence[Labelled]],
    *,
    outputs: int,
    multiple: int,
    seed: int,
) -> LinearModel:
    """A linear model of ``vectors`` of the samples of ``parts``, its penalty chosen over their places."""
    target = data.target
    batches = [WholeSamples(part, data, SIZE, multiple) for part in parts]
    most = max(1, PIXELS // sum(map(len, batches))) if target.mapped else SIZE
    x, y, groups = [], [], []
    for samples, batch in chain(*batches):
        assert batch.target is not None and batch.target.valid is not None
        told = torch.where(batch.target.valid, batch.target.values.double(), torch.nan)
        flat = told[:, 0].movedim(1, -1).flatten(0, 2)
        known = torch.isfinite(flat.sum(1)).nonzero()[:, 0]
        kept = known[:: max(1, -(-len(known) // most))]
        x.append(vectors(batch)[kept])
        y.append(flat[kept] if target.kind == "labels" else flat[kept, 0])
        groups.append(np.repeat([s.group or s.name for s in samples], len(flat) // len(samples))[kept.numpy()])
    which = np.unique(np.concatenate(groups), return_inverse=True)[1]
    kind = "value" if target.valued else "labels" if target.kind == "labels" else "class"
    return fit_linear(torch.cat(x), torch.cat(y), which, kind, outputs, seed)


def begin_with_linear(
    model: AdaptedModel, data: SampleSet, samples: Sequence[Labelled], task: SampleTask, seed: int, device: str
) -> None:
    """Set the pooled head to the linear model of the backbone's features as they are (Kumar 2022, LP-FT).

    A head that knows nothing would pull the features about before it knows what they are good for.
    """
    head = model.head
    assert isinstance(head, PooledHead)

    def vectors(batch: Batch) -> Tensor:
        with torch.inference_mode():
            found: Tensor = head.norm(pool(model.backbone(model.seen(batch.to(device)))))
            return found.float().cpu()

    training = model.training
    model.eval()
    multiple = model.spec.multiple
    linear = fit_vectors(vectors, data, [samples], outputs=task.outputs, multiple=multiple, seed=seed)
    model.train(training)
    weight, bias = linear.weight / linear.std[:, None], linear.bias - (linear.mean / linear.std) @ linear.weight
    if isinstance(task, Regression):
        weight, bias = weight / task.std, (bias - task.mean) / task.std
    with torch.no_grad():
        head.classify.weight.copy_(weight.T)
        head.classify.bias.copy_(bias)
