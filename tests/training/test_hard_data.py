"""Runs on data that are not as one would like: empty corners, no labels, one class, few bands; and runs cut off."""

import json
import math
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from geoadapt.adapters.config import FullConfig, HeadOnlyConfig, LoraConfig
from geoadapt.backbones.config import GalileoConfig
from geoadapt.bundle.load import load_bundle
from geoadapt.cli import main
from geoadapt.cli.train import headline
from geoadapt.config import InferConfig, JobConfig, RuntimeConfig, TrainConfig
from geoadapt.cubes.classes import CLOUD_CLASSES
from geoadapt.errors import GeoadaptError
from geoadapt.fields.config import CsmaskConfig, FolderConfig
from geoadapt.heads.config import FcnConfig, LinearConfig, UnetConfig
from geoadapt.io.arrays import ArraySource
from geoadapt.tasks.cloud_segmentation import CloudSegmentation
from geoadapt.tasks.config import CloudSegmentationConfig
from geoadapt.training.estimate import estimate
from geoadapt.training.evaluate import evaluate
from geoadapt.training.results import RunResult
from geoadapt.training.run import train
from geoadapt.training.scoring import pixel_scorer, score_scenes
from tests.synth import scene, write_tif
from tests.tiny import tiny_backbone
from tests.training.small import labelled

TABLE = {0: 3, 1: 4, 3: 0}
NAMES = ("blue", "green", "red", "nir")


def write_npz(folder, name, seed, size=(96, 96), change=None):
    made = labelled(name, *size, seed)
    label = made.label._array[0]
    image = made.image._array.transpose(1, 2, 0).copy()
    mask = np.select([label == value for value in TABLE], list(TABLE.values()))[..., None].astype(np.int16)
    if change:
        change(image, mask)
    np.savez(folder / f"{name}.npz", img=image, msk=mask)


def job(root, data=None, **options):
    options = {"steps": 4, "batch": 2, "chip": 32, "val_every": 2, "bootstrap": 20, "controls": "none"} | options
    return JobConfig(
        tiny_backbone(),
        LoraConfig(r=2),
        UnetConfig(width=8),
        CloudSegmentationConfig(),
        data or CsmaskConfig(root=str(root), test=["b"], block=32),
        TrainConfig(**options),
        InferConfig(tile=64, overlap=16),
        RuntimeConfig(device="cpu", threads=1),
    )


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "scenes"
    folder.mkdir()
    for name, seed in (("a", 0), ("b", 1)):
        write_npz(folder, name, seed)
    return folder


@pytest.fixture
def pictures(tmp_path):
    """Two scenes of four bands as rasters; their labels know 0 clear, 1 cloud, 3 shadow."""
    folder = tmp_path / "own"
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for seed, name in enumerate(("a", "b")):
        values = scene(4, 96, 96, seed)
        bright = values.mean(axis=0)
        label = np.select([bright > np.quantile(bright, 0.7), bright < np.quantile(bright, 0.2)], [1, 3], 0)
        write_tif(folder / "images" / f"{name}.tif", values, names=NAMES)
        write_tif(folder / "labels" / f"{name}.tif", label[None].astype(np.uint8))
    return folder


def test_a_third_sensor_with_holes_odd_labels_and_another_size_just_works(root, tmp_path):
    def spoil(image, mask):
        image[:64, :64] = np.nan
        image[70, 70, 2] = np.inf
        mask[80:84], mask[84:88], mask[88:90] = 2, 7, -1

    write_npz(root, "landsat5", 2, (117, 101), spoil)
    tested = train(job(root, CsmaskConfig(root=str(root), test=["landsat5"], block=32)), tmp_path / "tested", "")
    assert 0 <= tested.metrics["test/iou/cloud"] <= 1
    trained = train(job(root), tmp_path / "trained", "")
    assert 0 <= trained.metrics["test/iou/cloud"] <= 1
    assert "NaN" not in (tmp_path / "trained" / "metrics.json").read_text()


def test_a_scene_whose_every_validation_block_is_empty_still_trains(root, tmp_path):
    """The probe of the adapter looks at a validation chip; where that is empty nothing can move."""

    def spoil(image, mask):
        image[:] = np.nan

    write_npz(root, "0empty", 2, (64, 64), spoil)
    masked = GalileoConfig(random_weights=True, patch_size=8)
    result = train(replace(job(root, steps=1, val_every=1), backbone=masked), tmp_path / "run", "")
    assert 0 <= result.metrics["test/iou/cloud"] <= 1


def test_pixels_that_the_image_lacks_are_not_asked_for():
    values, truth = np.full((1, 40, 40), 0.5, np.float32), np.ones((1, 40, 40), np.uint8)
    values[:, :10] = np.nan
    made = replace(labelled("x", 40, 40, 0), image=ArraySource(values, ("blue",)), label=ArraySource(truth))
    classes = (CLOUD_CLASSES[0], CLOUD_CLASSES[1])

    def cloud(tile, valid):
        return tile.new_tensor([0.0, 1.0])[None, :, None, None].expand(len(tile), 2, *tile.shape[-2:])

    (score,) = score_scenes(pixel_scorer(cloud), [made], {}, classes, InferConfig(tile=32, overlap=8))
    assert score.counts.sum(axis=0).tolist() == [[0, 0, 0], [0, 1200, 0]]


def test_a_test_scene_without_labels_gives_null_and_a_page_that_says_so(root, tmp_path):
    def spoil(image, mask):
        mask[:] = 9

    write_npz(root, "b", 1, change=spoil)
    train(job(root, controls="rule,lda"), tmp_path / "run", "")
    found = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert found["test/iou/cloud"] is None and found["rule/iou_gain_low/cloud"] is None
    text = (tmp_path / "run" / "report.html").read_text()
    assert "No verdict against the per-pixel discriminant" in text and ">nan" not in text


def test_labels_of_one_class_train_and_controls_that_cannot_be_are_left_out(root, tmp_path, caplog):
    def spoil(image, mask):
        mask[:] = 3

    for seed, name in enumerate(("a", "b")):
        write_npz(root, name, seed, change=spoil)
    result = train(job(root, controls="all", steps=2), tmp_path / "run", "")
    assert "control lda is left out: the discriminant needs two classes" in caplog.text
    assert "lda/miou" not in result.metrics and 0 <= result.metrics["rule/iou/clear"] <= 1
    text = (tmp_path / "run" / "report.html").read_text()
    assert ">nan" not in text and "the U-Net from scratch" in text


def no_fit(*_):
    raise AssertionError("a fit began")


def test_what_cannot_be_is_said_before_the_first_fit(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr("geoadapt.training.setting.fit", no_fit)
    plain = job(None, FolderConfig(root=str(pictures), test=["b"], channels=["red", "nir"], block=32))
    with pytest.raises(GeoadaptError, match=r"train\.controls: the rule needs the channel blue.*; leave rule out"):
        train(replace(plain, train=replace(plain.train, controls="rule")), tmp_path / "1", "")
    shadows = FolderConfig(root=str(pictures), test=["b"], classes={"0": 0, "3": 3}, block=32)
    with pytest.raises(GeoadaptError, match=r"infer\.threshold: is for the class cloud, .* \['clear', 'shadow'\]"):
        train(replace(plain, data=shadows, infer=replace(plain.infer, threshold=0.6)), tmp_path / "2", "")


@pytest.mark.parametrize("head", [LinearConfig(), FcnConfig(width=8), UnetConfig(width=8, image_skip=False)], ids=str)
@pytest.mark.parametrize("adapter", [HeadOnlyConfig(), FullConfig(), LoraConfig(r=2)], ids=str)
def test_a_bundle_of_any_adapter_and_head_says_what_its_run_said(pictures, tmp_path, adapter, head):
    data = FolderConfig(root=str(pictures), channels=["red", "green", "blue"], block=32)
    plain = replace(job(None, data), adapter=adapter, head=head)
    result = train(replace(plain, infer=replace(plain.infer, threshold=0.4)), tmp_path / "run", "")
    assert load_bundle(result.bundle).channels == ("red", "green", "blue")
    again = evaluate(
        result.bundle, replace(data, channels=[]), str(tmp_path / "again"), infer=plain.infer, bootstrap=20
    )
    for name in ("test/iou/cloud", "test/iou/shadow", "test/miou"):
        assert again.metrics[name] == pytest.approx(result.metrics[name], abs=2e-3, nan_ok=True), name


def test_a_run_of_one_step_can_be_estimated_and_timed_for_its_u_net(root, tmp_path):
    short = job(root, steps=1, val_every=1, controls="unet")
    assert estimate(short).seconds > 0
    assert math.isfinite(train(short, tmp_path / "run", "").metrics["unet/miou"])


def test_ctrl_c_during_a_fit_reaches_the_caller_who_can_press_it_again(root, tmp_path, monkeypatch):
    honest = CloudSegmentation.loss
    calls = iter(range(100))

    def pressed(self, scores, batch):
        if scores.requires_grad and next(calls) == 3:
            raise KeyboardInterrupt
        return honest(self, scores, batch)

    monkeypatch.setattr(CloudSegmentation, "loss", pressed)
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(KeyboardInterrupt):
            train(job(root), tmp_path / "run", "")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert list((tmp_path / "run" / "fits" / "fit" / "checkpoints").glob("last-2*")), "nothing to resume from"


def test_a_time_limit_before_the_first_validation_still_gives_a_bundle(root, tmp_path):
    result = train(job(root, steps=1000, val_every=1000, max_minutes=1e-6), tmp_path / "run", "")
    assert result.bundle.is_dir() and 0 <= result.metrics["test/iou/cloud"] <= 1


def test_patience_stops_a_fit_that_gains_nothing(root, tmp_path):
    result = train(job(root, steps=40, val_every=1, patience=1, lr=1e-12), tmp_path / "run", "")
    log = (tmp_path / "run" / "log.txt").read_text()
    assert "of 2, " in log or "of 3, " in log, log
    assert result.bundle.is_dir()


def test_a_finished_fit_is_resumed_for_what_comes_after_it(root, tmp_path):
    """A run that was cut off among its controls has its fit whole, and gives the same model again."""
    first = train(job(root), tmp_path / "run", "")
    curves = (tmp_path / "run" / "curves.csv").read_text()
    (last,) = (tmp_path / "run" / "fits" / "fit" / "checkpoints").glob("last-*")
    again = train(job(root, resume=str(last)), tmp_path / "run", "")
    assert again.metrics["test/miou"] == first.metrics["test/miou"]
    assert again.metrics["test/val_miou"] == first.metrics["test/val_miou"]
    assert len((tmp_path / "run" / "curves.csv").read_text().splitlines()) == len(curves.splitlines())
    elsewhere = train(job(root, resume=str(last)), tmp_path / "elsewhere", "")
    assert elsewhere.metrics["test/miou"] == first.metrics["test/miou"]


def test_a_best_checkpoint_is_found_where_its_run_was_moved_and_named_where_it_is_gone(root, tmp_path, monkeypatch):
    first = train(job(root), tmp_path / "run", "")
    moved = (tmp_path / "run").rename(tmp_path / "moved")
    (last,) = (moved / "checkpoints").glob("last-*")
    again = train(job(root, resume=str(last)), tmp_path / "elsewhere", "")
    assert again.metrics["test/miou"] == first.metrics["test/miou"]
    next((moved / "checkpoints").glob("best-*")).unlink()
    monkeypatch.setattr(CloudSegmentation, "loss", None)
    with pytest.raises(GeoadaptError, match=r"last-4\.ckpt: the best checkpoint so far is gone: .*best-\d\.ckpt"):
        train(job(root, resume=str(last), steps=8), tmp_path / "third", "")


def test_a_fit_whose_time_is_up_before_a_validation_says_so(root, tmp_path):
    with pytest.raises(GeoadaptError, match=r"train\.max_minutes: the fit ended after \d steps?, before its first val"):
        train(job(root, max_minutes=1e-9, val_every=4), tmp_path, "")


def test_a_loss_that_is_not_finite_names_the_last_good_checkpoint(root, tmp_path, monkeypatch):
    honest = CloudSegmentation.loss
    calls = iter(range(100))

    def wild(self, scores, batch):
        good = honest(self, scores, batch)
        return good * math.nan if scores.requires_grad and next(calls) == 3 else good

    monkeypatch.setattr(CloudSegmentation, "loss", wild)
    with pytest.raises(GeoadaptError, match=r"the loss is nan at step 3; .*the last good checkpoint is .*-2\.ckpt"):
        train(job(root), tmp_path / "run", "")


def test_an_evaluation_runs_where_and_how_it_is_told(root, tmp_path):
    bundle = train(job(root), tmp_path / "run", "").bundle
    data, before = CsmaskConfig(root=str(root), test=["b"], block=32), torch.get_num_threads()
    try:
        told = RuntimeConfig(device="cpu", threads=3)
        plain = evaluate(bundle, data, tmp_path / "plain", infer=InferConfig(threshold=0.3), runtime=told, bootstrap=5)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    grown = InferConfig(threshold=0.3, cloud_buffer=4)
    buffered = evaluate(bundle, data, tmp_path / "grown", infer=grown, runtime=told, bootstrap=5)
    assert buffered.metrics["test/parameters"] > 0
    assert buffered.metrics["test/iou/cloud"] != plain.metrics["test/iou/cloud"]


def test_a_dry_evaluation_names_bundle_and_data_and_writes_nothing(root, tmp_path, monkeypatch, capsys):
    bundle = train(job(root), tmp_path / "run", "").bundle
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    words = ["evaluate", "--dry-run", str(bundle), "data=csmask", f"data.root={root}"]
    assert main([*words, "data.test=[b]"]) == 0
    shown = capsys.readouterr().out
    assert "small_eo-lora, on blue, green" in shown and "test ['b']" in shown and "nothing was run" in shown
    assert main([*words, "data.test=[bb]"]) == 2
    (bundle / "head.safetensors").write_bytes(b"changed")
    assert main([*words, "data.test=[b]"]) == 1
    assert "head.safetensors: has changed" in capsys.readouterr().err
    assert list((tmp_path / "here").iterdir()) == []


def test_the_last_lines_of_a_run_show_a_missing_number_as_missing(tmp_path):
    result = RunResult(tmp_path, {"test/miou": math.nan, "rule/miou": 0.25}, tmp_path, tmp_path)
    assert [line.split() for line in headline(result)] == [["test/miou", "–"], ["rule/miou", "0.250"]]


def test_a_patch_that_does_not_divide_the_validation_blocks_is_no_obstacle(root, tmp_path):
    plain = job(root, chip=30, steps=1, val_every=1)
    odd = replace(plain, backbone=replace(plain.backbone, patch_size=6), infer=InferConfig(tile=64, overlap=16))
    assert 0 <= train(odd, tmp_path / "run", "").metrics["test/iou/cloud"] <= 1
    chip = replace(odd, train=replace(odd.train, chip=32))
    for start in (estimate, lambda job: train(job, tmp_path / "chip", "")):
        with pytest.raises(GeoadaptError, match=r"train\.chip: 32 px is no multiple of the 6 px .*; choose 30"):
            start(chip)
