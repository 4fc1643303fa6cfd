"""One vector per sample, and one linear map from it: classes, labels or a value of whole samples.

In: Features. Out: scores (b, 1, k, 1, 1).
"""

from __future__ import annotations

from torch import Tensor, nn

from geoadapt.fields.features import BackboneSpec, Features
from geoadapt.fields.types import Batch
from geoadapt.heads.config import PooledConfig
from geoadapt.heads.inputs import HeadInputs

__all__ = ["PooledHead", "build", "pool"]


def pool(features: Features) -> Tensor:
    """Mean of the deepest map over dates and places (b, d).

    A token of nothing but zeros saw nothing, as backbones give it where all was missing: it is left out.
    """
    deep = features.maps[-1]
    seen = (deep != 0).any(2, keepdim=True)
    mean: Tensor = deep.sum((1, 3, 4)) / seen.sum((1, 3, 4)).clamp(min=1)
    return mean


class PooledHead(nn.Module):
    """A LayerNorm, where asked for, and a linear map on the pooled features."""

    def __init__(self, width: int, outputs: int, *, norm: bool, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width) if norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(width, outputs)

    def forward(self, features: Features, batch: Batch) -> Tensor:
        """Scores (b, 1, k, 1, 1)."""
        scores: Tensor = self.classify(self.dropout(self.norm(pool(features))))
        return scores[:, None, :, None, None]


def build(config: PooledConfig, spec: BackboneSpec, inputs: HeadInputs) -> PooledHead:
    """The head for a backbone's deepest map."""
    return PooledHead(spec.widths[-1], inputs.classes, norm=config.norm, dropout=config.dropout)
