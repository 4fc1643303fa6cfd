"""RELIABILITY.md 34, 38 and 40, from the command line: a bundle that is not what it says is refused before any work."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from geoadapt.adapters.config import LoraConfig
from geoadapt.bundle.card import BundleCard
from geoadapt.bundle.save import save_bundle
from geoadapt.cli import main
from geoadapt.cubes.classes import CLOUD_CLASSES
from geoadapt.heads.config import LinearConfig
from geoadapt.heads.inputs import HeadInputs
from geoadapt.model import build_model
from tests.synth import scene, write_tif
from tests.tiny import tiny_backbone

CHANNELS = ("blue", "green", "red", "nir", "swir16", "swir22")
BACKBONE = tiny_backbone(seed=3, depth=1)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    inputs = HeadInputs(2, torch.full((6,), 0.2), torch.full((6,), 0.1))
    model = build_model(BACKBONE, LoraConfig(r=2), LinearConfig(), inputs, CHANNELS)
    card = BundleCard(
        name="small",
        task="cloud_segmentation",
        backbone=asdict(BACKBONE),
        adapter=asdict(LoraConfig(r=2)),
        head=asdict(LinearConfig()),
        source=model.source.as_plain(),
        channels=CHANNELS,
        units="reflectance",
        mean=(0.2,) * 6,
        std=(0.1,) * 6,
        classes=CLOUD_CLASSES[:2],
        metrics={},
        data="none",
        seed=0,
        command="geoadapt train",
        licence="Apache-2.0",
    )
    return save_bundle(tmp_path / "bundle", model, card, {})


def change(bundle: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    plain = json.loads((bundle / "bundle.json").read_text())
    edit(plain)
    (bundle / "bundle.json").write_text(json.dumps(plain))


def run(bundle: Path, tmp_path: Path, *more: str) -> int:
    path = tmp_path / "scene.tif"
    write_tif(path, scene(6, 40, 36, 0), names=CHANNELS)
    words = ["predict", str(path), "--bundle", str(bundle), "--output", str(tmp_path / "out"), *more]
    return main([*words, "infer.tile=32", "infer.overlap=8", "runtime.threads=1", "runtime.device=cpu"])


def test_34_an_adapter_of_another_backbone_of_equal_shapes_runs_only_when_forced(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(bundle, lambda plain: plain["backbone"].update(seed=4))
    assert run(bundle, tmp_path) == 1
    said = capsys.readouterr().err
    assert "was trained on backbone random weights, seed 3" in said and "--allow-mismatch" in said
    assert not (tmp_path / "out").exists()
    assert run(bundle, tmp_path, "--allow-mismatch") == 0
    assert (tmp_path / "out" / "scene_labels.tif").is_file()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda plain: plain["head"].update(_target_="os.system"), "names code to run"),
        (lambda plain: plain["adapter"].update(targets=["${oc.env:HOME}"]), "holds an interpolation"),
        (lambda plain: plain["backbone"].update(name="os.system"), "'os.system' is unknown"),
        (lambda plain: plain["files"].update({"../scene.tif": "0"}), "names a file outside the bundle"),
        (lambda plain: plain["files"].update({"/etc/passwd": "0"}), "names a file outside the bundle"),
    ],
)
def test_38_40_a_card_that_is_live_or_leads_outside_is_refused(
    edit: Callable[[dict[str, Any]], object],
    message: str,
    bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    change(bundle, edit)
    assert run(bundle, tmp_path) == 1
    said = capsys.readouterr().err
    assert message in said and len(said.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_40_a_link_to_a_file_outside_the_bundle_is_not_followed(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (bundle / "head.safetensors").rename(tmp_path / "elsewhere.safetensors")
    (bundle / "head.safetensors").symlink_to(tmp_path / "elsewhere.safetensors")
    assert run(bundle, tmp_path) == 1
    assert "names a file outside the bundle" in capsys.readouterr().err


def test_50_a_scene_gets_the_same_labels_whatever_was_run_before_it(bundle: Path, tmp_path: Path) -> None:
    """No state is left between scenes, and a constant scene gives labels like any other: nothing is adapted to it."""
    from geoadapt.bundle.load import load_bundle

    made = load_bundle(bundle)
    image = torch.from_numpy(scene(6, 32, 32, 1))[None]
    before = made.scores(image)
    for constant in (0.0, 1.0):
        said = made.scores(torch.full((1, 6, 32, 32), constant))
        assert said.isfinite().all() and torch.allclose(said.sum(1), torch.ones(()))
    assert torch.equal(made.scores(image), before)
    torch.testing.assert_close(made.scores(torch.cat([image, 0 * image]))[:1], before, atol=1e-6, rtol=1e-5)
