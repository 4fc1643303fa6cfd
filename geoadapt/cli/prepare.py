"""``geoadapt prepare``: make the data that a configuration asks for, where the project can make them."""

from __future__ import annotations

from collections.abc import Callable

from geoadapt.cli.compose import compose
from geoadapt.cli.grammar import Request, Verb
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
        shown = [*names[:SHOWN], "…"] if len(names) > SHOWN else names
        print(f"{len(names)} scenes in {data.root}: {', '.join(shown)}")
        return 0

    return work


VERB = Verb(
    summary="make or convert data for training",
    plan=_plan,
    sections=("data",),
    examples=("geoadapt prepare data=simulated data.root=DIR data.scenes=8",),
)
