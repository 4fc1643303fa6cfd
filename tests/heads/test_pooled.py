"""One vector per sample: what saw nothing has no part in it."""

from __future__ import annotations

import torch

from geoadapt.fields.features import BackboneSpec, Features
from geoadapt.fields.types import Batch
from geoadapt.heads.config import PooledConfig
from geoadapt.heads.inputs import HeadInputs
from geoadapt.heads.pooled import build, pool

SPEC = BackboneSpec("any", {}, {}, {}, (4, 8), (4, 4), 2, {}, 4)


def test_tokens_that_saw_nothing_are_left_out():
    deep = torch.randn(2, 3, 8, 2, 2, generator=torch.Generator().manual_seed(0))
    part = deep.clone()
    part[0, 1:] = 0
    found = pool(Features((part,), (4,)))
    assert torch.allclose(found[0], deep[0, 0].mean((1, 2)))
    assert torch.allclose(found[1], deep[1].mean((0, 2, 3)), atol=1e-6)
    assert pool(Features((torch.zeros_like(deep),), (4,))).abs().sum() == 0


def test_a_head_gives_one_score_for_each_output():
    head = build(PooledConfig(), SPEC, HeadInputs(5, torch.zeros(3), torch.ones(3)))
    features = Features((torch.randn(2, 1, 4, 2, 2), torch.randn(2, 3, 8, 2, 2)), (4, 4))
    out = head(features, Batch({}))
    assert out.shape == (2, 1, 5, 1, 1)
    out.sum().backward()
    assert head.classify.weight.grad is not None and bool(head.classify.weight.grad.abs().sum() > 0)
