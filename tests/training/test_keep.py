"""A backbone that a run trained as a whole, stored by itself: another run starts where this one ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from geoadapt.adapters.config import FullConfig
from geoadapt.backbones import BACKBONES
from geoadapt.backbones.config import GalileoConfig, SmallSeriesConfig
from geoadapt.bundle.restorer import load_restorer
from geoadapt.config import JobConfig
from geoadapt.errors import GeoadaptError
from geoadapt.fields import DATASETS
from geoadapt.fields.series import Sample, series_batch
from geoadapt.heads.config import ResidualConfig
from geoadapt.registry import Entry, build
from geoadapt.training.run import train
from tests.training import small_series
from tests.training.test_removal import job

WHOLE = FullConfig(lr_scale=1.0)
BATCH = series_batch([Sample(small_series.series("seen", 77), 2, np.zeros((32, 32), bool))])


@pytest.fixture(autouse=True)
def made_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(
        DATASETS, "small_series", Entry(small_series.SmallSeriesConfig, "tests.training.small_series:build")
    )
    yield


def whole(**keys: object) -> JobConfig:
    asked = job(keep_backbone=True, task={"frames": 0}, **keys)
    return replace(asked, backbone=SmallSeriesConfig(random_weights=True), adapter=WHOLE, head=ResidualConfig())


def test_what_a_run_trained_another_builds(tmp_path: Path) -> None:
    train(whole(), tmp_path, "geoadapt train experiment=mine")
    folder = tmp_path / "backbone" / "small_series"
    kept = build(BACKBONES, SmallSeriesConfig(weights=str(folder)))
    trained = load_restorer(tmp_path / "bundle", weights=str(folder), allow_mismatch=True).restorer.model.backbone
    drawn = build(BACKBONES, SmallSeriesConfig(random_weights=True))
    with torch.no_grad():
        found, wanted, begun = (one(BATCH).maps[0] for one in (kept, trained, drawn))
    torch.testing.assert_close(found, wanted, rtol=0, atol=0.05)
    assert (wanted - begun).abs().max() > 10 * (found - wanted).abs().max()
    card = json.loads((folder / "card.json").read_text())
    assert card["command"] == "geoadapt train experiment=mine" and card["simulated"] is True
    assert card["trained_on"] == ["train0", "train1", "train2"] and card["steps"] == 4
    assert card["test"]["test/mae/masked"] > 0 and str(tmp_path) not in json.dumps(card)


def test_without_the_word_nothing_is_kept(tmp_path: Path) -> None:
    asked = whole()
    train(replace(asked, train=replace(asked.train, keep_backbone=False)), tmp_path)
    assert not (tmp_path / "backbone").exists()


def test_what_is_not_trained_or_cannot_be_written_is_refused_before_the_fit(tmp_path: Path) -> None:
    with pytest.raises(GeoadaptError, match="adapter=lora leaves the backbone as it is"):
        train(job(keep_backbone=True), tmp_path)
    with pytest.raises(GeoadaptError, match="weights of galileo_nano are not written"):
        train(replace(whole(), backbone=GalileoConfig(random_weights=True)), tmp_path)
