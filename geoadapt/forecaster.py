"""The adapted model as a forecaster: it steps forward, feeding on what it predicted.

In: a batch of past states in SI units. Out: one state after the other, or all of them where a fit asks for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch, Field
from geoadapt.model import AdaptedModel, ParameterCount
from geoadapt.standard import Standard

__all__ = ["AdaptedForecaster", "Stepping"]


@dataclass(frozen=True, slots=True)
class Stepping:
    """How a forecaster steps."""

    frames: int
    """Past states that it sees."""
    step: float
    """[s]."""
    output: str = "tendency"
    """What the head predicts: the ``tendency``, in units of the usual change, or the ``state`` itself."""
    through: str = "all"
    """In a fit over several steps: gradients go through ``all`` of them, or by ``pushforward`` through each alone."""
    checkpointing: bool = False
    """Compute each step anew for its gradient: less memory, more time."""


class AdaptedForecaster(nn.Module):
    """Backbone, adapter and head, with what is needed to step: it is a ``Forecaster``."""

    def __init__(self, model: AdaptedModel, standard: Standard, channels: tuple[str, ...], stepping: Stepping) -> None:
        super().__init__()
        self.model = model
        self.standard = standard
        self.channels = channels
        self.stepping = stepping

    @property
    def frames(self) -> int:
        """Past states that it sees."""
        return self.stepping.frames

    @property
    def step(self) -> float:
        """Between two states [s]."""
        return self.stepping.step

    def count(self) -> ParameterCount:
        """Parameters in all, and of the adapter and the head that are trained."""
        return self.model.count()

    def forward(self, batch: Batch) -> Tensor:
        """Predictions (b, n, c, h, w), SI units, one for each date of the batch's target; one where it has none."""
        steps = 1 if batch.target is None else batch.target.values.shape[1]
        return torch.stack(list(self._run(batch, steps)), 1)

    def states(self, batch: Batch, steps: int) -> Iterator[Tensor]:
        """Predictions (b, c, h, w) at 1, 2, … ``steps`` steps, SI units; NaN where no training date had a value."""
        for state in self._run(batch, steps):
            yield torch.where(self.standard.climatology.known, state, torch.nan)

    def _run(self, batch: Batch, steps: int) -> Iterator[Tensor]:
        field = self._last(batch.inputs["atmosphere"])
        training = torch.is_grad_enabled()
        for _ in range(steps):
            if training and self.stepping.checkpointing:
                state: Tensor = checkpoint(self._step, field, batch, use_reentrant=False)
            else:
                state = self._step(field, batch)
            yield state
            fed = state.detach() if self.stepping.through == "pushforward" else state
            field = self._fed(field, fed)

    def seen(self, batch: Batch) -> Batch:
        """The batch as the backbone reads it at the first step."""
        field = self._last(batch.inputs["atmosphere"])
        return self._seen(field, batch)

    def _last(self, field: Field) -> Field:
        """The last ``frames`` states; raises GeoadaptError where there are fewer, or without dates."""
        have = field.values.shape[1]
        if have < self.frames or field.times is None:
            raise GeoadaptError("batch", f"{have} past states", f"the model looks at {self.frames}, with their dates")
        times = field.times[:, -self.frames :]
        field = field.select(self.channels)
        valid = None if field.valid is None else field.valid[:, -self.frames :]
        return replace(field, values=field.values[:, -self.frames :], times=times, valid=valid)

    def _step(self, field: Field, batch: Batch) -> Tensor:
        """The next state (b, c, h, w)."""
        assert field.times is not None
        ahead = field.times[:, -1] + round(self.step)
        said = self.model(self._seen(field, batch))[:, 0].float()
        if self.stepping.output == "tendency":
            last = self.standard(field.values[:, -1], field.times[:, -1])
            if field.valid is not None:
                last = torch.where(field.valid[:, -1], last, 0.0)
            said = last + said * self.standard.increment[:, None, None]
        return self.standard.back(said, ahead)

    def _seen(self, field: Field, batch: Batch) -> Batch:
        """Past states and static fields, standardised unless the backbone scales them itself."""
        lead = torch.full((len(field.values),), self.step, device=field.values.device)
        raw = Batch({**batch.inputs, "atmosphere": field}, None, lead, batch.where)
        return raw if self.model.spec.units.get("atmosphere") != "standardised" else self.standard.batch(raw)

    def _fed(self, field: Field, state: Tensor) -> Field:
        """The past states of the next step: the oldest goes, the prediction comes, wholly known."""
        assert field.times is not None
        times = torch.cat([field.times[:, 1:], field.times[:, -1:] + round(self.step)], 1)
        values = torch.cat([field.values[:, 1:], state[:, None].to(field.values.dtype)], 1)
        valid = field.valid
        if valid is not None:
            valid = torch.cat([valid[:, 1:], torch.ones_like(valid[:, :1])], 1)
        return replace(field, values=values, times=times, valid=valid)
