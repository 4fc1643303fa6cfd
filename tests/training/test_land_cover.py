"""Scores by land cover: those of its scenes alone, beside everyone else's, and nothing where nobody tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from geoadapt.baselines.composites import build_composite
from geoadapt.config import InferConfig
from geoadapt.cubes.classes import CLOUD_CLASSES
from geoadapt.fields.gaps import test_samples as fixed_samples
from geoadapt.fields.scenes import LabelledScene
from geoadapt.fields.series import Sample
from geoadapt.training.land_cover import land_cover_parts, land_covers
from geoadapt.training.page import RunStory, write_page
from geoadapt.training.removal_page import write_removal_page
from geoadapt.training.removal_scoring import RemovalScores, score_entries
from geoadapt.training.removal_summary import removal_story, summarise_removal
from geoadapt.training.results import summarise
from geoadapt.training.scoring import SceneScore, SceneScorer, pixel_scorer, score_scenes
from tests.training.small import labelled
from tests.training.small_series import CHANNELS, series

CLASSES = tuple(c for c in CLOUD_CLASSES if c.name in ("clear", "cloud", "shadow"))
NAMES = tuple(c.name for c in CLASSES)
TOLD = ("forest", "Grass/Crops", None, "forest")
FOREST, GRASS = "land_cover_forest", "land_cover_grass_crops"
OTHERS = ("temporal_mean", "last_clear")
"""The second leaves pixels missing, and is compared on what it has."""


def test_words_become_names_that_can_end_a_key() -> None:
    assert land_covers(TOLD) == {FOREST: [0, 3], GRASS: [1]}
    assert land_covers((None, "", " / ")) == {} == land_covers(())


def brightness(bright: float) -> SceneScorer:
    """Cloud where blue is above ``bright``, shadow where it is dark."""

    def scores(values: Tensor, valid: Tensor | None) -> Tensor:
        blue = values[:, :1]
        return torch.cat([torch.full_like(blue, 0.5), (blue > bright).float(), (blue < 0.1).float()], 1)

    return pixel_scorer(scores)


@pytest.fixture(scope="module")
def scenes() -> list[LabelledScene]:
    return [replace(labelled(f"s{n}", 32, 48, n), land_cover=told) for n, told in enumerate(TOLD)]


def of_scenes(scenes: Sequence[LabelledScene]) -> dict[str, list[SceneScore]]:
    infer = InferConfig(tile=64, overlap=16)
    entries = {"test": brightness(0.3), "rule": brightness(0.2)}
    return {who: score_scenes(scorer, scenes, {}, CLASSES, infer, block=16) for who, scorer in entries.items()}


def metrics_of(scenes: Sequence[LabelledScene]) -> dict[str, float]:
    return summarise(of_scenes(scenes), NAMES, draws=20, seed=0)


def test_the_mean_iou_of_a_land_cover_is_that_of_its_scenes_alone(scenes: list[LabelledScene]) -> None:
    found = metrics_of(scenes)
    for name, members in ((FOREST, [0, 3]), (GRASS, [1])):
        alone = metrics_of([scenes[n] for n in members])
        for who in ("test", "rule"):
            assert found[f"{who}/miou/{name}"] == alone[f"{who}/miou"] != found[f"{who}/miou"]
        assert found[f"test/scenes/{name}"] == len(members)


def test_what_was_told_without_land_cover_is_told_alike(scenes: list[LabelledScene]) -> None:
    plain = metrics_of([replace(scene, land_cover=None) for scene in scenes])
    assert plain and not [key for key in plain if "land_cover" in key]
    found = metrics_of(scenes)
    assert {key: found[key] for key in plain} == plain
    assert len(found) == len(plain) + 2 * 2 + 2, "two entries and a count, by two land covers"


def test_a_land_cover_without_a_labelled_pixel_has_no_score(scenes: list[LabelledScene]) -> None:
    scored = of_scenes(scenes)
    empty = {
        who: [replace(s, counts=s.counts[:0]) if n == 1 else s for n, s in enumerate(all_)]
        for who, all_ in scored.items()
    }
    found = summarise(empty, NAMES, draws=20, seed=0)
    assert f"test/miou/{FOREST}" in found and not [key for key in found if GRASS in key]


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    places = [replace(series(f"p{n}", n, side=16), land_cover=told) for n, told in enumerate(TOLD)]
    return fixed_samples(places, (), 16, 0)


def of_samples(samples: Sequence[Sample]) -> RemovalScores:
    entries = {who: build_composite(who, CHANNELS) for who in OTHERS}
    return score_entries({"test": build_composite("temporal_median", CHANNELS), **entries}, samples, size=3)


def test_the_error_of_a_land_cover_is_that_of_its_places_alone(samples: list[Sample]) -> None:
    assert {sample.series.land_cover for sample in samples} == set(TOLD), "a chip keeps what its place told"
    found = summarise_removal(of_samples(samples), draws=20, seed=0)
    for name, members in ((FOREST, {"p0", "p3"}), (GRASS, {"p1"})):
        chosen = [sample for sample in samples if sample.series.name in members]
        alone = summarise_removal(of_samples(chosen), draws=20, seed=0)
        for who in ("test", *OTHERS):
            assert found[f"{who}/mae/{name}"] == pytest.approx(alone[f"{who}/mae/masked"], rel=1e-12)
            assert found[f"{who}/mae/{name}"] != pytest.approx(found[f"{who}/mae/masked"], rel=1e-3)
        assert found[f"test/places/{name}"] == len(members)


def test_what_was_told_of_places_without_land_cover_is_told_alike(samples: list[Sample]) -> None:
    bare = [replace(sample, series=replace(sample.series, land_cover=None)) for sample in samples]
    plain = summarise_removal(of_samples(bare), draws=20, seed=0)
    assert plain and not [key for key in plain if "land_cover" in key]
    found = summarise_removal(of_samples(samples), draws=20, seed=0)
    assert {key: found[key] for key in plain} == pytest.approx(plain, rel=0, abs=0, nan_ok=True)


def test_a_table_has_a_column_for_each_and_a_dash_where_a_control_has_none() -> None:
    metrics = {f"test/miou/{FOREST}": 0.5, f"test/miou/{GRASS}": 0.25, f"rule/miou/{FOREST}": 0.125}
    metrics |= {f"test/scenes/{FOREST}": 2.0, f"test/scenes/{GRASS}": 1.0}
    made, note = land_cover_parts(metrics, {"test": "this model", "rule": "the rule"}, "miou", "test/scenes", "By", 10)
    assert "within a column" in note and made.index("forest (2)") < made.index("grass crops (1)")
    assert made.index(">5.000<") < made.index(">2.500<") < made.index("the rule") < made.index(">1.250<")
    assert land_cover_parts({"test/miou": 0.5}, {"test": "this model"}, "miou", "test/scenes", "By") == []


def page_of_scenes(scenes: list[LabelledScene], path: Path) -> str:
    scored = of_scenes(scenes)
    metrics = summarise(scored, NAMES, draws=20, seed=0)
    told = RunStory("Clouds", scenes[0].image.info.bands, scenes, CLASSES, scored, metrics, {}, "made", False, "c", {})
    return write_page(path, told).read_text(encoding="utf-8")


def test_the_page_of_a_segmentation_shows_it_where_it_is_told(scenes: list[LabelledScene], tmp_path: Path) -> None:
    text = page_of_scenes(scenes, tmp_path / "told.html")
    assert "By land cover" in text and "grass crops (1)" in text and "forest (2)" in text
    bare = [replace(scene, land_cover=None) for scene in scenes]
    assert "land cover" not in page_of_scenes(bare, tmp_path / "bare.html").lower()


def test_the_page_of_a_removal_shows_thousandths(samples: list[Sample], tmp_path: Path) -> None:
    found = of_samples(samples)
    metrics = summarise_removal(found, draws=20, seed=0)
    told = removal_story(
        found,
        metrics,
        title="Removal",
        entries={"test": "a median", **{who: "" for who in OTHERS}},
        data="made",
        simulated=False,
        command="c",
        config={},
    )
    text = write_removal_page(tmp_path / "page.html", told).read_text(encoding="utf-8")
    part = text[text.index("By land cover") :]
    assert "forest (2)" in part and np.isfinite(metrics[f"last_clear/mae/{FOREST}"])
    assert f"{1000 * metrics[f'test/mae/{FOREST}']:.4g}"[:3] in part
