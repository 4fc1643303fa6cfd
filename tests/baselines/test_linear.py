"""Linear models: exact where the answer is known, penalties chosen on other groups."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from geoadapt.baselines.linear import fit_linear, folds_of
from geoadapt.errors import GeoadaptError

RNG = np.random.default_rng(0)
X = torch.from_numpy(RNG.normal(3, 2, (300, 6)))
GROUPS = np.repeat(np.arange(30), 10)


def test_ridge_finds_a_linear_law():
    y = X @ torch.tensor([1.0, -2, 0, 0.5, 0, 3]).double() + 7
    made = fit_linear(X, y, GROUPS, "value", 1, 0)
    assert torch.allclose(made(X.float())[:, 0], y.float(), atol=0.05)


def test_ridge_of_noise_shrinks_to_the_mean():
    y = torch.from_numpy(RNG.normal(5, 1, 300))
    made = fit_linear(X, y, GROUPS, "value", 1, 0)
    assert made(X.float())[:, 0].std() < 0.3 * y.std()
    assert made(X.float()).mean() == pytest.approx(float(y.mean()), abs=1e-3)


def test_the_weight_solves_the_normal_equations():
    y = (X[:, 0] + 0.3 * torch.from_numpy(RNG.normal(0, 1, 300))).double()
    made = fit_linear(X, y, GROUPS, "value", 1, 0)
    z = (X - X.mean(0)) / X.std(0, unbiased=False)
    weight = made.weight[:, 0].double()
    residual = z.T @ (y - y.mean() - z @ weight)
    penalties = residual / weight
    assert torch.allclose(penalties, penalties.mean().expand(6), rtol=1e-2)


def test_logistic_regression_tells_classes_and_labels_apart():
    truth = (X[:, 0] > 3).long() + (X[:, 1] > 4).long()
    made = fit_linear(X, truth.double(), GROUPS, "class", 3, 0)
    chances = made(X.float())
    assert torch.allclose(chances.sum(1), torch.ones(300), atol=1e-5)
    assert (chances.argmax(1) == truth).float().mean() > 0.8
    labels = torch.stack([X[:, 0] > 3, X[:, 1] > 4], 1)
    both = fit_linear(X, labels.double(), GROUPS, "labels", 2, 0)(X.float())
    assert ((both > 0.5) == labels).float().mean() > 0.95


def test_what_is_missing_counts_as_the_mean_and_unknown_targets_as_nothing():
    y = X[:, 0].clone()
    gaps = X.clone()
    gaps[::7, 3] = torch.nan
    y[::5] = torch.nan
    made = fit_linear(gaps, y, GROUPS, "value", 1, 0)
    assert bool(torch.isfinite(made(gaps.float())).all())
    assert torch.allclose(made(X.float())[:, 0], X[:, 0].float(), atol=0.1)


def test_a_constant_feature_changes_nothing():
    y = X[:, 0] + X[:, 1]
    wide = torch.cat([X, torch.full((300, 1), 4.0, dtype=torch.float64)], 1)
    one, other = (fit_linear(x, y, GROUPS, "value", 1, 0) for x in (X, wide))
    assert torch.allclose(one(X.float()), other(wide.float()), atol=1e-3)


def test_folds_keep_groups_together():
    folds = folds_of(GROUPS, 0)
    assert set(folds) == set(range(5))
    assert all(len(set(folds[g == GROUPS])) == 1 for g in range(30))
    assert len(set(folds_of(np.zeros(10, int), 0))) == 5
    with pytest.raises(GeoadaptError, match="1 labelled"):
        fit_linear(X[:1], X[:1, 0], GROUPS[:1], "value", 1, 0)
