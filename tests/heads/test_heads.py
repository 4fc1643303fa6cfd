from dataclasses import replace

import pytest
import torch

from geoadapt.fields.features import BackboneSpec, Features
from geoadapt.fields.types import Batch, Field
from geoadapt.heads import HEADS
from geoadapt.heads.config import FcnConfig, LinearConfig, UnetConfig, UpernetConfig
from geoadapt.heads.inputs import HeadInputs
from geoadapt.registry import build

SPEC = BackboneSpec("test", {}, {}, {}, (8, 8), (4, 4), 2, {}, 4)
CHANNELS = ("blue", "red")
INPUTS = HeadInputs(3, torch.zeros(2), torch.ones(2))
CONFIGS = [
    LinearConfig(),
    FcnConfig(width=8),
    UnetConfig(width=8),
    UnetConfig(width=8, image_skip=False),
    UpernetConfig(width=8),
]


def make(height, width, dates=1):
    h, w = -(-height // 4), -(-width // 4)
    features = Features(tuple(torch.randn(2, dates, 8, h, w) for _ in range(2)), (4, 4))
    return features, Batch({"optical": Field(torch.rand(2, dates, 2, height, width), CHANNELS)})


@pytest.mark.parametrize("config", CONFIGS, ids=str)
@pytest.mark.parametrize("size", [(16, 16), (20, 33), (5, 7), (1, 1)])
def test_scores_lie_on_the_images_grid_whatever_its_size(config, size):
    head = build(HEADS, config, SPEC, INPUTS)
    features, batch = make(*size, dates=2)
    assert head(features, batch).shape == (2, 2, 3, *size)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_every_parameter_of_a_head_is_reached(config):
    head = build(HEADS, config, SPEC, INPUTS)
    head(*make(16, 16)).square().mean().backward()
    assert [n for n, p in head.named_parameters() if p.grad is None or not p.grad.abs().max() > 0] == []


def test_a_lost_band_reads_as_its_mean_in_the_image_skip():
    head = build(HEADS, UnetConfig(width=8), SPEC, HeadInputs(3, torch.tensor([0.2, 0.5]), torch.ones(2))).eval()
    features, batch = make(8, 8)
    values = batch.inputs["optical"].values.clone()
    valid = torch.ones_like(values, dtype=torch.bool)
    valid[:, :, 1] = False
    lost = Batch({"optical": Field(values, CHANNELS, valid)})
    values[:, :, 1] = 0.5
    mean = Batch({"optical": Field(values, CHANNELS)})
    with torch.no_grad():
        assert torch.allclose(head(features, lost), head(features, mean), atol=1e-6)


def test_the_linear_head_puts_each_patch_where_it_belongs():
    head = build(HEADS, LinearConfig(), SPEC, INPUTS)
    features, batch = make(16, 16)
    before = head(features, batch)
    features.maps[-1][:, :, :, 2, 1] += 1
    changed = (head(features, batch) - before).abs().sum(dim=(0, 1, 2)) > 0
    assert changed[8:12, 4:8].all() and int(changed.sum()) == 16


@pytest.mark.parametrize("maps", [1, 3, 4, 12])
def test_upernet_makes_its_pyramid_from_the_deepest_map_and_maps_before_it(maps):
    spec = replace(SPEC, widths=tuple(range(4, 4 + maps)), strides=(4,) * maps, blocks=maps)
    head = build(HEADS, UpernetConfig(width=8), spec, INPUTS)
    features = Features(tuple(torch.randn(1, 1, w, 5, 7) for w in spec.widths), spec.strides)
    levels, strides = head._pyramid(features)
    assert strides == [1.0, 2.0, 4.0, 8.0] and levels[-1].shape[1] == spec.widths[-1]
    assert [tuple(level.shape[-2:]) for level in levels] == [(20, 28), (10, 14), (5, 7), (3, 4)]
    batch = Batch({"optical": Field(torch.rand(1, 1, 2, 18, 27), CHANNELS)})
    assert head(features, batch).shape == (1, 1, 3, 18, 27)


def test_upernet_takes_a_backbone_with_strides_of_its_own_as_it_is():
    spec = replace(SPEC, widths=(4, 8, 16), strides=(2, 4, 8))
    head = build(HEADS, UpernetConfig(width=8), spec, INPUTS)
    maps = tuple(torch.randn(2, 1, w, -(-20 // s), -(-33 // s)) for w, s in zip(spec.widths, spec.strides, strict=True))
    batch = Batch({"optical": Field(torch.rand(2, 1, 2, 20, 33), CHANNELS)})
    scores = head(Features(maps, spec.strides), batch)
    assert scores.shape == (2, 1, 3, 20, 33)
    scores.square().mean().backward()
    assert [n for n, p in head.named_parameters() if p.grad is None or not p.grad.abs().max() > 0] == []


def test_upernet_sees_the_whole_map_through_its_pooled_context():
    head = build(HEADS, UpernetConfig(width=8), SPEC, INPUTS).context.eval()
    values = torch.randn(1, 8, 40, 40, requires_grad=True)
    head.pooled[0](torch.nn.functional.adaptive_avg_pool2d(values, 1)).sum().backward()
    assert values.grad[0, :, 39, 39].abs().max() > 0
    deep = values.detach().clone()
    before = head(deep)[..., 0, 0]
    deep[..., 30:, 30:] += 5
    assert not torch.allclose(head(deep)[..., 0, 0], before)


@pytest.mark.parametrize("stride", [1, 2, 3, 14])
def test_upernet_works_at_any_patch_size(stride):
    spec = replace(SPEC, strides=(stride, stride))
    head = build(HEADS, UpernetConfig(width=8), spec, INPUTS)
    h, w = -(-20 // stride), -(-33 // stride)
    features = Features(tuple(torch.randn(1, 1, 8, h, w) for _ in range(2)), spec.strides)
    assert head(features, Batch({"optical": Field(torch.rand(1, 1, 2, 20, 33), CHANNELS)})).shape == (1, 1, 3, 20, 33)


def test_upernet_leaves_each_patch_where_it_is_on_an_image_that_patches_do_not_fill():
    head = build(HEADS, UpernetConfig(width=4), SPEC, INPUTS)
    head.context = torch.nn.Identity()
    head.smooth = torch.nn.ModuleList(torch.nn.Identity() for _ in range(3))
    head.lateral = torch.nn.ModuleList(torch.nn.Identity() for _ in range(3))
    head.fuse = torch.nn.Identity()
    head.classify = torch.nn.Identity()
    ramp = (torch.arange(5) * 4.0 + 2.0).expand(1, 1, 8, 5, 5)
    batch = Batch({"optical": Field(torch.rand(1, 1, 2, 17, 17), CHANNELS)})
    scores = head(Features((ramp, ramp), (4, 4)), batch)[0, 0]
    # The finest level alone is the sum over levels: each holds the ramp at its own stride, within the map's inside.
    columns = scores[:8].mean(dim=(0, 1))[4:12] / 4
    assert torch.allclose(columns, torch.arange(4, 12) + 0.5, atol=0.3)
