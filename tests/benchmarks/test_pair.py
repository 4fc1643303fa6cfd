"""The one real pair: rules without another date are counted and not scored, and every gain has its own rival."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import pair, pair_table
from geoadapt.baselines.composites import COMPOSITES
from geoadapt.errors import GeoadaptError
from geoadapt.fields.restorer import Restored, Restorer
from geoadapt.fields.series import Series
from geoadapt.fields.types import Batch
from tests.synth import write_tif

SIDE = 64
GROUND, OTHER = 0.1, 0.12
"""Reflectance of the cloud-free image, and of the other day where it has no cloud."""
ROUGH = np.where(np.arange(SIDE) % 2, 1e-4, -1e-4)
"""Of the ground: nothing is restored without any error."""
CLOUD = np.zeros((SIDE, SIDE), bool)
CLOUD[10:40, 5:50] = True


@dataclass(frozen=True)
class Says:
    """The same reflectance everywhere; a ``Restorer``."""

    value: float
    channels: tuple[str, ...] = pair.VISIBLE

    def restore(self, batch: Batch) -> Restored:
        field = batch.inputs["optical"]
        shown = field.values[:, -1].amax()
        assert shown > 0.5 or field.values.shape[1] == 2, "what looks at one picture is shown its clouds"
        return Restored(torch.full_like(field.values[:, -1], self.value))


LOOKERS: dict[str, Restorer] = {
    "RICE2 0.3": Says(GROUND),
    "RICE1 1.0": Says(0.2),
    "random 0.3 0": Says(0.3),
    "random 0.3 1": Says(GROUND),
    "random 1.0 0": Says(0.15),
}


def series() -> Series:
    """An almost flat place; clouds of 0.6 and 0.7 over part of it."""
    shape = (2, 3, SIDE, SIDE)
    values, truth = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
    values[0] = np.where(CLOUD, np.where(np.arange(SIDE) % 2, 0.6, 0.7), OTHER)
    truth[1] = GROUND + ROUGH
    clear = np.isfinite(values).all(1)
    return Series("flat", values, clear, np.arange(2).astype("datetime64[D]"), pair.VISIBLE, truth, 10.0, "sentinel2")


@cache
def measured() -> pair_table.Record:
    return pair.measure(series(), CLOUD, LOOKERS, draws=50, times=2)


def test_rules_without_another_date_say_nothing_and_are_counted() -> None:
    found = measured()
    assert found["cloud"]["said"] == dict.fromkeys([*COMPOSITES, "small_series"], 0)
    assert not set(COMPOSITES) & set(found["cloud"]["entries"])
    assert [found[part]["pixels"] for part in ("cloud", "patch", "clear")] == [1350, 4096, 2746]


def test_scores_are_of_the_asked_pixels_and_gains_of_each_ones_rivals() -> None:
    found = measured()
    mae = {part: {who: e["scores"]["mae"] for who, e in found[part]["entries"].items()} for part in found}
    shown = series().values[0, 0][CLOUD]
    assert mae["cloud"]["as_is"] == pytest.approx(shown.mean() - GROUND, abs=1e-5)
    assert mae["cloud"]["cut 0.3"] == pytest.approx(0.2, abs=1e-5)
    assert mae["clear"]["cut 0.3"] == pytest.approx(OTHER - GROUND, abs=1e-5)
    assert mae["cloud"]["filled"] == pytest.approx(0.02, abs=1e-5), "what is clear around is carried in, no cloud is"
    assert mae["patch"]["RICE2 0.3"] == pytest.approx(1e-4, abs=1e-6)
    assert mae["patch"]["RICE1 1.0"] == pytest.approx(0.1, abs=1e-5)
    gain = {who: entry["gain"] for who, entry in found["cloud"]["entries"].items()}
    assert gain["RICE2 0.3"]["image"] == pytest.approx([0.2, 0.2, 0.2], abs=2e-4), "cutting off is no network's gain"
    assert gain["RICE1 1.0"]["image"][0] == pytest.approx(mae["cloud"]["as_is"] - 0.1, abs=1e-5)
    assert {role for role in gain["RICE2 0.3"] if role.startswith("random")} == {"random 0", "random 1"}
    assert gain["RICE1 1.0"]["random 0"][0] == pytest.approx(-0.05, abs=1e-5)
    assert not gain["as_is"].get("image") and "random 0" not in gain["as_is"]


def test_pasted_patterns_are_scored_where_the_other_day_shows_something() -> None:
    found = measured()["pasted"]
    assert 0 < found["scored"] < found["pixels"] and found["times"] == 2
    entries = found["entries"]
    for name in (*COMPOSITES, "small_series"):
        assert entries[name]["scores"]["mae"] == pytest.approx(OTHER - GROUND, abs=1e-5), name
    assert entries["filled"]["scores"]["mae"] == pytest.approx(0, abs=2e-4)
    assert entries["RICE2 0.3"]["gain"]["other_day"][1] > 0
    assert "as_is" not in entries


def test_tables_tell_who_says_nothing_and_count_verdicts() -> None:
    record = {"date": "2026-01-01", "machine": "x", "patch": "flat", "asked": measured()}
    record["mask"] = {"by": "published", "share": 0.3, "other": "bundle", "other_share": 0.4, "agree": 0.9}
    text = pair_table.tables(record)
    assert "| nothing to say: 0 of 1,350 px |" in text and "harmonic regression, last clear date, small_series" in text
    row = next(line for line in text.splitlines() if line.startswith("| SpA-GAN, RICE2"))
    assert "| +0.200 (+0.200 to +0.200) |" in row and row.endswith("| 1 / 1 / 0 |")
    row = next(line for line in text.splitlines() if line.startswith("| – random weights, white = 0.3"))
    assert "| 0.1000 (0.0001–0.2000) |" in row and "| +0.100 (-0.000 to +0.200) |" in row
    assert "| the same |" in text, "composites of one other day are that day"
    for table in text.split("\n\n")[:3]:
        assert len({line.count("|") for line in table.splitlines()}) == 1, "a row has other cells than its head"
    assert "two agree on 90%" in text and "brighter than the cloud-free one by 0.5" in text
    json.dumps(record, allow_nan=True)


def test_a_mask_that_hides_all_and_a_patch_that_cannot_be_cut_are_errors() -> None:
    with pytest.raises(GeoadaptError, match="100% of it is cloud"):
        pair.measure(series(), np.ones_like(CLOUD), {})
    narrow = series().part(cols=slice(0, 60))
    with pytest.raises(GeoadaptError, match="multiples of 32 px"):
        pair.measure(narrow, CLOUD[:, :60], {})


def test_the_command_keeps_a_record_of_the_default_mask_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind, bands, value in (("s2_cloudy", 13, 6000), ("s2_cloudfree", 13, 1000), ("s1", 2, -10)):
        image = np.full((bands, SIDE, SIDE), value + 1e4 * ROUGH, "float32" if bands == 2 else "uint16")
        write_tif(tmp_path / "d" / kind / "ROIs1970_fall_139_p1.tif", image)
    record = tmp_path / "pair.json"
    monkeypatch.setattr(pair, "RECORD", record)
    monkeypatch.setattr(pair, "networks", lambda: LOOKERS)
    monkeypatch.setattr(pair, "cloud_mask", lambda found, how: CLOUD if how == "published" else ~CLOUD)
    pair.main(["--root", str(tmp_path / "d"), "--mask", "bundle", "--draws", "20"])
    assert not record.exists()
    pair.main(["--root", str(tmp_path / "d"), "--draws", "20"])
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    kept = json.loads(record.read_text())
    assert kept["patch"] == "ROIs1970_fall_139_p1" and kept["mask"]["agree"] == 0
    assert last["mae"]["cloud"]["as_is"] == pytest.approx(0.5, abs=1e-4) and last["mask"] == "published"
    with pytest.raises(SystemExit, match="error: .*holds no"):
        pair.main(["--root", str(tmp_path)])


def test_the_real_patch_scores_as_the_published_code_did(
    data_dir: Path, weights_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PSNR of the whole patch before and after, blue, green and red: as ``tests/backbones/test_spagan.py`` has it."""
    monkeypatch.setenv("GEOADAPT_WEIGHTS", str(weights_dir))
    found = pair.read_pair(data_dir / "cloudremoval" / "sen12mscr")
    cloud = pair.cloud_mask(found, "published")
    assert found.name == "ROIs1970_fall_139_p839" and cloud.mean() == pytest.approx(0.4367, abs=1e-3)
    darkened = replace(found, truth=np.zeros_like(found.values))
    assert np.array_equal(pair.cloud_mask(darkened, "published"), cloud), "the truth is not asked where clouds are"
    network = pair.networks((1.0,), ())["RICE2 1.0"]
    scored = pair.measure(found, cloud, {"RICE2 1.0": network}, draws=20, times=1)
    psnr = {who: entry["scores"]["psnr"] for who, entry in scored["patch"]["entries"].items()}
    assert psnr["as_is"] == pytest.approx(16.63, abs=0.005) and psnr["RICE2 1.0"] == pytest.approx(15.93, abs=0.005)
    assert not any(scored["cloud"]["said"].values())
