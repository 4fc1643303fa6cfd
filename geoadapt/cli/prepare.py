"""``geoadapt prepare``: make the data that a configuration asks for, where the project can make them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from geoadapt.cli.compose import compose
from geoadapt.cli.costs import check_folder, simulation_cost
from geoadapt.cli.grammar import Flag, Request, Verb
from geoadapt.errors import GeoadaptError
from geoadapt.words import counted

__all__ = ["VERB"]

PLACE_SECONDS = 0.4
"""Of one core for a simulated place of 128 px and 16 dates, as measured once [s]."""
CORE_SECONDS = 25
"""Of one core for a simulated planet and year at T31, as measured once [s]."""
SPIN_UP = 0.25
"""Simulated before what is kept [years]."""
NOUNS = {
    "simulated": "simulated scene",
    "simulated_series": "simulated place",
    "pretraining": "scene",
    "simulated_weather": "simulated planet",
    "weather_pretraining": "simulated planet",
    "era5": "cube",
    "merra2": "cube",
    "mixed": "scene",
    "geobench2": "file",
    "geobench2_standin": "simulated stand-in",
}
"""What is made, by the name of the data; of public data sets images are found."""
SHOWN = 20
"""Names that are printed; a public data set has thousands."""


def _plan(request: Request) -> Callable[[], int]:
    from data_pipelines import PIPELINES

    data = compose(request.overrides).data
    if data.name not in PIPELINES:
        raise GeoadaptError(f"data={data.name}", "is brought, not made", f"choose data={'|'.join(PIPELINES)}")

    def work() -> int:
        names = PIPELINES[data.name](data)
        places = " and ".join(_place(part) for part in _parts(data))
        print(f"{_what(data, names)} in {places}: {_shown(names)}")
        return 0

    def outline() -> int:
        print(
            "\n".join([*(line for part in _parts(data) for line in _outline(part)), "", "nothing was made (--dry-run)"])
        )
        return 0

    return outline if "--dry-run" in request.flags else work


def _shown(names: Sequence[str]) -> str:
    return ", ".join([*names[:SHOWN], "…"] if len(names) > SHOWN else names)


def _what(data: Any, names: Sequence[str]) -> str:
    """How many there are, and of what."""
    return counted(len(names), NOUNS.get(data.name, "image"))


def _place(data: Any) -> str:
    return str(data.path if hasattr(data, "path") else data.root)


def _parts(data: Any) -> list[Any]:
    """The configurations of what can be made or checked: of mixed data its parts, otherwise the whole."""
    from data_pipelines import PIPELINES

    return [part for part in (data.parts() if hasattr(data, "parts") else [data]) if part.name in PIPELINES]


def _outline(data: Any) -> list[str]:
    """What would be made of one part; one that is brought is checked, which writes nothing. Raises GeoadaptError."""
    from data_pipelines import PIPELINES

    if hasattr(data, "source"):
        if not data.source:
            raise GeoadaptError("data.source", "is empty", "name the archive that the cube is made from")
        check_folder(Path(data.path).parent, "data.path")
        return [f"make      {data.path} from {data.source}, where it is not there yet"]
    if hasattr(data, "interval_hours"):
        check_folder(Path(data.root), "data.root")
        return _planets(data)
    if hasattr(data, "test_months"):
        check_folder(Path(data.root), "data.root")
        return _places(data)
    if data.name == "geobench2_standin":
        return _stand_ins(data)
    if not hasattr(data, "sensors"):
        names = PIPELINES[data.name](data)
        return [f"found     {_what(data, names)} in {data.root}: {_shown(names)}"]
    from data_pipelines.simulate.dataset import scene_specs

    check_folder(Path(data.root), "data.root")
    specs = scene_specs(data.scenes, data.size, data.seed, data.sensors)
    real = ["and       the real tiles under GEOADAPT_DATA, without labels"] if getattr(data, "real", False) else []
    return [
        f"make      {counted(len(specs), 'scene')} of {data.size} × {data.size} px in {data.root}, "
        f"{_still(len(specs))}",
        f"scenes    {_shown(list(specs))}",
        *real,
        f"estimate  {simulation_cost(data.scenes, data.size, data.sensors)}",
    ]


def _stand_ins(data: Any) -> list[str]:
    """What would be made of GEO-Bench-2's data sets."""
    check_folder(Path(data.root), "data.root")
    samples = counted(data.train + data.val + data.test, "sample")
    which = "of every data set of GEO-Bench-2" if data.dataset == "all" else f"of {data.dataset}"
    side = f"at most {data.size} px" if data.size else "the published size"
    return [f"make      simulated stand-ins {which}, {samples} of {side} each, in {data.root}, where they differ"]


def _still(count: int) -> str:
    return f"where {'it is' if count == 1 else 'they are'} not there yet"


def _places(data: Any) -> list[str]:
    """What would be simulated of time series, by what it took once."""
    count = data.train + data.val + data.test
    minutes = PLACE_SECONDS * count * data.dates / 16 * (data.size / 128) ** 2 / 60
    return [
        f"make      {counted(count, 'simulated place')} of {data.size} × {data.size} px and "
        f"{counted(data.dates, 'date')} in {data.root}, {_still(count)}",
        f"estimate  {minutes:.1f} min of one core",
    ]


def _planets(data: Any) -> list[str]:
    """What would be simulated of the weather, by what it took once."""
    states = round(data.years * 365.25 * 24 / data.interval_hours)
    lines, minutes, disk = [], 0.0, 0.0
    planets = data.planets if hasattr(data, "planets") else {f"t{data.truncation}": data.members}
    for name, count in planets.items():
        truncation = int(name[1:])
        rows = round(1.5 * (truncation + 1))
        minutes += count * (data.years + SPIN_UP) * CORE_SECONDS * (truncation / 31) ** 3 / 60
        disk += count * states * 7 * rows * 2 * rows * 4 / 2**20
        lines.append(
            f"make      {counted(count, 'simulated planet')} of {counted(data.years, 'year')}, every "
            f"{data.interval_hours} h, {rows} × {2 * rows} cells, in {data.root}, {_still(count)}"
        )
    return [*lines, f"estimate  {minutes:.0f} min of one core, {disk:.0f} MiB before compression"]


VERB = Verb(
    summary="make or convert data for training",
    plan=_plan,
    flags=(Flag("--dry-run", "say what would be made and what it would cost, check what is brought, and stop"),),
    sections=("data",),
    examples=("geoadapt prepare data=simulated data.root=DIR data.scenes=8",),
)
