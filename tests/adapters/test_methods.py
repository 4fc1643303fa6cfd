"""What each method trains of which backbone, that it computes what its paper says, and what it refuses."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from geoadapt.adapters.attach import attach, probe
from geoadapt.adapters.config import BitFitConfig, DoraConfig, Ia3Config, LnTuningConfig, PartialConfig
from geoadapt.errors import GeoadaptError
from tests.adapters.zoo import batch, built, fresh, moved, some


def names_of(config: object, backbone: str) -> set[str]:
    return set(attach(fresh(backbone), config).modules())


def test_ln_tuning_takes_norms_of_every_kind_and_the_one_behind_the_blocks() -> None:
    assert names_of(LnTuningConfig(), "small_eo") == {f"blocks.{n}.norm{k}" for n in (0, 1) for k in (1, 2)} | {"norm"}
    assert names_of(LnTuningConfig(), "small_wx") == {f"blocks.{n}.norm1" for n in range(4)} | {
        "blocks.1.norm2",
        "blocks.3.norm2",
        "norm",
    }
    assert names_of(LnTuningConfig(), "dl_l8s2_uv") == {f"blocks.{n}.{k}.norm" for n in range(5) for k in (0, 1)}
    channels = {f"network.other_unet.{n}.globalatt.{part}.norm" for n in (0, 1) for part in ("attn", "mlp")}
    assert names_of(LnTuningConfig(), "pmaa_published") == channels
    assert channels < names_of(LnTuningConfig(), "pmaa")
    assert names_of(LnTuningConfig(targets=(r"blocks\.{block}\.norm2",), last_blocks=1), "galileo") == {
        "blocks.3.norm2"
    }


def test_ia3_scales_keys_values_and_hidden_features() -> None:
    attached = attach(fresh("galileo"), Ia3Config())
    blocks = range(4)
    expected = {f"blocks.{n}.attn.{k}" for n in blocks for k in "kv"} | {f"blocks.{n}.mlp.fc2" for n in blocks}
    assert set(attached.modules()) == expected
    assert sum(p.numel() for p in attached.parameters()) == 4 * (128 + 128 + 512)
    assert attached.settings.targets == ("attention", "mlp"), "a bundle would store targets that a new group changes"
    assert names_of(Ia3Config(), "small_wx") == {f"blocks.{n}.conv" for n in blocks} | {
        f"blocks.{n}.attn.qkv" for n in (1, 3)
    }
    ends = attach(fresh("galileo"), Ia3Config(targets=("mlp",), feedforward=()))
    assert sum(p.numel() for p in ends.parameters()) == 4 * 128


@pytest.mark.parametrize(
    ("config", "groups", "words"),
    [
        (Ia3Config(targets=("mlp", r"blocks\.\d\.mlp\.fc2")), None, r"blocks\.0\.mlp\.fc2 is asked for on both sides"),
        (Ia3Config(), {"attention": r"blocks\.{block}\.attn\.proj"}, "'attention' has nothing called keys and values"),
        (Ia3Config(), {"mlp": r"blocks\.{block}\.mlp\.fc1"}, "'mlp' has nothing called a layer that narrows"),
        (Ia3Config(), {}, "small_eo names no groups of layers"),
        (PartialConfig(), {"mlp": r".*\.fc1"}, "small_eo numbers no blocks"),
        (LnTuningConfig(last_blocks=1), {}, "small_eo numbers no blocks"),
    ],
)
def test_groups_that_hold_nothing_for_an_adapter_are_refused(
    config: object, groups: dict[str, str] | None, words: str
) -> None:
    backbone = fresh("small_eo")
    if groups is not None:
        backbone.spec = replace(backbone.spec, targets=groups)  # type: ignore[type-var, assignment]
    with pytest.raises(GeoadaptError, match=words):
        attach(backbone, config)


def test_without_numbered_blocks_all_norms_and_all_biases_are_taken() -> None:
    backbone = fresh("small_eo")
    backbone.spec = replace(backbone.spec, targets={})  # type: ignore[type-var, assignment]
    assert len(attach(copy.deepcopy(backbone), LnTuningConfig()).modules()) == 5
    assert "patch_embed.proj.bias" in attach(backbone, BitFitConfig()).named_parameters()


def test_ia3_computes_what_the_paper_says() -> None:
    """Equation of section 3.3 on one MLP: (l ⊙ γ(W₁ x)) W₂."""
    attached = moved(attach(fresh("galileo"), Ia3Config(targets=("mlp",))), 0.5)
    mlp = attached.backbone.blocks[0].mlp
    scale = attached.named_parameters()["base_model.model.blocks.0.mlp.fc2.ia3_l"]
    plain = built("galileo").blocks[0].mlp
    x = torch.randn(3, 128, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = plain.fc2(scale.flatten() * nn.functional.gelu(plain.fc1(x)))
        torch.testing.assert_close(mlp(x), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("backbone", "layer"), [("galileo", "blocks.0.mlp.fc1"), ("small_wx", "blocks.0.conv")])
def test_dora_computes_what_the_paper_says(backbone: str, layer: str) -> None:
    """Equation 5 on the merged weight of one layer: m (W₀ + ΔW) / ‖W₀ + ΔW‖ for each output."""
    attached = moved(attach(fresh(backbone), DoraConfig(r=2, alpha=6, targets=(re.escape(layer),))))
    state = attached.state()
    key = f"base_model.model.{layer}."
    a, b = (state[f"{key}lora_{x}.weight"].flatten(1) for x in "AB")
    old = built(backbone).get_submodule(layer).weight.detach()
    new = old + 6 / 2 * (b @ a).reshape(old.shape)
    norm = new.flatten(1).norm(dim=1)
    magnitude = state[f"{key}lora_magnitude_vector"].flatten()
    attached.merge()
    expected = (magnitude / norm).reshape(-1, *[1] * (old.ndim - 1)) * new
    torch.testing.assert_close(attached.backbone.get_submodule(layer).weight, expected, atol=1e-5, rtol=1e-5)


def nothing_leaves(backbone: nn.Module) -> None:
    with torch.no_grad():
        backbone.blocks[0].mlp.fc1.weight[3] = 0.0  # type: ignore[index, union-attr]


def grouped(backbone: nn.Module) -> None:
    backbone.blocks[0].mlp.fc1 = nn.Conv2d(4, 4, 3, groups=2)  # type: ignore[index, union-attr]


def dilated(backbone: nn.Module) -> None:
    backbone.blocks[0].mlp.fc1 = nn.Conv2d(4, 4, 3, dilation=2)  # type: ignore[index, union-attr]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (nothing_leaves, "fc1, which has outputs whose weights are all 0"),
        (grouped, "fc1, a convolution in 2 groups"),
        (dilated, "fc1, a convolution with dilation 2"),
    ],
)
def test_dora_refuses_layers_that_it_has_no_form_for(change: Callable[[nn.Module], None], words: str) -> None:
    backbone = fresh("small_eo")
    change(backbone)
    with pytest.raises(GeoadaptError, match=words):
        attach(backbone, DoraConfig(r=2))


def test_bitfit_trains_biases_alone_and_a_group_where_one_is_named() -> None:
    assert all(key.endswith(".bias") for key in some("bitfit").named_parameters())
    keys = some("bitfit", "galileo")
    assert "blocks.0.attn.k.bias" in keys.named_parameters() and "blocks.0.attn.k" not in keys.modules()
    one = attach(fresh("small_eo"), BitFitConfig(targets=("mlp",), last_blocks=1))
    assert set(one.named_parameters()) == {"blocks.1.mlp.fc1.bias", "blocks.1.mlp.fc2.bias"}


def test_other_blocks_than_those_stored_are_refused(tmp_path: Path) -> None:
    moved(attach(fresh("small_eo"), PartialConfig(last_blocks=1))).save(tmp_path)
    with pytest.raises(GeoadaptError, match="12 tensors were trained, and not the 24 that are chosen here"):
        some("partial").load_folder(tmp_path)


def test_a_layer_that_is_never_called_is_named_by_the_probe() -> None:
    with pytest.raises(GeoadaptError, match=r"space_time_embed\.S1\.proj does not reach the output"):
        probe(attach(fresh("galileo"), BitFitConfig(targets=("mlp", r"space_time_embed\.S1\.proj"))), batch("galileo"))
    # the published way up never reads its coarsest level: trained along, as no block is dead as a whole
    probe(attach(fresh("pmaa_published"), PartialConfig()), batch("pmaa"))


@pytest.mark.parametrize(
    ("config", "values", "words"),
    [
        (PartialConfig, {"last_blocks": 0}, "last_blocks"),
        (LnTuningConfig, {"last_blocks": -1}, "last_blocks"),
        (PartialConfig, {"lr_scale": 0.0}, "lr_scale"),
        (DoraConfig, {"r": 0}, "rank 0"),
        (Ia3Config, {"targets": ("attention",), "feedforward": ("atention",)}, "did you mean 'attention'"),
    ],
)
def test_values_that_make_no_sense_are_refused(config: type, values: dict[str, object], words: str) -> None:
    with pytest.raises(GeoadaptError, match=words):
        config(**values)
