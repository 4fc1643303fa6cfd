"""Persistence: tomorrow is like today."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoadapt.baselines.past import past_states, step_seconds
from geoadapt.fields.history import History
from geoadapt.fields.types import Batch
from geoadapt.registry import from_plain

__all__ = ["Persistence", "PersistenceSettings", "fit_persistence", "rebuild_persistence"]


@dataclass(slots=True)
class PersistenceSettings:
    """The grid that it runs on."""

    channels: tuple[str, ...] = ()
    height: int = 1
    width: int = 1
    step: float = 86400.0
    """[s]."""


class Persistence(nn.Module):
    """Every lead time is the last state; where that is missing, so is the forecast (NaN)."""

    frames = 1

    def __init__(self, settings: PersistenceSettings) -> None:
        super().__init__()
        self.settings = settings
        self.channels, self.step = tuple(settings.channels), settings.step
        self.shape = (settings.height, settings.width)

    def states(self, batch: Batch, steps: int) -> Iterator[Tensor]:
        """The last state (b, c, h, w), ``steps`` times."""
        field = past_states(batch, self)
        last = field.values[:, -1]
        if field.valid is not None:
            last = torch.where(field.valid[:, -1], last, torch.nan)
        for _ in range(steps):
            yield last


def fit_persistence(
    history: History, train: NDArray[np.bool_], val: NDArray[np.bool_] | None = None, steps: int = 1
) -> Persistence:
    """Persistence on the archive's grid; it has nothing to fit, and takes what the other fits take."""
    height, width = history.states.shape[-2:]
    return Persistence(PersistenceSettings(history.channels, height, width, step_seconds(history)))


def rebuild_persistence(plain: Mapping[str, Any]) -> Persistence:
    """The module that plain settings describe."""
    return Persistence(from_plain(PersistenceSettings, plain, "baselines.persistence"))
