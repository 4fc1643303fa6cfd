"""The bundle of a restorer: what ``bundle`` stores of any model, and what is needed to restore and to compare.

In: a folder that ``geoadapt train`` wrote. Out: the restorer, and what it was tested against that can be made again.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from geoadapt.backbones.config import PmaaConfig
from geoadapt.backbones.pmaa import build_restorer
from geoadapt.backbones.weights import load_into, load_state
from geoadapt.baselines.composites import COMPOSITES, build_composite
from geoadapt.bundle.card import BundleCard, read_card
from geoadapt.bundle.load import restore_model
from geoadapt.errors import GeoadaptError, nearest
from geoadapt.fields.frames import known_to_others, nearest_dates
from geoadapt.fields.restorer import Restored, Restorer
from geoadapt.fields.types import Batch, Field
from geoadapt.heads.inputs import HeadInputs
from geoadapt.io.paths import as_path
from geoadapt.registry import from_plain
from geoadapt.restorer import AdaptedRestorer, Seeing

__all__ = [
    "CALIBRATION",
    "BundledRestorer",
    "load_restorer",
    "load_restorer_baselines",
    "radar_of_card",
    "restorer_inputs",
]

CALIBRATION = "calibration"


class BundledRestorer(nn.Module):
    """A restorer with its card."""

    def __init__(self, path: Path, card: BundleCard, restorer: AdaptedRestorer, sha256: str) -> None:
        super().__init__()
        self.path, self.card, self.restorer, self.sha256 = path, card, restorer, sha256
        self.name = card.name
        self.channels = card.channels
        self.multiple = restorer.model.spec.multiple
        self.keep_clear = bool((card.removal or {})["keep_clear"])
        self.dates = int((card.removal or {}).get("dates", 0))
        self.radar = radar_of_card(card)

    def restore(self, batch: Batch) -> Restored:
        """The batch's last frame and its calibrated scale (b, c, h, w), NaN where no other date shows a pixel.

        Of a longer series it looks at as many dates as in training, those nearest in time; and where these do not show
        a pixel, at as many of those that do.
        """
        field = batch.inputs["optical"].select(self.channels)
        near = nearest_dates(field, self.dates)
        found = self._of(near, batch)
        if near is field or self.dates == 1:
            return found
        known, farther = known_to_others(field), known_to_others(near)
        while (missing := known & ~farther).any():
            near = nearest_dates(field, self.dates, missing)
            farther = farther | known_to_others(near)
            found = _filled(found, self._of(near, batch), missing)
        return found

    def _of(self, field: Field, batch: Batch) -> Restored:
        return self.restorer.restore(replace(batch, inputs={**batch.inputs, "optical": field}))


def _filled(found: Restored, more: Restored, missing: Tensor) -> Restored:
    """What was found, and ``more`` where it is ``missing``."""
    scale = None
    if found.scale is not None and more.scale is not None:
        scale = torch.where(missing, more.scale, found.scale)
    return Restored(torch.where(missing, more.image, found.image), scale)


def load_restorer(
    path: str | Path, device: str = "cpu", *, weights: str | None = None, allow_mismatch: bool = False
) -> BundledRestorer:
    """The restorer at ``path``, its adapter merged, ready to run.

    Raises GeoadaptError for a bundle of another task, a changed byte, or another backbone.
    """
    folder = as_path(path)
    card, digest = read_card(folder)
    if card.removal is None:
        raise GeoadaptError(folder, f"is a bundle of the task {card.task}", "name one of the task cloud_removal")
    inputs = restorer_inputs(torch.tensor(card.mean), torch.tensor(card.std))
    model = restore_model(folder, card, inputs, weights=weights, allow_mismatch=allow_mismatch)
    plain = card.removal
    seeing = Seeing(int(plain["frames"]), bool(plain["together"]), bool(plain["radar"]), radar_of_card(card))
    told = load_state(folder / f"{CALIBRATION}.safetensors")
    # an older bundle's scale was calibrated without a floor
    made = AdaptedRestorer(model, card.channels, seeing, floor=float(told.get("floor", 0.0)))
    made.factor.copy_(told["factor"])
    made.eval().requires_grad_(False)
    return BundledRestorer(folder, card, made.to(device), digest)


def radar_of_card(card: BundleCard) -> tuple[str, ...]:
    """Channels of the radar that a restorer was trained with; none where it was given none, or the card is older."""
    return tuple(str(name) for name in (card.removal or {}).get("heard", ()))


def load_restorer_baselines(bundle: BundledRestorer, device: str = "cpu") -> dict[str, Restorer]:
    """The simple models that the bundle was tested against, by name; its twins are not among them."""
    found: dict[str, Restorer] = {}
    for name, settings in (bundle.card.removal or {})["baselines"].items():
        module = _rebuilt(name, bundle.channels, settings)
        if module.state_dict():
            load_into(module, bundle.path / "baselines" / f"{name}.safetensors")
        module.eval().requires_grad_(False)
        found[name] = module.to(device)
    return found


def _rebuilt(name: str, channels: tuple[str, ...], settings: dict[str, Any]) -> Any:
    if name == "pmaa":
        config = from_plain(PmaaConfig, settings, "baselines.pmaa")
        # every tensor comes from the bundle: which weights it was built with does not matter
        config.random_weights = True
        return build_restorer(config)
    if name in COMPOSITES:
        return build_composite(name, channels, **settings)
    raise GeoadaptError(f"baselines.{name}", "is unknown", nearest(name, ("pmaa", *COMPOSITES)))


def restorer_inputs(mean: Tensor, std: Tensor) -> HeadInputs:
    """What heads of a restorer are told: no classes, and per channel mean and standard deviation (c,) [reflectance]."""
    return HeadInputs(0, mean, std)
