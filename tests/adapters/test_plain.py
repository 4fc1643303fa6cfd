from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from geoadapt.adapters.attach import attach, probe
from geoadapt.adapters.config import FullConfig, HeadOnlyConfig
from geoadapt.backbones.prithvi_eo import PrithviEo, build
from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch, Field
from tests.tiny import tiny_backbone

CONFIG = tiny_backbone(patch_size=4)


def backbone() -> PrithviEo:
    return build(CONFIG)


def batch() -> Batch:
    return Batch({"optical": Field(torch.full((1, 1, 6, 8, 8), 0.3), CONFIG.channels)})


def test_nothing_is_trained_and_nothing_is_stored_without_an_adapter(tmp_path: Path) -> None:
    attached = attach(backbone(), HeadOnlyConfig())
    probe(attached, batch())
    attached.save(tmp_path)
    attached.load_folder(tmp_path)
    assert attached.parameters() == [] and attached.state() == {} and not list(tmp_path.iterdir())
    assert not any(p.requires_grad for p in attached.backbone.parameters())
    with pytest.raises(GeoadaptError, match="unknown keys x"):
        attached.load({"x": torch.zeros(1)})


def test_full_fine_tuning_trains_every_parameter_and_stores_what_changed(tmp_path: Path) -> None:
    attached = attach(backbone(), FullConfig())
    assert len(attached.parameters()) == len(list(attached.backbone.parameters()))
    assert attached.state() == {}
    with torch.no_grad():
        attached.backbone.blocks[1].mlp.fc1.weight.add_(0.1)
    attached.save(tmp_path)
    assert json.loads((tmp_path / "delta.json").read_text())["tensors"] == ["blocks.1.mlp.fc1.weight"]
    other = attach(backbone(), FullConfig())
    with torch.no_grad():
        other.backbone.norm.weight.add_(1.0)
    other.load_folder(tmp_path)
    for key, value in attached.backbone.state_dict().items():
        assert torch.equal(other.backbone.state_dict()[key], value), f"{key} differs"


def test_merging_freezes_and_keeps_the_output() -> None:
    attached = attach(backbone(), FullConfig())
    before = attached.backbone(batch()).maps[-1].detach()
    attached.merge()
    assert torch.equal(attached.backbone(batch()).maps[-1], before)
    assert not any(p.requires_grad for p in attached.backbone.parameters())


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"stranger": torch.zeros(1)}, "unknown keys stranger"),
        ({"norm.weight": torch.zeros(3)}, "wrong shapes norm.weight (3,), expected (32,)"),
        ({"norm.weight": torch.full((32,), float("inf"))}, "not finite in norm.weight"),
    ],
)
def test_a_delta_that_does_not_fit_is_refused(state: dict[str, torch.Tensor], words: str) -> None:
    attached = attach(backbone(), FullConfig())
    with pytest.raises(GeoadaptError) as caught:
        attached.load(state)
    assert words in str(caught.value)
    assert attached.state() == {}


def test_a_delta_without_one_of_its_tensors_is_refused(tmp_path: Path) -> None:
    attached = attach(backbone(), FullConfig())
    with torch.no_grad():
        attached.backbone.norm.weight.add_(1.0)
    attached.save(tmp_path)
    (tmp_path / "delta.json").write_text(json.dumps({"tensors": ["norm.weight", "norm.bias"]}))
    with pytest.raises(GeoadaptError, match=r"missing keys norm\.bias"):
        attach(backbone(), FullConfig()).load_folder(tmp_path)


def test_a_delta_stored_before_there_were_other_choices_still_loads(tmp_path: Path) -> None:
    attached = attach(backbone(), FullConfig())
    with torch.no_grad():
        attached.backbone.norm.weight.add_(1.0)
    attached.save(tmp_path)
    (tmp_path / "delta.json").write_text(json.dumps({"name": "full", "tensors": ["norm.weight"]}))
    other = attach(backbone(), FullConfig())
    other.load_folder(tmp_path)
    assert torch.equal(other.backbone.norm.weight, attached.backbone.norm.weight)
