"""``geoadapt prepare``: make the data that a configuration asks for, where the project can make them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from geoadapt.cli.compose import compose
from geoadapt.cli.costs import check_folder, simulation_cost
from geoadapt.cli.grammar import Flag, Request, Verb
from geoadapt.errors import GeoadaptError

__all__ = ["VERB"]

SHOWN = 20
"""Names that are printed; a public data set has thousands."""


def _plan(request: Request) -> Callable[[], int]:
    from data_pipelines import PIPELINES

    data = compose(request.overrides).data
    if data.name not in PIPELINES:
        raise GeoadaptError(f"data={data.name}", "is brought, not made", f"choose data={'|'.join(PIPELINES)}")

    def work() -> int:
        names = PIPELINES[data.name](data)
        print(f"{len(names)} scenes in {' and '.join(part.root for part in _parts(data))}: {_shown(names)}")
        return 0

    def outline() -> int:
        print(
            "\n".join([*(line for part in _parts(data) for line in _outline(part)), "", "nothing was made (--dry-run)"])
        )
        return 0

    return outline if "--dry-run" in request.flags else work


def _shown(names: Sequence[str]) -> str:
    return ", ".join([*names[:SHOWN], "…"] if len(names) > SHOWN else names)


def _parts(data: Any) -> list[Any]:
    """The configurations of what can be made or checked: of mixed data its parts, otherwise the whole."""
    from data_pipelines import PIPELINES

    return [part for part in (data.parts() if hasattr(data, "parts") else [data]) if part.name in PIPELINES]


def _outline(data: Any) -> list[str]:
    """What would be made of one part; one that is brought is checked, which writes nothing. Raises GeoadaptError."""
    from data_pipelines import PIPELINES

    if not hasattr(data, "sensors"):
        names = PIPELINES[data.name](data)
        return [f"found     {len(names)} images in {data.root}: {_shown(names)}"]
    from data_pipelines.simulate.dataset import scene_specs

    check_folder(Path(data.root), "data.root")
    specs = scene_specs(data.scenes, data.size, data.seed, data.sensors)
    real = ["and       the real tiles under GEOADAPT_DATA, without labels"] if getattr(data, "real", False) else []
    return [
        f"make      {len(specs)} scenes of {data.size} × {data.size} px in {data.root}, where they are not there yet",
        f"scenes    {_shown(list(specs))}",
        *real,
        f"estimate  {simulation_cost(data.scenes, data.size, data.sensors)}",
    ]


VERB = Verb(
    summary="make or convert data for training",
    plan=_plan,
    flags=(Flag("--dry-run", "say what would be made and what it would cost, check what is brought, and stop"),),
    sections=("data",),
    examples=("geoadapt prepare data=simulated data.root=DIR data.scenes=8",),
)
