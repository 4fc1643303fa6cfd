"""Scores tell where errors lie by each measure of doubt, for the model under test, and cost nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from geoadapt.config import InferConfig
from geoadapt.cubes.classes import CLOUD_CLASSES
from geoadapt.training.results import summarise
from geoadapt.training.scoring import SceneScore, pixel_scorer, score_scenes
from tests.training.small import dataset

CLASSES = tuple(info for info in CLOUD_CLASSES if info.name != "thin_cloud")
NAMES = tuple(info.name for info in CLASSES)


def brightness(values: Tensor, valid: Tensor | None) -> Tensor:
    """Cloud where it is bright, shadow where it is dark, shifted by what else is in the tile."""
    light = values.mean(dim=1) - 0.1 * values.mean(dim=(1, 2, 3))[:, None, None]
    return torch.stack([0 * light, 40 * (light - 0.2), 40 * (0.06 - light)], dim=1).softmax(dim=1)


def scored(doubts: bool, tile: int = 32, overlap: int = 16) -> list[SceneScore]:
    infer = InferConfig(tile=tile, overlap=overlap)
    return score_scenes(pixel_scorer(brightness), dataset().test, {}, CLASSES, infer, block=16, doubts=doubts)


def test_histograms_of_all_measures_hold_the_same_pixels_and_errors() -> None:
    (score,) = scored(doubts=True)
    errors = {name: counts[..., 1].sum(axis=1).tolist() for name, counts in score.doubts.items()}
    pixels = {name: counts.sum(axis=(1, 2)).tolist() for name, counts in score.doubts.items()}
    assert set(errors) == {"confidence", "instability", "both"}
    assert len({tuple(v) for v in errors.values()}) == len({tuple(v) for v in pixels.values()}) == 1
    known = np.ones(score.truth.shape, bool)
    for rows in (slice(None, 16), slice(-16, None)):
        for cols in (slice(None, 16), slice(-8, None)):
            known[rows, cols] = False
    assert sum(pixels["both"]) == known.sum(), "all but the corners lie in several tiles"
    assert sum(errors["both"]) == (score.truth != score.labels)[known].sum() > 0


def test_labels_are_the_same_with_and_without() -> None:
    np.testing.assert_array_equal(scored(doubts=True)[0].labels, scored(doubts=False)[0].labels)
    assert scored(doubts=False)[0].doubts == {}


def test_metrics_hold_areas_gains_and_the_share_for_the_model_alone() -> None:
    flat = summarise({"test": scored(doubts=True), "rule": scored(doubts=False)}, NAMES, draws=30, seed=0)
    for name in ("confidence", "instability", "both"):
        low, area, high = (flat[f"test/aurc{end}/{name}"] for end in ("_low", "", "_high"))
        assert flat["test/aurc/perfect"] <= area and low <= high
        assert flat[f"test/eaurc/{name}"] == pytest.approx(area - flat["test/aurc/perfect"])
    gain = flat["test/aurc/confidence"] - flat["test/aurc/instability"]
    assert flat["test/aurc_gain/instability"] == pytest.approx(gain)
    assert flat["test/aurc_gain_low/both"] <= flat["test/aurc_gain_high/both"]
    assert flat["test/instability_share"] == pytest.approx(1 - 2 * 16 * (16 + 8) / (64 * 72))
    assert not [key for key in flat if "aurc" in key and not key.startswith("test/")]


def test_where_no_tiles_overlap_only_that_is_said() -> None:
    flat = summarise({"test": scored(doubts=True, tile=128, overlap=64)}, NAMES, draws=5, seed=0)
    assert flat["test/instability_share"] == 0
    assert not [key for key in flat if "aurc" in key]
