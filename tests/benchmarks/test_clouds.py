from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks import clouds
from benchmarks import runs as runs_of
from geoadapt.cli.compose import as_yaml, compose

ONE = ("galileo_nano",)


def metrics(shift: float = 0.0) -> dict[str, float]:
    """What a run leaves, as far as the tables read it: the model 0.7 + shift, the U-Net 0.8, the others 0.6."""
    level = {"test": 0.7 + shift, "rule": 0.6, "lda": 0.6, "unet": 0.8, "random_backbone": 0.6, "full_finetune": 0.6}
    found: dict[str, float] = {"run/seconds": 1.0, "other/iou/cloud": 0.5}
    for who, value in level.items():
        found |= {f"{who}/{key}": value for key in clouds.KEPT}
        found[f"{who}/parameters"] = 1234
        if who != "test":
            gain = level["test"] - value
            for name in ("cloud", "shadow"):
                found |= {f"{who}/iou_gain/{name}": gain, f"{who}/iou_gain_low/{name}": gain - 0.05}
                found[f"{who}/iou_gain_high/{name}"] = gain + 0.05
    return found


def leave(planned: clouds.Planned, root: Path, shift: float = 0.0) -> None:
    """A finished run's folder."""
    leave_in(planned.task(root), shift)


def leave_in(task: runs_of.Task, shift: float = 0.0) -> None:
    task.folder.mkdir(parents=True, exist_ok=True)
    (task.folder / "config.yaml").write_text(as_yaml(compose(task.words)))
    (task.folder / "metrics.json").write_text(json.dumps(metrics(shift)))


def test_every_run_of_the_plan_is_a_configuration_and_goes_to_its_own_folder(tmp_path: Path) -> None:
    runs = clouds.plan(("adapted", "probe"), clouds.BACKBONES, (0, 1), ())
    assert len({run.folder(tmp_path) for run in runs}) == len(runs) == 2 * 2 * (4 + 3)
    for run in runs:
        if run.seed or run.scene == "sentinel2":
            continue
        job = compose(run.words)
        assert job.data.test == [run.scene] and job.data.name == "csmask"
        assert getattr(job.backbone, "random_weights", False) is not clouds.BACKBONES[run.backbone].pretrained
        if run.kind == "probe":
            assert (job.adapter.name, job.head.name, job.train.controls) == ("none", "linear", "random_backbone")
        else:
            assert job.adapter.name == "lora" and job.train.chosen_controls()[:3] == ("rule", "lda", "unet")


def test_random_weights_are_drawn_anew_for_every_seed() -> None:
    runs = clouds.plan(("adapted",), ("prithvi_random",), (3, 4), ())
    assert [compose(run.words).backbone.seed for run in runs if run.scene == "landsat7"] == [3, 4]


def test_a_run_counts_as_finished_only_with_its_own_configuration(tmp_path: Path) -> None:
    (run, *_) = clouds.plan(("adapted",), ONE, (0,), ())
    assert clouds.finished(run, tmp_path) is None
    leave(run, tmp_path)
    assert clouds.finished(run, tmp_path) is not None
    (other, *_) = clouds.plan(("adapted",), ONE, (0,), ("train.steps=7",))
    assert other.folder(tmp_path) == run.folder(tmp_path)
    assert clouds.finished(other, tmp_path) is None, "another configuration passed for this one"


def test_keys_that_came_later_do_not_make_a_run_unfinished(tmp_path: Path) -> None:
    (run, *_) = clouds.plan(("adapted",), ONE, (0,), ())
    leave(run, tmp_path)
    config = run.folder(tmp_path) / "config.yaml"
    text = config.read_text()
    config.write_text(text.replace("  patience: 0\n", "").replace("train:\n", "train:\n  key_of_tomorrow: 1\n"))
    assert config.read_text() != text and clouds.finished(run, tmp_path) is not None
    config.write_text(text.replace("  patience: 0\n", "  patience: 1\n"))
    assert clouds.finished(run, tmp_path) is None


@pytest.mark.parametrize("content", ["", "{", "[1]", "backbone: 3"])
def test_a_broken_run_folder_is_run_again(tmp_path: Path, content: str) -> None:
    (run, *_) = clouds.plan(("adapted",), ONE, (0,), ())
    leave(run, tmp_path)
    (run.folder(tmp_path) / "config.yaml").write_text(content)
    assert clouds.finished(run, tmp_path) is None


def test_only_what_is_missing_is_run_and_a_failure_does_not_stop_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[str] = []

    def train(words: Sequence[str], **how: Any) -> subprocess.CompletedProcess[str]:
        folder = Path(next(word for word in words if word.startswith("hydra.run.dir=")).partition("=")[2])
        assert not (folder / "metrics.json").exists(), "an older run's metrics would pass for this one's"
        started.append(folder.name)
        if folder.name == "landsat7-1":
            how["stdout"].write("error: out of luck\n")
            return subprocess.CompletedProcess(list(words), 1)
        leave(next(run for run in runs if run.folder(tmp_path) == folder), tmp_path)
        return subprocess.CompletedProcess(list(words), 0)

    runs = clouds.plan(("adapted",), ONE, (0, 1), ())
    leave(runs[0], tmp_path)
    monkeypatch.setattr(runs_of.subprocess, "run", train)
    record = tmp_path / "record.json"
    words = ["--run", "--only", "galileo_nano", "--seeds", "0,1", "--folder", str(tmp_path), "--record", str(record)]
    assert clouds.main(words) == 1
    assert started == ["sentinel2-0", "landsat7-1", "sentinel2-1"]
    said = capsys.readouterr()
    assert "landsat7 seed 1: exit status 1: error: out of luck" in said.err
    assert len(json.loads(record.read_text())["runs"]) == 3
    assert "Galileo-nano, LoRA (3 runs)" in said.out


def test_overrides_of_ones_own_do_not_replace_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clouds, "RECORD", tmp_path / "record.json")
    monkeypatch.setattr(runs_of, "run", lambda task: leave_in(task) or "")
    words = ["--run", "--only", "galileo_nano", "--seeds", "0", "--folder", str(tmp_path)]
    assert clouds.main([*words, "train.steps=7"]) == 0
    assert not clouds.RECORD.exists()
    assert clouds.main(words) == 0
    assert clouds.RECORD.exists()


def record_of(monkeypatch: pytest.MonkeyPatch, shifts: Sequence[float]) -> clouds.Run:
    """The record of both tables with a seed per shift, without folders."""
    monkeypatch.setattr(clouds, "finished", lambda planned, root: metrics(shifts[planned.seed]))
    backbones = ("galileo_nano", "prithvi_random")
    return clouds.collect(clouds.plan(("adapted", "probe"), backbones, range(len(shifts)), ()), Path())


def test_the_tables_say_means_ranges_and_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    record = record_of(monkeypatch, (0.0, 0.01, 0.02))
    text = clouds.tables(record)
    assert "| rule: blue > 0.2 | 1,234 | 0.600 | – | 0.600 | – |" in text
    mean = "0.710 (0.700–0.720)"
    assert f"| **Galileo-nano**, LoRA | 1,234 | {mean} | {mean} | {mean} | {mean} |" in text
    verdicts = "0 / 0 / 6 | 0 / 0 / 6 | 6 / 0 / 0 | 6 / 0 / 0 | 6 / 0 / 0 | 6 / 0 / 0 | 6 / 0 / 0"
    assert f"| Galileo-nano, LoRA (6 runs) | {verdicts} |" in text
    assert "better / no difference / worse: cloud 6 / 0 / 0; shadow 6 / 0 / 0" in text
    assert "The first 3 rows are from the runs of Galileo-nano." in text
    assert "other/iou/cloud" not in record["runs"][0]["metrics"]
    rows = clouds.score_table([run for run in record["runs"] if run["kind"] == "adapted"]).splitlines()
    assert len({line.count("|") for line in rows if line.startswith("|")}) == 1, "a row has more cells than its head"


def test_an_interval_over_zero_is_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    text = clouds.verdict_table(record_of(monkeypatch, (-0.1,))["runs"])
    assert "| 0 / 0 / 2 | 0 / 0 / 2 | 0 / 2 / 0 |" in text


def test_a_score_that_does_not_exist_is_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    record = record_of(monkeypatch, (0.0,))
    for run in record["runs"]:
        run["metrics"] |= {key: None for key in run["metrics"] if key.endswith("shadow")}
    text = clouds.tables(record)
    assert "| **Galileo-nano**, LoRA | 1,234 | 0.700 | – | 0.700 | – |" in text
    assert "| Galileo-nano, LoRA (2 runs) | 0 / 0 / 2 | – |" in text


def test_the_stored_record_prints_and_an_empty_one_too() -> None:
    assert "Galileo-nano" in clouds.tables(json.loads(clouds.RECORD.read_text(encoding="utf-8")))
    assert clouds.tables({"date": "today", "machine": "none", "runs": []}) == "today, none."
