"""Raw archives to canonical data that training reads; one module per source.

In: a data configuration (``root`` and what the source needs). Out: a folder under ``root``, complete.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["PIPELINES", "ensure"]


def simulated(config: Any) -> list[str]:
    """Simulated scenes under ``config.root``, unless they are there; returns their names."""
    from data_pipelines.simulate.dataset import write_dataset

    return write_dataset(Path(config.root), config.scenes, config.size, config.seed, config.sensors)


def simulated_series(config: Any) -> list[str]:
    """Simulated time series under ``config.root``, unless they are there; returns their names."""
    from data_pipelines.simulate.series_dataset import series_specs, write_series

    places = {part: getattr(config, part) for part in ("train", "val", "test")}
    specs = series_specs(places, config.size, config.dates, config.seed, config.resolution, config.radar)
    return write_series(Path(config.root), specs)


def pretraining(config: Any) -> list[str]:
    """Simulated scenes and real tiles without labels under ``config.root``; returns their names."""
    from data_pipelines.pretraining import make_pretraining

    root = Path(config.root)
    made = make_pretraining(root, config.scenes, config.size, config.seed, config.sensors, config.real)
    return [*made["simulated"], *made["real"]]


def simulated_weather(config: Any) -> list[str]:
    """Simulated planets under ``config.root``, unless they are there; returns their names."""
    return _planets(config, Path(config.root), config.truncation, config.members, config.seed)


def weather_pretraining(config: Any) -> list[str]:
    """Simulated planets of every truncation in ``config.planets``, other ones at each, unless they are there."""
    names = []
    for place, (folder, count) in enumerate(config.planets.items()):
        if count:
            made = _planets(config, Path(config.root) / folder, int(folder[1:]), count, config.seed + place)
            names += [f"{folder}/{name}" for name in made]
    return names


def _planets(config: Any, root: Path, truncation: int, count: int, seed: int) -> list[str]:
    from data_pipelines.simulate.weather import member_path, write_weather

    write_weather(
        root,
        years=config.years,
        members=count,
        seed=seed,
        interval_hours=config.interval_hours,
        truncation=truncation,
    )
    return [member_path(root, member).name for member in range(count)]


def era5(config: Any) -> list[str]:
    """The training cube at ``config.path`` from an ERA5 archive, unless it is there."""
    from data_pipelines.era5 import Era5Request, prepare_era5

    request = Era5Request(
        config.source,
        tuple(config.variables),
        tuple(config.levels),
        config.start,
        config.end,
        config.interval,
        config.average,
        config.resolution,
        config.poles,
    )
    return [str(prepare_era5(request, Path(config.path), shard=config.shard))]


def merra2(config: Any) -> list[str]:
    """The training cube at ``config.path`` from MERRA-2 files, unless it is there."""
    from data_pipelines.merra2 import prepare_merra2

    return [str(prepare_merra2(Path(config.source), Path(config.path), config.start, config.end, shard=config.shard))]


def brought(config: Any) -> list[str]:
    """Names of a public data set's images, once its folders are checked; an error says what to download."""
    from data_pipelines.cloud_datasets import check_dataset

    return check_dataset(config.name, Path(config.root), config.train_splits)


def geobench2(config: Any) -> list[str]:
    """A line per file of a data set of GEO-Bench-2, checked; an error says what to download."""
    from data_pipelines.geobench2 import check_geobench2

    return check_geobench2(config.dataset, Path(config.root))


def geobench2_standin(config: Any) -> list[str]:
    """Simulated stand-ins for GEO-Bench-2's data sets under ``config.root``, unless they are there; their keys."""
    from data_pipelines.geobench_standins import StandinSpec, write_standins
    from geoadapt.cubes.geobench2_table import GEOBENCH2

    keys = list(GEOBENCH2) if config.dataset == "all" else [config.dataset]
    spec = StandinSpec(config.train, config.val, config.test, config.size, config.files, config.seed)
    return write_standins(Path(config.root), keys, spec)


def mixed(config: Any) -> list[str]:
    """What both parts need: the simulated scenes, and what the real part's own pipeline makes or checks."""
    return [name for part in config.parts() if part.name in PIPELINES for name in PIPELINES[part.name](part)]


PIPELINES: dict[str, Callable[[Any], list[str]]] = {
    "simulated": simulated,
    "simulated_series": simulated_series,
    "pretraining": pretraining,
    "simulated_weather": simulated_weather,
    "weather_pretraining": weather_pretraining,
    "era5": era5,
    "merra2": merra2,
    "mixed": mixed,
    "geobench2": geobench2,
    "geobench2_standin": geobench2_standin,
    "hrc_whu": brought,
    "gf12ms_whu_gf1": brought,
    "gf12ms_whu_gf2": brought,
    "cloudsen12_high_l1c": brought,
    "cloudsen12_high_l2a": brought,
    "l8_biome": brought,
}


def ensure(data_config: Any) -> None:
    """Make what a data configuration needs, or check the public data set that it names; nothing for one's own data."""
    if data_config.name in PIPELINES:
        PIPELINES[data_config.name](data_config)
