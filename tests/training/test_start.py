"""A fit that starts from a bundle."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from geoadapt.adapters.config import LoraConfig
from geoadapt.bundle.load import load_bundle
from geoadapt.config import InferConfig, JobConfig, RuntimeConfig, TrainConfig
from geoadapt.errors import GeoadaptError
from geoadapt.fields.config import CsmaskConfig
from geoadapt.heads.config import UnetConfig
from geoadapt.model import image_batch
from geoadapt.tasks.config import CloudSegmentationConfig
from geoadapt.training.run import train
from geoadapt.training.setting import build_for, prepare
from geoadapt.training.start import start_from
from tests.tiny import tiny_backbone
from tests.training.small import labelled

CODES = {0: 3, 1: 4, 3: 0}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes in the layout of csmask."""
    folder = tmp_path_factory.mktemp("csmask")
    for name, seed in (("sentinel2", 0), ("landsat7", 1)):
        scene = labelled(name, 64, 64, seed)
        label = scene.label._array[0]
        mask = np.select([label == value for value in CODES], list(CODES.values()))
        np.savez(folder / f"{name}.npz", img=scene.image._array.transpose(1, 2, 0), msk=mask[..., None].astype("u1"))
    return folder


def job(root: Path, **options: object) -> JobConfig:
    train_options = {"steps": 6, "batch": 4, "chip": 32, "val_every": 3, "bootstrap": 20, "controls": "none"} | options
    return JobConfig(
        tiny_backbone(),
        LoraConfig(r=2),
        UnetConfig(width=8),
        CloudSegmentationConfig(),
        CsmaskConfig(root=str(root), test=["landsat7"], block=32),
        TrainConfig(**train_options),  # type: ignore[arg-type]
        InferConfig(tile=64, overlap=16),
        RuntimeConfig(device="cpu", threads=1, precision="fp32"),
    )


@pytest.fixture(scope="module")
def bundle(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(job(root), tmp_path_factory.mktemp("first"), "x").bundle


def test_a_model_that_starts_from_a_bundle_says_what_the_bundle_says(root: Path, bundle: Path, tmp_path: Path) -> None:
    plain = job(root)
    setting = prepare(plain, tmp_path)
    model = build_for(setting, plain)
    values = torch.rand(1, 6, 32, 32)
    wanted = load_bundle(bundle).scores(values)
    model.eval()
    with torch.inference_mode():
        before = model(image_batch(values, None, setting.data.channels))[:, 0].softmax(1)
        start_from(model, bundle, plain, setting.task, setting.data.channels)
        after = model(image_batch(values, None, setting.data.channels))[:, 0].softmax(1)
    torch.testing.assert_close(after, wanted, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(before, wanted, atol=1e-3)


def test_fewer_classes_take_their_own_rows(root: Path, bundle: Path, tmp_path: Path) -> None:
    plain = job(root)
    setting = prepare(plain, tmp_path)
    fewer = replace(setting.task, classes=setting.task.classes[::2])
    setting = replace(setting, task=fewer, inputs=replace(setting.inputs, classes=2))
    model = build_for(setting, plain)
    start_from(model, bundle, plain, fewer, setting.data.channels)
    values = torch.rand(1, 6, 32, 32)
    model.eval()
    with torch.inference_mode():
        two = model(image_batch(values, None, setting.data.channels))[:, 0].softmax(1)
    three = load_bundle(bundle).scores(values)[:, ::2]
    torch.testing.assert_close(two, three / three.sum(1, keepdim=True), atol=1e-5, rtol=1e-4)


def test_the_bundle_as_it_stands_is_a_control_beside_the_others(root: Path, bundle: Path, tmp_path: Path) -> None:
    result = train(job(root, start=str(bundle), controls="rule", steps=2, val_every=2), tmp_path, "x")
    card = json.loads((bundle / "bundle.json").read_text())
    assert result.metrics["start/miou"] == pytest.approx(card["metrics"]["test/miou"], abs=1e-6)
    assert "the bundle it started from" in result.page.read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"adapter": LoraConfig(r=4)}, "was made with adapter.r=2; choose the same here"),
        ({"head": UnetConfig(width=16)}, "was made with head.width=8"),
        ({"backbone": tiny_backbone(seed=5)}, "this run's backbone is small_eo"),
    ],
)
def test_what_does_not_go_together_is_said(
    change: dict[str, object], message: str, root: Path, bundle: Path, tmp_path: Path
) -> None:
    with pytest.raises(GeoadaptError, match=message):
        train(replace(job(root, start=str(bundle)), **change), tmp_path, "x")  # type: ignore[arg-type]


def test_a_control_without_a_start_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(GeoadaptError, match="start is the bundle of train.start, and none is named"):
        train(job(root, controls="start"), tmp_path, "x")
