"""The head that ends a generator: an image near the channels' means at first, and one scale per band."""

from __future__ import annotations

import pytest
import torch

from geoadapt.errors import GeoadaptError
from geoadapt.fields.features import BackboneSpec, Features
from geoadapt.fields.types import Batch, Field
from geoadapt.heads import HEADS
from geoadapt.heads.config import ImageConfig
from geoadapt.heads.image import ImageHead
from geoadapt.heads.inputs import HeadInputs
from geoadapt.heads.removal import FRAMES
from geoadapt.registry import build

MEAN, STD = torch.tensor([0.0, 0.1, 0.4]), torch.tensor([0.05, 0.1, 0.2])


def batch(size: int = 1) -> Batch:
    """Three dates of 6 × 5 px about 0.3, 0.4 and 0.5, their first row hidden under absurd values."""
    values = torch.rand(size, 3, 3, 6, 5, generator=torch.Generator().manual_seed(2)) * 0.1
    values += torch.tensor([0.25, 0.35, 0.45])[:, None, None]
    valid = torch.ones_like(values, dtype=torch.bool)
    valid[..., 0, :] = False
    return Batch({"optical": Field(torch.where(valid, values, 1e4), ("blue", "red", "nir"), valid)})


def head(stride: int = 1, scaling: str = "reflectance") -> ImageHead:
    torch.manual_seed(0)
    spec = BackboneSpec("test", {}, {}, {}, (8,), (stride,), 2, {}, 1)
    made: ImageHead = build(HEADS, ImageConfig(scaling=scaling), spec, HeadInputs(0, MEAN, STD))
    return made


def test_it_begins_near_the_means_and_says_one_error_everywhere() -> None:
    made = head()
    made.expect(torch.tensor([0.01, 0.02, 0.03]))
    maps = torch.randn(2, 1, 8, 6, 5, generator=torch.Generator().manual_seed(1))
    out = made(Features((maps,), (1,)), batch(2))
    assert out.shape == (2, 1, 6, 6, 5)
    image, log = out[:, 0].chunk(2, 1)
    torch.testing.assert_close(image.mean((0, 2, 3)), MEAN.clamp(min=0.01), atol=0.02, rtol=0)
    assert image.std((0, 2, 3)).min() > 0 and bool(((image >= 0) & (image <= 1)).all())
    torch.testing.assert_close(log.exp().mean((0, 2, 3)), torch.tensor([0.01, 0.02, 0.03]))
    assert torch.equal(log, log[:1, :, :1, :1].expand_as(log))


def test_it_takes_the_last_date_and_features_of_every_pixel_alone() -> None:
    made = head()
    maps = torch.randn(1, 3, 8, 6, 5, generator=torch.Generator().manual_seed(1))
    alone = made(Features((maps[:, -1:],), (1,)), batch())
    assert torch.equal(made(Features((maps,), (1,)), batch()), alone)
    with pytest.raises(GeoadaptError, match="one per 4 px"):
        head(4)


def test_it_can_begin_at_what_is_clear_on_the_dates_that_were_seen() -> None:
    made = head(scaling="sample")
    maps = torch.randn(1, 1, 8, 6, 5, generator=torch.Generator().manual_seed(1))
    given = batch()
    image = made(Features((maps,), (1,)), given)[:, 0, :3]
    torch.testing.assert_close(image.mean((0, 2, 3)), torch.tensor([0.3, 0.4, 0.5]), atol=0.02, rtol=0)
    more = Batch({"optical": batch(2).inputs["optical"], FRAMES: given.inputs["optical"]})
    assert torch.equal(made(Features((maps,), (1,)), more)[:, 0, :3], image), "dates count that were not seen"
    with pytest.raises(GeoadaptError, match=r"head\.scaling: 'samples'.*did you mean 'sample'"):
        ImageConfig(scaling="samples")
