from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from geoadapt.config import TrainConfig
from geoadapt.errors import GeoadaptError
from geoadapt.fields.augment import Augmentation
from geoadapt.fields.chips import BlockChips, Sample
from geoadapt.fields.csmask import CHANNELS
from geoadapt.fields.loaders import augmentation_of, make_loaders
from geoadapt.fields.shifts import SHIFTS, ShiftBatches, ShiftedBlocks, held_out
from tests.training.small import dataset

PLACE = {shift.name: number for number, shift in enumerate(SHIFTS)}
RESHAPED = ("coarser_2", "coarser_3", "finer_2", "finer_3")


def shifted(seed: int = 3, hole: bool = False) -> ShiftedBlocks:
    data = dataset(hole=hole)
    return ShiftedBlocks(BlockChips(data, dict(data.val_blocks), 32), seed, SHIFTS)


def of(name: str, data: ShiftedBlocks, block: int = 1) -> Sample:
    return data[PLACE[name] * len(data.blocks) + block]


def test_shift_j_on_block_i_depends_on_the_seed_i_and_j_alone() -> None:
    first, second, other = shifted(), shifted(), shifted(seed=4)
    few = ShiftedBlocks(first.blocks, 3, [SHIFTS[PLACE["haze"]]])
    for name in PLACE:
        one, same = of(name, first), of(name, second)
        assert np.array_equal(one.values, same.values) and np.array_equal(one.label, same.label)
    assert np.array_equal(few[1].values, of("haze", first).values), "which other shifts there are makes no difference"
    assert not np.array_equal(of("haze", first).values, of("haze", other).values)
    bright = [float((of("haze", first, i).values - of("plain", first, i).values).mean()) for i in (1, 2)]
    assert bright[0] != bright[1]


def test_the_plain_shift_is_the_block_itself() -> None:
    data = shifted()
    for block in range(len(data.blocks)):
        one, plain = of("plain", data, block), data.blocks[block]
        assert np.array_equal(one.values, plain.values) and np.array_equal(one.label, plain.label)
        assert one.where.shift == "plain" and (one.where.row, one.where.col) == (plain.where.row, plain.where.col)


@pytest.mark.parametrize("name", [s.name for s in SHIFTS if s.name != "plain"])
def test_every_shift_changes_the_image_keeps_its_size_and_stays_finite(name: str) -> None:
    data = shifted(hole=True)
    changed = 0
    for block in range(len(data.blocks)):
        one, plain = of(name, data, block), of("plain", data, block)
        assert one.values.shape == plain.values.shape and one.values.dtype == np.float32
        assert np.isfinite(one.values).all() and (one.values[~one.valid] == 0).all()
        assert one.where.shift == name
        changed += not np.array_equal(one.values, plain.values)
        if name not in RESHAPED:
            assert np.array_equal(one.label, plain.label), "what changes the light must not move the labels"
        assert (one.label != 255).any()
    assert changed == (0 if name == "saturation" else len(data.blocks)), "these blocks are too dark to saturate"


@pytest.mark.parametrize(
    ("name", "factor"), [("coarser_2", 2), ("coarser_3", 3), ("finer_2", 1 / 2), ("finer_3", 1 / 3)]
)
def test_a_coarser_block_shows_more_ground_with_larger_pixels(name: str, factor: float) -> None:
    data = shifted()
    one, plain = of(name, data), of("plain", data)
    assert one.resolution == pytest.approx(10 * factor, rel=0.05) and plain.resolution == 10
    share = (one.label != 255).sum() / (plain.label != 255).sum()
    if factor > 1:
        assert share == pytest.approx(1 / factor**2, rel=0.4)
    truth = {int(v) for v in np.unique(plain.label)}
    assert {int(v) for v in np.unique(one.label)} <= truth | {255}


def test_a_finer_block_never_shows_a_label_outside_its_block() -> None:
    data = shifted()
    scene, window = data.blocks.items[1]
    for name in ("finer_2", "finer_3"):
        one = of(name, data)
        wanted = scene.label.read(window)[0]
        assert {int(v) for v in np.unique(one.label)} - {255} <= {int(v) for v in np.unique(wanted)}


def difference(name: str) -> NDArray[np.float32]:
    data = shifted()
    return of(name, data).values - of("plain", data).values


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        ("haze", lambda d: d[0].mean() > d[3].mean() > d[5].mean()),
        ("low_sun", lambda d: d[3].mean() < 0),
        ("noise", lambda d: abs(d.mean()) < 0.003 and d.std() > 0.003),
        ("steps", lambda d: 0 < np.abs(d).max() < 0.012),
        ("bandpass", lambda d: 0 < np.abs(d).max() < 0.2),
        ("lost_band", lambda d: ((d != 0).all((1, 2))).sum() == 1 and (np.abs(d).sum((1, 2)) == 0).sum() == 5),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_a_shift_is_what_it_is_called(name: str, holds: Callable[[NDArray[np.float32]], bool]) -> None:
    assert holds(difference(name))


def test_saturation_cuts_bright_pixels_off_and_leaves_the_others() -> None:
    bright = of("plain", shifted())
    bright = replace(bright, values=bright.values * 4)
    change = SHIFTS[PLACE["saturation"]].change
    assert change is not None
    found = change(bright, CHANNELS, np.random.default_rng(0)).values
    assert (found[bright.values < 0.6] == bright.values[bright.values < 0.6]).all()
    assert bright.values.max() > 0.75 and found.max() <= 0.75


def test_blurring_does_not_spread_a_missing_pixel() -> None:
    data = shifted(hole=True)
    for block in range(len(data.blocks)):
        blurred, plain = of("blur", data, block), of("plain", data, block)
        assert np.array_equal(blurred.valid, plain.valid)
        assert blurred.values[plain.valid].min() >= plain.values[plain.valid].min() - 1e-5


def test_what_training_draws_is_not_what_it_is_measured_by() -> None:
    names = {s.name for s in held_out(Augmentation())}
    assert {"plain", "bandpass", "coarser_3", "finer_3", "haze", "saturation", "low_sun", "noise"} <= names
    assert not names & {"gain", "coarser_2", "finer_2", "lost_band"}
    assert {s.name for s in held_out(None)} == set(PLACE)
    assert "coarser_3" not in {s.name for s in held_out(Augmentation(zoom=3))}
    assert {"coarser_2", "gain", "lost_band"} <= {s.name for s in held_out(Augmentation(True, 1, 0, 0, 0))}
    assert held_out(Augmentation())[0] == SHIFTS[0], "the blocks as they are come first"


def test_batches_hold_one_shift_and_the_processes_share_every_block_once() -> None:
    data = shifted()
    whole = [index for batch in ShiftBatches(data, 4) for index in batch]
    assert whole == list(range(len(data)))
    shared = [index for rank in range(3) for batch in ShiftBatches(data, 2, 3, rank) for index in batch]
    assert sorted(shared) == whole
    for rank in range(3):
        batches = ShiftBatches(data, 2, 3, rank)
        assert len(list(batches)) == len(batches)
        for batch in batches:
            assert len({data[index].where.shift for index in batch}) == 1


def test_the_validation_loader_gives_the_shifts_that_the_configuration_asks_for() -> None:
    data = dataset()
    config = TrainConfig(steps=2, batch=4, chip=32, select="crafted_shifts")
    seen = [batch for batch in make_loaders(data, config, 0).val]
    assert {b.where[0].shift for b in seen} == {s.name for s in held_out(augmentation_of(config))}
    plain = make_loaders(data, TrainConfig(steps=2, batch=4, chip=32), 0).val
    assert {w.shift for b in plain for w in b.where} == {""}
    with pytest.raises(GeoadaptError, match="crafted_shifts"):
        TrainConfig(select="crafted_shift")


@pytest.mark.parametrize("sensor", ["sentinel2_l1c", "landsat8_l2", "hls_l30"])
def test_another_sensor_is_never_the_same_one_under_another_name(sensor: str) -> None:
    """Only one of the three has the same bands: to choose it would be to shift nothing."""
    sample = replace(of("plain", shifted()), sensor=sensor)
    change = SHIFTS[PLACE["bandpass"]].change
    assert change is not None
    for seed in range(12):
        moved = change(sample, CHANNELS, np.random.default_rng(seed)).values
        assert np.abs(moved - sample.values).max() > 0.002


def test_a_missing_value_does_not_change_the_other_bands() -> None:
    plain = of("plain", shifted())
    valid = plain.valid.copy()
    valid[2, 3, 4] = False
    holed = replace(plain, valid=valid, values=np.where(valid, plain.values, 0).astype(np.float32))
    change = SHIFTS[PLACE["bandpass"]].change
    assert change is not None
    found, whole = (change(s, CHANNELS, np.random.default_rng(1)).values for s in (holed, plain))
    assert np.array_equal(found[valid[:, 3, 4], 3, 4], plain.values[valid[:, 3, 4], 3, 4])
    assert np.array_equal(
        np.delete(found.reshape(6, -1), 3 * 32 + 4, 1), np.delete(whole.reshape(6, -1), 3 * 32 + 4, 1)
    )
