"""Baselines that look at one pixel at a time: a brightness rule and a linear discriminant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoadapt.errors import GeoadaptError

__all__ = ["BlueRule", "LinearDiscriminant", "fit_discriminant"]


@dataclass(frozen=True, slots=True)
class BlueRule:
    """Cloud where blue reflectance exceeds ``threshold``, clear elsewhere; it knows no shadow."""

    blue: int
    """Position of the blue channel."""
    cloud: int
    """Position of the class cloud; ``clear`` likewise."""
    clear: int
    classes: int
    threshold: float = 0.2

    def scores(self, values: Tensor, valid: Tensor | None) -> Tensor:
        """Scores (b, k, h, w), one where the rule decides."""
        cloudy = values[:, self.blue] > self.threshold
        out = values.new_zeros((values.shape[0], self.classes, *values.shape[-2:]))
        out[:, self.cloud] = cloudy.to(out.dtype)
        out[:, self.clear] = (~cloudy).to(out.dtype)
        return out


@dataclass(frozen=True, slots=True)
class LinearDiscriminant:
    """Fisher's linear discriminant with one covariance for all classes: score = weight · x + bias."""

    weight: Tensor
    """(k, c)."""
    bias: Tensor
    """(k,)."""

    def scores(self, values: Tensor, valid: Tensor | None) -> Tensor:
        """Posterior probabilities (b, k, h, w)."""
        weight, bias = self.weight.to(values.device), self.bias.to(values.device)
        linear = torch.einsum("kc,bchw->bkhw", weight, values) + bias[:, None, None]
        return linear.softmax(dim=1)


def fit_discriminant(
    pixels: NDArray[np.float32], labels: NDArray[np.integer], classes: Sequence[int]
) -> LinearDiscriminant:
    """The discriminant of pixels (n, c) [reflectance] with labels (n,), priors from the labels; raises on one class."""
    present = [value for value in classes if (labels == value).any()]
    if len(present) < 2:
        raise GeoadaptError("baseline lda", f"the training blocks hold only class {present}", "add labelled scenes")
    x = pixels.astype(np.float64)
    means = np.stack([x[labels == v].mean(axis=0) if v in present else np.zeros(x.shape[1]) for v in classes])
    centred = np.concatenate([x[labels == v] - x[labels == v].mean(axis=0) for v in present])
    covariance = centred.T @ centred / max(1, len(centred) - len(present)) + 1e-8 * np.eye(x.shape[1])
    weight = np.linalg.solve(covariance, means.T).T
    priors = np.array([np.mean(labels == v) for v in classes])
    with np.errstate(divide="ignore"):
        bias = -0.5 * (weight * means).sum(axis=1) + np.where(priors > 0, np.log(priors), -1e9)
    return LinearDiscriminant(torch.from_numpy(weight).float(), torch.from_numpy(bias).float())
