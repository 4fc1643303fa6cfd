"""Scores on labelled scenes, through the same streaming engine that predicts archives.

In: a function that scores tiles, labelled scenes. Out: per scene the labels, and confusion matrices by block.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoadapt.config import InferConfig
from geoadapt.cubes.classes import NODATA, ClassInfo
from geoadapt.fields.scenes import BlockSplit, LabelledScene
from geoadapt.inference.base import StreamOptions
from geoadapt.inference.products import LabelProduct
from geoadapt.inference.stream import stream
from geoadapt.io.base import Window
from geoadapt.io.memory import MemorySink
from geoadapt.metrics.segmentation import Counts, block_counts
from geoadapt.model import image_batch

__all__ = ["SceneScore", "SceneScorer", "module_scorer", "pixel_scorer", "score_scenes"]

SceneScorer = Callable[[LabelledScene], Callable[[Tensor, Tensor | None], Tensor]]
"""For a scene, the function that scores its tiles: (b, c, h, w), valid to (b, k, h, w)."""


@dataclass(frozen=True, slots=True)
class SceneScore:
    """What a model said about one scene, and how right it was."""

    scene: str
    labels: NDArray[np.uint8]
    """(h, w)."""
    truth: NDArray[np.uint8]
    """(h, w), 255 where nothing is asked: no label, not this side's block, or a pixel that the image lacks."""
    counts: Counts
    """(blocks, k, k + 1)."""


def module_scorer(module: nn.Module, channels: tuple[str, ...], device: str = "cpu") -> SceneScorer:
    """Probabilities from a module that takes a Batch and gives (b, t, k, h, w) before the softmax."""

    def for_scene(scene: LabelledScene) -> Callable[[Tensor, Tensor | None], Tensor]:
        time: datetime | None = scene.image.info.time

        def scores(values: Tensor, valid: Tensor | None) -> Tensor:
            batch = image_batch(values, valid, channels, time=time, resolution=scene.resolution)
            out: Tensor = module(batch.to(device))[:, 0].float().softmax(dim=1)
            return out

        return scores

    module.eval()
    return for_scene


def pixel_scorer(scores: Callable[[Tensor, Tensor | None], Tensor]) -> SceneScorer:
    """A pixel-wise rule that is the same for every scene."""
    return lambda scene: scores


def score_scenes(
    scorer: SceneScorer,
    scenes: Sequence[LabelledScene],
    sides: Mapping[str, BlockSplit],
    classes: Sequence[ClassInfo],
    infer: InferConfig,
    *,
    multiple: int = 1,
    block: int = 64,
    device: str = "cpu",
) -> list[SceneScore]:
    """Run over whole scenes; where ``sides`` names blocks of a scene, only those are asked for."""
    return [
        _score(scorer(scene), scene, sides.get(scene.name), classes, infer, multiple, block, device) for scene in scenes
    ]


def _score(
    scores: Callable[[Tensor, Tensor | None], Tensor],
    scene: LabelledScene,
    side: BlockSplit | None,
    classes: Sequence[ClassInfo],
    infer: InferConfig,
    multiple: int,
    block: int,
    device: str,
) -> SceneScore:
    height, width = scene.shape
    options = StreamOptions(len(classes), infer.tile, infer.overlap, infer.batch, multiple, torch.device(device))
    sink = MemorySink(height, width)
    product = LabelProduct(sink, classes, threshold=infer.threshold, buffer=infer.cloud_buffer)
    stream(scene.image, scores, [product], options)
    whole = Window(0, 0, height, width)
    truth = np.asarray(scene.label.read(whole, [0])[0], np.uint8).copy()
    if side is not None:
        truth[~side.pixels(whole)] = NODATA
    truth[sink.values == NODATA] = NODATA
    counts = block_counts(truth, sink.values, [c.value for c in classes], block)
    return SceneScore(scene.name, sink.values, truth, counts)
