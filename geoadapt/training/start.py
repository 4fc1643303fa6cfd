"""A fit that starts from a bundle: its adapter and head, for the classes that the new labels know.

In: a model as built, a bundle's folder. Out: the model with the bundle's tensors. The bundle as it stands is a control.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geoadapt.backbones.weights import check_state, load_state
from geoadapt.bundle.card import HEAD, BundleCard, read_card
from geoadapt.bundle.load import load_bundle
from geoadapt.errors import GeoadaptError
from geoadapt.fields.scenes import LabelledScene
from geoadapt.io.paths import as_path
from geoadapt.model import AdaptedModel
from geoadapt.shipped import shipped_bundle
from geoadapt.tasks.cloud_segmentation import CloudSegmentation
from geoadapt.training.scoring import SceneScorer

__all__ = ["bundle_to_start_from", "start_from", "started_scorer"]


def bundle_to_start_from(word: str) -> Path:
    """The folder that ``train.start`` names; ``shipped`` is the bundle that comes with the package."""
    return shipped_bundle() if word == "shipped" else as_path(word)


def start_from(model: AdaptedModel, folder: Path, job: Any, task: CloudSegmentation, channels: Sequence[str]) -> None:
    """Give ``model`` the bundle's adapter and head, in the classifier the rows of the classes in ``task``.

    Raises:
        GeoadaptError: where backbone, adapter, head, channels or classes of the two do not go together.
    """
    card, _ = read_card(folder)
    for part in ("adapter", "head"):
        mine, theirs = json.loads(json.dumps(asdict(getattr(job, part)))), getattr(card, part)
        # no targets are all that the backbone has; a bundle names them
        if other := [key for key in mine if mine[key] != theirs.get(key, mine[key]) and mine[key] != []]:
            was = ", ".join(f"{part}.{key}={theirs[key]}" for key in other)
            raise GeoadaptError("train.start", f"{folder} was made with {was}", "choose the same here")
    if model.source.sha256 != card.source.get("sha256"):
        raise GeoadaptError(
            "train.start",
            f"{folder} was trained on {card.source.get('name')}, this run's backbone is {model.source.name}",
            f"choose backbone={card.backbone.get('name')}",
        )
    if tuple(card.channels) != tuple(channels):
        raise GeoadaptError("train.start", f"{folder} takes {list(card.channels)}", f"the data have {list(channels)}")
    device = next(model.parameters()).device
    model.attached.load_folder(folder / "adapter")
    wanted = model.head.state_dict()
    state = _of_classes(load_state(folder / HEAD), wanted, _rows(card, task, folder), len(card.classes))
    check_state(state, wanted, folder / HEAD)
    model.head.load_state_dict(state)
    model.to(device)


def started_scorer(folder: Path, task: CloudSegmentation, device: str) -> tuple[SceneScorer, int]:
    """The bundle as it stands: its probabilities of the classes in ``task``, and what its sides must divide by [px]."""
    bundle = load_bundle(folder, device=device)
    rows = _rows(bundle.card, task, folder)

    def for_scene(scene: LabelledScene) -> Callable[[Tensor, Tensor | None], Tensor]:
        def scores(values: Tensor, valid: Tensor | None) -> Tensor:
            info = scene.image.info
            said = bundle.scores(values, valid, time=info.time, resolution=scene.resolution, sensor=info.sensor)
            return said[:, rows]

        return scores

    return for_scene, bundle.multiple


def _rows(card: BundleCard, task: CloudSegmentation, folder: Path) -> list[int]:
    """Where the classes of ``task`` stand among the bundle's."""
    values = [c.value for c in card.classes]
    missing = [c.name for c in task.classes if c.value not in values]
    if missing:
        raise GeoadaptError("train.start", f"{folder} does not tell {missing} apart", "start from another, or none")
    return [values.index(c.value) for c in task.classes]


def _of_classes(
    state: dict[str, Tensor], wanted: dict[str, Tensor], rows: Sequence[int], classes: int
) -> dict[str, Tensor]:
    """The state with the rows of the chosen classes, where a tensor has one row per class of the bundle."""
    chosen = torch.tensor(list(rows))
    return {
        key: value[chosen]
        if key in wanted and value.shape != wanted[key].shape and value.shape[:1] == (classes,)
        else value
        for key, value in state.items()
    }
