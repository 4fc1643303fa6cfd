"""The main job on real scenes with the real Galileo-nano, in small: it must run, and say what it says it says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoadapt.cli import main

BANDS = ["blue", "green", "red", "nir", "swir16", "swir22"]


@pytest.fixture(scope="module")
def run(data_dir: Path, weights_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few steps from Sentinel-2 to Landsat-7, with the controls that cost nothing."""
    folder = tmp_path_factory.mktemp("run")
    status = main(
        [
            "train", "experiment=cloud_segmentation", "data=csmask", f"data.root={data_dir / 'cloudmask/ukis_csmask'}",
            "data.test=[landsat7]", "seed=0", f"hydra.run.dir={folder}", "train.steps=8", "train.val_every=8",
            "train.batch=4", "train.chip=32", "train.bootstrap=50", "train.controls=rule,lda", "runtime.threads=1",
            "backbone=galileo_nano",
        ]
    )  # fmt: skip
    assert status == 0
    return folder


def test_the_rule_scores_on_the_real_scene_what_was_once_measured(run: Path) -> None:
    found = json.loads((run / "metrics.json").read_text())
    assert found["rule/iou/cloud"] == pytest.approx(0.657, abs=0.001)
    assert 0 < found["test/iou/cloud"] < 1 and 0 < found["test/iou/shadow"] < 1


def test_the_bundle_names_the_public_weights_by_their_hash(run: Path) -> None:
    source = json.loads((run / "bundle" / "bundle.json").read_text())["source"]
    assert source["sha256"] == "eab6acacf527886a508a555bc24efe4b4a2cf91b162e84cd1c4a1807e942180c"


def test_predict_masks_the_landsat_8_folder_into_a_cog(run: Path, data_dir: Path, tmp_path: Path) -> None:
    from rio_cogeo import cog_validate

    scene = data_dir / "cloudmask" / "l8_toa"
    assert (
        main(
            [
                "predict",
                str(scene),
                "--bundle",
                str(run / "bundle"),
                "--output",
                str(tmp_path),
                "infer.tile=128",
                "infer.overlap=16",
            ]
        )
        == 0
    )
    labels = next(tmp_path.rglob("*_labels.tif"))
    assert cog_validate(labels)[0]
    with rasterio.open(labels) as made, rasterio.open(scene / "LC80130312015295LGN00_B2_toa.tif") as band:
        assert (made.crs, made.transform, made.shape) == (band.crs, band.transform, band.shape)
        values = made.read(1)
    assert set(np.unique(values)) <= {0, 1, 3, 255}
    assert np.bincount(values.ravel(), minlength=256)[1] > 0


@pytest.mark.parametrize("shape", [(100, 100), (209, 33)])
def test_predict_on_small_and_narrow_scenes_without_a_place(
    run: Path, data_dir: Path, tmp_path: Path, shape: tuple[int, int]
) -> None:
    with np.load(data_dir / "cloudmask" / "ukis_csmask" / "sentinel2.npz") as stored:
        image = stored["img"][: shape[0], : shape[1]].transpose(2, 0, 1)
    path = tmp_path / "scene.tif"
    with rasterio.open(path, "w", driver="GTiff", dtype="float32", count=6, height=shape[0], width=shape[1]) as file:
        file.write(image)
        file.descriptions = BANDS
    assert main(["predict", str(path), "--bundle", str(run / "bundle"), "--output", str(tmp_path / "out")]) == 0
    with rasterio.open(next((tmp_path / "out").rglob("*_labels.tif"))) as made:
        assert made.shape == shape and made.crs is None
        assert set(np.unique(made.read(1))) <= {0, 1, 3}
