"""The forecast baselines by name: how an empty one is rebuilt from a bundle's settings, before its state is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from geoadapt.baselines.cnn import rebuild_cnn
from geoadapt.baselines.damped import rebuild_damped
from geoadapt.baselines.eof_ridge import rebuild_eof_ridge
from geoadapt.baselines.persistence import rebuild_persistence
from geoadapt.baselines.seasonal import rebuild_climatology

__all__ = ["FORECAST_BASELINES"]

FORECAST_BASELINES: dict[str, Callable[[Mapping[str, Any]], nn.Module]] = {
    "persistence": rebuild_persistence,
    "climatology": rebuild_climatology,
    "damped": rebuild_damped,
    "eof_ridge": rebuild_eof_ridge,
    "cnn": rebuild_cnn,
}
"""Name → module of the right shapes from plain settings (``dataclasses.asdict(module.settings)``)."""
