"""A whole run on a tiny dataset: the run folder, the controls, the page, resuming."""

import csv
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from geoadapt.adapters.config import LoraConfig
from geoadapt.config import InferConfig, JobConfig, RuntimeConfig, TrainConfig
from geoadapt.errors import GeoadaptError
from geoadapt.fields.config import CsmaskConfig
from geoadapt.heads.config import UnetConfig
from geoadapt.inference.cube import load_bundle
from geoadapt.tasks.config import CloudSegmentationConfig
from geoadapt.training.estimate import estimate
from geoadapt.training.evaluate import evaluate
from geoadapt.training.run import train
from tests.tiny import tiny_backbone
from tests.training.small import labelled

TABLE = {0: 3, 1: 4, 3: 0}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two scenes in the layout of csmask."""
    folder = tmp_path_factory.mktemp("csmask")
    for name, seed in (("sentinel2", 0), ("landsat7", 1)):
        scene = labelled(name, 96, 96, seed)
        image = scene.image._array.transpose(1, 2, 0)
        label = scene.label._array[0]
        mask = np.select([label == value for value in TABLE], list(TABLE.values()))
        np.savez(folder / f"{name}.npz", img=image, msk=mask[..., None].astype(np.uint8))
    return folder


def job(root, **train_options):
    options = {"steps": 12, "batch": 4, "chip": 32, "val_every": 6, "bootstrap": 50} | train_options
    return JobConfig(
        tiny_backbone(),
        LoraConfig(r=2),
        UnetConfig(width=8),
        CloudSegmentationConfig(),
        CsmaskConfig(root=str(root), test=["landsat7"], block=32),
        TrainConfig(**options),
        InferConfig(tile=64, overlap=16),
        RuntimeConfig(device="cpu", threads=1),
    )


@pytest.fixture(scope="module")
def run(root, tmp_path_factory):
    """One run with all controls."""
    folder = tmp_path_factory.mktemp("run")
    return train(job(root), folder, "geoadapt train made by a test"), folder


def test_the_run_folder_holds_what_the_design_says(run):
    result, folder = run
    assert {"metrics.json", "curves.csv", "report.html", "log.txt", "bundle", "checkpoints"} <= {
        p.name for p in folder.iterdir()
    }
    assert result.page.is_file() and (result.bundle / "bundle.json").is_file()


def test_metrics_stand_beside_every_control(run):
    found = json.loads((run[1] / "metrics.json").read_text())
    for who in ("test", "rule", "lda", "unet", "random_backbone", "full_finetune"):
        for name in ("clear", "cloud", "shadow"):
            value = found[f"{who}/iou/{name}"]
            assert 0 <= value <= 1
            assert found[f"{who}/iou_low/{name}"] <= value + 1e-9 <= found[f"{who}/iou_high/{name}"] + 2e-9
    assert found["rule/iou_gain/cloud"] == pytest.approx(found["test/iou/cloud"] - found["rule/iou/cloud"])


def test_the_page_is_self_contained_and_shows_command_and_verdicts(run):
    text = (run[1] / "report.html").read_text()
    assert "geoadapt train made by a test" in text
    assert "the U-Net from scratch" in text and "90 % interval" in text
    assert re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', text) == []


def test_the_page_says_whether_the_model_knows_where_it_is_wrong(run):
    text = (run[1] / "report.html").read_text()
    found = json.loads((run[1] / "metrics.json").read_text())
    assert "Does it know where it is wrong?" in text
    assert re.search(r"Instability finds errors (better|not better|worse) than softmax confidence", text)
    assert found["test/aurc/perfect"] <= found["test/aurc/confidence"] and 0 < found["test/instability_share"] < 1
    assert "rule/aurc/confidence" not in found


def test_curves_hold_loss_and_validation_scores(run):
    with (run[1] / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert any(row["val/miou"] for row in rows) and any(row["train/loss"] for row in rows)


def test_the_bundle_says_what_the_test_said(run, root):
    found = evaluate(
        run[0].bundle,
        CsmaskConfig(root=str(root), test=["landsat7"], block=32),
        run[1] / "again",
        infer=InferConfig(tile=64, overlap=16),
        bootstrap=20,
    )
    for name in ("test/iou/cloud", "unet/iou/shadow", "lda/miou", "rule/iou/cloud"):
        assert found.metrics[name] == pytest.approx(run[0].metrics[name], abs=2e-3), name


def test_a_bundle_predicts_a_cube(run, root):
    import xarray as xr

    with np.load(root / "landsat7.npz") as stored:
        image = stored["img"]
    cube = xr.DataArray(
        image[None],
        dims=("time", "y", "x", "band"),
        coords={"band": ["blue", "green", "red", "nir", "swir16", "swir22"]},
    )
    cube = cube.transpose("time", "band", "y", "x").copy()
    cube[0, :, 5, 6] = np.nan
    bundle = load_bundle(run[0].bundle)
    labels = bundle.predict(cube)
    assert labels.dims == ("time", "y", "x") and labels.dtype == np.uint8
    assert int(labels[0, 5, 6]) == 255 and int((labels == 255).sum()) == 1
    assert np.array_equal(labels, bundle.predict(cube.chunk({"y": 40})))
    with pytest.raises(GeoadaptError, match=r"lacks \['nir'\]"):
        bundle.predict(cube.sel(band=["blue", "green", "red", "swir16", "swir22"]))


def losses(folder):
    with (folder / "curves.csv").open() as file:
        return {int(r["step"]): r["train/loss"] for r in csv.DictReader(file) if r["train/loss"]}


class KilledError(Exception):
    """Stands for a power cut."""


def test_a_run_killed_half_way_goes_on_with_the_same_losses(root, tmp_path, monkeypatch):
    from geoadapt.tasks.cloud_segmentation import CloudSegmentation

    plan = job(root, controls="none", val_every=4)
    train(plan, tmp_path / "whole", "")
    calls = iter(range(1000))
    honest = CloudSegmentation.loss

    def dying(self, scores, batch):
        if scores.requires_grad and next(calls) == 10:
            raise KilledError
        return honest(self, scores, batch)

    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(CloudSegmentation, "loss", dying)
        train(plan, tmp_path / "killed", "")
    (last,) = (tmp_path / "killed" / "fits" / "fit" / "checkpoints").glob("last-*")
    assert torch.load(last, weights_only=True)["global_step"] == 8
    resumed = replace(plan, train=replace(plan.train, resume=str(last)))
    result = train(resumed, tmp_path / "killed", "")
    assert len(losses(tmp_path / "whole")) == 12
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    whole = json.loads((tmp_path / "whole" / "metrics.json").read_text())
    assert result.metrics["test/iou/cloud"] == whole["test/iou/cloud"]


def test_a_run_without_a_test_scene_lists_what_may_be_named(root, tmp_path):
    bare = job(root)
    with pytest.raises(
        GeoadaptError, match=r"data\.test: names no test scene; choose from \['landsat7', 'sentinel2'\]"
    ):
        train(replace(bare, data=CsmaskConfig(root=str(root))), tmp_path, "")


def test_a_loss_that_is_not_finite_stops_with_the_step(root, tmp_path):
    wild = job(root, controls="none", lr=1e30, warmup=0.0)
    with pytest.raises(GeoadaptError, match=r"train: the loss is (nan|inf) at step \d+"):
        train(wild, tmp_path, "")


class Marker:
    """Leaves a file where its pickle is run."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return type(self.path).touch, (self.path,)


def test_a_checkpoint_that_is_none_is_refused_by_name(root, tmp_path):
    (tmp_path / "x.ckpt").write_bytes(b"no checkpoint")
    with pytest.raises(GeoadaptError, match=r"x\.ckpt: is no checkpoint to resume from"):
        train(job(root, controls="none", resume=str(tmp_path / "x.ckpt")), tmp_path / "r", "")
    torch.save({"global_step": Marker(tmp_path / "ran")}, tmp_path / "x.ckpt")
    with pytest.raises(GeoadaptError, match=r"x\.ckpt: is no checkpoint to resume from \(UnpicklingError\)"):
        train(job(root, controls="none", resume=str(tmp_path / "x.ckpt")), tmp_path / "r", "")
    assert not (tmp_path / "ran").exists()


def test_an_estimate_counts_all_fits_and_writes_nothing(root):
    alone, beside = estimate(job(root, controls="none")), estimate(job(root))
    assert alone.count.trainable == beside.count.trainable > 0
    assert beside.disk > alone.disk > 0 and alone.seconds > 0 and alone.memory > 50
    assert estimate(job(root, max_minutes=1e-6)).seconds < 1e-3
    assert {p.name for p in root.iterdir()} == {"landsat7.npz", "sentinel2.npz"}


def test_a_run_says_that_crafted_shifts_chose_its_weights(root, tmp_path):
    result = train(job(root, controls="none", steps=4, val_every=2, select="crafted_shifts"), tmp_path)
    each = [v for k, v in result.metrics.items() if k.startswith("test/val_shift_miou/")]
    assert len(each) > 10 and result.metrics["test/val_shifts_miou"] == pytest.approx(np.mean(each), abs=1e-6)
    assert result.metrics["test/val_miou"] == result.metrics["test/val_shift_miou/plain"]
    card = json.loads((tmp_path / "bundle" / "bundle.json").read_text())
    assert card["metrics"]["test/val_shifts_miou"] == result.metrics["test/val_shifts_miou"]
    page = (tmp_path / "report.html").read_text()
    shown = page[page.index("under each crafted shift") :]
    assert "low sun" in shown and f"{result.metrics['test/val_shift_miou/low_sun']:.3f}" in shown
