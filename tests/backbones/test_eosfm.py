from __future__ import annotations

import logging
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from geoadapt.adapters.attach import attach, probe
from geoadapt.adapters.config import HeadOnlyConfig, LoraConfig
from geoadapt.backbones.eosfm import EosFm, build
from geoadapt.backbones.eosfm_match import CHANNELS, Entry, by_count, by_name
from geoadapt.backbones.picture_config import EosFmConfig
from geoadapt.backbones.picture_models import VARIANTS, network, resized
from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch, Field

CLOSE = {"atol": 1e-5, "rtol": 1e-4}
SMALL: dict[str, Any] = {"widths": (4, 8, 8, 12), "depths": (1, 1, 1, 1)}
FOUR = ("blue", "green", "red", "nir")
TRIO = ("ben_rgb", "loveda", "cloud_cover")


@lru_cache(maxsize=16)
def made(**changes: Any) -> EosFm:
    return build(EosFmConfig(**{"random_weights": True, "channels": FOUR, "specialists": TRIO, **SMALL, **changes}))


def optical(b: int = 2, t: int = 1, channels: tuple[str, ...] = FOUR, side: int = 64) -> Field:
    return Field(torch.rand(b, t, len(channels), side, side, generator=torch.Generator().manual_seed(0)), channels)


def maps(model: EosFm, **fields: Field) -> tuple[Tensor, ...]:
    with torch.no_grad():
        return model(Batch(fields)).maps


def stored(path: Path, *specialists: tuple[str, int], spoil: bool = False, **config: Any) -> Path:
    """A file as it is released: timm's names, convolutions of one pixel where transformers has linear layers."""
    variant = resized(VARIANTS["convnextv2_atto"], SMALL["widths"], SMALL["depths"], None)
    items = []
    for seed, (name, count) in enumerate(specialists):
        torch.manual_seed(seed)
        state = {}
        for key, value in network(variant, count).state_dict().items():
            for new, old in (
                ("embeddings.patch_embeddings", "stem_0"),
                ("embeddings.layernorm", "stem_1"),
                ("encoder.stages.", "stages_"),
                ("downsampling_layer", "downsample"),
                ("layers", "blocks"),
                ("dwconv", "conv_dw"),
                (".layernorm", ".norm"),
                (".pwconv", ".mlp.fc"),
                (".grn", ".mlp.grn"),
            ):
                key = key.replace(new, old)
            if ".mlp.fc" in key and value.ndim == 2:
                value = value[..., None, None]
            state[key] = value.flatten() if ".grn" in key else value
        del state["layernorm.weight"], state["layernorm.bias"]
        if spoil:
            state["stem_1.bias"] = state["stem_1.bias"] * torch.nan
        items.append((count, state, {"backbone": "timm_convnextv2_atto", "encoder_name": name, **config}))
    torch.save(items, path / "eosfm.pt")
    return path


def test_specialists_stand_behind_each_other_at_every_level() -> None:
    model = made()
    given = optical(2, 3)
    got = maps(model, optical=given)
    assert model.names == TRIO
    assert model.spec.widths == (12, 24, 24, 36)
    assert [tuple(m.shape) for m in got] == [
        (2, 3, d, 64 // s, 64 // s) for d, s in zip(model.spec.widths, (4, 8, 16, 32), strict=True)
    ]
    alone = maps(build(replace(model.settings, specialists=TRIO[:1])), optical=given)
    torch.testing.assert_close(got[2][:, :, :8], alone[2], **CLOSE)


def test_a_specialist_has_the_published_number_of_parameters() -> None:
    counts = {}
    for count in (2, 3, 12, 14):
        with torch.device("meta"):
            model = network(VARIANTS["convnextv2_atto"], count)
        counts[count] = sum(p.numel() for k, p in model.named_parameters() if not k.startswith("layernorm."))
    assert counts == {2: 3_386_120, 3: 3_386_760, 12: 3_392_520, 14: 3_393_800}


def test_channels_are_matched_by_name_and_false_colours_are_no_colours() -> None:
    rgb = build(EosFmConfig(random_weights=True, **SMALL))
    assert set(rgb.names) == {name for name, channels in CHANNELS.items() if channels == ("red", "green", "blue")}
    false = build(EosFmConfig(random_weights=True, channels=("nir", "red", "green"), **SMALL))
    assert set(false.names) == {"cloud_cover", "potsdam"}
    entries = by_name([CHANNELS["ben_s1"], None, CHANNELS["ben_rgb"]], ("vh", "vv", "blue", "red", "green"))
    assert entries == [Entry(0, (1, 0, 0)), Entry(2, (3, 4, 2))]


@pytest.mark.parametrize("available", [1, 6, 10, 15])
def test_by_count_alone_nothing_is_made_of_numbers_that_nobody_was_trained_on(available: int) -> None:
    assert by_count([3, 12, 2, 14], available) == []


def test_order_of_channels_in_the_data_does_not_matter_and_radar_is_read_with_them() -> None:
    model = build(
        EosFmConfig(random_weights=True, channels=("vh", *FOUR, "vv"), specialists=("ben_s1", "loveda"), **SMALL)
    )
    sar = optical(channels=("vv", "vh"))
    got = maps(model, optical=optical(), sar=sar)
    turned = maps(model, sar=sar.select(("vh", "vv")), optical=optical().select(("nir", "red", "blue", "green")))
    for one, other in zip(got, turned, strict=True):
        assert torch.equal(one, other)
    assert model.spec.required == {"optical": FOUR, "sar": ("vh", "vv")}
    with pytest.raises(GeoadaptError, match="inputs.sar"):
        maps(model, optical=optical())
    with pytest.raises(GeoadaptError, match="same dates and grid"):
        maps(model, optical=optical(), sar=optical(t=2, channels=("vv", "vh")))


def test_neither_the_scale_of_a_channel_nor_what_is_invalid_matters() -> None:
    model, field = made(), optical()
    valid = torch.rand(field.values.shape, generator=torch.Generator().manual_seed(1)) < 0.8
    clean = maps(model, optical=replace(field, valid=valid))
    spoilt = replace(field, values=torch.where(valid, field.values * 3 + 1, torch.nan), valid=valid)
    for one, other in zip(clean, maps(model, optical=spoilt), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)
    flat = replace(field, values=torch.full_like(field.values, 0.2))
    assert all(m.isfinite().all() for m in maps(model, optical=flat))


def test_the_released_file_is_read_with_a_word_on_its_licence(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = stored(tmp_path, ("ben_rgb", 3), ("ben_s1", 3), ("eurosat_s2", 13))
    with caplog.at_level(logging.WARNING):
        model = build(EosFmConfig(weights=str(folder), channels=FOUR, **SMALL))
    assert model.names == ("ben_rgb",)
    assert "CC BY-NC-SA 4.0" in caplog.text
    assert "ben_s1, eurosat_s2" in caplog.text
    assert model.source is not None
    assert model.source.licence == "CC BY-NC-SA 4.0"
    state = torch.load(folder / "eosfm.pt", weights_only=True)[0][1]
    kept = model.ensemble.encoders[0].state_dict()
    assert torch.equal(kept["stem.patch_embeddings.weight"], state["stem_0.weight"])
    assert torch.equal(kept["blocks.2.layers.0.pwconv2.weight"], state["stages_2.blocks.0.mlp.fc2.weight"][..., 0, 0])
    assert len(kept) == len(state)


def test_channels_of_a_specialist_can_be_told(tmp_path: Path) -> None:
    folder = stored(tmp_path, ("mine", 2), ("ben_s1", 3))
    model = build(EosFmConfig(weights=str(folder), channels=FOUR, reads={"mine": ["nir", "red"]}, **SMALL))
    assert model.names == ("mine",)
    assert model.ensemble.entries == (Entry(0, (3, 2)),)


@pytest.mark.parametrize(
    ("specialists", "changes", "words"),
    [
        ((("ben_s1", 3),), {}, "no specialist can read"),
        ((("new", 4),), {}, "backbone.reads"),
        ((("ben_rgb", 3),), {"specialists": ("ben_rbg",)}, "did you mean 'ben_rgb'"),
        ((("ben_rgb", 3), ("ben_s1", 3)), {"specialists": ("ben_s1",)}, "ben_s1"),
        ((("ben_rgb", 4),), {}, "takes 4 channels"),
        ((("ben_rgb", 3),), {"widths": (4, 8, 8, 16)}, "wrong shapes"),
    ],
)
def test_what_does_not_fit_is_named(
    tmp_path: Path, specialists: tuple[tuple[str, int], ...], changes: dict[str, Any], words: str
) -> None:
    folder = stored(tmp_path, *specialists)
    with pytest.raises(GeoadaptError) as caught:
        build(EosFmConfig(**{"weights": str(folder), "channels": FOUR, **SMALL, **changes}))
    assert words in str(caught.value)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "eosfm.pt"
    for content, words in (({"a": torch.ones(1)}, "no list"), ([(3, {})], "entry 0"), ([], "no list")):
        torch.save(content, path)
        with pytest.raises(GeoadaptError, match=words):
            build(EosFmConfig(weights=str(path)))
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(GeoadaptError, match="not a whole file"):
        build(EosFmConfig(weights=str(path)))
    stored(tmp_path, ("ben_rgb", 3), backbone="timm_resnet18")
    with pytest.raises(GeoadaptError, match="timm_resnet18"):
        build(EosFmConfig(weights=str(path)))
    stored(tmp_path, ("ben_rgb", 3), spoil=True)
    with pytest.raises(GeoadaptError, match="stem_1.bias"):
        build(EosFmConfig(weights=str(path), **SMALL))


def chosen(model: EosFm, *weights: float) -> EosFm:
    assert model.ensemble.encoder_selector is not None
    with torch.no_grad():
        model.ensemble.encoder_selector.specialists_weights.copy_(torch.tensor(weights))
    return model


@pytest.mark.parametrize("fusion", ["none", "conv1x1", "mlp", "addition"])
@pytest.mark.parametrize("scaled", [False, True])
def test_pruning_leaves_out_specialists_and_changes_nothing(fusion: str, scaled: bool) -> None:
    settings = {"selection": "topk", "keep": 2, "scaled": scaled, "fusion": fusion, "project": True}
    model = chosen(build(replace(made().settings, **settings)), 0.4, -1.0, 1.3)
    smaller, columns = model.pruned()
    assert smaller.names == (TRIO[0], TRIO[2])
    assert sum(p.numel() for p in smaller.parameters()) < sum(p.numel() for p in model.parameters())
    before, after = maps(model, optical=optical()), maps(smaller, optical=optical())
    assert smaller.spec.widths == tuple(m.shape[2] for m in after)
    for level, (one, other) in enumerate(zip(before, after, strict=True)):
        if fusion == "none":
            gone = [n for n in range(one.shape[2]) if n not in columns[level]]
            assert not one[:, :, gone].any()
            one = one[:, :, columns[level]]
        torch.testing.assert_close(one, other, **CLOSE)
    assert len(model.ensemble.encoders) == 3


def test_a_pruned_ensemble_can_be_built_from_its_own_settings() -> None:
    model = chosen(build(replace(made().settings, selection="straight_through", keep=1)), 0.0, 1.0, 0.5)
    smaller, _ = model.pruned()
    again = build(smaller.settings)
    assert again.names == smaller.names == (TRIO[1],)
    assert again.spec.widths == smaller.spec.widths
    assert again.trainable == smaller.trainable == ()


def test_products_cannot_be_pruned() -> None:
    model = build(replace(made().settings, selection="topk", keep=2, fusion="multiplication"))
    with pytest.raises(GeoadaptError, match="multiplication"):
        model.pruned()


def test_weights_of_those_not_chosen_learn_by_straight_through_and_none_by_plain_topk() -> None:
    batch = Batch({"optical": optical()})
    learns = chosen(build(replace(made().settings, selection="straight_through", keep=1)), 1.0, 0.5, 0.2)
    plain = chosen(build(replace(made().settings, selection="topk", keep=1)), 1.0, 0.5, 0.2)
    for one, other in zip(learns(batch).maps, plain(batch).maps, strict=True):
        assert torch.equal(one, other)
    learns(batch).maps[1].square().sum().backward()
    wanted = learns(batch).maps[1][:, :, 8:16]
    assert not wanted.any()
    weights = learns.ensemble.encoder_selector.specialists_weights
    assert weights.grad is not None
    assert not plain(batch).maps[1].requires_grad
    weights.grad = None
    target = maps(made(), optical=optical())[1]
    (learns(batch).maps[1] - target).square().sum().backward()
    assert weights.grad is not None
    assert (weights.grad != 0).all()
    assert weights.grad[1] < 0 and weights.grad[2] < 0


def test_of_equal_weights_the_first_are_chosen() -> None:
    model = build(replace(made().settings, selection="topk", keep=2))
    assert model.pruned()[0].names == TRIO[:2]


def test_only_what_is_new_is_trained_and_lora_reaches_every_specialist() -> None:
    settings = replace(made().settings, selection="smooth", fusion="conv1x1", project=True)
    attached = attach(build(settings), HeadOnlyConfig())
    names = set(attached.named_parameters())
    assert {name.split(".")[1] for name in names} == {"feature_fusion", "feature_projections", "encoder_selector"}
    assert not any(p.requires_grad for n, p in attached.backbone.named_parameters() if ".encoders." in n)
    tuned = attach(build(settings), LoraConfig(r=2))
    assert len(tuned.modules()) == 3 * 4 * 2
    probe(tuned, Batch({"optical": optical(1)}))


def test_random_weights_follow_the_seed() -> None:
    one, same, other = (build(replace(made().settings, seed=s)) for s in (1, 1, 2))
    assert one.source == same.source
    assert one.source is not None and other.source is not None
    assert one.source.sha256 != other.source.sha256
