"""Every adapter through a short fit of cloud masks, and out of the bundle again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from geoadapt.adapters import ADAPTERS
from geoadapt.adapters.config import BitFitConfig, DoraConfig, Ia3Config, LnTuningConfig, LoraConfig, PartialConfig
from geoadapt.bundle.load import load_bundle
from geoadapt.config import InferConfig, JobConfig, RuntimeConfig, TrainConfig
from geoadapt.fields.config import CsmaskConfig
from geoadapt.fields.csmask import CHANNELS
from geoadapt.fields.survey import survey
from geoadapt.heads.config import LinearConfig
from geoadapt.heads.inputs import HeadInputs
from geoadapt.model import image_batch
from geoadapt.registry import build
from geoadapt.tasks import TASKS
from geoadapt.tasks.config import CloudSegmentationConfig
from geoadapt.training.cache import first_trained_block
from geoadapt.training.segmentation import KIND
from geoadapt.training.setting import Setting, build_for, fit_adapted
from tests.tiny import tiny_backbone
from tests.training.small import dataset

LAST = [LoraConfig(last_blocks=1), DoraConfig(last_blocks=1), Ia3Config(last_blocks=1), PartialConfig()]
LAST += [LnTuningConfig(last_blocks=1), BitFitConfig(last_blocks=1)]


def setting_of(adapter: object, folder: Path) -> Setting:
    job = JobConfig(
        tiny_backbone(patch_size=4),
        adapter,
        LinearConfig(),
        CloudSegmentationConfig(),
        CsmaskConfig(),
        TrainConfig(steps=2, batch=2, chip=16, val_every=2, controls="none"),
        InferConfig(tile=32, overlap=8),
        RuntimeConfig(device="cpu", threads=1),
    )
    data = dataset(48, 48)
    seen = survey(data, 0)
    task = build(TASKS, job.task, data, seen.counts)
    inputs = HeadInputs(len(task.classes), torch.from_numpy(seen.mean), torch.from_numpy(seen.std))
    return Setting(job, data, seen, task, inputs, folder, "cpu")


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_fit_moves_adapter_and_head_alone_and_its_bundle_gives_the_same(name: str, tmp_path: Path) -> None:
    setting = setting_of(ADAPTERS[name].config(), tmp_path)
    start = build_for(setting, setting.job)
    model, _ = fit_adapted(setting, setting.job, "fit")
    before, after = start.state_dict(), model.state_dict()
    names = {id(p): key for key, p in model.named_parameters()}
    trained = {names[id(p)] for p in [*model.attached.parameters(), *model.head.parameters()]}
    changed = {key for key, value in after.items() if not torch.equal(value, before[key])}
    assert changed <= trained and any(key.startswith("head.") for key in changed)
    assert any(key.startswith("backbone.") for key in changed) is (name != "none")
    assert model.count().trainable == sum(after[key].numel() for key in trained)

    pixels = torch.rand(1, 6, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model(image_batch(pixels, None, CHANNELS))[:, 0].softmax(1)
    KIND.store(setting, model, {"test/miou": 0.5}, "made by a test", {}, tmp_path / "bundle")
    torch.testing.assert_close(load_bundle(tmp_path / "bundle").scores(pixels), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("config", LAST, ids=lambda config: config.name)
def test_what_lies_below_the_last_block_needs_computing_only_once(config: object, tmp_path: Path) -> None:
    setting = setting_of(config, tmp_path)
    assert first_trained_block(build_for(setting, setting.job)) == 1
