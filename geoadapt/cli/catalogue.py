"""``geoadapt list``: what a configuration may choose."""

from __future__ import annotations

import json
from collections.abc import Callable

from geoadapt.cli.grammar import Flag, Request, Verb
from geoadapt.cli.keys import choices, conf_dir
from geoadapt.config import GROUPS
from geoadapt.errors import GeoadaptError, nearest

__all__ = ["VERB", "catalogue"]


def catalogue() -> dict[str, dict[str, str]]:
    """Group → choice → what it is, in one sentence; with the ready-made experiments."""
    found = {
        group: {name: (entry.config.__doc__ or "").splitlines()[0] for name, entry in entries.items()}
        for group, entries in GROUPS.items()
    }
    return {**found, "experiment": {name: _first_comment(name) for name in choices("experiment")}}


def _first_comment(experiment: str) -> str:
    """What an experiment's file says of itself, below its package line."""
    lines = (conf_dir() / "experiment" / f"{experiment}.yaml").read_text(encoding="utf-8").splitlines()
    comments = [line.removeprefix("# ") for line in lines if line.startswith("# ") and "@package" not in line]
    return comments[0] if comments else ""


def _plan(request: Request) -> Callable[[], int]:
    found = catalogue()
    for group in request.paths:
        if group not in found:
            raise GeoadaptError(group, "unknown group", nearest(group, found))
    chosen = {group: names for group, names in found.items() if group in (request.paths or found)}
    return lambda: _show(chosen, "--json" in request.flags)


def _show(chosen: dict[str, dict[str, str]], as_json: bool) -> int:
    if as_json:
        print(json.dumps(chosen, indent=2, ensure_ascii=False))
        return 0
    wide = max((len(name) for names in chosen.values() for name in names), default=0) + 2
    for group, names in chosen.items():
        print(group)
        for name, text in names.items():
            print(f"  {name:<{wide}}{text}")
    return 0


VERB = Verb(
    summary="the backbones, adapters, heads, tasks, data sets and experiments that can be chosen",
    plan=_plan,
    paths="[GROUP…]",
    flags=(Flag("--json", "as JSON"),),
    examples=("geoadapt list", "geoadapt list backbone adapter"),
)
