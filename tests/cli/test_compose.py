"""Overrides become a checked job: YAML chooses, dataclasses know the keys, paths are literal."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from geoadapt.cli.compose import as_yaml, compose, run_jobs, store_config
from geoadapt.cli.keys import LITERAL_KEYS, choices, conf_dir, keys_of
from geoadapt.config import GROUPS, JobConfig, TrainConfig
from geoadapt.errors import GeoadaptError
from geoadapt.leaderboard.groups import read_suite
from geoadapt.leaderboard.suite import pairs_of, read_plan
from tests.cli.test_grammar import ODD_NAMES


def test_the_experiment_chooses_what_the_issue_says_in_few_lines() -> None:
    job = compose(["experiment=cloud_segmentation"])
    names = [getattr(job, group).name for group in GROUPS]
    assert names == ["small_eo", "lora", "unet", "cloud_segmentation", "csmask"]


@pytest.mark.parametrize("name", choices("experiment"))
def test_every_experiment_composes_and_is_short(name: str) -> None:
    assert isinstance(compose([f"experiment={name}"]), JobConfig)
    assert len((conf_dir() / "experiment" / f"{name}.yaml").read_text().splitlines()) < 25


def test_every_file_of_choices_is_one_that_a_test_composes() -> None:
    groups = {str(file.parent.relative_to(conf_dir())) for file in conf_dir().rglob("*.yaml")} - {"."}
    assert groups == {*GROUPS, "train", "infer", "runtime", "experiment", "suite"}


def test_label_values_are_typed_as_numbers() -> None:
    assert compose(["data=folder", "data.classes={0: 3, 4: 1}"]).data.classes == {"0": 3, "4": 1}


@pytest.mark.parametrize("group", GROUPS)
def test_every_choice_has_a_file_and_composes(group: str) -> None:
    assert set(choices(group)) >= set(GROUPS[group])
    for name in choices(group):
        built = getattr(compose([f"{group}={name}"]), group).name
        # a file may also give a builder other numbers: its name then begins with the builder's
        assert built in GROUPS[group] and name.startswith(built)


@pytest.mark.parametrize("section", ["train", "infer", "runtime"])
def test_every_ready_made_section_composes(section: str) -> None:
    for name in choices(section):
        assert isinstance(compose([f"{section}={name}"]), JobConfig)


@pytest.mark.parametrize("name", choices("suite"))
def test_every_suite_reads_and_what_it_types_composes(name: str, tmp_path: Path) -> None:
    file = conf_dir() / "suite" / f"{name}.yaml"
    assert read_suite(file).groups
    if not OmegaConf.load(file).get("runs"):
        return  # its records are brought from elsewhere
    plan = read_plan(file)
    entered = [pair for pair in pairs_of(plan) if not pair.barred]
    # each data set and each entry at least once: all pairs together would take long
    some = [*{pair.dataset.key: pair for pair in entered}.values(), *{p.entry.name: p for p in entered}.values()]
    for pair in {pair.slug: pair for pair in some}.values():
        job = compose([*pair.words(plan, tmp_path, 1, lr=1e-4, batch=8), "train.controls=all"])
        assert job.task.name == pair.dataset.task
        assert set(pair.wanted()) <= set(job.train.chosen_controls(job.task.name))
    assert {entry.name for entry in plan.entries} == {pair.entry.name for pair in entered}, "an entry for nothing"


def test_a_key_that_no_yaml_mentions_can_be_set() -> None:
    job = compose(["train.steps=3", "adapter.r=2", "data=folder", "data.classes={cloud: 1}", "data.test=[a,'b c']"])
    assert (job.train.steps, job.adapter.r) == (3, 2)
    assert (job.data.classes, job.data.test) == ({"cloud": 1}, ["a", "b c"])


def test_what_is_typed_wins_over_the_experiment() -> None:
    job = compose(["experiment=cloud_segmentation", "data=folder", "adapter=none", "seed=7"])
    assert (job.data.name, job.adapter.name, job.seed) == ("folder", "none", 7)


@pytest.mark.parametrize("name", [n for n in ODD_NAMES if "${" not in n])
def test_a_path_in_the_configuration_is_taken_literally(name: str) -> None:
    job = compose([f"data.root={name}", f"train.resume={name}", f"backbone.weights=/w/{name}"])
    assert (job.data.root, job.train.resume, job.backbone.weights) == (name, name, f"/w/{name}")
    job = compose([f"train.start=/w/{name}", f"train.cache_dir=/w/{name}", f"infer.radar=/w/{name}"])
    assert {job.train.start, job.train.cache_dir, job.infer.radar} == {f"/w/{name}"}


def test_null_empties_a_path() -> None:
    assert compose(["train.resume=null"]).train.resume is None


def test_literal_keys_exist() -> None:
    for key in LITERAL_KEYS:
        section, _, rest = key.partition(".")
        assert section == "hydra" or rest in keys_of(section), key


def test_the_stored_job_is_the_job(tmp_path: Path) -> None:
    from omegaconf import OmegaConf

    from geoadapt.config import job_from_plain

    job = compose(["task.losses.dice=0", "adapter.targets=[attention]", "data.root=a (copy)"])
    stored = OmegaConf.to_container(OmegaConf.create(as_yaml(job)))
    assert job_from_plain(stored) == job  # type: ignore[arg-type]


def test_results_never_stand_beside_a_configuration_that_did_not_make_them(tmp_path: Path) -> None:
    results, before = tmp_path / "metrics.json", tmp_path / "metrics.before.json"
    store_config(tmp_path, compose(["seed=1"]))
    results.write_text("{}")
    store_config(tmp_path, compose(["seed=1"]))
    assert results.exists() and not before.exists()
    store_config(tmp_path, compose(["seed=2"]))
    assert before.read_text() == "{}" and not results.exists()


def test_choices_of_ones_own(tmp_path: Path) -> None:
    folder = tmp_path / "my conf, really"
    (folder / "experiment").mkdir(parents=True)
    (folder / "experiment" / "mine.yaml").write_text("# @package _global_\ntrain: {steps: 5}\n")
    assert compose(["experiment=mine"], [folder]).train.steps == 5
    with pytest.raises(GeoadaptError, match="did you mean 'mine'"):
        compose(["experiment=mihne"], [folder])


def test_jobs_run_in_hydras_folders_and_one_that_fails_does_not_stop_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    seen: list[tuple[int, str]] = []

    def work(job: JobConfig, folder: Path) -> None:
        assert folder.is_dir()
        seen.append((job.seed, folder.name))
        if job.seed == 0:
            raise ValueError("the first fails")

    words = ["seed=0,1", "hydra.sweep.dir=runs [1], (ü)"]
    failures = run_jobs(work, "train", words, flags=["--multirun"])
    assert seen == [(0, "0"), (1, "1")]
    assert [str(failure) for failure in failures] == ["the first fails"]
    assert failures[0].__notes__ == [f"run folder: {tmp_path / 'runs [1], (ü)' / '0'}"]
    assert (tmp_path / "runs [1], (ü)" / "1" / ".hydra" / "config.yaml").is_file()


def test_the_run_folder_is_taken_literally(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folders: list[Path] = []
    name = "run, (copy) [1] {a,b}=ü 'q'"
    assert run_jobs(lambda job, folder: folders.append(folder), "train", [f"hydra.run.dir={name}"]) == []
    assert folders == [tmp_path / name]


def test_a_run_folder_that_cannot_be_made_is_named_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(GeoadaptError, match=r"file.*: cannot be made \(.*\); choose another hydra\.run\.dir"):
        run_jobs(lambda job, folder: pytest.fail("work began"), "train", [f"hydra.run.dir={tmp_path / 'file' / 'run'}"])


def test_controls_are_a_list_of_names() -> None:
    assert compose(["train.controls=rule,lda"]).train.chosen_controls() == ("rule", "lda")
    assert TrainConfig(controls="none").chosen_controls() == ()
