"""Batches in memory that is used again: each is what ``series_batch`` makes, whatever became of the one before."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from geoadapt.fields.series import Sample, Series, series_batch
from geoadapt.fields.types import Batch
from geoadapt.inference.restore_dates import DateBatches
from tests.inference.stacks import BANDS, stack

DATES = ([0, 1], [2, 3], [4], [3], [1, 4], [0, 2, 5], [5])


def series() -> Series:
    source = stack(dates=6, height=16, width=16)
    source.values[1, 2, 3:5] = np.nan
    return Series("place", source.values, source.clear, source.info.times, BANDS, sensor="landsat8")


def check(batch: Batch, made_of: Series, dates: list[int]) -> None:
    hidden = np.zeros(made_of.clear.shape[1:], bool)
    one = batch.inputs["optical"]
    other = series_batch([Sample(made_of, date, hidden) for date in dates]).inputs["optical"]
    assert one.valid is not None and other.valid is not None and one.times is not None and other.times is not None
    assert torch.equal(one.values, other.values) and torch.equal(one.valid, other.valid)
    assert torch.equal(one.times, other.times)


def test_batches_one_after_the_other_are_as_if_each_were_the_first_and_share_memory() -> None:
    made_of = series()
    batches = DateBatches(made_of)
    where = []
    for dates in DATES:
        batch = batches.batch(dates)
        check(batch, made_of, dates)
        where.append(batch.inputs["optical"].values.data_ptr())
        batches.used(batch)
        del batch
    assert where[1:5] == where[:1] * 4, "a second batch of as many dates takes no new memory"


@pytest.mark.parametrize("whole", [True, False])
def test_what_is_kept_of_a_batch_stays_as_it_was(whole: bool) -> None:
    made_of = series()
    batches = DateBatches(made_of)
    kept = []
    for dates in DATES:
        batch = batches.batch(dates)
        field = batch.inputs["optical"]
        assert field.valid is not None
        with torch.inference_mode():
            held = (field.values, field.valid) if whole else (field.values[:, -1], field.valid[:, 1:2])
        kept.append((held, [each.clone() for each in held]))
        del batch, field, held
    for held, copies in kept:
        assert all(torch.equal(one, other) for one, other in zip(held, copies, strict=True))


def test_what_a_model_writes_into_a_batch_is_not_in_the_next() -> None:
    made_of = series()
    batches = DateBatches(made_of)
    for dates in DATES:
        batch = batches.batch(dates)
        check(batch, made_of, dates)
        field = batch.inputs["optical"]
        assert field.valid is not None
        with torch.inference_mode():
            field.values[:, 1:].mul_(3)
            field.valid[:, 0] = False
        batches.used(batch)
        del batch, field
