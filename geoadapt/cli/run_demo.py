"""``geoadapt demo``: simulated scenes, an adapted backbone, a masked scene and a page, in a minute and a half."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from geoadapt.cli.grammar import Flag, Request, Verb

__all__ = ["VERB"]


def _plan(request: Request) -> Callable[[], int]:
    output = Path(request.flags.get("--output", "outputs/demo"))

    def work() -> int:
        from geoadapt.cli.demo import demo

        demo(output)
        return 0

    return work


VERB = Verb(
    summary="see it work, on simulated scenes: adapt, predict, report; no network, no download",
    plan=_plan,
    flags=(Flag("--output", "where everything goes (outputs/demo)", value="DIR", short="-o"),),
    examples=("geoadapt demo",),
)
