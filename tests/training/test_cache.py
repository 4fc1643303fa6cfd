"""The feature cache: what it gives equals what is computed anew, and it knows when it does not hold."""

from __future__ import annotations

import csv
import json
import logging
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from geoadapt.adapters.config import FullConfig, HeadOnlyConfig, LoraConfig
from geoadapt.backbones.config import DlL8s2UvConfig, GalileoConfig, PrithviEoConfig
from geoadapt.config import InferConfig, JobConfig, RuntimeConfig, TrainConfig
from geoadapt.errors import GeoadaptError
from geoadapt.fields.chips import FromStep
from geoadapt.fields.config import CsmaskConfig
from geoadapt.fields.views import FixedViews, PoolOrder, pool_size
from geoadapt.heads.config import LinearConfig, UnetConfig
from geoadapt.tasks.config import CloudSegmentationConfig
from geoadapt.training import store as stores
from geoadapt.training.cache import first_trained_block, make_feed, stored_bytes
from geoadapt.training.cache_key import store_keys
from geoadapt.training.setting import build_for, fit_adapted, prepare
from tests.tiny import tiny_backbone
from tests.training.small import dataset, labelled

TABLE = {0: 3, 1: 4, 3: 0}
NONE, LAST = HeadOnlyConfig(), LoraConfig(r=2, last_blocks=1)
SMALL = tiny_backbone(depth=3, patch_size=4, seed=1)
"""Of a seed with which no gradient is as small as AdamW's epsilon: there rounding alone would move a weight."""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two training scenes, one of them with a hole, and a test scene, in the layout of csmask."""
    folder = tmp_path_factory.mktemp("csmask")
    for seed, name in enumerate(("sentinel2", "landsat8", "landsat7")):
        scene = labelled(name, 96, 96, seed, hole=seed == 1)
        mask = np.select([scene.label._array[0] == value for value in TABLE], list(TABLE.values()))
        np.savez(
            folder / f"{name}.npz", img=scene.image._array.transpose(1, 2, 0), msk=mask[..., None].astype(np.uint8)
        )
    return folder


def job(root, adapter=NONE, backbone=None, head=None, **train_options):
    options = {"steps": 12, "batch": 4, "chip": 32, "val_every": 6, "cache": 2, "cache_chips": 6} | train_options
    return JobConfig(
        backbone or SMALL,
        adapter,
        head or UnetConfig(width=8),
        CloudSegmentationConfig(),
        CsmaskConfig(root=str(root), test=["landsat7"], block=32),
        TrainConfig(**options),
        InferConfig(tile=64, overlap=16),
        RuntimeConfig(device="cpu", threads=1, precision="fp32"),
    )


def fitted(plan, folder):
    """Trained weights, and per step the loss and the validation scores."""
    setting = prepare(plan, folder)
    model, result = fit_adapted(setting, plan, "fit")
    weights = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    with result.curves.open() as file:
        rows = [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
    return weights, rows


def assert_same(one, other, within):
    (weights, rows), (wanted, expected) = one, other
    assert weights.keys() == wanted.keys() and weights
    for name, value in weights.items():
        torch.testing.assert_close(value, wanted[name], atol=within, rtol=within, msg=lambda m, n=name: f"{n}: {m}")
    assert_same_curves(rows, expected, within)


def assert_same_curves(rows, expected, within):
    assert len(rows) == len(expected) and any("val/miou" in row for row in rows)
    for row, like in zip(rows, expected, strict=True):
        assert row == pytest.approx(like, abs=within, nan_ok=True)


BACKBONES = {
    "small_eo": SMALL,
    "galileo": GalileoConfig(random_weights=True, response="adjust", resolution=0),
    "prithvi": PrithviEoConfig(random_weights=True, width=32, depth=2, heads=2, patch_size=8, window=2),
    "dl_l8s2_uv": DlL8s2UvConfig(random_weights=True),
}
CASES = {
    "small_eo, head alone": ("small_eo", NONE),
    "small_eo, last block": ("small_eo", LAST),
    "galileo, last block": ("galileo", LAST),
    "prithvi, last block": ("prithvi", LAST),
    "dl_l8s2_uv, head alone": ("dl_l8s2_uv", NONE),
    "dl_l8s2_uv, last block": ("dl_l8s2_uv", replace(LAST, targets=("pointwise",))),
}


@pytest.mark.parametrize("case", CASES)
def test_a_cached_fit_is_the_fit_on_the_same_views(case, root, tmp_path):
    name, adapter = CASES[case]
    # AdamW divides by the gradient's size: where that is nearly zero, rounding moves a weight by a share of the rate
    plan = job(root, adapter, BACKBONES[name], lr=3e-4, steps=8, val_every=8)
    anew = replace(plan, train=replace(plan.train, cache_store=False))
    assert_same(fitted(plan, tmp_path / "cached"), fitted(anew, tmp_path / "anew"), 1e-5)


@pytest.mark.parametrize("case", ["small_eo, last block", "galileo, last block", "dl_l8s2_uv, head alone"])
def test_at_the_default_rate_losses_and_scores_are_those_of_the_fit_on_the_same_views(case, root, tmp_path):
    name, adapter = CASES[case]
    plan = job(root, adapter, BACKBONES[name])
    anew = replace(plan, train=replace(plan.train, cache_store=False))
    (_, rows), (_, expected) = fitted(plan, tmp_path / "cached"), fitted(anew, tmp_path / "anew")
    assert_same_curves(rows, expected, 1e-5)


def test_bf16_features_are_close_and_half_as_large(root, tmp_path):
    plan = job(root, LAST, cache_dir=str(tmp_path / "fp32"))
    half = replace(plan, train=replace(plan.train, cache_dtype="bf16", cache_dir=str(tmp_path / "bf16")))
    one, other = fitted(half, tmp_path / "a"), fitted(plan, tmp_path / "b")
    losses, expected = ([row["train/loss"] for row in rows if "train/loss" in row] for _, rows in (one, other))
    assert losses == pytest.approx(expected, abs=0.02) and losses != expected
    sizes = [sum(p.stat().st_size for p in (tmp_path / d).rglob("tokens.npy")) for d in ("bf16", "fp32")]
    assert sizes[0] == pytest.approx(sizes[1] / 2, rel=0.02)


def test_a_second_run_reads_what_the_first_one_wrote(root, tmp_path, caplog, monkeypatch):
    plan = job(root, cache_dir=str(tmp_path / "kept"))
    first = fitted(plan, tmp_path / "first")
    monkeypatch.setattr("geoadapt.training.cache.write_store", None)
    with caplog.at_level(logging.INFO, "geoadapt"):
        second = fitted(replace(plan, train=replace(plan.train, lr=plan.train.lr)), tmp_path / "second")
    assert "12 train samples are there already" in caplog.text
    assert_same(second, first, 0)


def test_without_a_folder_of_its_own_nothing_is_left(root, tmp_path):
    fitted(job(root), tmp_path)
    assert not list(tmp_path.rglob("*.npy"))


class KilledError(Exception):
    """Stands for a power cut."""


def test_a_killed_fit_goes_on_with_the_same_losses(root, tmp_path, monkeypatch):
    from geoadapt.tasks.cloud_segmentation import CloudSegmentation

    plan = job(root, LAST, val_every=4)
    _, whole = fitted(plan, tmp_path / "whole")
    honest, calls = CloudSegmentation.loss, iter(range(1000))

    def dying(self, scores, batch):
        if scores.requires_grad and next(calls) == 10:
            raise KilledError
        return honest(self, scores, batch)

    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(CloudSegmentation, "loss", dying)
        fitted(plan, tmp_path / "killed")
    (last,) = (tmp_path / "killed").rglob("last-*")
    _, rows = fitted(replace(plan, train=replace(plan.train, resume=str(last))), tmp_path / "killed")
    wanted = [row["train/loss"] for row in whole if "train/loss" in row]
    assert [row["train/loss"] for row in rows if "train/loss" in row] == wanted[8:] and len(wanted) == 12


def test_crafted_shifts_of_the_validation_are_kept_too(root, tmp_path):
    plan = job(root, select="crafted_shifts", steps=4, val_every=4)
    anew = replace(plan, train=replace(plan.train, cache_store=False))
    assert_same(fitted(plan, tmp_path / "cached"), fitted(anew, tmp_path / "anew"), 1e-5)


def key_of(plan, folder):
    setting = prepare(plan, folder)
    model = build_for(setting, plan)
    return store_keys(model, first_trained_block(model), setting.data, plan)["train"]


CHANGES = {
    "weights": lambda p: replace(p, backbone=replace(p.backbone, seed=2)),
    "backbone": lambda p: replace(p, backbone=replace(p.backbone, window=4)),
    "augmentation": lambda p: replace(p, train=replace(p.train, gain_jitter=0.3)),
    "chip": lambda p: replace(p, train=replace(p.train, chip=64)),
    "views": lambda p: replace(p, train=replace(p.train, cache=3)),
    "pool": lambda p: replace(p, train=replace(p.train, cache_chips=7)),
    "seed": lambda p: replace(p, seed=1),
    "precision": lambda p: replace(p, runtime=replace(p.runtime, precision="bf16")),
    "dtype": lambda p: replace(p, train=replace(p.train, cache_dtype="bf16")),
    "block": lambda p: replace(p, adapter=LAST),
    "split": lambda p: replace(p, data=replace(p.data, val_fraction=0.5)),
}


@pytest.mark.parametrize("what", CHANGES)
def test_the_key_changes_with(what, root, tmp_path):
    plan = job(root)
    assert key_of(CHANGES[what](plan), tmp_path) != key_of(plan, tmp_path)


def test_the_key_changes_with_the_scenes(root, tmp_path):
    plan = job(root)
    before = key_of(plan, tmp_path)
    path = root / "sentinel2.npz"
    content = path.read_bytes()
    with np.load(path) as stored:
        image, mask = stored["img"], stored["msk"]
    try:
        np.savez(path, img=image, msk=np.where(mask == 3, 4, mask).astype(np.uint8))
        assert key_of(plan, tmp_path) != before
    finally:
        path.write_bytes(content)


def test_the_key_stays_with_what_changes_no_feature(root, tmp_path):
    plan = job(root)
    other = replace(plan, head=LinearConfig(), train=replace(plan.train, lr=1e-4, val_every=4, cache_dir="elsewhere"))
    assert json.dumps(key_of(other, tmp_path), default=str) == json.dumps(key_of(plan, tmp_path), default=str)


def cut_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes(content)


HURT = {"cut": cut_half, "one bit": flip, "gone": Path.unlink}


@pytest.mark.parametrize("how", HURT)
@pytest.mark.parametrize("file", ["tokens.npy", "index.json"])
def test_a_damaged_store_is_noticed_and_made_anew(how, file, root, tmp_path, caplog):
    plan = job(root, LAST, cache_dir=str(tmp_path / "kept"))
    setting = prepare(plan, tmp_path)
    model = build_for(setting, plan)
    first = make_feed(model, setting.data, plan, tmp_path)
    wanted = next(iter(first.loaders(0).train)).state.tokens
    for path in (tmp_path / "kept").rglob(file):
        if (how, file) == ("one bit", "index.json"):
            path.write_text(path.read_text().replace('"bytes": ', '"bytes": 1'))
        else:
            HURT[how](path)
    with caplog.at_level(logging.WARNING, "geoadapt"):
        again = make_feed(model, setting.data, plan, tmp_path)
    assert caplog.text.count("is damaged") == 2 and "made anew" in caplog.text
    torch.testing.assert_close(next(iter(again.loaders(0).train)).state.tokens, wanted, atol=0, rtol=0)


def test_a_filling_that_is_killed_leaves_nothing_that_counts(root, tmp_path, monkeypatch):
    plan = job(root, cache_dir=str(tmp_path / "kept"))
    setting = prepare(plan, tmp_path)
    model = build_for(setting, plan)
    honest, calls = type(model.backbone).lower, iter(range(100))

    def dying(self, batch, block):
        if next(calls) == 2:
            raise KeyboardInterrupt
        return honest(self, batch, block)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(type(model.backbone), "lower", dying)
        make_feed(model, setting.data, plan, tmp_path)
    assert not list((tmp_path / "kept").rglob("*.npy"))
    assert make_feed(model, setting.data, plan, tmp_path).loaders


def test_a_dry_run_knows_what_the_stores_will_take(root, tmp_path):
    plan = job(root, LAST, cache_dir=str(tmp_path / "kept"))
    setting = prepare(plan, tmp_path)
    model = build_for(setting, plan)
    make_feed(model, setting.data, plan, tmp_path)
    written = sum(p.stat().st_size for p in (tmp_path / "kept").rglob("*.npy"))
    assert stored_bytes(model, setting.data, plan) == pytest.approx(written, rel=0.02)
    assert stored_bytes(model, setting.data, replace(plan, train=replace(plan.train, cache_store=False))) == 0


def test_two_fillings_of_one_store_wait_for_each_other(tmp_path):
    order = []

    def second():
        with stores.locked(tmp_path / "lock"):
            order.append("second")

    with stores.locked(tmp_path / "lock"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.1)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_long_filling_says_how_far_it_is(root, tmp_path, monkeypatch, caplog):
    plan = job(root, cache_dir=str(tmp_path / "kept"))
    setting = prepare(plan, tmp_path)
    monkeypatch.setattr("geoadapt.training.cache.EVERY", -1.0)
    with caplog.at_level(logging.INFO, "geoadapt"):
        make_feed(build_for(setting, plan), setting.data, plan, tmp_path)
    assert "cache: 4 of 12 samples, " in caplog.text and " s left" in caplog.text


def test_a_disk_too_small_is_said_before_anything_is_written(root, tmp_path, monkeypatch):
    plan = job(root, cache_dir=str(tmp_path / "kept"))
    setting = prepare(plan, tmp_path)
    monkeypatch.setattr(stores.shutil, "disk_usage", lambda path: stores.shutil._ntuple_diskusage(9, 9, 100_000))
    with pytest.raises(GeoadaptError, match=r"the cache needs [\d,]+ MiB, 0 MiB are free.*train.cache_dtype=bf16"):
        make_feed(build_for(setting, plan), setting.data, plan, tmp_path)
    assert not list((tmp_path / "kept").rglob("*.npy"))


@pytest.mark.parametrize("adapter", [FullConfig(), LoraConfig(r=2)], ids=["full", "lora in all blocks"])
def test_where_the_first_block_is_trained_the_log_says_that_nothing_is_cached(adapter, root, tmp_path, caplog):
    plan = job(root, adapter)
    setting = prepare(plan, tmp_path)
    model = build_for(setting, plan)
    with caplog.at_level(logging.INFO, "geoadapt"):
        feed = make_feed(model, setting.data, plan, tmp_path)
    assert "nothing to cache" in caplog.text
    assert feed.module is model and feed.loaders is None


def test_new_kernels_before_the_first_block_leave_nothing_to_cache(root, tmp_path):
    backbone = replace(BACKBONES["prithvi"], channels=("blue", "green", "red", "nir08", "swir16", "swir22", "cirrus"))
    plan = job(root, LAST, backbone)
    assert first_trained_block(build_for(prepare(plan, tmp_path), plan)) == 0


@pytest.mark.parametrize(("norm_taps", "kept"), [(False, 1), (True, 0)])
def test_a_trained_norm_that_every_map_goes_through_leaves_nothing_to_cache(norm_taps, kept, root, tmp_path):
    plan = job(root, backbone=replace(BACKBONES["prithvi"], norm_taps=norm_taps))
    model = build_for(prepare(plan, tmp_path), plan)
    model.backbone.norm.requires_grad_(True)
    assert first_trained_block(model) == kept


def test_frozen_blocks_are_computed_in_eval_mode_and_left_as_they_were(root, tmp_path):
    plan = job(root, LAST, cache_dir=str(tmp_path / "kept"))
    setting = prepare(plan, tmp_path)
    model = build_for(setting, plan)
    mlp = model.backbone.blocks[0].mlp
    mlp.fc2 = torch.nn.Sequential(mlp.fc2, torch.nn.Dropout(0.9))
    model.train()
    modes = {name: module.training for name, module in model.named_modules()}
    noisy = next(iter(make_feed(model, setting.data, plan, tmp_path).loaders(0).train)).state.tokens
    assert {name: module.training for name, module in model.named_modules()} == modes
    model.eval()
    samples = next(iter(PoolOrder(FixedViews(setting.data, plan.train, 0), 48)))
    batch = make_feed(
        model, setting.data, replace(plan, train=replace(plan.train, cache_store=False)), tmp_path
    ).loaders(0)
    torch.testing.assert_close(
        model.backbone.lower(next(iter(batch.train)), 2).tokens.detach(), noisy, atol=1e-5, rtol=1e-5
    )
    assert 0 <= samples < 12


def test_every_pass_takes_every_chip_once_with_the_next_view_and_scenes_in_turn(root):
    data = dataset()
    data = replace(data, train=(*data.train, labelled("other", 96, 80, 5)))
    data = replace(data, train_blocks={s.name: data.train_blocks["train"] for s in data.train})
    config = TrainConfig(steps=14, batch=4, chip=32, cache=3, cache_chips=7)
    views = FixedViews(data, config, 0)
    order = list(PoolOrder(views, 56))
    for number in range(8):
        taken = order[number * 7 : number * 7 + 7]
        assert sorted(i % 7 for i in taken) == list(range(7)) and {i // 7 for i in taken} == {number % 3}
        assert [i % 7 % 2 for i in taken] == [0, 1, 0, 1, 0, 1, 0]
    assert order[:7] != order[21:28]
    assert list(PoolOrder(views, 56, 20)) == order[20:]
    assert list(PoolOrder(views, 56, 20, world=2, rank=1)) == order[21::2]
    assert len(PoolOrder(views, 56, 20, 2, 1)) == len(FromStep(56, 20, 2, 1))


def test_views_of_a_chip_differ_and_each_is_always_the_same():
    views = FixedViews(dataset(), TrainConfig(chip=32, cache=2, cache_chips=4), 0)
    again = FixedViews(dataset(), TrainConfig(chip=32, cache=2, cache_chips=4), 0)
    for index in range(8):
        assert np.array_equal(views[index].values, again[index].values)
        assert np.array_equal(views[index].label, again[index].label)
    assert views[1].where == views[5].where and not np.array_equal(views[1].values, views[5].values)
    assert len({views[i].where for i in range(4)}) > 1


def test_a_pool_is_no_larger_than_the_fit_needs():
    assert pool_size(TrainConfig(steps=10, batch=8, cache=4)) == 20
    assert pool_size(TrainConfig(steps=4000, batch=8, cache=4)) == 256
    assert pool_size(TrainConfig(steps=4000, batch=8, cache=4), turn=300) == 300
    assert pool_size(TrainConfig(steps=4000, batch=8, cache=4, cache_chips=1000)) == 1000


def test_views_that_would_all_be_alike_are_refused():
    with pytest.raises(GeoadaptError, match=r"train\.cache: 4 views that are all alike"):
        TrainConfig(cache=4, augment=False)
