"""Views of data sets of clouds: every metric that one looks at is among those that its data set's runs leave."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from data_pipelines.simulate.dataset import scene_specs
from data_pipelines.simulate.series_dataset import series_specs
from geoadapt.cli.compose import compose
from geoadapt.cli.keys import conf_dir
from geoadapt.config import JobConfig
from geoadapt.cubes.classes import CLOUD_CLASSES, NODATA
from geoadapt.fields.config import SimulatedConfig
from geoadapt.fields.csmask import CLASS_TABLE
from geoadapt.fields.series_config import SimulatedSeriesConfig
from geoadapt.leaderboard.groups import Dataset
from geoadapt.leaderboard.suite import pairs_of, read_plan
from geoadapt.leaderboard.suite_config import Plan
from geoadapt.metrics.restoration import Asked, restoration_sums
from geoadapt.training.land_cover import LAND_COVER
from geoadapt.training.removal_scoring import RemovalScores
from geoadapt.training.removal_summary import BINS, summarise_removal
from geoadapt.training.results import summarise
from geoadapt.training.scoring import SceneScore


def of_segmentation(job: JobConfig) -> dict[str, float]:
    """What the test of a cloud mask leaves: of its scenes nothing but land cover and classes is known here."""
    data = job.data
    simulated = isinstance(data, SimulatedConfig)
    known = {c.value for c in CLOUD_CLASSES} if simulated else set(CLASS_TABLE.values())
    names = tuple(c.name for c in CLOUD_CLASSES if c.value in known - {NODATA})
    lands: list[str | None] = [None]
    if isinstance(data, SimulatedConfig):
        specs = scene_specs(data.scenes, data.size, data.seed, data.sensors)
        lands = [spec.biome for spec in specs.values()][-data.test_scenes :]
    counts = np.ones((1, len(names), len(names) + 1), np.int64)
    none = np.zeros((1, 1), np.uint8)
    return summarise(
        {"test": [SceneScore("s", none, none, counts, {}, land) for land in lands]}, names, draws=2, seed=0
    )


def of_removal(job: JobConfig) -> dict[str, float]:
    """What the test of a restorer leaves, with some samples of every share that is hidden."""
    data = job.data
    lands: list[str | None] = [None]
    if isinstance(data, SimulatedSeriesConfig):
        places = {part: getattr(data, part) for part in ("train", "val", "test")}
        specs = series_specs(places, data.size, data.dates, data.seed, data.resolution, data.radar)
        lands = [spec.biome for spec in specs["test"].values()]
    count = BINS * len(lands)
    seen = np.ones((count, 1, 4, 4), bool)
    asked = Asked(np.zeros((count, 1, 4, 4)), seen, seen, ("red",), tuple(map(str, range(count))))
    found = RemovalScores(
        channels=("red",),
        sums={"test": restoration_sums(np.full((count, 1, 4, 4), 0.1), asked)},
        partial={},
        hidden=(np.arange(count) % BINS + 0.5) / BINS,
        unseen=np.zeros((count, 2)),
        scales={},
        errors=np.zeros(1),
        examples=(),
        series=asked.places,
        land_covers=tuple(lands[n // BINS] for n in range(count)),
    )
    return summarise_removal(found, draws=2, seed=0)


LEFT: dict[str, Callable[[JobConfig], dict[str, float]]] = {
    "cloud_segmentation": of_segmentation,
    "cloud_removal": of_removal,
}


def looked_at(plan: Plan, folder: Path) -> Iterator[tuple[list[Dataset], JobConfig]]:
    """The views of every data set of clouds that has some, and what one of its runs is asked."""
    first = {pair.dataset.key: pair for pair in reversed(pairs_of(plan)) if not pair.barred}
    for pair in first.values():
        views = [one.dataset for one in pair.seen_as(plan) if one.dataset.of]
        if views and pair.dataset.task in LEFT:
            yield views, compose(pair.words(plan, folder, 1, lr=1e-4, batch=8))


@pytest.mark.parametrize("name", ["clouds", "real"])
def test_every_view_looks_at_a_metric_that_its_runs_leave(name: str, tmp_path: Path) -> None:
    plan = read_plan(conf_dir() / "suite" / f"{name}.yaml")
    seen = 0
    for views, job in looked_at(plan, tmp_path):
        left = LEFT[job.task.name](job)
        for view in views:
            assert f"test/{view.metric}" in left, view.key
        seen += len(views)
    assert seen == sum(bool(one.of) and one.task in LEFT for one in plan.suite.datasets.values())


def test_clouds_are_grouped_by_cover_sensor_and_every_land_cover_of_the_test() -> None:
    plan = read_plan(conf_dir() / "suite" / "clouds.yaml")
    grouped = {key: set(group.datasets) for key, group in plan.suite.groups.items()}
    by_land = {key for key, one in plan.suite.datasets.items() if LAND_COVER in one.metric}
    members = [key for group in ("green", "bare", "built", "shores") for key in grouped[group]]
    assert sorted(members) == sorted(by_land) and len(by_land) == 20
    assert all("Simulated" in plan.suite.datasets[key].label for key in by_land)
    assert all(plan.suite.group(key).label.startswith("Simulated") for key in ("green", "bare", "built", "shores"))
    told = {plan.suite.datasets[key].metric for group in ("few_hidden", "many_hidden") for key in grouped[group]}
    assert told == {"mae/covered_10_20", "mae/covered_50_60"}
    assert grouped["landsat"] == {"csmask_landsat7"} and grouped["sentinel2"] == {"csmask_sentinel2", "worldcereal"}
