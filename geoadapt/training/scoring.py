"""Scores on labelled scenes, through the same streaming engine that predicts archives.

In: a function that scores tiles, labelled scenes. Out: per scene the labels, and confusion matrices by block.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoadapt.config import InferConfig
from geoadapt.cubes.classes import NODATA, ClassInfo
from geoadapt.errors import GeoadaptError
from geoadapt.fields.scenes import BlockSplit, LabelledScene
from geoadapt.inference.base import Product, StreamOptions
from geoadapt.inference.doubt import MEASURES, DoubtProduct
from geoadapt.inference.products import LabelProduct
from geoadapt.inference.stream import stream
from geoadapt.io.base import Window
from geoadapt.io.memory import MemorySink
from geoadapt.metrics.segmentation import Counts, block_counts
from geoadapt.metrics.selective import block_histograms, levels
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
    doubts: Mapping[str, Counts] = field(default_factory=dict)
    """Measure of doubt → right and wrong pixels by level (blocks, levels, 2), where all measures are known."""
    land_cover: str | None = None
    """What most of the scene lies over; None = its data set does not tell."""


def module_scorer(module: nn.Module, channels: tuple[str, ...], device: str = "cpu") -> SceneScorer:
    """Probabilities from a module that takes a Batch and gives (b, t, k, h, w) before the softmax."""

    def for_scene(scene: LabelledScene) -> Callable[[Tensor, Tensor | None], Tensor]:
        time: datetime | None = scene.image.info.time

        def scores(values: Tensor, valid: Tensor | None) -> Tensor:
            batch = image_batch(
                values, valid, channels, time=time, resolution=scene.resolution, sensor=scene.image.info.sensor
            )
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
    doubts: bool = False,
) -> list[SceneScore]:
    """Run over whole scenes; where ``sides`` names blocks of a scene, only those are asked for.

    With ``doubts`` the scores also tell where errors lie by the measures of doubt.
    """
    return [
        _score(scorer(scene), scene, sides.get(scene.name), classes, infer, multiple, block, device, doubts)
        for scene in scenes
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
    doubts: bool,
) -> SceneScore:
    height, width = scene.shape
    options = StreamOptions(len(classes), infer.tile, infer.overlap, infer.batch, multiple, torch.device(device))
    sink = MemorySink(height, width)
    labels = LabelProduct(sink, classes, threshold=infer.threshold, buffer=infer.cloud_buffer, thin=infer.thin_cloud)
    products: list[Product] = [labels]
    planes = {name: MemorySink(height, width) for name in MEASURES} if doubts else {}
    products += [DoubtProduct(plane, MEASURES[name], levels) for name, plane in planes.items()]
    stream(scene.image, scores, products, options)
    whole = Window(0, 0, height, width)
    if scene.label is None:
        raise GeoadaptError(scene.name, "has no labels to score against", "name a labelled scene as test")
    truth = np.asarray(scene.label.read(whole, [0])[0], np.uint8).copy()
    if side is not None:
        truth[~side.pixels(whole)] = NODATA
    truth[sink.values == NODATA] = NODATA
    counts = block_counts(truth, sink.values, [c.value for c in classes], block)
    found = {name: plane.values for name, plane in planes.items()}
    histograms = _histograms(found, truth, sink.values, block)
    return SceneScore(scene.name, sink.values, truth, counts, histograms, scene.land_cover)


def _histograms(
    found: Mapping[str, NDArray[np.uint8]], truth: NDArray[np.uint8], labels: NDArray[np.uint8], block: int
) -> dict[str, Counts]:
    """Right and wrong pixels by level of every measure, of the same pixels in the same blocks for all."""
    known = truth != NODATA
    for plane in found.values():
        known &= plane != NODATA
    return {name: block_histograms(plane, truth != labels, known, block) for name, plane in found.items()}
