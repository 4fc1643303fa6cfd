"""The adapted model as a restorer: it makes the last date of a series anew, and says how far off that may be.

In: a batch whose last frame is the date to be restored. Out: image and scale of that date.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from geoadapt.errors import GeoadaptError
from geoadapt.fields.frames import fold_dates, known_to_others, masked, nearest_frames, radar_of, unfold_dates
from geoadapt.fields.restorer import Restored
from geoadapt.fields.types import Batch, Field
from geoadapt.heads.mae_decoder import MaeDecoderHead
from geoadapt.heads.removal import FRAMES
from geoadapt.model import AdaptedModel, ParameterCount

__all__ = ["AdaptedRestorer", "Seeing"]


@dataclass(frozen=True, slots=True)
class Seeing:
    """What of a series the backbone sees; its head sees all dates."""

    frames: int = 6
    """The date to be restored, and the nearest others; 0 = all. PMAA takes three that it chooses itself."""
    together: bool = True
    """All in one pass, or each date alone."""
    radar: bool = True
    """Whether a backbone that takes radar is given it."""
    heard: tuple[str, ...] = ()
    """Channels of the radar that it was trained with; none where it was given none."""


class AdaptedRestorer(nn.Module):
    """Backbone, adapter and removal head: it is a ``Restorer``."""

    factor: Tensor
    """(c,) what the head's scale is multiplied by, so that on validation it is the mean absolute error."""
    floor: Tensor
    """() [reflectance] what is added to the exponential before, as the loss of the training did."""

    def __init__(self, model: AdaptedModel, channels: tuple[str, ...], seeing: Seeing, *, floor: float = 0.0) -> None:
        super().__init__()
        self.model = model
        self.channels = channels
        self.seeing = seeing
        if isinstance(model.head, MaeDecoderHead):
            model.head.places(channels)
        self.register_buffer("factor", torch.ones(len(channels)))
        self.register_buffer("floor", torch.tensor(floor))

    def count(self) -> ParameterCount:
        """Parameters in all, and of the adapter and the head that are trained."""
        return self.model.count()

    def forward(self, batch: Batch) -> Tensor:
        """Image [reflectance] and logarithm of its scale (b, 1, 2c, h, w), before calibration."""
        return self._made(batch)[0]

    def restore(self, batch: Batch) -> Restored:
        """The last frame and its calibrated scale (b, c, h, w), NaN where no other date or clear token shows it."""
        with torch.inference_mode():
            out, told = self._made(batch)
        image, log = out[:, 0].float().chunk(2, 1)
        known = known_to_others(self._optical(batch))
        if told is not None:
            known = known & told
        scale = (log.exp() + self.floor) * self.factor[:, None, None]
        return Restored(torch.where(known, image, torch.nan), torch.where(known, scale, torch.nan))

    def seen(self, batch: Batch) -> Batch:
        """The batch as the backbone reads it: a few dates, together or each alone, and the radar nearest to each."""
        return self._read(self._nearest(masked(self._optical(batch))), batch)

    def _made(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """What ``forward`` gives, and where there was anything to make it from (b, 1, h, w); None = as dates show."""
        field = masked(self._optical(batch))
        frames = self._nearest(field)
        read = self._read(frames, batch)
        head, seen = self.model.head, Batch({"optical": field, FRAMES: frames})
        if isinstance(head, MaeDecoderHead):
            clear = head.encode(self.model.backbone, read)
            return head(clear, seen), clear.told
        features = self.model.backbone(read)
        if not self.seeing.together:
            features = unfold_dates(features, frames.values.shape[1])
        return head(features, seen), None

    def _nearest(self, field: Field) -> Field:
        choose = getattr(self.model.backbone, "choose", None)
        if self.seeing.together and choose is not None:
            return choose(field)  # type: ignore[no-any-return]
        return nearest_frames(field, self.seeing.frames or field.values.shape[1])

    def _read(self, frames: Field, batch: Batch) -> Batch:
        inputs = {"optical": frames}
        given = batch.inputs.get("radar")
        wanted = self.seeing.radar and "sar" in self.model.spec.inputs
        if wanted and given is not None and (radar := radar_of(given, frames)) is not None:
            inputs["sar"] = radar
        seen = self.model.seen(Batch(inputs, None, None, batch.where))
        return seen if self.seeing.together else fold_dates(seen)

    def _optical(self, batch: Batch) -> Field:
        field = batch.inputs.get("optical")
        if field is None:
            raise GeoadaptError("batch", f"holds {list(batch.inputs)}", "a restorer needs 'optical'")
        return field.select(self.channels)
