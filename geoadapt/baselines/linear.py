"""Linear models of feature vectors, their penalty chosen by cross-validation over groups: ridge and logistic.

In: features (n, f), NaN where missing, targets, and which group each sample is of. Out: a module that predicts.
"""

from __future__ import annotations

import logging

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's usual name

from geoadapt.errors import GeoadaptError

__all__ = ["LinearModel", "fit_linear", "folds_of"]

log = logging.getLogger(__name__)

FOLDS = 5
RIDGE = tuple(10.0 ** np.arange(-2, 6.01, 0.25))
"""Penalties that are tried, of standardised features."""
LOGISTIC = tuple(10.0 ** np.arange(0, -4.01, -1.0))
"""The same, over the mean log-likelihood; from strong to weak, each begun where the one before ended."""
ITERATIONS = 30
"""Of L-BFGS for each penalty."""
Floats = NDArray[np.float64]


class LinearModel(nn.Module):
    """Standardised features times a weight, as a value, or through a softmax or sigmoids as probabilities."""

    mean: Tensor
    std: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, features: int, outputs: int, kind: str) -> None:
        """``kind`` is ``value``, ``class`` or ``labels``."""
        super().__init__()
        self.kind = kind
        for name, shape in (("mean", (features,)), ("std", (features,)), ("bias", (outputs,))):
            self.register_buffer(name, torch.zeros(shape))
        self.register_buffer("weight", torch.zeros(features, outputs))

    def forward(self, features: Tensor) -> Tensor:
        """Predictions (n, k); what is missing counts as the training mean."""
        scores = ((features - self.mean) / self.std).nan_to_num(0.0) @ self.weight + self.bias
        if self.kind == "value":
            return scores
        return scores.softmax(1) if self.kind == "class" else scores.sigmoid()


def fit_linear(
    features: Tensor, target: Tensor, groups: NDArray[np.integer], kind: str, outputs: int, seed: int
) -> LinearModel:
    """Ridge of values (n,), logistic regression of classes (n,) or labels (n, k), NaN = unknown.

    The penalty is that of the least error over folds of whole groups; raises GeoadaptError without two groups.
    """
    known = torch.isfinite(target if target.ndim == 1 else target.sum(1))
    x, y, which = features[known].double(), target[known].double(), groups[known.numpy()]
    if len(y) < 2:
        raise GeoadaptError("baseline", f"{len(y)} labelled samples", "give it more")
    penalties = RIDGE if kind == "value" else LOGISTIC
    folds = folds_of(which, seed)
    errors = np.zeros(len(penalties))
    for fold in range(int(folds.max()) + 1):
        held = torch.from_numpy(folds == fold)
        mean, std = _moments(x[~held])
        inside, outside = (_standard(part, mean, std) for part in (x[~held], x[held]))
        for n, (weight, bias) in enumerate(_path(inside, y[~held], kind, outputs, penalties)):
            errors[n] += float(_error(outside @ weight + bias, y[held], kind)) * int(held.sum())
    best = int(np.nanargmin(errors))
    mean, std = _moments(x)
    weight, bias = _path(_standard(x, mean, std), y, kind, outputs, penalties[: best + 1])[best]
    log.info("linear model of %d features: penalty %.3g", x.shape[1], penalties[best])
    made = LinearModel(x.shape[1], outputs, kind)
    for name, value in (("mean", mean), ("std", std), ("weight", weight), ("bias", bias)):
        getattr(made, name).copy_(value)
    return made


def folds_of(groups: NDArray[np.integer], seed: int, count: int = FOLDS) -> NDArray[np.intp]:
    """The fold (n,) of every sample, whole groups together; single samples where there is but one group."""
    names = np.unique(groups)
    which = groups if len(names) > 1 else np.arange(len(groups))
    names = np.unique(which)
    order = np.random.default_rng(seed).permutation(len(names))
    place = np.empty(len(names), np.intp)
    place[order] = np.arange(len(names)) % min(count, len(names))
    return place[np.searchsorted(names, which)]


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation (f,) of what is not missing; 1 for a constant feature's deviation."""
    mean = x.nanmean(0).nan_to_num(0.0)
    std = (x - mean).square().nanmean(0).sqrt().nan_to_num(0.0)
    return mean, torch.where(std > 1e-12 * (1 + mean.abs()), std, 1.0)


def _standard(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return ((x - mean) / std).nan_to_num(0.0)


def _path(x: Tensor, y: Tensor, kind: str, outputs: int, penalties: tuple[float, ...]) -> list[tuple[Tensor, Tensor]]:
    """Weight (f, k) and bias (k,) for each penalty."""
    return _ridge(x, y, penalties) if kind == "value" else _logistic(x, y, kind, outputs, penalties)


def _ridge(x: Tensor, y: Tensor, penalties: tuple[float, ...]) -> list[tuple[Tensor, Tensor]]:
    """All from one decomposition of centred features."""
    centre, level = x.mean(0), y.mean()
    x = x - centre
    values, axes = torch.linalg.eigh(x.T @ x)
    along = axes.T @ (x.T @ (y - level))
    found = []
    for penalty in penalties:
        weight = (axes @ (along / (values.clamp(min=0) + penalty)))[:, None]
        found.append((weight, level - centre @ weight))
    return found


def _logistic(
    x: Tensor, y: Tensor, kind: str, outputs: int, penalties: tuple[float, ...]
) -> list[tuple[Tensor, Tensor]]:
    weight = torch.zeros(x.shape[1], outputs, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(outputs, dtype=torch.float64, requires_grad=True)
    found = []
    for penalty in penalties:
        solver = torch.optim.LBFGS(
            [weight, bias],
            max_iter=ITERATIONS,
            tolerance_grad=1e-5,
            tolerance_change=1e-7,
            line_search_fn="strong_wolfe",
        )

        def loss(solver: torch.optim.LBFGS = solver, penalty: float = penalty) -> Tensor:
            solver.zero_grad()
            value = _error(x @ weight + bias, y, kind) + penalty / 2 * weight.square().sum()
            value.backward()  # type: ignore[no-untyped-call]
            return value

        with torch.enable_grad():
            solver.step(loss)  # type: ignore[no-untyped-call]
        found.append((weight.detach().clone(), bias.detach().clone()))
    return found


def _error(scores: Tensor, y: Tensor, kind: str) -> Tensor:
    if kind == "value":
        return (scores[:, 0] - y).square().mean()
    if kind == "class":
        return F.cross_entropy(scores, y.long())
    return F.binary_cross_entropy_with_logits(scores, y)
