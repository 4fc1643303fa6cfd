"""A small convolutional network of series, pre-trained by geoadapt to see through clouds on simulated places.

In: a Batch with ``optical`` [surface reflectance 0-1], any number of dates, the last the one to be restored. Out:
Features: one map (b, 1, d, h, w) of stride 1 of that date. Where clouds are, ``valid`` must say so.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from geoadapt.backbones.base import BackboneSpec, Features
from geoadapt.backbones.config import SmallSeriesConfig
from geoadapt.backbones.conv_layers import ConvBlock, half, resize
from geoadapt.backbones.weights import Provenance, find_weights, load_into, provenance, random_provenance
from geoadapt.errors import GeoadaptError
from geoadapt.fields.composite import Around, around, closeness, squashed, told
from geoadapt.fields.frames import days_from_target, masked
from geoadapt.fields.types import Batch, Field

__all__ = ["CHANNELS", "SmallSeries", "build"]

CHANNELS = ("blue", "green", "red", "nir", "swir16", "swir22")
NEAR = "nir08"
"""The narrow near infrared stands in for the broad one, where only that is there."""
MEAN = (0.08, 0.10, 0.11, 0.25, 0.22, 0.16)
STD = (0.08, 0.08, 0.09, 0.12, 0.12, 0.10)
"""About those of land, per channel [reflectance]."""
ERROR = 0.02
"""About what linear interpolation in time errs by; differences are told in it [reflectance]."""
WIDTHS = (32, 64, 96, 128)
"""Of the levels, each at half the resolution of the one before."""
HEADS, LOOK = 4, 8
"""Ways of looking at the dates, and what each brings back."""
UNSEEN = -1e4
"""The logit of a date that does not show a pixel."""


class Dates(nn.Module):
    """All dates of every pixel, weighed in ``HEADS`` ways by what they show and when."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv2d(len(CHANNELS) + 3, 32, 1)
        self.weigh = nn.Conv2d(32, HEADS * (1 + LOOK), 1)

    def forward(self, field: Field, place: Around) -> Tensor:
        """What the other dates bring (b, HEADS · LOOK, h, w), 0 where none shows a pixel."""
        b, others, _, height, width = field.values[:, :-1].shape
        if not others:
            return field.values.new_zeros(b, HEADS * LOOK, height, width)
        days = days_from_target(field)[:, :, None, None, None]
        near = closeness(days.abs()) * torch.cat([days <= 0, days > 0], 2)
        most = place.base.new_full((b, HEADS, 1, height, width), UNSEEN)
        brought, weight = most.new_zeros(b, HEADS, LOOK, height, width), torch.zeros_like(most)
        # an online softmax (Milakov 2018, arXiv 1805.02867): memory does not grow with the number of dates
        for date in range(others):
            valid = field.values[:, date].new_ones(()) if field.valid is None else _bytes(field.valid[:, date]).float()
            seen = valid.expand_as(place.base).amax(1, keepdim=True)
            shown = squashed((field.values[:, date].float() - place.base) / ERROR) * valid
            read = torch.cat([shown, seen, near[:, date].expand(-1, -1, height, width)], 1)
            found = self.weigh(nn.functional.gelu(self.enter(read))).float().reshape(b, HEADS, 1 + LOOK, height, width)
            logit = torch.where(seen[:, None] > 0, found[:, :, :1], UNSEEN)
            higher = torch.maximum(most, logit.detach())
            before, now = (most - higher).exp(), (logit - higher).exp() * seen[:, None]
            brought, weight, most = before * brought + now * found[:, :, 1:], before * weight + now, higher
        return (brought / weight.clamp(min=1e-12)).flatten(1, 2)


def _bytes(mask: Tensor) -> Tensor:
    """A mask as 0 and 1: torch takes twenty times as long to turn bools into numbers."""
    return mask.contiguous().view(torch.uint8)


class SmallSeries(nn.Module):
    """A pyramid over a composite of the dates and what each pixel's dates bring; a Backbone."""

    mean: Tensor
    std: Tensor
    error: Tensor

    def __init__(self, config: SmallSeriesConfig) -> None:
        super().__init__()
        self.settings = config
        self.source: Provenance | None = None
        for name, values in (("mean", MEAN), ("std", STD), ("error", (ERROR,) * len(CHANNELS))):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)
        self.dates = Dates()
        into = 8 * len(CHANNELS) + 4 + HEADS * LOOK
        down = [ConvBlock(before, after) for before, after in zip((into, *WIDTHS), WIDTHS, strict=False)]
        up = [ConvBlock(WIDTHS[k] + WIDTHS[k + 1], WIDTHS[k]) for k in reversed(range(len(WIDTHS) - 1))]
        self.stages = nn.ModuleList([*down, *up])
        self.spec = BackboneSpec(
            name=config.name,
            inputs={"optical": (*CHANNELS, NEAR)},
            required={},
            units={"optical": "reflectance"},
            widths=(WIDTHS[0],),
            strides=(1,),
            blocks=len(self.stages),
            targets={"conv": r"stages\.{block}\.[03]", "dates": r"dates\.(enter|weigh)"},
            multiple=1,
        )

    def forward(self, batch: Batch) -> Features:
        """One map (b, 1, 32, h, w) of the last date; raises GeoadaptError without any channel that it knows."""
        field = self._read(batch)
        place = around(field, self.mean)
        x = torch.cat([told(place, self.mean, self.std, self.error), self.dates(field, place)], 1)
        levels: list[Tensor] = []
        for stage in self.stages[: len(WIDTHS)]:
            x = stage(half(x) if levels else x)
            levels.append(x)
        for stage, fine in zip(self.stages[len(WIDTHS) :], reversed(levels[:-1]), strict=True):
            x = stage(torch.cat([resize(x, (fine.shape[-2], fine.shape[-1])), fine], 1))
        return Features((x[:, None],), self.spec.strides)

    def _read(self, batch: Batch) -> Field:
        """The channels in order, 0 and not valid where one is missing."""
        given = batch.inputs.get("optical")
        known = self.spec.inputs["optical"]
        if given is None or not set(known) & set(given.channels):
            held = list(batch.inputs) if given is None else list(given.channels)
            raise GeoadaptError("backbone", f"the batch holds {held}", f"it needs 'optical' with some of {list(known)}")
        if given.channels == CHANNELS:
            return masked(given)
        values = given.values.new_zeros((*given.values.shape[:2], len(CHANNELS), *given.values.shape[-2:]))
        valid = torch.zeros_like(values, dtype=torch.bool)
        for place, name in enumerate(CHANNELS):
            name = NEAR if name == "nir" and name not in given.channels else name
            if name in given.channels:
                index = given.channels.index(name)
                values[:, :, place] = given.values[:, :, index]
                valid[:, :, place] = True if given.valid is None else given.valid[:, :, index]
        return masked(replace(given, values=values, channels=CHANNELS, valid=valid))


def build(config: SmallSeriesConfig) -> SmallSeries:
    """The frozen network with its weights, or with random ones drawn from ``config.seed``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = SmallSeries(config)
    if config.random_weights:
        model.source = random_provenance(config.name, config.seed, model)
    else:
        path = find_weights(config.name, config.weights, (f"{config.name}.safetensors",))
        load_into(model, path)
        model.source = provenance(config.name, path, "ships with geoadapt", "Apache-2.0")
    return model.requires_grad_(False).eval()
