"""The bundle of a forecaster: what ``bundle`` stores of any model, and what is needed to step and to compare.

In: a folder that ``geoadapt train`` wrote. Out: the forecaster, and the baselines that it was tested against.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from geoadapt.adapters.config import HeadOnlyConfig
from geoadapt.backbones import BACKBONES
from geoadapt.backbones.weights import load_into
from geoadapt.baselines.forecasts import FORECAST_BASELINES
from geoadapt.baselines.seasonal import rebuild_climatology
from geoadapt.bundle.card import BundleCard, read_card
from geoadapt.bundle.load import restore_model
from geoadapt.errors import GeoadaptError, nearest
from geoadapt.fields.forecaster import Forecaster
from geoadapt.fields.types import Batch
from geoadapt.forecaster import AdaptedForecaster, Stepping
from geoadapt.heads import HEADS
from geoadapt.heads.inputs import HeadInputs
from geoadapt.io.paths import as_path
from geoadapt.model import build_model
from geoadapt.registry import from_plain, look_up
from geoadapt.standard import Standard

__all__ = [
    "STANDARD",
    "BundledForecaster",
    "forecast_inputs",
    "load_forecast_baselines",
    "load_forecaster",
    "standard_settings",
]

STANDARD = "standard"


class BundledForecaster(nn.Module):
    """A forecaster with its card."""

    def __init__(self, path: Path, card: BundleCard, forecaster: AdaptedForecaster, sha256: str) -> None:
        super().__init__()
        self.path, self.card, self.forecaster, self.sha256 = path, card, forecaster, sha256
        self.channels, self.frames, self.step = forecaster.channels, forecaster.frames, forecaster.step
        self.name = card.name
        plain = card.forecast or {}
        self.units: tuple[str, ...] = tuple(plain["units"])
        self.leads: tuple[int, ...] = tuple(plain["leads"])

    @property
    def standard(self) -> Standard:
        """Its climatology and scales."""
        return self.forecaster.standard

    @property
    def increment(self) -> Tensor:
        """The usual change in one step (c,) [SI]."""
        return self.standard.std * self.standard.increment

    def states(self, batch: Batch, steps: int) -> Iterator[Tensor]:
        """Predictions (b, c, h, w) at 1, 2, … ``steps`` steps, SI units."""
        return self.forecaster.states(batch, steps)


def load_forecaster(
    path: str | Path, device: str = "cpu", *, weights: str | None = None, allow_mismatch: bool = False
) -> BundledForecaster:
    """The forecaster at ``path``, its adapter merged, ready to run.

    Raises GeoadaptError for a bundle of another task, a changed byte, or another backbone.
    """
    folder = as_path(path)
    card, digest = read_card(folder)
    if card.forecast is None:
        raise GeoadaptError(folder, f"is a bundle of the task {card.task}", "geoadapt predict SCENE --bundle …")
    inputs = forecast_inputs(card.channels)
    model = restore_model(folder, card, inputs, weights=weights, allow_mismatch=allow_mismatch)
    standard = _standard(card, folder)
    made = AdaptedForecaster(model, standard, card.channels, _stepping(card.forecast))
    made.eval().requires_grad_(False)
    return BundledForecaster(folder, card, made.to(device), digest)


def load_forecast_baselines(bundle: BundledForecaster, device: str = "cpu") -> dict[str, Forecaster]:
    """The models that the bundle was tested against, by name."""
    found: dict[str, Forecaster] = {}
    plain = bundle.card.forecast or {}
    for name, settings in plain["baselines"].items():
        file = bundle.path / "baselines" / f"{name}.safetensors"
        module = _twin(bundle, settings, file) if "backbone" in settings else _simple(name, settings, file)
        module.eval().requires_grad_(False)
        found[name] = module.to(device)  # type: ignore[assignment]
    return found


def standard_settings(standard: Standard) -> dict[str, Any]:
    """What a ``Standard`` of the right shapes is rebuilt from; plain data."""
    return {"climatology": asdict(standard.climatology.settings), "static": len(standard.static_mean)}


def forecast_inputs(channels: tuple[str, ...]) -> HeadInputs:
    """What heads of a forecaster are told: as many outputs as channels, standardised."""
    count = len(channels)
    return HeadInputs(count, torch.zeros(count), torch.ones(count))


def _simple(name: str, settings: dict[str, Any], file: Path) -> nn.Module:
    if name not in FORECAST_BASELINES:
        raise GeoadaptError(file, f"the baseline '{name}' is unknown", nearest(name, FORECAST_BASELINES))
    module = FORECAST_BASELINES[name](settings)
    if module.state_dict():
        load_into(module, file)
    return module


def _twin(bundle: BundledForecaster, settings: dict[str, Any], file: Path) -> AdaptedForecaster:
    """Another adapted model of the same run, whole as it was stored."""
    card = bundle.card
    name = str(settings["backbone"].get("name"))
    backbone: Any = from_plain(look_up(BACKBONES, name, "backbone").config, settings["backbone"], "backbone")
    head: Any = from_plain(look_up(HEADS, str(card.head.get("name")), "head").config, card.head, "head")
    # every tensor comes from the bundle: which weights it was built with does not matter
    backbone.random_weights = True
    model = build_model(backbone, HeadOnlyConfig(), head, forecast_inputs(card.channels), card.channels, card.seed)
    made = AdaptedForecaster(model, _standard(card, bundle.path), card.channels, bundle.forecaster.stepping)
    load_into(made, file)
    return made


def _stepping(plain: dict[str, Any]) -> Stepping:
    return Stepping(int(plain["frames"]), float(plain["step"]), str(plain["output"]))


def _standard(card: BundleCard, folder: Path) -> Standard:
    plain = (card.forecast or {})["standard"]
    climatology = rebuild_climatology(plain["climatology"])
    count, fixed = len(card.channels), int(plain["static"])
    static = torch.zeros(fixed), torch.ones(fixed)
    made = Standard(climatology, torch.ones(count), torch.ones(count), static)
    load_into(made, folder / f"{STANDARD}.safetensors")
    return made
