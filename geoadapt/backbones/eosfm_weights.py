"""The released file of EoS-FM: a list of specialists, each with its number of channels, its tensors and its name."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from geoadapt.errors import GeoadaptError

__all__ = ["Stored", "read_ensemble"]


@dataclass(frozen=True, slots=True)
class Stored:
    """A specialist as it lies in the file."""

    name: str
    channels: int
    state: dict[str, Tensor]


def read_ensemble(path: Path) -> list[Stored]:
    """All specialists of a file; nothing in it is executed.

    Raises:
        GeoadaptError: where it is no such list, names another network, or holds values that are not finite.
    """
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise GeoadaptError(path, f"not a whole file of tensors ({first})", "get it again") from error
    if not isinstance(loaded, list) or not loaded:
        raise GeoadaptError(path, "is no list of specialists", "give the ensemble file of EoS-FM")
    return [_stored(path, number, item) for number, item in enumerate(loaded)]


def _stored(path: Path, number: int, item: object) -> Stored:
    hint = "give the ensemble file of EoS-FM"
    if not isinstance(item, list | tuple) or len(item) != 3:
        raise GeoadaptError(path, f"entry {number} is no (channels, tensors, configuration)", hint)
    channels, state, config = item
    if not isinstance(channels, int) or not isinstance(state, Mapping) or not isinstance(config, Mapping):
        raise GeoadaptError(path, f"entry {number} is no (channels, tensors, configuration)", hint)
    backbone = config.get("backbone", "timm_convnextv2_atto")
    if backbone != "timm_convnextv2_atto":
        raise GeoadaptError(path, f"entry {number} is a {backbone}", "only timm_convnextv2_atto is known")
    bad = [k for k, v in state.items() if not isinstance(v, Tensor) or not bool(v.isfinite().all())]
    if bad:
        raise GeoadaptError(path, f"entry {number}: no finite tensor in {', '.join(map(str, bad[:5]))}", "get it again")
    return Stored(str(config.get("encoder_name", f"specialist {number}")), channels, dict(state))
