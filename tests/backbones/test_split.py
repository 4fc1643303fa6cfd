"""A backbone that is stopped after any block and goes on from there gives what it gives at one go."""

from __future__ import annotations

import pytest
import torch

from geoadapt.backbones.base import SplitBackbone
from geoadapt.backbones.create import create_backbone
from geoadapt.fields.types import Batch, Field

CHANNELS = ("blue", "green", "red", "nir", "swir16", "swir22")
FAMILIES = {
    "galileo_nano": {},
    "galileo_nano, one window": {"window": 0},
    "dl_l8s2_uv": {},
    "prithvi_eo_v2_tiny_tl": {"width": 32, "depth": 3, "heads": 2, "patch_size": 8, "window": 2},
    "prithvi_eo_v2_tiny_tl, a tap below the last block": {
        **{"width": 32, "depth": 3, "heads": 2, "patch_size": 8, "taps": (1, 2)}
    },
    "small_eo": {"width": 32, "depth": 2, "heads": 2},
    "small_eo, small windows": {"width": 32, "depth": 3, "heads": 2, "window": 3},
}
DATES = {"galileo_nano": 2, "small_eo, small windows": 2, "prithvi_eo_v2_tiny_tl": 2, "dl_l8s2_uv": 2}


def made(family):
    return create_backbone(family.partition(",")[0], random_weights=True, **FAMILIES[family]).eval()


def batch(family, height=40, width=56, holes=True):
    generator = torch.Generator().manual_seed(0)
    shape = (3, DATES.get(family, 1), len(CHANNELS), height, width)
    valid = torch.ones(shape, dtype=torch.bool)
    if holes:
        valid[0, :, :, :9, :5] = False
        valid[2, :, 3] = False
    return Batch({"optical": Field(torch.rand(shape, generator=generator), CHANNELS, valid if holes else None)})


@pytest.mark.parametrize("holes", [True, False], ids=["holes", "whole"])
@pytest.mark.parametrize("family", FAMILIES)
def test_lower_then_upper_is_the_whole_after_every_block(family, holes):
    backbone = made(family)
    given = batch(family, holes=holes)
    assert isinstance(backbone, SplitBackbone)
    with torch.no_grad():
        whole = backbone(given)
        for block in range(backbone.spec.blocks + 1):
            state = backbone.lower(given, block)
            halves = backbone.upper(state, block)
            assert halves.strides == whole.strides
            for one, other in zip(halves.maps, whole.maps, strict=True):
                torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_state_can_be_taken_apart_by_sample(family):
    backbone = made(family)
    given = batch(family)
    block = backbone.spec.blocks - 1
    with torch.no_grad():
        whole = backbone(given)
        state = backbone.lower(given, block)
        picked = torch.tensor([2, 0])
        tensors = {n: None if (t := getattr(state, n)) is None else t[picked] for n in ("tokens", "seen")}
        part = type(state)(tuple(m[picked] for m in state.maps), tensors["tokens"], tensors["seen"], state.grid)
        for one, other in zip(backbone.upper(part, block).maps, whole.maps, strict=True):
            torch.testing.assert_close(one, other[picked], atol=1e-5, rtol=1e-5)


def test_nothing_is_left_to_do_after_the_last_block():
    backbone = made("small_eo")
    state = backbone.lower(batch("small_eo"), backbone.spec.blocks)
    assert state.tokens is None and len(state.maps) == len(backbone.spec.widths)
