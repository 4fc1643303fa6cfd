"""``geoadapt demo``: simulated scenes, an adapted backbone, a masked scene and a page, in a minute and a half."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from geoadapt.cli.grammar import Flag, Request, Verb
from geoadapt.errors import GeoadaptError

__all__ = ["VERB"]


def _plan(request: Request) -> Callable[[], int]:
    output = Path(request.flags.get("--output", "outputs/demo"))
    size, seed = _number(request, "--size", 2048, least=16), _number(request, "--seed", 0)

    def work() -> int:
        from geoadapt.cli.demo import demo
        from geoadapt.inference.folder import hold, make_ready

        make_ready(output)
        with hold(output):
            return demo(output, seed=seed, size=size)

    def outlined() -> int:
        from geoadapt.cli.demo import outline

        print("\n".join([*outline(output, seed=seed, size=size), "", "nothing was run (--dry-run)"]))
        return 0

    return outlined if "--dry-run" in request.flags else work


def _number(request: Request, flag: str, default: int, least: int = 0) -> int:
    text = request.flags.get(flag, str(default))
    if not text.isdecimal() or int(text) < least:
        raise GeoadaptError(flag, f"'{text}'", "write a whole number" + (f", {least} or more" if least else ""))
    return int(text)


VERB = Verb(
    summary="see it work, on simulated scenes: adapt, predict, report; no network, no download",
    plan=_plan,
    flags=(
        Flag("--output", "where everything goes (outputs/demo)", value="DIR", short="-o"),
        Flag("--size", "side of the scene that is masked at the end (2048)", value="PX"),
        Flag("--seed", "another seed, other scenes (0)", value="N"),
        Flag("--dry-run", "say what would be done and what it would cost, and stop"),
    ),
    examples=("geoadapt demo",),
)
