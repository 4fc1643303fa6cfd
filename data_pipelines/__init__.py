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


PIPELINES: dict[str, Callable[[Any], list[str]]] = {"simulated": simulated}


def ensure(data_config: Any) -> None:
    """Make what a data configuration needs where the project can make it; nothing for data that must be brought."""
    if data_config.name in PIPELINES:
        PIPELINES[data_config.name](data_config)
