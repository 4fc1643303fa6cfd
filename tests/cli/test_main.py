"""The command itself: help at once, exit statuses, one line per error."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from geoadapt import __version__
from geoadapt.cli import VERBS, _carry_out, load_verb, main
from geoadapt.cli.completion import candidates
from geoadapt.cli.explain import explained
from geoadapt.cli.stopping import UNREAD
from geoadapt.config import GROUPS, SECTIONS, JobConfig
from geoadapt.errors import GeoadaptError
from tests.tiny import TINY_WORDS


def _run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "geoadapt", *words], capture_output=True, text=True, cwd=cwd, timeout=60, check=False
    )


def test_help_names_every_verb(tmp_path: Path) -> None:
    done = _run("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert all(name in done.stdout for name in VERBS)


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: geoadapt {name}")
    assert all(flag.name in shown for flag in load_verb(name).flags)
    assert all(line.startswith(f"geoadapt {name}") for line in load_verb(name).examples)


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"geoadapt {__version__}\n"


def _raise(error: BaseException) -> Callable[[], int]:
    def work() -> int:
        raise error

    return work


def test_a_failure_during_the_work_is_one_line_and_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert _carry_out(_raise(GeoadaptError("a.tif", "is cut off", "copy it again")), debug=False) == 1
    assert capsys.readouterr().err == "error: a.tif: is cut off; copy it again\n"
    assert _carry_out(_raise(RuntimeError("no luck")), debug=False) == 1
    assert capsys.readouterr().err == "error: RuntimeError: no luck; --debug shows where it comes from\n"
    assert _carry_out(_raise(NotADirectoryError(20, "Not a directory", "a/b.json")), debug=False) == 1
    assert capsys.readouterr().err.startswith("error: a/b.json: Not a directory; check the path, its rights")


def test_debug_shows_where_an_error_comes_from() -> None:
    with pytest.raises(RuntimeError):
        _carry_out(_raise(RuntimeError("no luck")), debug=True)
    with pytest.raises(GeoadaptError):
        main(["train", "--debug", "adapter=lroa"])


def test_ctrl_c_is_said_and_gives_the_shells_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("geoadapt.cli._run", lambda typed, debug: _raise(KeyboardInterrupt())())
    assert main(["list"]) == 130
    assert capsys.readouterr().err.startswith("interrupted")


def test_sigterm_ends_a_command_as_ctrl_c_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ended(typed: list[str], debug: bool) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
        return 0

    monkeypatch.setattr("geoadapt.cli._run", ended)
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        assert main(["list"]) == 130
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().err.startswith("interrupted")


def test_where_nobody_reads_on_a_command_ends_quietly_and_not_well(tmp_path: Path) -> None:
    told = (
        "import sys; from geoadapt import cli; cli._run = lambda typed, debug: print('word ' * 10**6) or 1; "
        "sys.exit(cli.main(['list']))"
    )
    with subprocess.Popen([sys.executable, "-c", told], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None and running.stderr is not None
        running.stdout.read(4)
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait(60) == UNREAD


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train.steps=1,2"], "train.steps: '1,2' is several values; a comma makes a sweep: add -m to run all"),
        (["data.classes=[a"], "data.classes: '[a' cannot be read; close its brackets and quotes"),
        (["adapter="], "adapter: nothing is chosen; known: bitfit, "),
        (["train.start=nowhere"], "train.start: 'nowhere' is no bundle"),
        (["train.resume=no run"], "train.resume: 'no run' does not exist; name a run's folder"),
    ],
)
def test_what_cannot_be_meant_is_said_by_its_key_before_anything_is_done(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", *words]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data.classes=[a", "seed=1,2"], "data.classes: '[a' cannot be read"),
        (["hydra/launcher=foo", "seed=1,2"], "Could not find 'hydra/launcher/foo'"),
    ],
)
def test_the_same_of_several_runs(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", "-m", *words]) == 1
    assert message in capsys.readouterr().err


def test_every_key_is_listed_with_its_default_and_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    for group, entries in GROUPS.items():
        for choice, entry in entries.items():
            assert list(explained(entry.config, group)) == [
                f"{group}.{field.name}" for field in fields(entry.config) if field.name != "name"
            ], choice
    for section, config in SECTIONS.items():
        assert not [key for key, text in explained(config, section).items() if "\n" not in text]
    assert main(["list", "infer", "data=folder", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["infer"]["infer.overlap"].startswith("int = 64\nBetween neighbouring tiles")
    assert found["data=folder"]["data.test"].startswith("list[str] = []\nScene names")
    for word, hint in (("data=foldr", "did you mean 'folder'?"), ("tran", "did you mean 'train'?")):
        assert main(["list", word]) == 2
        assert hint in capsys.readouterr().err
    assert main(["predict", "--help"]) == 0
    assert "geoadapt list infer runtime says what each key means" in capsys.readouterr().out


def test_list_knows_every_choice(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert "galileo_nano" in found["backbone"] and "lora" in found["adapter"]
    assert all(text for names in found.values() for text in names.values())
    assert main(["list", "bakbone"]) == 2
    assert "did you mean 'backbone'?" in capsys.readouterr().err


def _chips(folder: Path) -> None:
    folder.mkdir()
    for name in ("a", "b"):
        image, mask = np.full((128, 128, 6), 0.1, np.float32), np.full((128, 128, 1), 3, np.uint8)
        np.savez(folder / f"{name}.npz", img=image, msk=mask)


def test_a_dry_run_reads_the_data_says_what_would_run_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    _chips(tmp_path / "~my chips (copy)")
    words = ["train", "--dry-run", "data=csmask", "data.root=~my chips (copy)", "train.controls=rule,unet"]
    words += TINY_WORDS
    assert main([*words, "data.test=[b]"]) == 0
    shown = capsys.readouterr().out
    assert "csmask in ~my chips (copy)" in shown and "rule, unet" in shown
    assert "train ['a'], test ['b']" in shown
    assert main([*words, "data.test=[c]"]) == 2
    assert "data.test: there is no scene 'c'" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["~my chips (copy)"]


def test_of_several_runs_the_ones_that_failed_are_listed_with_their_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)

    def fail(job: JobConfig, *rest: object, **more: object) -> None:
        raise GeoadaptError("a.npz", f"is damaged, says run {job.seed}")

    monkeypatch.setattr("geoadapt.cli.train.train", fail)
    assert main(["train", "-m", "seed=4,5", "hydra.sweep.dir=all runs"]) == 1
    for number, seed in enumerate((4, 5)):
        place = tmp_path / "all runs" / str(number)
        assert f"error: a.npz: is damaged, says run {seed} (run folder: {place})" in caplog.text


def test_a_data_folder_that_is_not_there_is_found_before_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "data=folder", "data.root=/nowhere/at all"]) == 2
    assert "data.root: '/nowhere/at all' is no folder" in capsys.readouterr().err


def test_cfg_prints_the_whole_job_and_hydras_own(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--cfg", "job", "--resolve", "train.steps=3"]) == 0
    assert "  steps: 3\n" in capsys.readouterr().out
    assert main(["train", "--cfg", "hydra", "hydra.run.dir=here"]) == 0
    assert "dir: here" in capsys.readouterr().out
    assert main(["train", "--cfg", "jbo"]) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("geoadapt tr", ["train "]),
        ("geoadapt train adapter=lora_", ["lora_r16 "]),
        ("geoadapt train train.ste", ["train.steps="]),
        ("geoadapt train --dr", ["--dry-run "]),
        ("geoadapt train experiment=p", ["pmaa ", "pretraining "]),
        ("geoadapt nothing x", []),
        ("geoadapt list ru", ["runtime "]),
        ("geoadapt list data=fol", ["folder "]),
        ("geoadapt demo --h", ["--help "]),
        ("geoadapt report sub", ["submission="]),
    ],
)
def test_completion_offers_what_the_checks_accept(line: str, expected: list[str]) -> None:
    assert candidates(line) == expected


def test_bash_completes(tmp_path: Path) -> None:
    done = _run("-sc", "install=bash", cwd=tmp_path)
    assert subprocess.run(["bash", "-c", done.stdout], check=False).returncode == 0
    assert _run("-sc", "nonsense", cwd=tmp_path).returncode == 2


def test_evaluate_takes_one_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", "data=csmask"]) == 2
    assert "takes one bundle: none is named" in capsys.readouterr().err
    assert main(["evaluate", "run (1)/bundle", "data=csmask"]) == 2
    assert "run (1)/bundle: is no bundle" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_prepare_and_demo_check_what_they_are_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "data=csmask"]) == 2
    assert "data=csmask: is brought, not made; choose data=simulated" in capsys.readouterr().err
    assert main(["demo", "--size", "big"]) == 2
    assert "--size: 'big'; write a whole number" in capsys.readouterr().err
    assert main(["demo", "--size", "0"]) == 2
    assert "--size: '0'; write a whole number, 16 or more" in capsys.readouterr().err
