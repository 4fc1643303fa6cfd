"""What a backbone is: a frozen encoder that declares what it takes, and the features it gives."""

from __future__ import annotations

from typing import Protocol

from geoadapt.fields.features import BackboneSpec, Features
from geoadapt.fields.types import Batch

__all__ = ["Backbone", "BackboneSpec", "Features"]


class Backbone(Protocol):
    """A frozen encoder; also an ``nn.Module``."""

    spec: BackboneSpec

    def __call__(self, batch: Batch) -> Features:
        """Features of a batch, in the order of ``spec.widths``."""
