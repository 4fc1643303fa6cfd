"""Small forecasters and a small archive, for tests of the roll-out."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoadapt.fields.history import History
from geoadapt.fields.types import Batch

CHANNELS = ("temperature@850", "mean_sea_level_pressure", "temperature@500")
UNITS = ("K", "Pa", "K")
DAY = 86400.0


class Convolved(nn.Module):
    """The next state is the mean of the last two, convolved a little; with dropout, which is off."""

    frames = 2
    name = "convolved"

    def __init__(
        self,
        channels: tuple[str, ...] = CHANNELS,
        step: float = DAY,
        seed: int = 0,
        before: Callable[[int], None] | None = None,
    ) -> None:
        super().__init__()
        self.channels, self.step, self.before = channels, step, before
        self.sha256 = f"{seed:064d}"
        self.increment = torch.linspace(1.0, 2.0, len(channels))
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.mix = nn.Conv2d(len(channels), len(channels), 3, padding=1, padding_mode="circular")
        self.drop = nn.Dropout(0.2)
        self.eval().requires_grad_(False)
        self.seen: list[int] = []
        """Samples in each step."""

    def states(self, batch: Batch, steps: int) -> Iterator[Tensor]:
        field = batch.inputs["atmosphere"].select(self.channels)
        assert field.values.isfinite().all()
        old, last = field.values[:, -2], field.values[:, -1]
        for step in range(steps):
            if self.before:
                self.before(step)
            self.seen.append(len(last))
            old, last = last, (old + last) / 2 + self.drop(torch.tanh(self.mix(last / 300)))
            yield last


def archive(
    dates: int = 12, channels: tuple[str, ...] = CHANNELS, height: int = 6, width: int = 8, seed: int = 0
) -> History:
    """Daily states from 2008-01-01 on a grid around Greenwich, around 300."""
    draw = np.random.default_rng(seed)
    states = draw.normal(300, 10, (dates, len(channels), height, width)).astype(np.float32)
    return History(
        states=states,
        times=day(0) + np.arange(dates) * np.timedelta64(86400, "s"),
        channels=channels,
        latitude=np.linspace(60, 50, height),
        longitude=np.linspace(-4.0, 3.0, width),
        step=np.timedelta64(86400, "s"),
        units=tuple(UNITS[CHANNELS.index(c)] for c in channels),
        name="archive.nc",
    )


def day(number: int) -> np.datetime64:
    """The n-th date of ``archive``."""
    return np.datetime64("2008-01-01", "s") + np.timedelta64(86400 * number, "s")


def days(*numbers: int) -> NDArray[np.datetime64]:
    """Dates of ``archive``."""
    return np.asarray([day(number) for number in numbers])
