"""A run that is scored as papers on Sen2_MTC score theirs, on a small look-alike of the published folders."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from geoadapt.config import JobConfig, job_from_plain
from geoadapt.errors import GeoadaptError
from geoadapt.fields.removal_config import RemovalDatasetConfig
from geoadapt.fields.removal_splits import MTC_SPLITS
from geoadapt.metrics.stretched import PROTOCOLS, compare_stretched
from geoadapt.tasks.config import REMOVAL_PROTOCOLS, CloudRemovalConfig
from geoadapt.training.removal_evaluate import evaluate_restorer
from geoadapt.training.removal_samples import check_protocol, check_series, fixed_samples
from geoadapt.training.removal_setting import loaders_for, prepare
from geoadapt.training.run import train
from tests.fields.test_removal_datasets import hls
from tests.synth import scene, write_tif
from tests.tiny import TINY
from tests.training.small_series import series

SIDE = 32


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tile per part and two in the test, three cloudy images and a cloudless one of a place each."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 1), ("val", 1), ("test", 2)):
        for n, tile in enumerate(sorted(MTC_SPLITS[part])[:count]):
            land = 1500 * scene(4, SIDE, SIDE, seed=n) + 100
            folder = tmp_path / "Sen2_MTC" / tile
            write_tif(folder / "cloudless" / f"{tile}_1.tif", land.astype(np.uint16))
            for k in range(3):
                seen = land * rng.uniform(0.8, 1.2) + rng.normal(0, 40, land.shape)
                write_tif(folder / "cloud" / f"{tile}_1_{k}.tif", np.clip(seen, 1, 10000).astype(np.uint16))
    return tmp_path


def job(root: Path, protocol: str) -> JobConfig:
    return job_from_plain(
        {
            "backbone": {"name": "small_eo", **TINY},
            "adapter": {"name": "lora", "r": 2},
            "head": {"name": "removal", "width": 4},
            "task": {"name": "cloud_removal", "frames": 3, "protocol": protocol},
            "data": {"name": "sen2_mtc_new", "root": str(root)},
            "train": {
                **{"steps": 2, "batch": 2, "chip": SIDE, "val_every": 2, "bootstrap": 20},
                "controls": "temporal_mean,last_clear",
            },
            "runtime": {"device": "cpu", "threads": 1, "precision": "fp32"},
        }
    )


def as_published(image: NDArray[np.float32]) -> NDArray[np.float64]:
    """Colours (3, h, w) from reflectance: cut off at 0.2, from the image's darkest to its brightest."""
    numbers = np.minimum(np.floor(image[:3] * np.float32(10000) + 0.5), 2000)
    numbers = numbers - numbers.min()
    return np.asarray(np.floor(numbers / numbers.max() * 255), np.float64)


def test_the_published_scores_stand_beside_those_of_reflectance(root: Path, tmp_path: Path) -> None:
    metrics = train(job(root, "sen2_mtc_new"), tmp_path / "run").metrics
    said = []
    for tile in sorted(MTC_SPLITS["test"])[:2]:
        folder = root / "Sen2_MTC" / tile
        with rasterio.open(folder / "cloudless" / f"{tile}_1.tif") as file:
            truth = file.read().astype(np.float32) * np.float32(1e-4)
        seen = []
        for k in range(3):
            with rasterio.open(folder / "cloud" / f"{tile}_1_{k}.tif") as file:
                seen.append(file.read().astype(np.float32) * np.float32(1e-4))
        mean = np.stack(seen).mean(0)
        mse = ((as_published(mean) - as_published(truth)) ** 2).mean()
        said.append(10 * np.log10(255**2 / mse))
    assert metrics["temporal_mean/psnr_8bit/all"] == pytest.approx(np.mean(said), abs=0.02)
    assert abs(metrics["temporal_mean/psnr_8bit/all"] - metrics["temporal_mean/psnr/all"]) > 0.5
    assert metrics["test/images_8bit/all"] == 2
    for metric in ("psnr", "ssim"):
        names = [f"test/{metric}_8bit{end}/all" for end in ("_low", "", "_high")]
        assert metrics[names[0]] <= metrics[names[1]] <= metrics[names[2]]
        gain = metrics[f"test/{metric}_8bit/all"] - metrics[f"temporal_mean/{metric}_8bit/all"]
        assert metrics[f"temporal_mean/{metric}_8bit_gain/all"] == pytest.approx(gain, abs=1e-9)
    html = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "Published protocol" in html and "sen2_mtc_new: colours in 8 bits, means over 2 images" in html
    card = json.loads((tmp_path / "run" / "bundle" / "bundle.json").read_text(encoding="utf-8"))
    assert card["removal"]["protocol"] == "sen2_mtc_new"


def test_reflectance_alone_is_scored_unless_it_is_asked_for(root: Path, tmp_path: Path) -> None:
    metrics = train(job(root, "radiometric"), tmp_path / "run").metrics
    assert metrics["test/psnr/masked"] > 0 and not any("8bit" in key for key in metrics)
    assert "Published protocol" not in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_what_the_protocol_cannot_score_is_said(root: Path) -> None:
    assert set(REMOVAL_PROTOCOLS) == {"radiometric", *PROTOCOLS}
    task = job(root, "sen2_mtc_old").task
    with pytest.raises(GeoadaptError, match="blue, nir"):
        check_protocol(task, ("blue", "nir"), 64)
    with pytest.raises(GeoadaptError, match="chips of 8 px"):
        check_protocol(task, ("blue", "green", "red"), 8)
    check_protocol(job(root, "radiometric").task, ("nir",), 8)
    with pytest.raises(GeoadaptError, match="sen2_mtc_(new|old)"):
        job(root, "sen2_mtc")
    with pytest.raises(GeoadaptError, match="holds no time series"):
        check_series(object(), "csmask")


def test_hls_chips_are_hidden_as_published_in_a_run_and_all_of_them_can_be_scored(tmp_path: Path) -> None:
    plan = job(hls(tmp_path / "hls"), "radiometric")
    data = RemovalDatasetConfig("hls_gaps", str(tmp_path / "hls"))
    plan = replace(plan, data=data, train=replace(plan.train, chip=16))
    setting = prepare(plan, tmp_path)
    (chip,) = setting.data.val
    assert [(s.series.name, s.target) for s in setting.val] == [(chip.name, 0)], "the first pattern hides the first"
    loaded = [batch.inputs["optical"] for batch in loaders_for(setting, replace(plan, seed=3))(0).train]
    hidden = [tuple((~v).flatten(1).any(1).tolist()) for field in loaded for v in field.valid]  # type: ignore[union-attr]
    assert len(hidden) == 4 and sum(hidden[3]) == 2, "pattern 4 of 7 hides two dates at once"
    bundle = train(plan, tmp_path / "run").bundle
    some = evaluate_restorer(bundle, data, tmp_path / "some", bootstrap=20).metrics["test/samples"]
    every = evaluate_restorer(bundle, data, tmp_path / "all", bootstrap=20, whole=True).metrics["test/samples"]
    assert some == 4 and every == some + len(setting.val) + len(setting.data.train)


def test_few_samples_of_many_places_are_spread_over_all_of_them() -> None:
    places = [series(f"{n:02d}", n, 16) for n in range(20)]
    task = CloudRemovalConfig()
    found = [sample.series.name for sample in fixed_samples(places, (), task, 16, 0, 5)]
    assert found == ["00", "04", "09", "14", "19"], "not the first five, which may all be of one scene"
    places[4] = replace(places[4], clear=np.ones_like(places[4].clear))
    found = [sample.series.name for sample in fixed_samples(places, (), task, 16, 0, 5)]
    assert found == ["00", "09", "14", "19", "01"], "another takes the place of one where nothing is hidden"
    assert len(fixed_samples(places, (), task, 16, 0, 19)) == 19


def test_only_images_that_everybody_has_whole_are_compared() -> None:
    model = {"psnr": np.array([20.0, 30.0, 40.0, np.inf]), "ssim": np.array([0.5, 0.6, 0.7, 1.0])}
    other = {"psnr": np.array([10.0, np.nan, 20.0, 30.0]), "ssim": np.array([0.4, np.nan, 0.6, 0.9])}
    found = compare_stretched({"test": model, "other": other}, ("a", "b", "a", "c"), draws=50)
    assert found["other/images_8bit/all"] == found["test/images_8bit/all"] == 3
    assert found["other/psnr_8bit/all"] == 20 and found["test/psnr_8bit/all"] == np.inf
    assert found["other/ssim_8bit_gain/all"] == pytest.approx(0.1)
    assert found["other/ssim_8bit_gain_low/all"] == pytest.approx(0.1)
    lone = compare_stretched({"test": other}, ("a",) * 4, draws=50)
    assert lone["test/psnr_8bit/all"] == 20 and np.isnan(lone["test/psnr_8bit_low/all"])
    nothing = compare_stretched({"test": {k: np.full(2, np.nan) for k in model}}, ("a", "b"), draws=5)
    assert nothing["test/images_8bit/all"] == 0 and np.isnan(nothing["test/ssim_8bit/all"])
