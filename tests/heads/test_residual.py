"""The head of one layer: it starts at the composite, and is the removal head's last layer."""

from __future__ import annotations

import pytest
import torch

from geoadapt.errors import GeoadaptError
from geoadapt.fields.composite import compose
from geoadapt.fields.features import BackboneSpec, Features
from geoadapt.fields.types import Batch
from geoadapt.heads import HEADS
from geoadapt.heads.config import ResidualConfig
from geoadapt.heads.inputs import HeadInputs
from geoadapt.heads.residual import ResidualHead
from geoadapt.registry import build
from tests.heads.test_removal import MEAN, STD, field

ERROR = torch.tensor([0.01, 0.02, 0.03])


def head_for(stride: int = 1) -> ResidualHead:
    spec = BackboneSpec("test", {}, {}, {}, (16,), (stride,), 2, {}, 1)
    head: ResidualHead = build(HEADS, ResidualConfig(), spec, HeadInputs(0, MEAN, STD))
    head.expect(ERROR)
    return head


def features() -> Features:
    torch.manual_seed(1)
    return Features((torch.randn(2, 1, 16, 16, 16),), (1,))


def test_it_starts_at_the_composite_with_its_usual_error() -> None:
    given = field()
    image, log = head_for()(features(), Batch({"optical": given}))[:, 0].chunk(2, 1)
    found = compose(given)
    assert torch.allclose(image, torch.where(found.known, found.image, MEAN[:, None, None]))
    assert torch.allclose(log.exp().mean((0, 2, 3)), ERROR)


def test_a_bias_of_one_adds_the_composites_error() -> None:
    head, batch = head_for(), Batch({"optical": field()})
    before = head(features(), batch)[:, 0, :3]
    torch.nn.init.ones_(head.last.bias[:3])  # type: ignore[index]
    torch.testing.assert_close(head(features(), batch)[:, 0, :3] - before, ERROR[:, None, None].expand_as(before))


def test_every_parameter_is_reached_by_the_loss() -> None:
    head = head_for()
    head(features(), Batch({"optical": field()})).square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in head.parameters())


def test_features_coarser_than_the_image_are_refused() -> None:
    with pytest.raises(GeoadaptError, match="gives one per 8 px"):
        head_for(8)
