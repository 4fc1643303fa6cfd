"""What a forecast model is to all who run one: the adapted model, a baseline and a public model alike.

In: a batch of past states. Out: one state after the other, in the units of the input.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from torch import Tensor

from geoadapt.fields.types import Batch

__all__ = ["Forecaster"]


@runtime_checkable
class Forecaster(Protocol):
    """Steps forward in time; its first state is ``step`` seconds after the last one that it was given."""

    @property
    def channels(self) -> tuple[str, ...]:
        """What it predicts, as ``variable`` or ``variable@level``, in order."""

    @property
    def frames(self) -> int:
        """Past states that it looks at; a batch may hold more, the last ones count."""

    @property
    def step(self) -> float:
        """Between two states [s]."""

    def states(self, batch: Batch, steps: int) -> Iterator[Tensor]:
        """Predictions (b, c, h, w) at 1, 2, … ``steps`` steps, SI units, one at a time.

        ``batch.inputs["atmosphere"]`` is (b, t, c, h, w) with ``channels``, ``times`` (b, t) and a ``LatLonGrid``.
        """
