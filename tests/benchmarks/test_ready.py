from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import ready
from benchmarks.peers import ukis_csmask
from geoadapt.baselines.pixelwise import BlueRule
from geoadapt.errors import GeoadaptError
from geoadapt.fields.scenes import Dataset
from tests.inference.fakes import FakeBundle
from tests.training.small import dataset


@dataclass
class Known(FakeBundle):
    """Cloud and shadow by fixed limits on the first band; the four classes of a bundle made on simulated scenes."""

    channels: tuple[str, ...] = ukis_csmask.CHANNELS
    sha256: str = "0"
    card: object = field(default_factory=lambda: SimpleNamespace(data="none"))


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    made = dataset()
    monkeypatch.setattr(ready, "published_unet", lambda channels, names: BlueRule(0, 1, 0, 3, 0.4))
    monkeypatch.setattr(ready, "load_baselines", lambda bundle: {})
    return replace(made, train=tuple(replace(s, name="a") for s in made.train), test_blocks={})


def test_every_entry_is_scored_on_the_same_pixels_and_paired_with_the_bundle(
    data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer that says what the bundle says cannot differ from it."""
    labels = dict(zip(("a", "test"), ready.run(Known(), (*data.train, *data.test)), strict=True))  # type: ignore[arg-type]
    theirs = {ours: value for value, ours in ukis_csmask.MEANING.items()}
    table = np.vectorize(lambda value: theirs.get(value, 0), otypes=[np.uint8])
    monkeypatch.setattr(ready, "environment", lambda name: Path(sys.executable))
    monkeypatch.setattr(ready, "call", lambda *_: ({name: table(found) for name, found in labels.items()}, {}))
    record = ready.measure(data, Known(), with_peer=True)  # type: ignore[arg-type]
    assert [scene["scene"] for scene in record["scenes"]] == ["a", "test"]
    for scene in record["scenes"]:
        ours, peer = scene["entries"]["bundle"], scene["entries"][ukis_csmask.NAME]
        assert peer["iou/cloud"] == ours["iou/cloud"] > 0 and peer["iou/shadow"] == ours["iou/shadow"]
        assert peer["gain_low/cloud"] == peer["gain_high/cloud"] == 0
        rule = scene["entries"]["rule"]
        assert rule["gain_low/cloud"] <= ours["iou/cloud"] - rule["iou/cloud"] <= rule["gain_high/cloud"]
    text = ready.table(record)
    assert "cloud no difference (+0.000 to +0.000)" in text and "| **fake** |" in text
    assert len({line.count("|") for line in text.splitlines()}) == 1, "a row has more cells than its head"
    json.dumps(record)


def test_without_the_peer_its_row_is_left_out(data: Dataset) -> None:
    record = ready.measure(data, Known(), with_peer=False)  # type: ignore[arg-type]
    assert "ukis-csmask" not in ready.table(record) and "rule" in ready.table(record)


def test_a_copy_without_a_bundle_ends_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none() -> Path:
        raise GeoadaptError("shipped", "this copy comes without a bundle", "name one")

    monkeypatch.setattr(ready, "shipped_bundle", none)
    monkeypatch.setattr(sys, "argv", ["ready"])
    with pytest.raises(SystemExit, match="error: shipped: this copy comes without a bundle"):
        ready.main()
