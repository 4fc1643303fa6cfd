"""RELIABILITY.md 37–40: a wrong configuration is found before anything heavy loads, and the right name is said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from geoadapt.adapters.config import LoraConfig
from geoadapt.cli.compose import compose
from geoadapt.config import GROUPS, job_from_plain
from geoadapt.errors import GeoadaptError
from geoadapt.fields.config import FolderConfig
from geoadapt.registry import from_plain


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epocs=3", "train.epocs: unknown key; did you mean 'train.steps'?"),
        ("infer.tyle=3", "infer.tyle: unknown key; did you mean 'infer.tile'?"),
        ("trian.steps=3", "trian.steps: unknown key; did you mean 'train'?"),
        ("bakbone=galileo_nano", "bakbone: unknown key; did you mean 'backbone'?"),
        ("backbone=galileo_nanno", "backbone=galileo_nanno: 'galileo_nanno' is unknown; did you mean 'galileo_nano'?"),
        ("adapter=lroa", "adapter=lroa: 'lroa' is unknown; did you mean 'lora'?"),
        ("train.steps.x=3", "train.steps.x: train.steps is int and has no keys; write train.steps=…"),
        ("train.steps=many", "train.steps: 'many' does not fit; expected int"),
        ("train.augment=maybe", "train.augment: 'maybe' does not fit; expected bool"),
        ("data=csmask data.test=a", "data.test: 'a' does not fit; expected list[str], such as [a]"),
        ("task.losses={ce: much}", "task.losses: {'ce': 'much', 'dice': 0.5} does not fit; expected dict[str, float]"),
        ("data.seed=???", "data.seed: is required and has no value; add data.seed=…"),
        ("data.root=${oc.env:HOME}", "data.root: holds an interpolation: '${oc.env:HOME}'; write the path itself"),
        ("adapter.r=${nothing}", "adapter.r: Interpolation key 'nothing' not found"),
        ("seed=-1", "seed: -1; choose a whole number from 0 to 2³² − 1"),
        ("seed=0,1", "a comma makes a sweep: add -m"),
        ("train.steps", "train.steps: is neither group=choice nor key=value"),
        ("adapter=null", "adapter=null: 'null' is unknown; did you mean 'full'?"),
        ("~head", "head: nothing is chosen"),
    ],
)
def test_a_wrong_override_is_named(override: str, message: str) -> None:
    with pytest.raises(GeoadaptError) as raised:
        compose(override.split(" ") if override.startswith("data=") else [override])
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("infer.tile=0", "infer.tile: 0 px; choose 8 or more"),
        ("infer.tile=-256", "infer.tile: -256 px; choose 8 or more"),
        ("infer.overlap=256", "infer.overlap: 256 px does not fit a tile of 256 px; choose overlap < tile"),
        ("infer.overlap=-1", "infer.overlap: -1 px does not fit a tile of 256 px"),
        ("infer.batch=0", "infer.batch: 0; choose 1 or more"),
        ("infer.threshold=1.5", "infer.threshold: 1.5; choose 0 to 1"),
        ("infer.compress=ZST", "infer.compress: 'ZST'; did you mean 'ZSTD'?"),
        ("train.batch=0", "train.batch: 0; choose 1 or more"),
        ("train.chip=4", "train.chip: 4 px; choose 8 or more"),
        ("train.lr=0", "train.lr: 0.0; choose a positive number"),
        ("train.lr=nan", "train.lr: nan; choose a positive number"),
        ("train.warmup=2", "train.warmup: 2.0; choose 0 to 1"),
        ("train.max_minutes=0", "train.max_minutes: 0.0; choose more than 0"),
        ("train.controls=rule,unett", "train.controls: 'unett'; did you mean 'unet'?"),
        ("runtime.threads=-2", "runtime.threads: -2; choose 0 or more"),
        ("runtime.precision=bf17", "runtime.precision: 'bf17'; did you mean 'bf16'?"),
        ("adapter.r=0", "adapter.r: rank 0; choose 1 or more"),
        ("adapter.alpha=0", "adapter.alpha: 0; choose 1 or more"),
        ("adapter.dropout=1", "adapter.dropout: 1.0; choose 0 or more and less than 1"),
        ("head.width=0", "head.width: 0; choose 1 or more"),
        ("train.zoom=0", "train.zoom: 0.0; choose 1 or more"),
        ("train.edge=-1", "train.edge: -1; choose 0 or more"),
        ("train.most_skipped=-1", "train.most_skipped: -1; choose 0 or more"),
        ("data.block=0", "data.block: 0 px; choose 8 or more"),
        ("data.val_fraction=0", "data.val_fraction: 0.0; choose more than 0 and less than 1"),
        ("data.scenes=0", "data.scenes: 0; choose 1 or more"),
        ("task.losses.dise=1", "task.losses.dise: unknown loss; did you mean 'dice'?"),
        ("task.losses.ce=-1", "task.losses.ce: -1.0; choose 0 or more"),
        ("task.losses={ce: 0, dice: 0}", "task.losses: nothing is weighed"),
        ("task.class_weights=balance", "task.class_weights: 'balance' is unknown; did you mean 'balanced'?"),
        ("data=folder data.val_fraction=0.8", "data.val_fraction + test_fraction: 1; leave some blocks to train on"),
        ("data=csmask data.block=4", "data.block: 4 px; choose 8 or more"),
        ("adapter=full adapter.lr_scale=0", "adapter.lr_scale: 0.0; choose a positive number"),
        ("backbone=small_eo backbone.heads=0", "backbone.heads: 0; choose 1 or more"),
        ("head=fcn head.layers=-1", "head.layers: -1; choose 0 or more"),
    ],
)
def test_a_value_out_of_range_is_refused_when_it_is_read(override: str, message: str) -> None:
    words = override.split(" ") if override.split("=")[0] in GROUPS else [override]
    with pytest.raises(GeoadaptError) as raised:
        compose(words)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({"_target_": "os.system"}, "x._target_: names code to run"),
        ({"classes": {"_target_": 1}}, "x.classes._target_: names code to run"),
        ({"test": [{"_target_": "os.system"}]}, "x.test.0._target_: names code to run"),
        ({"root": "${oc.env:HOME}"}, "x.root: holds an interpolation"),
        ({"classes": {"cloud": "${seed}"}}, "x.classes.cloud: holds an interpolation"),
        ({"test": [["nested"]]}, "x.test: [['nested']] is nested"),
        ({"root": "???"}, "x.root: is required and has no value"),
        ({"roots": "a"}, "x.roots: unknown key; did you mean 'root'?"),
    ],
)
def test_plain_data_from_a_file_are_never_instructions(plain: dict[str, Any], message: str) -> None:
    with pytest.raises(GeoadaptError) as raised:
        from_plain(FolderConfig, plain, "x")
    assert message in str(raised.value)


def test_a_stored_mapping_comes_back_as_it_was_and_tuples_stay_tuples() -> None:
    assert from_plain(FolderConfig, {"classes": {"a": 1}}, "x").classes == {"a": 1}
    assert from_plain(FolderConfig, {"classes": {4: 1}}, "x").classes == {"4": 1}
    assert from_plain(LoraConfig, {"targets": ["mlp"]}, "x").targets == ("mlp",)


@pytest.mark.parametrize(
    "plain", [{}, {"backbone": "galileo_nano"}, {"backbone": {"name": "galileo"}}, {"bakbone": {}}]
)
def test_an_incomplete_job_names_the_group(plain: dict[str, Any]) -> None:
    with pytest.raises(GeoadaptError, match="backbone"):
        job_from_plain(plain)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "error: trian: unknown verb; did you mean 'train'?"),
        (["train", "adapter=lroa"], "did you mean 'lora'?"),
        (["train", "train.epocs=3"], "did you mean 'train.steps'?"),
        (["train", "train.steps=many"], "expected int"),
        (["train", "--dryrun"], "did you mean '--dry-run'?"),
    ],
)
def test_the_command_fails_with_status_2_before_torch_is_imported(
    words: list[str], message: str, tmp_path: Path
) -> None:
    script = (
        "import sys; from geoadapt.cli import main; status = main(sys.argv[1:]);"
        "sys.exit(99 if 'torch' in sys.modules else status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False
    )
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, "one line, no traceback"
    assert list(tmp_path.iterdir()) == [], "nothing was written"
