from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from geoadapt.adapters.attach import Attached, attach, probe
from geoadapt.adapters.config import LoraConfig
from geoadapt.backbones import dl_l8s2_uv
from geoadapt.backbones.config import DlL8s2UvConfig, GalileoConfig
from geoadapt.backbones.galileo import Galileo, build
from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch, Field

CHANNELS = ("blue", "green", "red", "nir")


def galileo(seed: int = 0) -> Galileo:
    return build(GalileoConfig(random_weights=True, seed=seed))


def batch() -> Batch:
    values = torch.rand(2, 1, 4, 16, 16, generator=torch.Generator().manual_seed(0)) * 0.5
    return Batch({"optical": Field(values, CHANNELS)})


def features(attached: Attached) -> Tensor:
    with torch.no_grad():
        return torch.stack(attached.backbone(batch()).maps)


def trained(config: LoraConfig | None = None) -> Attached:
    """LoRA with values as after some training: both factors differ from their start."""
    torch.manual_seed(1)
    attached = attach(galileo(), config or LoraConfig())
    with torch.no_grad():
        for parameter in attached.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return attached


def test_only_the_adapter_is_trainable_and_it_starts_without_effect() -> None:
    plain = galileo()
    with torch.no_grad():
        before = torch.stack(plain(batch()).maps)
    attached = attach(plain, LoraConfig(r=8, targets=("attention",)))
    assert {id(p) for p in plain.parameters() if p.requires_grad} == {id(p) for p in attached.parameters()}
    assert sum(p.numel() for p in attached.parameters()) == 4 * 4 * 256 * 8
    torch.testing.assert_close(features(attached), before, atol=1e-6, rtol=1e-6)


def test_every_adapter_parameter_receives_a_gradient() -> None:
    attached = trained()
    sum(m.square().mean() for m in attached.backbone(batch()).maps).backward()
    still = [key for key, p in attached.named_parameters().items() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not still


def test_training_leaves_every_tensor_of_the_backbone_as_it_was() -> None:
    attached = attach(galileo(), LoraConfig())
    optimiser = torch.optim.AdamW(attached.parameters(), lr=1e-2)
    sum(m.square().mean() for m in attached.backbone(batch()).maps).backward()
    optimiser.step()
    kept = {k.replace("base_layer.", ""): v for k, v in attached.backbone.state_dict().items() if "lora_" not in k}
    for key, value in galileo().state_dict().items():
        assert torch.equal(kept[key], value), f"{key} moved"


def test_merging_keeps_the_output_and_removes_the_adapter() -> None:
    attached = trained()
    before = features(attached)
    keys = set(galileo().state_dict())
    attached.merge()
    torch.testing.assert_close(features(attached), before, atol=1e-5, rtol=1e-5)
    assert set(attached.backbone.state_dict()) == keys
    assert not attached.parameters()
    with pytest.raises(GeoadaptError, match="merged"):
        attached.state()


def test_an_adapter_that_is_not_finite_is_not_merged() -> None:
    attached = trained()
    with torch.no_grad():
        attached.parameters()[0][0, 0] = float("nan")
    with pytest.raises(GeoadaptError, match="not finite"):
        attached.merge()


def test_the_last_blocks_alone_can_be_adapted() -> None:
    attached = attach(galileo(), LoraConfig(last_blocks=2))
    assert {name.split(".")[1] for name in attached.modules()} == {"2", "3"}


def test_without_targets_every_group_of_the_backbone_is_adapted_and_named() -> None:
    attached = attach(galileo(), LoraConfig())
    named = attach(galileo(), LoraConfig(targets=("attention", "mlp")))
    assert attached.modules().keys() == named.modules().keys()
    assert attached.settings.targets == ("attention", "mlp"), "a bundle would store targets that a new group changes"


def test_a_convolutional_backbone_needs_no_targets_either() -> None:
    attached = attach(dl_l8s2_uv.build(DlL8s2UvConfig(random_weights=True)), LoraConfig(r=2))
    assert attached.settings.targets == ("pointwise",)
    assert len(attached.modules()) == 10 and all(name.endswith("pointwise") for name in attached.modules())


def test_an_adapter_stored_before_targets_could_be_left_out_still_loads(tmp_path: Path) -> None:
    one = trained(LoraConfig(targets=("attention", "mlp")))
    one.save(tmp_path)
    other = attach(galileo(), LoraConfig())
    other.load_folder(tmp_path)
    assert torch.equal(features(one), features(other))


def test_a_backbone_without_groups_says_that_layers_must_be_named() -> None:
    backbone = galileo()
    backbone.spec = replace(backbone.spec, targets={})
    with pytest.raises(GeoadaptError, match="galileo_nano names no groups of layers"):
        attach(backbone, LoraConfig())
    assert len(attach(backbone, LoraConfig(targets=(r"blocks\.0\.attn\.q",))).modules()) == 1


def test_own_regular_expressions_match_whole_names() -> None:
    attached = attach(galileo(), LoraConfig(targets=(r"blocks\.\d+\.attn\.(q|v)",)))
    assert len(attached.modules()) == 8
    assert sum(p.numel() for p in attached.parameters()) == 16_384


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (LoraConfig(targets=("proj",)), ["'proj' matches no layer", "attention, mlp"]),
        (LoraConfig(targets=("atention",)), ["'atention' matches no layer"]),
        (LoraConfig(targets=(r"blocks\.0\.attn\.Q",)), ["did you mean 'blocks.0.attn."]),
        (LoraConfig(targets=("(",)), ["is no regular expression"]),
        (LoraConfig(targets=(r".*\.q",), last_blocks=1), ["{block}"]),
    ],
)
def test_targets_that_match_nothing_are_named_with_the_nearest(config: LoraConfig, words: list[str]) -> None:
    with pytest.raises(GeoadaptError) as caught:
        attach(galileo(), config)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_the_probe_passes_a_living_adapter_and_restores_it_exactly() -> None:
    attached = attach(galileo(), LoraConfig())
    attached.backbone.train()
    before = attached.state()
    state = torch.get_rng_state()
    probe(attached, batch())
    assert all(torch.equal(before[key], value) for key, value in attached.state().items())
    assert all(p.grad is None for p in attached.parameters())
    assert attached.backbone.training and torch.equal(state, torch.get_rng_state())


def test_the_probe_names_an_adapter_that_the_backbone_never_calls() -> None:
    # patch projections are resized and read directly, so an adapter's forward there is dead
    attached = attach(galileo(), LoraConfig(targets=("attention", r"space_time_embed\.S2_RGB\.proj")))
    with pytest.raises(GeoadaptError) as caught:
        probe(attached, batch())
    assert "space_time_embed.S2_RGB.proj" in str(caught.value)
    assert "blocks." not in str(caught.value)


def test_saved_and_loaded_it_gives_the_same_output_bit_for_bit(tmp_path: Path) -> None:
    one = trained()
    one.save(tmp_path)
    other = attach(galileo(), LoraConfig())
    other.load_folder(tmp_path)
    assert torch.equal(features(one), features(other))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]


def test_plain_peft_loads_the_saved_folder(tmp_path: Path) -> None:
    from peft import PeftModel

    one = trained()
    one.save(tmp_path)
    model = PeftModel.from_pretrained(galileo(), str(tmp_path)).eval()
    with torch.no_grad():
        torch.testing.assert_close(torch.stack(model(batch()).maps), features(one), atol=1e-6, rtol=1e-6)


def test_what_plain_peft_saved_is_loaded(tmp_path: Path) -> None:
    from peft import LoraConfig as PeftConfig
    from peft import get_peft_model

    one = trained(LoraConfig(targets=("attention",)))
    card = json.loads(json.dumps({"target_modules": one._card.target_modules}))
    model = get_peft_model(galileo(), PeftConfig(r=8, lora_alpha=16, **card))
    model.save_pretrained(str(tmp_path))
    one.load_folder(tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(torch.stack(model(batch()).maps), features(one), atol=1e-6, rtol=1e-6)


def test_a_card_with_another_scaling_is_refused(tmp_path: Path) -> None:
    trained().save(tmp_path)
    with pytest.raises(GeoadaptError, match="lora_alpha is 16, expected 32"):
        attach(galileo(), LoraConfig(alpha=32)).load_folder(tmp_path)


def spoil_missing(state: dict[str, Tensor]) -> None:
    for key in list(state)[:7]:
        del state[key]


def spoil_extra(state: dict[str, Tensor]) -> None:
    state["stranger"] = torch.zeros(1)


def spoil_shape(state: dict[str, Tensor]) -> None:
    key = next(iter(state))
    state[key] = torch.zeros(3, 3)


def spoil_value(state: dict[str, Tensor]) -> None:
    key = next(reversed(state))
    state[key][0, 0] = float("nan")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (spoil_missing, ["missing keys", "and 2 more"]),
        (spoil_extra, ["unknown keys stranger"]),
        (spoil_shape, ["wrong shapes", "(3, 3)"]),
        (spoil_value, ["not finite"]),
    ],
)
def test_a_state_that_does_not_fit_is_never_loaded_in_part(spoil: object, words: list[str]) -> None:
    state = trained().state()
    spoil(state)  # type: ignore[operator]
    attached = attach(galileo(), LoraConfig())
    before = attached.state()
    with pytest.raises(GeoadaptError) as caught:
        attached.load(state)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert all(torch.equal(before[key], value) for key, value in attached.state().items())


def test_state_is_a_copy_that_later_training_does_not_touch() -> None:
    attached = trained()
    state = attached.state()
    with torch.no_grad():
        attached.parameters()[0].zero_()
    assert next(iter(state.values())).abs().sum() > 0


def test_the_backbone_stays_the_same_object_with_its_spec() -> None:
    backbone = galileo()
    attached = attach(backbone, LoraConfig())
    assert attached.backbone is backbone
    assert isinstance(attached.backbone, nn.Module)
    assert attached.backbone.spec.name == "galileo_nano"


def test_a_dilated_convolution_is_refused_before_peft_fails_on_it() -> None:
    plain = galileo()
    plain.blocks[0].wide = nn.Conv2d(4, 4, 3, dilation=2)
    with pytest.raises(GeoadaptError, match=r"blocks\.0\.wide, a convolution with dilation 2"):
        attach(plain, LoraConfig(r=2, targets=(r"blocks\.0\.wide",)))
