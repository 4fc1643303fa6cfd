"""What every adapter promises, on every kind of backbone: linear and convolutional, with norms of four kinds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from geoadapt.adapters import ADAPTERS, REGIMES
from geoadapt.adapters.attach import attach, probe
from geoadapt.backbones import BACKBONES
from geoadapt.errors import GeoadaptError
from geoadapt.registry import build, from_plain, look_up
from tests.adapters.zoo import ADAPTER, BACKBONE, IN_DOUBLE, batch, built, features, fresh, moved, some
from tests.folders import ROOT
from tests.tiny import tiny_backbone

REFUSED = {
    ("ln_tuning", "spagan"): "has no normalisation with parameters in its blocks",
    ("bitfit", "spagan"): "has no biases in its blocks",
}
PAIRS = [(a, b) for a in ADAPTER for b in BACKBONE if (a, b) not in REFUSED and b != "pmaa_published"]


def test_every_adapter_is_tested_and_has_a_regime() -> None:
    assert ADAPTER.keys() == ADAPTERS.keys() == REGIMES.keys()
    assert {name for name, regime in REGIMES.items() if regime != "peft"} == {"none", "full"}
    assert set(REGIMES.values()) == {"peft", "frozen", "full"}


def test_every_adapter_can_be_chosen_by_name() -> None:
    files = {file.stem: OmegaConf.load(file) for file in (ROOT / "conf" / "adapter").glob("*.yaml")}
    assert files.keys() >= ADAPTERS.keys()
    for name, plain in files.items():
        made = from_plain(look_up(ADAPTERS, plain["name"], name).config, OmegaConf.to_container(plain), name)
        assert made == ADAPTERS[plain["name"]].config() or name == "lora_r16"


@pytest.mark.parametrize(("adapter", "backbone"), PAIRS)
def test_it_starts_without_effect_is_alive_and_merges(adapter: str, backbone: str, tmp_path: Path) -> None:
    plain = built(backbone)
    before = features(plain, backbone)
    attached = some(adapter, backbone)
    torch.testing.assert_close(features(attached.backbone, backbone), before, atol=1e-5, rtol=1e-5)
    mine, state = {id(p) for p in attached.parameters()}, attached.state()
    assert {id(p) for p in attached.backbone.parameters() if p.requires_grad} == mine
    assert bool(attached.modules()) is (adapter not in ("none", "full"))
    probe(attached, batch(backbone))
    assert all(torch.equal(state[key], value) for key, value in attached.state().items()), "the probe left its noise"

    after = features(moved(attached).backbone, backbone)
    if adapter != "none":
        assert not torch.allclose(after, before, atol=1e-3), "nothing was trained"
    attached.save(tmp_path)
    other = some(adapter, backbone)
    other.load_folder(tmp_path)
    assert torch.equal(features(other.backbone, backbone), after), "stored is not what was trained"
    close = 1e-4
    if backbone in IN_DOUBLE:
        attached.backbone.double()
        after, close = features(attached.backbone, backbone), 1e-10
    attached.merge()
    torch.testing.assert_close(features(attached.backbone, backbone), after, atol=close, rtol=close)
    assert set(attached.backbone.state_dict()) == set(plain.state_dict()), "the adapter is still there"
    assert not any(p.requires_grad for p in attached.backbone.parameters()) and not attached.parameters()


@pytest.mark.parametrize(
    ("adapter", "backbone"),
    [(a, b) for a in ADAPTER if a not in ("none", "full") for b in ("small_eo", "small_wx", "pmaa", "resnet")],
)
def test_training_moves_nothing_but_the_adapter(adapter: str, backbone: str) -> None:
    attached = some(adapter, backbone)
    attached.backbone.train()
    optimiser = torch.optim.SGD(attached.parameters(), lr=1e-2)
    sum(m.square().mean() for m in attached.backbone(batch(backbone)).maps).backward()
    optimiser.step()
    mine = {id(p) for p in attached.parameters()}
    theirs = {
        re.sub(r"\.base_layer", "", name): tensor
        for name, tensor in [*attached.backbone.named_parameters(), *attached.backbone.named_buffers()]
        if id(tensor) not in mine and not re.search(r"\.(lora|ia3|ln_tuning)_", name)
    }
    state = built(backbone).state_dict()
    assert len(theirs) >= len(state) - len(mine)
    for name, value in state.items():
        if name in theirs:
            assert torch.equal(theirs[name], value), f"{name} moved"
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in attached.parameters())


@pytest.mark.parametrize(("pair", "words"), REFUSED.items())
def test_what_a_backbone_has_no_place_for_is_refused(pair: tuple[str, str], words: str) -> None:
    with pytest.raises(GeoadaptError, match=words):
        some(*pair)


@pytest.mark.parametrize("adapter", [a for a in ADAPTER if a != "none"])
def test_files_of_another_adapter_and_strange_keys_are_refused(adapter: str, tmp_path: Path) -> None:
    for other in ADAPTER:
        if other in (adapter, "none"):
            continue
        moved(some(other)).save(tmp_path / other)
        attached = moved(some(adapter))
        before = attached.state()
        with pytest.raises(GeoadaptError):
            attached.load_folder(tmp_path / other)
        assert all(torch.equal(before[key], value) for key, value in attached.state().items()), "loaded in part"
    with pytest.raises(GeoadaptError, match="unknown keys stranger"):
        attached.load({**before, "stranger": torch.zeros(1)})
    key = next(iter(before))
    with pytest.raises(GeoadaptError, match="not finite"):
        attached.load({**before, key: torch.full_like(before[key], float("nan"))})


@pytest.mark.parametrize("adapter", [a for a in ADAPTER if a != "none"])
def test_what_is_not_finite_is_not_merged(adapter: str) -> None:
    attached = some(adapter)
    with torch.no_grad():
        attached.parameters()[0].view(-1)[0] = float("inf")
    with pytest.raises(GeoadaptError, match="not finite"):
        attached.merge()


@pytest.mark.filterwarnings("ignore:Unsupported layer type")
@pytest.mark.parametrize("adapter", ["lora", "dora", "ia3", "ln_tuning"])
def test_plain_peft_loads_what_is_stored(adapter: str, tmp_path: Path) -> None:
    from peft import PeftModel

    attached = moved(some(adapter))
    attached.save(tmp_path)
    model = PeftModel.from_pretrained(fresh("small_eo"), str(tmp_path)).eval()
    torch.testing.assert_close(features(model, "small_eo"), features(attached.backbone, "small_eo"))
    model.save_pretrained(str(tmp_path / "theirs"))
    other = some(adapter)
    other.load_folder(tmp_path / "theirs")
    assert torch.equal(features(other.backbone, "small_eo"), features(attached.backbone, "small_eo"))


@pytest.mark.parametrize("adapter", ["lora", "dora", "ia3", "ln_tuning", "bitfit", "partial"])
def test_merging_holds_in_half_precision(adapter: str) -> None:
    backbone = fresh("small_eo").to(torch.bfloat16)
    attached = moved(attach(backbone, ADAPTER[adapter]))
    pixels = torch.randn(1, 6, 1, 16, 16, generator=torch.Generator().manual_seed(3)).to(torch.bfloat16)
    with torch.no_grad():
        before = backbone.encode(pixels)[-1].float()
        attached.merge()
        after = backbone.encode(pixels)[-1].float()
    assert all(p.dtype == torch.bfloat16 for p in backbone.parameters())
    assert float((before - after).square().mean().sqrt()) < 0.02 * float(before.std())


@pytest.mark.parametrize("adapter", ["lora", "dora", "ia3", "ln_tuning", "bitfit", "partial"])
@pytest.mark.parametrize(
    ("backbone", "start"),
    [("galileo", "blocks.3."), ("small_wx", "blocks.3."), ("pmaa", "network.other_unet.1.")],
)
def test_the_last_block_alone_can_be_trained(adapter: str, backbone: str, start: str) -> None:
    attached = attach(fresh(backbone), type(ADAPTER[adapter])(last_blocks=1))
    probe(attached, batch(backbone))
    assert attached.modules() and all(f"{name}.".startswith(start) for name in attached.modules())
    assert all(start in f".{key}" for key in attached.named_parameters())


@pytest.mark.parametrize("adapter", ["ln_tuning", "bitfit", "ia3", "lora", "dora"])
def test_targets_that_match_nothing_are_named_with_the_nearest(adapter: str) -> None:
    with pytest.raises(GeoadaptError, match=r"'blocks\.0\.nrom1' matches no .* as a whole name.*did you mean"):
        attach(fresh("small_eo"), type(ADAPTER[adapter])(targets=("blocks.0.nrom1",)))


def test_what_is_new_in_a_backbone_is_trained_and_stored_along(tmp_path: Path) -> None:
    config = tiny_backbone(channels=("blue", "green", "red", "nir", "cirrus"))
    for adapter, settings in ADAPTER.items():
        attached = attach(build(BACKBONES, config), settings)
        extra = [key for key in attached.named_parameters() if key.endswith("patch_embed.extra")]
        assert len(extra) == 1, adapter
        moved(attached).save(tmp_path / adapter)
        other = attach(build(BACKBONES, config), settings)
        other.load_folder(tmp_path / adapter)
        value = attached.named_parameters()[extra[0]]
        assert torch.equal(other.named_parameters()[extra[0]], value), adapter
