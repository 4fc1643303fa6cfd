"""A cloud removal run end to end: what it writes, what its bundle says again, and what nobody may know."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geoadapt.bundle.load import load_bundle
from geoadapt.bundle.restorer import load_restorer, load_restorer_baselines
from geoadapt.config import REMOVAL_CONTROLS, JobConfig, job_from_plain
from geoadapt.errors import GeoadaptError
from geoadapt.fields import DATASETS
from geoadapt.fields.frames import nearest_dates
from geoadapt.fields.restorer import Restored, Restorer
from geoadapt.fields.series import Sample, series_batch
from geoadapt.fields.types import Batch
from geoadapt.heads.config import FcnConfig
from geoadapt.registry import Entry
from geoadapt.tasks.cloud_removal import asked
from geoadapt.training import removal, removal_controls
from geoadapt.training.calibration import calibrate, left_out
from geoadapt.training.removal_controls import RemovalEntry
from geoadapt.training.removal_scoring import score_entries
from geoadapt.training.removal_setting import fit_restorer, prepare, restorer_of
from geoadapt.training.removal_summary import summarise_removal
from geoadapt.training.run import train
from tests.tiny import TINY
from tests.training.small_series import CHANNELS, SmallSeriesConfig, series

BATCH = series_batch([Sample(series("seen", 77), 2, np.zeros((32, 32), bool))])


@pytest.fixture(scope="module", autouse=True)
def made_up() -> Iterator[None]:
    """The tiny series among the data sets, and a tiny PMAA among the controls."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DATASETS, "small_series", Entry(SmallSeriesConfig, "tests.training.small_series:build"))
        patch.setattr(removal_controls, "PMAA_WIDTH", 2)
        yield


def job(controls: str = "none", truth: bool = True, task: Mapping[str, Any] | None = None, **keys: Any) -> JobConfig:
    return job_from_plain(
        {
            "backbone": {"name": "small_eo", **TINY},
            "adapter": {"name": "lora", "r": 2},
            "head": {"name": "removal", "width": 4},
            "task": {"name": "cloud_removal", "frames": 3, "val_samples": 4, "test_samples": 8, **(task or {})},
            "data": {"name": "small_series", "truth": truth},
            "train": {
                **{"steps": 4, "batch": 2, "chip": 32, "val_every": 2, "bootstrap": 20, "controls": controls},
                **keys,
            },
            "runtime": {"device": "cpu", "threads": 1, "precision": "fp32"},
        }
    )


class Ran:
    """A finished run, and what its entries restored before anything was stored."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.before: dict[str, Restored] = {}
        self.metrics: dict[str, float] = {}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, made_up: None) -> Ran:
    """Every control, in one run."""
    run = Ran(tmp_path_factory.mktemp("run"))
    honest = removal.KIND.score

    def watched(setting: Any, entries: Mapping[str, RemovalEntry]) -> Any:
        run.before.update({who: entry.restorer.restore(BATCH) for who, entry in entries.items()})
        return honest(setting, entries)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(removal, "KIND", replace(removal.KIND, score=watched))
        run.metrics = train(job("all"), run.folder, "geoadapt train task=cloud_removal").metrics
    return run


def test_the_metrics_name_everyone_by_region_and_band(ran: Ran) -> None:
    said = json.loads((ran.folder / "metrics.json").read_text())
    for who in ("test", *REMOVAL_CONTROLS):
        for metric in ("mae", "rmse", "psnr", "ssim", "sam"):
            for region in ("masked", "all"):
                value, low, high = (said[f"{who}/{metric}{end}/{region}"] for end in ("", "_low", "_high"))
                assert np.isfinite([value, low, high]).all() and low <= high, (who, metric, region)
        assert all(np.isfinite(said[f"{who}/mae/masked/{band}"]) for band in CHANNELS)
        if who not in ("test", "last_clear"):
            gain = said[f"{who}/mae/masked"] - said["test/mae/masked"]
            assert said[f"{who}/mae_gain/masked"] == pytest.approx(gain, abs=1e-9)
            assert said[f"{who}/mae_gain_low/masked"] <= said[f"{who}/mae_gain_high/masked"]
    assert said["test/mae/masked"] == pytest.approx(np.mean([said[f"test/mae/masked/{band}"] for band in CHANNELS]))
    assert said["test/mae/all"] < said["test/mae/masked"]
    assert said["test/parameters"] == said["random_backbone/parameters"] < said["full_finetune/parameters"]
    assert np.isfinite([said[f"test/{key}"] for key in ("val_mae", "aurc/masked", "scale_ratio/masked")]).all()
    assert said["test/aurc_perfect/masked"] <= said["test/aurc/masked"]
    assert any(key.startswith("linear/mae/covered_") for key in said)
    assert "test/calibration_places" not in said, "a single place validates"


def test_the_page_tells_who_was_compared_on_what(ran: Ran) -> None:
    html = (ran.folder / "report.html").read_text(encoding="utf-8")
    for words in (
        "Simulated data",
        "linear interpolation in time",
        "PMAA from scratch",
        "random weights",
        "Reliability",
    ):
        assert words in html
    for heading in ("Is it worth it?", "By band", "By how much is hidden", "Before and after", "How the fit went"):
        assert heading in html
    assert "How the calibration holds at other places cannot be told" in html and "bootstrap over" in html
    assert "expected error" in html and "no verdict" not in html.lower()


def test_the_curves_hold_the_validation_error(ran: Ran) -> None:
    with (ran.folder / "curves.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    best = [float(row["val/mae"]) for row in rows if row.get("val/mae")]
    assert min(best) == pytest.approx(ran.metrics["test/val_mae"], rel=1e-5)


def test_the_bundle_restores_as_the_run_did(ran: Ran) -> None:
    bundle = load_restorer(ran.folder / "bundle")
    assert bundle.channels == CHANNELS and bundle.multiple == 8 and bundle.keep_clear
    found, before = bundle.restore(BATCH), ran.before["test"]
    assert torch.allclose(found.image, before.image, atol=1e-5, equal_nan=True)
    assert found.scale is not None and before.scale is not None
    assert torch.allclose(found.scale, before.scale, rtol=1e-4, equal_nan=True)
    assert not torch.equal(bundle.restorer.factor, torch.ones(len(CHANNELS)))
    assert float(bundle.restorer.floor) == pytest.approx(1e-3), "what the loss added to the scale is not stored"
    text = (ran.folder / "bundle" / "README.md").read_text()
    assert "expected absolute error" in text and "simulated" in text


def test_the_bundle_carries_the_simple_models(ran: Ran) -> None:
    found = load_restorer_baselines(load_restorer(ran.folder / "bundle"))
    assert set(found) == {*REMOVAL_CONTROLS} - {"random_backbone", "full_finetune"}
    for who, restorer in found.items():
        assert torch.allclose(restorer.restore(BATCH).image, ran.before[who].image, atol=1e-5, equal_nan=True), who


def test_a_bundle_of_another_task_or_with_a_changed_byte_is_refused(ran: Ran, tmp_path: Path) -> None:
    with pytest.raises(GeoadaptError, match="cloud_removal"):
        load_bundle(ran.folder / "bundle")
    broken = tmp_path / "bundle"
    shutil.copytree(ran.folder / "bundle", broken)
    file = broken / "calibration.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x00")
    with pytest.raises(GeoadaptError, match="changed"):
        load_restorer(broken)


def test_a_pixel_without_another_clear_date_is_left_missing_and_never_scored(tmp_path: Path) -> None:
    setting = prepare(job(truth=True), tmp_path)
    made = restorer_of(setting, setting.job).eval()
    sample = setting.test[0]
    clear = sample.series.clear.copy()
    clear[:, :4] = False
    lost = replace(sample, series=replace(sample.series, clear=clear))
    found = made.restore(series_batch([lost]))
    assert found.scale is not None
    assert found.image[..., :4, :].isnan().all() and found.scale[..., :4, :].isnan().all()
    assert found.image[..., 8:, :].isfinite().any()
    assert not asked(series_batch([lost]))[..., :4, :].any()

    class Guess:
        """It says something everywhere, and nonsense where nobody can know."""

        channels = CHANNELS

        def restore(self, batch: Batch) -> Restored:
            image = batch.target.values[:, 0].clone()  # type: ignore[union-attr]
            image[..., :4, :] = 100.0
            return Restored(image)

    entries: dict[str, Restorer] = {"test": made, "guess": Guess()}
    scored = score_entries(entries, [lost, lost], size=2)
    metrics = summarise_removal(scored, draws=5, seed=0)
    assert metrics["guess/mae/masked"] == pytest.approx(0, abs=1e-6)
    assert 0 < metrics["test/unseen/masked"] < 1
    assert metrics["test/coverage/masked"] == pytest.approx(1 - metrics["test/unseen/masked"])


def test_pasted_clouds_hide_what_is_scored_where_no_truth_is_known(tmp_path: Path) -> None:
    setting = prepare(job(truth=False), tmp_path)
    for sample in (*setting.val, *setting.test):
        assert sample.hidden.any() and sample.series.truth is None
        batch = series_batch([sample])
        assert batch.target is not None and batch.target.valid is not None
        counted = batch.target.valid[0, 0].any(0).numpy()
        assert not (counted & ~(sample.hidden & sample.series.clear[sample.target])).any()
    places = {s.series.name for s in setting.test}
    assert not places & {s.series.name for s in setting.val} and len(places) == 2


def test_the_untrained_restorer_is_linear_interpolation_and_its_scale_is_calibrated(tmp_path: Path) -> None:
    setting = prepare(job(), tmp_path)
    made = restorer_of(setting, setting.job).eval()
    linear = removal_controls.CONTROLS["linear"](setting, 0.0).restorer
    batch = series_batch(setting.val[:2])
    wanted = asked(batch)
    assert torch.allclose(made.restore(batch).image[wanted], linear.restore(batch).image[wanted], atol=1e-5)
    made.factor.copy_(calibrate(made, setting.val, 2, "cpu"))
    assert torch.allclose(calibrate(made, setting.val, 2, "cpu"), torch.ones(len(CHANNELS)), rtol=1e-4)


class Off:
    """It errs by as much as a place's name says, and expects 0.1 everywhere."""

    channels = CHANNELS

    def restore(self, batch: Batch) -> Restored:
        assert batch.target is not None
        true = batch.target.values[:, 0]
        by = torch.tensor([float(where.scene) for where in batch.where])[:, None, None, None]
        return Restored(true + by, torch.full_like(true, 0.1))


def test_a_calibration_is_tried_on_places_that_it_has_not_seen() -> None:
    shown = series("shown", 5)
    nothing = np.zeros((32, 32), bool)
    samples = [Sample(replace(shown, name=name), 2, nothing) for name in ("0.1", "0.2", "0.6") for _ in range(2)]
    assert torch.allclose(calibrate(Off(), samples, 4, "cpu"), torch.full((len(CHANNELS),), 3.0), rtol=1e-4)
    assert left_out(Off(), samples, 4, "cpu") == pytest.approx([0.4 / 0.1, 0.35 / 0.2, 0.15 / 0.6], rel=1e-4)
    assert left_out(Off(), samples[:2], 4, "cpu").size == 0


def test_the_same_seed_gives_the_same_restorer(tmp_path: Path) -> None:
    first, second = (
        fit_restorer(prepare(job(), tmp_path / name), job(), "fit")[0].restore(BATCH).image for name in "ab"
    )
    assert torch.equal(first.nan_to_num(-1), second.nan_to_num(-1))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"controls": "rule"}, "no control of cloud removal"),
        ({"chip": 20}, "choose 16"),
        ({"cache": 1}, "segmentation"),
    ],
)
def test_what_cannot_be_is_said_before_the_fit(changes: dict[str, Any], match: str, tmp_path: Path) -> None:
    with pytest.raises(GeoadaptError, match=match):
        setting = prepare(job(**changes), tmp_path)
        removal.KIND.choose(setting)
        restorer_of(setting, setting.job)


def test_another_head_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GeoadaptError, match="removal"):
        prepare(replace(job(), head=FcnConfig()), tmp_path)


def test_a_bundle_looks_at_as_many_dates_as_its_training_did(tmp_path: Path) -> None:
    train(job(task={"dates": 3}), tmp_path)
    bundle = load_restorer(tmp_path / "bundle")
    given = BATCH.inputs["optical"]
    near = nearest_dates(given, 3)
    assert near.values.shape[1] == 3 < given.values.shape[1]
    assert near.valid is not None and near.valid[:, :-1].any(1).all(), "all pixels are known to the nearest dates"
    image = bundle.restore(BATCH).image
    assert torch.equal(image, bundle.restorer.restore(Batch({"optical": near})).image)


def test_a_pixel_that_the_nearest_dates_hide_is_restored_from_farther_ones(tmp_path: Path) -> None:
    train(job(task={"dates": 3}), tmp_path)
    bundle = load_restorer(tmp_path / "bundle")
    given = BATCH.inputs["optical"]
    valid = torch.ones(given.values.shape, dtype=torch.bool)
    valid[..., :4, :4] = False
    last = len(valid[0]) - 1
    away = (given.times - given.times[:, -1:]).abs()[:, :-1]  # type: ignore[index, operator]
    for sample, date in enumerate(away.argmax(1)):
        valid[sample, date, :, :4, :3] = True
    valid[:, last] = False
    batch = Batch({"optical": replace(given, valid=valid)})
    found = bundle.restore(batch)
    assert found.image[..., :4, :3].isfinite().all() and found.image[..., :4, 3].isnan().all()
    assert found.scale is not None and torch.equal(found.scale.isnan(), found.image.isnan())
    near = bundle.restorer.restore(Batch({"optical": nearest_dates(replace(given, valid=valid), 3)})).image
    assert near[..., :4, :3].isnan().all() and torch.equal(found.image[..., 4:, :], near[..., 4:, :])
