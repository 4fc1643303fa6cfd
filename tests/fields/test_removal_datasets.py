"""Public data sets of cloud removal in their published folders: tiny look-alikes, and the one real patch."""

from __future__ import annotations

import csv
import pickle
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.fields import DATASETS
from geoadapt.fields.gaps import mask_pool, test_samples, val_batches
from geoadapt.fields.removal_config import RemovalDatasetConfig
from geoadapt.fields.removal_datasets import HLS, KINDS, MTC, SEN12, LazySeries, MaskFiles
from geoadapt.fields.removal_layouts import LAYOUTS
from geoadapt.fields.removal_splits import CR_SPLITS, MTC_SPLITS, TS_SPLITS
from geoadapt.fields.series import SeriesData
from geoadapt.io.gdal import quiet
from geoadapt.registry import build, from_plain
from tests.folders import folder
from tests.synth import write_tif

REAL = folder("data") / "cloudremoval" / "sen12mscr"
SIDE = 16


def ramp(bands: int, seed: int = 0, dtype: str = "uint16") -> NDArray[np.generic]:
    return np.random.default_rng(seed).integers(1, 4000 if dtype != "uint8" else 255, (bands, SIDE, SIDE)).astype(dtype)


def jpeg(path: Path, values: NDArray[np.generic]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = values.shape
    options = {"driver": "JPEG", "count": count, "height": height, "width": width, "dtype": "uint8", "quality": 100}
    with quiet(), rasterio.open(path, "w", **options) as file:
        file.write(values)


def made(name: str, root: Path, **more: object) -> SeriesData:
    config = from_plain(RemovalDatasetConfig, {"name": name, "root": str(root), **more}, "data")
    data: SeriesData = build(DATASETS, config, 3)
    return data


def mtc_new(root: Path) -> Path:
    for tile in ("T49SCC_R018", "T22MCT_R024", "T41VMJ_R006"):
        for number in range(2):
            base = root / "Sen2_MTC" / tile
            write_tif(base / "cloudless" / f"{number}.tif", ramp(4, number))
            for k in range(3):
                write_tif(base / "cloud" / f"{number}_{k}.tif", ramp(4, 10 + k))
    return root


def mtc_old(root: Path, count: int = 10) -> Path:
    for number in range(count):
        jpeg(root / "multipleImage" / "clear" / f"14RNQ_{number}.jpg", np.full((3, SIDE, SIDE), 51, np.uint8))
        for k in range(3):
            grey = np.full((3, SIDE, SIDE), 102 + k, np.uint8)
            jpeg(root / "multipleImage" / "cloudy" / f"14RNQ_{number}_{k}.jpg", grey)
            jpeg(root / "multipleImage" / "cloudy" / f"14RNQ_{number}_{k}_ir.jpg", grey[:1] + 51)
    return root


def cr(root: Path, scenes: tuple[str, ...] = ("ROIs1158_spring_1", "ROIs1970_fall_65", "ROIs1970_fall_139")) -> Path:
    for scene in scenes:
        season, number = scene.rsplit("_", 1)
        for kind, bands in (("s1", 2), ("s2", 13), ("s2_cloudy", 13)):
            for patch in (30, 31):
                name = f"{season}_{kind}_{number}_p{patch}.tif"
                values = ramp(bands, patch) if bands == 13 else -ramp(bands, patch).astype("float32") / 200
                write_tif(root / f"{season}_{kind}" / f"{kind}_{number}" / name, values)
    return root


def cr_ts(root: Path, dates: int = 4) -> Path:
    for region in ("ROIs1158/2", "ROIs1868/17", "ROIs1158/106"):
        season, number = region.split("/")
        for patch in (0, 1):
            for k in range(dates):
                for kind, bands, day in (("s1", 2, 3), ("s2", 13, 5)):
                    name = f"{kind}_{season}_{number}_ImgNo_{k}_2018-{k + 1:02d}-{day:02d}_patch_{patch}.tif"
                    write_tif(root / region / kind.upper() / str(k) / name, ramp(bands, k).astype("float32"))
                    if kind == "s2":
                        mask = (np.arange(SIDE * SIDE).reshape(1, SIDE, SIDE) < 64 * (k % 3)).astype("uint8")
                        write_tif(root / "masks" / region / "S2" / str(k) / name.replace(".tif", "_labels.tif"), mask)
    return root


def hls(root: Path, chips: int = 5) -> Path:
    rows, masks = [], []
    for number in range(chips):
        for split in ("train", "test"):
            name = f"chip_{number:03d}_{'001' if split == 'train' else '900'}"
            chip = ramp(18, number, "int16")
            if number == 4:
                chip[0, 0, 0] = -9999
            write_tif(root / split / "hls_chips" / f"{name}.tif", chip)
            told: dict[str, str] = {"chip_id": name, "bad_pct_max": "0.5", "na_count": "0.0"}
            told |= {
                f"{w}_image_date": d
                for w, d in zip(("first", "second", "third"), ("2022087", "2022212", "2022272.0"), strict=True)
            }
            rows.append(told | ({"bad_pct_max": "7"} if number == 3 else {}))
            if split == "test":
                hidden = chip.copy()
                hidden[6:12, :5] = 0
                write_tif(root / split / "hls_chips_masked" / f"{name}_masked.tif", hidden)
        mask = (np.arange(SIDE * SIDE).reshape(1, SIDE, SIDE) < 40 * (number + 1)).astype("uint8")
        write_tif(root / "train" / "cloud_masks" / f"chip_{number:03d}_777.tif", mask)
        masks.append({"cloud_mask_id": f"chip_{number:03d}_777", "cloud_pct": str(mask.mean()), "bin": ""})
        masks[-1]["usage"] = "validate" if number == 0 else "train"
    for file, table in (("chip_catalog.csv", rows), ("cloud_catalog.csv", masks)):
        with (root / file).open("w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, table[0])
            writer.writeheader()
            writer.writerows(table)
    return root


MAKERS = {"sen2_mtc_new": mtc_new, "sen2_mtc_old": mtc_old, "sen12mscr": cr, "sen12mscr_ts": cr_ts, "hls_gaps": hls}


def test_every_layout_is_a_choice_with_a_reader() -> None:
    assert set(LAYOUTS) == set(KINDS) == set(MAKERS) <= set(DATASETS)
    assert RemovalDatasetConfig("hls_gaps").root == "data/hls_gaps"
    assert [len(MTC_SPLITS[s]) for s in ("train", "val", "test")] == [34, 5, 10]
    assert [len(CR_SPLITS[s]) for s in ("val", "test")] == [10, 10] and len(TS_SPLITS["test"]) == 13
    for splits in (MTC_SPLITS, CR_SPLITS, TS_SPLITS):
        parts = list(splits.values())
        assert len(frozenset().union(*parts)) == sum(map(len, parts)), "no place is in two splits"


def test_three_cloudy_images_and_a_hidden_date_whose_truth_is_the_cloudless_one(tmp_path: Path) -> None:
    data = made("sen2_mtc_new", mtc_new(tmp_path))
    assert data.channels == MTC and [len(part) for part in (data.train, data.val, data.test)] == [2, 2, 2]
    assert [s.name for s in data.test] == ["T41VMJ_R006_0", "T41VMJ_R006_1"]
    one = data.train[1]
    assert one.values.shape == (4, 4, SIDE, SIDE) and one.truth is not None
    assert one.clear[:3].all() and not one.clear[3].any() and np.isnan(one.values[3]).all()
    np.testing.assert_allclose(one.values[2], ramp(4, 12).astype(float) / 1e4, atol=1e-6)
    np.testing.assert_allclose(one.truth[3], ramp(4, 1).astype(float) / 1e4, atol=1e-6)
    assert np.isnan(one.truth[:3]).all() and "published" in data.note
    batch = val_batches(test_samples(data.test, (), SIDE, 0), 2)[0]
    assert batch.target is not None and batch.target.valid is not None and batch.target.valid.all()
    valid = batch.inputs["optical"].valid
    assert valid is not None and valid[:, :3].all() and not valid[:, 3].any()


def test_the_old_set_has_infrared_beside_and_none_in_its_truth(tmp_path: Path) -> None:
    data = made("sen2_mtc_old", mtc_old(tmp_path))
    assert [len(part) for part in (data.train, data.val, data.test)] == [8, 1, 1]
    names = [series.name for part in (data.train, data.val, data.test) for series in part]
    assert len(set(names)) == 10
    import torch

    order = torch.randperm(10, generator=torch.Generator().manual_seed(2022)).tolist()
    assert names == [f"14RNQ_{i}" for i in order]
    one = data.test[0]
    assert one.truth is not None
    np.testing.assert_allclose(one.values[:3, 0].mean((1, 2)), np.array([102, 103, 104]) / 255, atol=0.01)
    np.testing.assert_allclose(one.values[:3, 3].mean((1, 2)), np.array([153, 154, 155]) / 255, atol=0.01)
    np.testing.assert_allclose(one.truth[3, :3].mean((1, 2)), 0.2, atol=0.01)
    assert np.isnan(one.truth[3, 3]).all()
    batch = val_batches(test_samples(data.test, (), SIDE, 0), 1)[0]
    assert batch.target is not None and batch.target.valid is not None
    assert batch.target.valid[0, 0].all(-1).all(-1).tolist() == [True, True, True, False]


def test_sen12mscr_pairs_of_scenes_with_radar(tmp_path: Path) -> None:
    data = made("sen12mscr", cr(tmp_path))
    assert data.channels == SEN12 and len(SEN12) == 13
    assert [s.name for s in data.val] == ["ROIs1970_fall_65_p30", "ROIs1970_fall_65_p31"]
    assert [s.name for s in data.test] == ["ROIs1970_fall_139_p30", "ROIs1970_fall_139_p31"]
    assert [s.name for s in data.train] == ["ROIs1158_spring_1_p30", "ROIs1158_spring_1_p31"]
    one = data.train[0]
    assert one.values.shape == (2, 13, SIDE, SIDE) and one.radar is not None
    assert one.radar.channels == ("vv", "vh") and one.radar.values.max() < 0
    assert made("sen12mscr", tmp_path, radar=False).train[0].radar is None
    assert len(made("sen12mscr", tmp_path, images=1).train) == 1
    batch = val_batches(test_samples(data.test, (), SIDE, 0), 2)[0]
    assert set(batch.inputs) == {"optical", "radar"}
    (tmp_path / "ROIs1158_spring_s1" / "s1_1" / "ROIs1158_spring_s1_1_p31.tif").unlink()
    with pytest.raises(GeoadaptError, match="lacks 1 Sentinel-1 partner, first of ROIs1158_spring_1_p31"):
        made("sen12mscr", tmp_path)


@pytest.mark.skipif(not REAL.is_dir(), reason="the folder of GEOADAPT_DATA is absent")
def test_the_real_patch_is_of_the_published_test() -> None:
    data = made("sen12mscr", REAL)
    assert [len(part) for part in (data.train, data.val, data.test)] == [0, 0, 1]
    one = data.test[0]
    assert one.name == "ROIs1970_fall_139_p839" and one.values.shape == (2, 13, 256, 256) and one.truth is not None
    cloudy, clear = one.values[0, 1:4], one.truth[1, 1:4]
    assert cloudy.max() > 0.6 and clear.max() < 0.3 and (cloudy.mean((1, 2)) > clear.mean((1, 2)) + 0.02).all()
    assert np.nanmedian(one.truth[1, SEN12.index("cirrus")]) < 0.01
    assert one.radar is not None and -30 < np.nanmedian(one.radar.values) < 0
    samples = test_samples(data.test, (), 64, 0)
    assert len(samples) == 16 and {s.target for s in samples} == {1}
    with pytest.raises(GeoadaptError, match="in 0 series"):
        test_samples(data.train, (), 64, 0)


def test_a_year_needs_masks_and_keeps_its_dates(tmp_path: Path) -> None:
    root = cr_ts(tmp_path)
    with pytest.raises(GeoadaptError, match="does not say where its clouds are"):
        made("sen12mscr_ts", root)
    data = made("sen12mscr_ts", root, masks=str(root / "masks"))
    assert [len(part) for part in (data.train, data.val, data.test)] == [2, 2, 2]
    assert {s.name for s in data.test} == {"ROIs1158_106_p0", "ROIs1158_106_p1"}
    one = data.train[0]
    assert [str(t) for t in one.times] == [f"2018-0{m}-05" for m in (1, 2, 3, 4)]
    assert one.radar is not None and str(one.radar.times[2]) == "2018-03-03"
    assert one.clear.mean((1, 2)).tolist() == pytest.approx([1.0, 0.75, 0.5, 1.0])
    assert one.truth is None and len(mask_pool(data.train)) == 4
    (root / "masks/ROIs1158/2/S2/1/s2_ROIs1158_2_ImgNo_1_2018-02-05_patch_0_labels.tif").unlink()
    with pytest.raises(GeoadaptError, match="expected a mask of s2_ROIs1158_2_ImgNo_1_2018-02-05_patch_0.tif"):
        made("sen12mscr_ts", root, masks=str(root / "masks")).train[0]


def test_hls_chips_by_date_with_masks_of_their_own_and_a_test_that_is_masked(tmp_path: Path) -> None:
    data = made("hls_gaps", hls(tmp_path))
    assert data.channels == HLS and [len(part) for part in (data.train, data.val, data.test)] == [3, 1, 4]
    one = next(s for s in data.train if s.name.startswith("chip_00") and s.clear.all())
    number = int(one.name[5:8])
    raw = ramp(18, number, "int16").astype(float) / 1e4
    np.testing.assert_allclose(one.values[1, 2], raw[8], atol=1e-6)
    assert [str(t) for t in one.times] == ["2022-03-28", "2022-07-31", "2022-09-29"]
    assert not any(s.name.startswith("chip_003") for s in (*data.train, *data.val)), "too much of it is bad"
    spoilt = next(s for s in (*data.train, *data.val) if s.name.startswith("chip_004"))
    assert not spoilt.clear[0, 0, 0] and spoilt.clear.sum() == spoilt.clear.size - 1
    pool = mask_pool(data.train)
    assert isinstance(pool, MaskFiles) and [m.mean() for m in pool] == pytest.approx(
        np.array([80, 120, 160, 200]) / 256
    )
    assert len(mask_pool(data.val)) == 1 and len(test_samples(data.val, mask_pool(data.val), SIDE, 0)) == 3
    hidden = data.test[0]
    assert hidden.truth is not None and hidden.clear[[0, 2]].all()
    assert not hidden.clear[1, :5].any() and hidden.clear[1, 5:].all()
    (sample,) = test_samples([hidden], (), SIDE, 0)
    target = val_batches([sample], 1)[0].target
    assert sample.target == 1 and target is not None
    np.testing.assert_allclose(target.values[0, 0, 3, :5].numpy(), hidden.truth[1, 3, :5])


def test_a_mask_whose_meaning_is_turned_round_is_an_error(tmp_path: Path) -> None:
    root = hls(tmp_path)
    path = root / "train" / "cloud_masks" / "chip_001_777.tif"
    with rasterio.open(path) as file:
        turned = 1 - file.read()
    write_tif(path, turned)
    with pytest.raises(GeoadaptError, match="expected 0 = clear, 1 = cloud"):
        made("hls_gaps", root)


@pytest.mark.parametrize("name", MAKERS)
def test_series_are_read_on_demand_and_travel_between_processes(name: str, tmp_path: Path) -> None:
    root = MAKERS[name](tmp_path)
    data = made(name, root, masks=str(root / "masks") if name == "sen12mscr_ts" else "")
    assert isinstance(data.train, LazySeries) and len(data.train[1:]) == len(data.train) - 1
    again = pickle.loads(pickle.dumps(data.train))  # noqa: S301 - what was just made
    assert np.array_equal(again[0].values, data.train[0].values, equal_nan=True)
    assert data.train[0] is not data.train[0]
    files = sorted(p for p in root.rglob("*") if p.suffix in (".tif", ".jpg") and "mask" not in str(p))
    for file in files:
        file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(GeoadaptError):
        data.train[0]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sen2_mtc_new", "is no folder; download CTGAN.zip"),
        ("sen2_mtc_old", "multipleImage.tar.gz"),
        ("sen12mscr", r"holds no \*_s2_cloudy"),
        ("hls_gaps", "chip_catalog.csv: is missing; download zenodo"),
    ],
)
def test_what_is_missing_says_what_to_download(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(GeoadaptError, match=message):
        made(name, tmp_path / "nowhere")


def test_foreign_tiles_names_sizes_and_columns_are_named(tmp_path: Path) -> None:
    root = mtc_new(tmp_path / "a")
    (root / "Sen2_MTC" / "T22MCT_R024").rename(root / "Sen2_MTC" / "T99XXX_R001")
    with pytest.raises(GeoadaptError, match=r"\['T99XXX_R001'\] belong to no published split"):
        made("sen2_mtc_new", root)
    root = mtc_new(tmp_path / "b")
    write_tif(root / "Sen2_MTC/T49SCC_R018/cloud/0_1.tif", ramp(4)[:, :8])
    with pytest.raises(GeoadaptError, match="T49SCC_R018_0 has images of"):
        made("sen2_mtc_new", root).train[0]
    write_tif(root / "Sen2_MTC/T49SCC_R018/cloud/0_1.tif", ramp(3))
    with pytest.raises(GeoadaptError, match="has 3 bands, expected 4"):
        made("sen2_mtc_new", root).train[0]
    (root / "Sen2_MTC/T49SCC_R018/cloud/0_1.tif").unlink()
    with pytest.raises(GeoadaptError, match="0_1.tif: is missing"):
        made("sen2_mtc_new", root)
    root = hls(tmp_path / "c")
    (root / "cloud_catalog.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(GeoadaptError, match=r"no columns \['cloud_mask_id', 'cloud_pct', 'usage'\]"):
        made("hls_gaps", root)
    with pytest.raises(GeoadaptError, match="choose 0 or more"):
        RemovalDatasetConfig(images=-1)
    with pytest.raises(GeoadaptError, match="more than 0 and less than 1"):
        RemovalDatasetConfig(val_fraction=1.0)
