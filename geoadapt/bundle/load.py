"""From a bundle's folder the model, its adapter merged, ready to run; and the baselines that it was tested against."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from geoadapt.adapters import ADAPTERS
from geoadapt.backbones import BACKBONES
from geoadapt.backbones.weights import load_into, load_state
from geoadapt.baselines.pixelwise import BlueRule, LinearDiscriminant
from geoadapt.baselines.unet import SmallUnet
from geoadapt.bundle.card import HEAD, BundleCard, read_card
from geoadapt.cubes.classes import ClassInfo
from geoadapt.errors import GeoadaptError
from geoadapt.heads import HEADS
from geoadapt.heads.inputs import HeadInputs
from geoadapt.io.paths import as_path
from geoadapt.model import AdaptedModel, build_model, image_batch
from geoadapt.registry import from_plain, look_up

__all__ = ["Bundle", "load_baselines", "load_bundle", "restore_model"]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A model ready to run, with its card; ``scores`` is all that the streaming engine asks of it."""

    path: Path
    card: BundleCard
    model: nn.Module
    multiple: int
    sha256: str
    """Of ``bundle.json``, which names every other file by its own."""

    @property
    def name(self) -> str:
        """The bundle's name."""
        return self.card.name

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels it takes, in order."""
        return self.card.channels

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        """Classes it tells apart, in the order of its scores."""
        return self.card.classes

    @property
    def threshold(self) -> float | None:
        """The probability of cloud from which it was tested; None = the most probable class."""
        return self.card.threshold

    def scores(
        self,
        values: Tensor,
        valid: Tensor | None = None,
        *,
        time: datetime | None = None,
        resolution: float | None = None,
        sensor: str | None = None,
    ) -> Tensor:
        """Class probabilities (b, k, h, w) of images (b, c, h, w) [reflectance 0–1, finite]."""
        batch = image_batch(values, valid, self.channels, time=time, resolution=resolution, sensor=sensor)
        with torch.inference_mode():
            out: Tensor = self.model(batch)[:, 0].float().softmax(dim=1)
        return out


def load_bundle(
    path: str | Path, *, device: str = "cpu", weights: str | None = None, allow_mismatch: bool = False
) -> Bundle:
    """The bundle at ``path``, its adapter merged, ready to run.

    ``weights`` overrides where the backbone's file is; ``allow_mismatch`` takes another backbone of the same shape.
    Raises GeoadaptError for a changed byte, a missing file or key, a NaN weight, or another backbone.
    """
    folder = as_path(path)
    card, digest = read_card(folder)
    if card.forecast is not None:
        raise GeoadaptError(folder, f"is a bundle of the task {card.task}", "geoadapt forecast FILE --bundle …")
    if card.removal is not None:
        raise GeoadaptError(folder, f"is a bundle of the task {card.task}", "geoadapt predict STACK --bundle …")
    if card.samples is not None:
        raise GeoadaptError(folder, f"is a bundle of the task {card.task}", "geoadapt evaluate BUNDLE data=…")
    model = restore_model(folder, card, _inputs(card), weights=weights, allow_mismatch=allow_mismatch)
    return Bundle(folder, card, model.to(device), model.spec.multiple, digest)


def restore_model(
    folder: Path, card: BundleCard, inputs: HeadInputs, *, weights: str | None = None, allow_mismatch: bool = False
) -> AdaptedModel:
    """The model that a card describes, its adapter merged; raises what ``load_bundle`` raises."""
    backbone: Any = from_plain(
        look_up(BACKBONES, str(card.backbone.get("name")), "backbone").config, card.backbone, "backbone"
    )
    if weights is not None:
        backbone.weights = weights
    model = build_model(
        backbone,
        from_plain(look_up(ADAPTERS, str(card.adapter.get("name")), "adapter").config, card.adapter, "adapter"),
        from_plain(look_up(HEADS, str(card.head.get("name")), "head").config, card.head, "head"),
        inputs,
        card.channels,
        card.seed,
    )
    found = model.source.sha256
    if found != card.source.get("sha256") and not allow_mismatch:
        raise GeoadaptError(
            folder,
            f"was trained on backbone {card.source.get('file')} ({str(card.source.get('sha256'))[:12]}), "
            f"the one at hand is {model.source.file} ({str(found)[:12]})",
            f"get it from {card.source.get('where')}, or allow the mismatch (allow_mismatch=True, --allow-mismatch)",
        )
    model.attached.load_folder(folder / "adapter")
    load_into(model.head, folder / HEAD)
    model.attached.merge()
    model.eval().requires_grad_(False)
    return model


def load_baselines(bundle: Bundle) -> dict[str, Any]:
    """The fitted simple models that the bundle carries, by name."""
    names = [c.name for c in bundle.classes]
    made: dict[str, Any] = {}
    if bundle.card.rule is not None:
        made["rule"] = BlueRule(
            bundle.channels.index("blue"),
            names.index("cloud"),
            names.index("clear"),
            len(names),
            bundle.card.rule["blue"],
        )
    file = bundle.path / "baselines" / "lda.safetensors"
    if file.is_file():
        state = load_state(file)
        made["lda"] = LinearDiscriminant(state["weight"], state["bias"])
    file = bundle.path / "baselines" / "unet.safetensors"
    if file.is_file():
        made["unet"] = SmallUnet(_inputs(bundle.card))
        load_into(made["unet"], file)
    return made


def _inputs(card: BundleCard) -> HeadInputs:
    return HeadInputs(len(card.classes), torch.tensor(card.mean), torch.tensor(card.std))
