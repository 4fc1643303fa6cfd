"""Every geoadapt command that the README shows is run, in the folders that it names, made small."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from geoadapt.cli import demo as demo_verb
from geoadapt.cli import main
from tests.folders import ROOT

SHOWN = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ (geoadapt [^\n]*)$", SHOWN, re.MULTILINE)
PYTHON = re.findall(r"```python\n(.*?)```", SHOWN, re.DOTALL)
QUICK = ["train=quick", "train.steps=2", "train.val_every=2", "train.batch=2", "train.chip=32", "runtime.threads=1"]

PLACES = ["data.train=1", "data.val=1", "data.test=1", "data.size=64", "data.dates=8"]


@pytest.fixture(scope="module")
def place(data_dir: Path, weights_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the README's commands name: ``csmask``, ``scenes``, ``chips``, ``slp.nc``."""
    from data_pipelines.simulate.dataset import write_dataset

    folder = tmp_path_factory.mktemp("readme")
    (folder / "scenes").mkdir()
    (folder / "csmask").symlink_to(data_dir / "cloudmask" / "ukis_csmask")
    (folder / "slp.nc").symlink_to(data_dir / "weather" / "ncep_daily" / "ncep_slp_natl_2001_2008.nc")
    shutil.copytree(data_dir / "cloudmask" / "l8_toa", folder / "scenes" / "LC80130312015295LGN00")
    write_dataset(folder / "chips", scenes=2, size=192, seed=0, sensors=["sentinel2"])
    return folder


def quicker(words: list[str]) -> list[str]:
    """The same command with less to do; what it names stays."""
    if words[0] == "train":
        if "experiment=pretraining" in words:
            return [*words, *QUICK, "data.scenes=2", "data.size=64", "data.block=32", "data.val_fraction=0.25"]
        if "experiment=weather_pretraining" in words:
            planets = ["data.planets={t21:2,t31:0,t42:0}", "data.years=0.05"]
            small = [*planets, "data.real=false", "task.val_batches=2"]
            return [*words, "train.steps=2", "train.val_every=2", "train.batch=2", "runtime.threads=1", *small]
        if "experiment=slp_natl" in words:
            small = ["task.leads=[24]", "task.rollout=[1]", "train.controls=persistence,climatology"]
            return [*words, "train.steps=2", "train.val_every=2", "train.batch=2", "runtime.threads=1", *small]
        if {"experiment=cloud_removal", "experiment=series_pretraining"} & set(words):
            small = ["task.val_samples=4", "task.test_samples=4", "train.controls=linear,temporal_median", *PLACES]
            return [*words, "train.steps=2", "train.val_every=2", "train.batch=2", "runtime.threads=1", *small]
        if "experiment=fuel_moisture" in words:
            return [*words, "train.steps=2", "train.val_every=2", "train.controls=rule,simple", "runtime.threads=1"]
        return [*words, *QUICK, *([] if "-m" in words else ["train.controls=rule,lda"])]
    if words[0] == "benchmark":
        entries = "suite.entries=[{backbone: small_eo, adapter: none, datasets: [burn_scars_standin]}]"
        return [*words, "suite.trials=1", "suite.seeds=1", "suite.controls=[]", entries]
    if words[0] == "prepare":
        return [*words, *PLACES]
    return [*words, "runtime.threads=1"] if words[0] in ("predict", "evaluate") else words


def test_the_readme_shows_every_verb() -> None:
    from geoadapt.cli import VERBS

    shown = {shlex.split(command)[1] for command in COMMANDS}
    assert set(VERBS) - {"prepare"} <= shown


def test_the_commands_of_the_readme_run_one_after_another(
    place: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEOADAPT_DATA", str(data_dir))
    monkeypatch.chdir(place)
    small = demo_verb.Scale(scenes=4, side=128, fit_steps=2, chip=32)
    monkeypatch.setattr(demo_verb, "Scale", lambda: small)
    for command in COMMANDS:
        words = shlex.split(command)[1:]
        assert main(quicker(words) if words[0] != "demo" else [*words, "--size", "200"]) == 0, command


def test_the_python_of_the_readme_runs(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    assert len(PYTHON) >= 1
    code = PYTHON[0].replace('"data.root=chips"', f'"data.root=chips", *{QUICK!r}, "train.controls=none"')
    assert code != PYTHON[0]
    scope: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), scope)  # noqa: S102 - our own README
    assert scope["labels"].dims == ("time", "y", "x")  # type: ignore[attr-defined]
