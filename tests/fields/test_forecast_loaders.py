"""Batches of a forecast fit: the same for the same seed and step, shared by processes, no date on two sides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from geoadapt.config import TrainConfig
from geoadapt.errors import GeoadaptError
from geoadapt.fields.forecast_loaders import forecast_loaders
from geoadapt.fields.history import History
from geoadapt.fields.loaders import Loaders
from geoadapt.fields.types import Batch
from geoadapt.training.forecast_setting import schedule
from tests.waves import made

CONFIG = TrainConfig(steps=6, batch=4)


def sides(history: History) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whose each date is: training, then validation, then test."""
    index = np.arange(len(history.times))
    return index < 60, (index >= 60) & (index < 90), index >= 90


def loaders(
    history: History | None = None, config: TrainConfig = CONFIG, seed: int = 0, val_steps: int = 3, **more: Any
) -> Loaders:
    history = history or made(120)
    train, val, _ = sides(history)
    ahead: Callable[[int], int] = more.pop("ahead", lambda index: 2)
    return forecast_loaders(history, train, val, config, seed, frames=3, ahead=ahead, val_steps=val_steps, **more)


def places(batches: object) -> list[list[int]]:
    return [[where.row for where in batch.where] for batch in batches]  # type: ignore[attr-defined]


def targets(batch: Batch) -> torch.Tensor:
    assert batch.target is not None and batch.target.times is not None
    return batch.target.times


def test_a_batch_depends_on_the_seed_and_its_number_alone() -> None:
    first = places(loaders().train)
    assert len(first) == 6 and len({tuple(p) for p in first}) == 6
    assert places(loaders().train) == first
    assert places(loaders(start=4).train) == first[4:]
    assert places(loaders(seed=1).train) != first
    longer = replace(CONFIG, steps=9)
    assert places(loaders(config=longer).train)[:6] == first


def test_a_resumed_fit_counts_the_steps_of_the_whole_one() -> None:
    assert len(loaders(start=4).train) == 6


def test_processes_share_every_batch_and_all_of_the_validation() -> None:
    history = made(240)
    whole = loaders(history)
    parts = [loaders(history, world=2, rank=rank) for rank in range(2)]
    for one, *shares in zip(places(whole.train), *(places(p.train) for p in parts), strict=True):
        assert [one[0::2], one[1::2]] == shares
    checked = [sum(places(p.val), []) for p in parts]
    assert sorted(checked[0] + checked[1]) == sorted(sum(places(whole.val), []))
    assert not set(checked[0]) & set(checked[1])


@pytest.mark.parametrize("world", [2, 3, 4])
def test_every_process_has_something_to_validate_even_where_there_is_little(world: int) -> None:
    """With one left out, the others would wait for its sums for ever."""
    config = replace(CONFIG, batch=12)
    shares = [places(loaders(config=config, val_steps=26, world=world, rank=rank).val) for rank in range(world)]
    assert all(shares) and sorted(sum(sum(shares, []), [])) == [59, 60, 61, 62, 63]


def test_what_cannot_be_shared_is_refused() -> None:
    with pytest.raises(GeoadaptError, match=r"train\.batch: 4 samples for 3 processes; choose a multiple of 3"):
        loaders(world=3)
    with pytest.raises(GeoadaptError, match="no sample of waves has 3 past states and 31 targets among the validation"):
        loaders(val_steps=31)
    with pytest.raises(GeoadaptError, match="3 past states and 61 targets among the training dates; choose more years"):
        loaders(ahead=lambda index: 61 if index > 2 else 1)


def test_no_target_of_a_fit_is_a_validation_or_test_date() -> None:
    history = made(120)
    train, val, _ = sides(history)
    day = history.times.astype(np.int64)
    found = loaders(history, replace(CONFIG, steps=80), ahead=lambda index: 5)
    seen = np.unique(torch.cat([targets(batch).flatten() for batch in found.train]).numpy())
    assert set(seen) <= set(day[train]) and day[train][-1] in seen
    checked = torch.cat([targets(batch) for batch in found.val])
    assert set(checked.flatten().tolist()) <= set(day[val])
    assert checked[0, 0] == day[60] and checked[-1, -1] == day[89], "every validation date is reached"
    assert checked.shape == (28, 3)


def test_a_rollout_grows_in_equal_shares_of_the_fit() -> None:
    ahead = schedule((1, 3, 5), 6)
    assert [ahead(i) for i in range(6)] == [1, 1, 3, 3, 5, 5]
    assert [schedule((2,), 6)(i) for i in (0, 5)] == [2, 2]
    assert [targets(batch).shape[1] for batch in loaders(ahead=ahead).train] == [1, 1, 3, 3, 5, 5]
