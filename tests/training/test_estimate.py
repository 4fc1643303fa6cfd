"""What a run would cost, where it is a pre-training; the estimate of an adaptation is in test_run.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from geoadapt.cli import main
from geoadapt.cli.compose import compose
from geoadapt.cli.train import make_data
from geoadapt.errors import GeoadaptError
from geoadapt.training.estimate import estimate


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Overrides of a small pre-training whose scenes are made."""
    root = tmp_path_factory.mktemp("scenes") / "made"
    typed = [
        *("task=pretraining", "backbone=small_eo", "backbone.width=32", "backbone.depth=2", "backbone.heads=2"),
        *("backbone.decoder_width=16", "backbone.decoder_depth=1", "backbone.decoder_heads=2", "data=pretraining"),
        *(f"data.root={root}", "data.scenes=2", "data.size=64", "data.block=32", "data.real=false"),
        *("train.steps=10", "train.batch=2", "train.chip=32", "runtime.device=cpu", "runtime.threads=1"),
    ]
    make_data(compose(typed))
    return typed


def test_all_of_a_pre_trained_backbone_is_trained_and_no_control_is_counted(words: list[str]) -> None:
    alone, beside = (estimate(compose([*words, f"train.controls={names}"])) for names in ("none", "all"))
    assert alone.count.trainable == alone.count.total > 10_000
    assert alone.disk == beside.disk > 0 and alone.seconds > 0


def test_a_chip_that_does_not_fit_is_said_by_a_dry_run(words: list[str]) -> None:
    with pytest.raises(GeoadaptError, match=r"train\.chip: 33 px is no multiple of \d px; choose 3\d"):
        estimate(compose([*words, "train.chip=33"]))


def test_a_dry_run_names_no_parts_that_a_pre_training_lacks(
    words: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", *words, "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "backbone  small_eo\n" in shown and "estimate" in shown
    assert "frozen" not in shown and "head" not in shown and "controls" not in shown
    assert list(tmp_path.iterdir()) == []
