"""What every model that restores an image gives: the image, and how far off it may be.

In: a batch whose last frame is the date to be restored. Out: ``Restored``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from geoadapt.fields.types import Batch

__all__ = ["Restored", "Restorer"]


@dataclass(frozen=True, slots=True)
class Restored:
    """``image`` (b, c, h, w) [reflectance], NaN where the model has nothing to say; ``scale`` the same shape, or None.

    The scale is that of a Laplace distribution: the expected absolute error [reflectance].
    """

    image: Tensor
    scale: Tensor | None = None


class Restorer(Protocol):
    """An adapted model, a published one, or a temporal median: all restore the batch's last frame."""

    @property
    def channels(self) -> tuple[str, ...]:
        """Bands that it takes and gives, in this order."""

    def restore(self, batch: Batch) -> Restored:
        """The last frame as it would be without clouds, its clear pixels as the model itself sees them."""
