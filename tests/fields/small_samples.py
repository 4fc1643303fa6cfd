"""A made-up set of labelled samples for each kind of target, small, with a rule that can be learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from geoadapt.fields.samples import IGNORE, Labelled, Layout, Piece, SampleSet, Target

__all__ = ["SmallSamplesConfig", "build", "sample"]

CHANNELS = ("blue", "green", "red", "nir08", "swir16", "swir22")
TARGETS = {
    "class": Target("class", ("bare", "green", "wet")),
    "labels": Target("labels", ("bright", "green", "wet")),
    "value": Target("value", ("biomass",), "t/ha"),
    "class_map": Target("class_map", ("dark", "bright")),
    "value_map": Target("value_map", ("biomass",), "t/ha"),
}


@dataclass
class SmallSamplesConfig:
    """``kind`` of the target; ``size`` 1 makes single pixels."""

    name: str = "small_samples"
    kind: str = "class"
    size: int = 16
    dates: int = 1
    samples: int = 24
    seed: int = 0


def build(config: SmallSamplesConfig, seed: int = 0) -> SampleSet:
    """Two samples of every place; of the places the first half trains."""
    made = [sample(config, n) for n in range(config.samples)]
    half, most = config.samples // 2, 3 * config.samples // 4
    return SampleSet(
        name="small_samples",
        train=made[:half],
        val=made[half:most],
        test=made[most:],
        target=TARGETS[config.kind],
        layout=Layout({"optical": CHANNELS, "sar": ("vv", "vh")}, {"optical": config.dates, "sar": 1}),
        note="made up.",
        simulated=True,
        units={"optical": "reflectance", "sar": "dB"},
    )


def sample(config: SmallSamplesConfig, n: int) -> Labelled:
    """Sample ``n``: brighter in every third, with a missing pixel in some."""
    rng = np.random.default_rng([config.seed, n])
    shape = (config.dates, len(CHANNELS), config.size, config.size)
    values = (0.1 + 0.15 * (n % 3) + 0.02 * rng.random(shape)).astype(np.float32)
    bright = values[0, 0]
    if config.size > 1 and n % 4 == 0:
        values[0, :, 0, 0] = np.nan
    radar = rng.normal(-12, 1, (1, 2, config.size, config.size)).astype(np.float32)
    times = np.datetime64("2020-01-15", "s") + np.arange(config.dates) * np.timedelta64(30 * 86400, "s")
    inputs = {"optical": Piece(values, CHANNELS, times), "sar": Piece(radar, ("vv", "vh"), times[:1])}
    told: Any = {
        "class": n % 3,
        "labels": np.array([n % 3 == 2, n % 3 > 0, n % 2], np.float32),
        "value": 50.0 + 100 * float(np.nanmean(bright)),
        "class_map": np.where(np.isnan(values[0, 0]), IGNORE, bright > 0.3),
        "value_map": np.where(np.isnan(values[0, 0]), np.nan, 50 + 100 * bright),
    }[config.kind]
    place = (10.0 + n // 2, 20.0)
    return Labelled(f"sample {n}", inputs, told, f"place {n // 2}", place, 10.0, "sentinel2")
