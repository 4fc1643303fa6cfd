import pytest
import torch

from geoadapt.fields.features import BackboneSpec, Features
from geoadapt.fields.types import Batch, Field
from geoadapt.heads import HEADS
from geoadapt.heads.config import FcnConfig, LinearConfig, UnetConfig
from geoadapt.heads.inputs import HeadInputs
from geoadapt.registry import build

SPEC = BackboneSpec("test", {}, {}, {}, (8, 8), (4, 4), 2, {}, 4)
CHANNELS = ("blue", "red")
INPUTS = HeadInputs(3, torch.zeros(2), torch.ones(2))
CONFIGS = [LinearConfig(), FcnConfig(width=8), UnetConfig(width=8), UnetConfig(width=8, image_skip=False)]


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
