"""Raw archives to canonical data that training reads; one module per source.

In: a data configuration (``root`` and what the source needs). Out: a folder under ``root``, complete.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["PIPELINES", "ensure"]


def simulated(config: Any) -> list[str]:
    """Simulated scenes under ``config.root``, unless they are there; returns their names."""
    from data_pipelines.simulate.dataset import write_dataset

    return write_dataset(Path(config.root), config.scenes, config.size, config.seed, config.sensors)


def brought(config: Any) -> list[str]:
    """Names of a public data set's images, once its folders are checked; an error says what to download."""
    from data_pipelines.cloud_datasets import check_dataset

    return check_dataset(config.name, Path(config.root), config.train_splits)


PIPELINES: dict[str, Callable[[Any], list[str]]] = {
    "simulated": simulated,
    "hrc_whu": brought,
    "gf12ms_whu_gf1": brought,
    "gf12ms_whu_gf2": brought,
    "cloudsen12_high_l1c": brought,
    "cloudsen12_high_l2a": brought,
    "l8_biome": brought,
}


def ensure(data_config: Any) -> None:
    """Make what a data configuration needs, or check the public data set that it names; nothing for one's own data."""
    if data_config.name in PIPELINES:
        PIPELINES[data_config.name](data_config)
