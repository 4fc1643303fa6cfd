"""The composite that removal starts from: against the same, pixel by pixel in numpy, for any dates and gaps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geoadapt.fields.composite import Composite, compose, squashed
from geoadapt.fields.frames import DAY
from geoadapt.fields.types import Field


def composed(values: np.ndarray, valid: np.ndarray, days: np.ndarray) -> Composite:
    """Of one sample: values and valid (t, c, h, w), the last date at day 0."""
    times = torch.from_numpy((days * DAY).astype(np.int64) + 10**9)[None]
    held = torch.from_numpy(values)[None], torch.from_numpy(valid)[None]
    return compose(Field(held[0], ("red", "nir"), held[1], times))


def by_hand(values: np.ndarray, days: np.ndarray) -> dict[str, float]:
    """Of one pixel's valid values on these days, in order."""
    found = {"image": 0.0, "mean": 0.0, "median": 0.0, "spread": 0.0, "change": 0.0, "before": np.inf, "after": np.inf}
    if len(values):
        found |= {"mean": values.mean(), "median": np.median(values), "spread": values.std()}
    past, coming = np.flatnonzero(days <= 0), np.flatnonzero(days > 0)
    if len(past):
        first = past[np.argmin(-days[past])]
        found |= {"image": values[first], "before": -days[first]}
    if len(coming):
        last = coming[np.argmin(days[coming])]
        share = found["before"] / (found["before"] + days[last]) if len(past) else 1.0
        change = values[last] - found["image"]
        found |= {"after": days[last], "change": change if len(past) else 0.0, "image": found["image"] + share * change}
    return found


@given(st.integers(0, 12), st.integers(0, 10**6), st.floats(0, 1))
def test_every_pixel_is_what_numpy_makes_of_its_valid_dates(others: int, seed: int, share: float) -> None:
    random = np.random.default_rng(seed)
    values = random.normal(0, 1, (others + 1, 2, 2, 3)).astype(np.float32)
    valid = random.random(values.shape) < share
    poisoned = np.where(valid, values, random.choice(np.float32([np.nan, np.inf, -1e9]), values.shape))
    # whole days, several on one
    days = np.append(random.integers(-6, 7, others), 0).astype(float)
    found = composed(poisoned, valid, days)
    for c, y, x in np.ndindex(2, 2, 3):
        seen = valid[:-1, c, y, x]
        wanted = by_hand(values[:-1, c, y, x][seen].astype(float), days[:-1][seen])
        assert bool(found.known[0, c, y, x]) == seen.any() and found.count[0, c, y, x] == seen.sum()
        for name, value in wanted.items():
            assert float(getattr(found, name)[0, c, y, x]) == pytest.approx(
                value, abs=2e-3 if name == "spread" else 1e-5
            )


def test_a_series_of_more_dates_than_a_byte_counts() -> None:
    random = np.random.default_rng(0)
    values = random.random((301, 2, 1, 2)).astype(np.float32)
    days = np.append(np.arange(-150, 150), 0).astype(float)
    valid = random.random(values.shape) < 0.9
    found = composed(values, valid, days)
    seen = valid[:-1, 1, 0, 1]
    assert found.count[0, 1, 0, 1] == seen.sum() > 255
    assert float(found.median[0, 1, 0, 1]) == pytest.approx(np.median(values[:-1, 1, 0, 1][seen]), abs=1e-6)
    assert float(found.before[0, 1, 0, 1]) == -days[:-1][seen & (days[:-1] <= 0)].max()


@given(st.floats(-(2.0**50), 2.0**50, width=32))
def test_squashing_is_the_area_hyperbolic_sine(value: float) -> None:
    given_ = torch.tensor(value)
    torch.testing.assert_close(squashed(given_), torch.asinh(given_), rtol=1e-5, atol=1e-7)


def test_squashing_keeps_what_no_reflectance_reaches_finite() -> None:
    assert squashed(torch.tensor([1e30, -torch.inf])).isfinite().all() and squashed(torch.tensor(torch.nan)).isnan()
