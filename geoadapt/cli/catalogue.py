"""``geoadapt list``: what a configuration may choose, and what its keys mean."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from geoadapt.cli.explain import explained
from geoadapt.cli.grammar import Flag, Request, Verb
from geoadapt.cli.keys import choices, conf_dir
from geoadapt.config import GROUPS, SECTIONS
from geoadapt.errors import GeoadaptError, nearest
from geoadapt.registry import look_up

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
    chosen = {word: _named(word, found) for word in request.paths} or found
    return lambda: _show(chosen, "--json" in request.flags)


def _named(word: str, found: Mapping[str, dict[str, str]]) -> dict[str, str]:
    """The choices of a group, or the keys of a section (``train``) or of one choice (``data=folder``)."""
    group, equals, choice = word.partition("=")
    if equals and group in GROUPS:
        return explained(look_up(GROUPS[group], choice, group).config, group)
    if word in SECTIONS:
        return explained(SECTIONS[word], word)
    if word not in found:
        raise GeoadaptError(word, "unknown group", nearest(word, (*found, *SECTIONS)))
    return found[word]


def _show(chosen: dict[str, dict[str, str]], as_json: bool) -> int:
    if as_json:
        print(json.dumps(chosen, indent=2, ensure_ascii=False))
        return 0
    wide = max((len(name) for names in chosen.values() for name in names), default=0) + 2
    for group, names in chosen.items():
        print(group)
        for name, text in names.items():
            first, *more = text.splitlines() or [""]
            print(f"  {name:<{wide}}{first}".rstrip())
            for line in more:
                print(f"  {'':<{wide}}{line}")
    return 0


VERB = Verb(
    summary="the backbones, adapters, heads, tasks, data sets and experiments that can be chosen; what keys mean",
    plan=_plan,
    paths="[GROUP|SECTION|GROUP=CHOICE…]",
    flags=(Flag("--json", "as JSON"),),
    examples=(
        "geoadapt list",
        "geoadapt list backbone adapter",
        "geoadapt list train infer",
        "geoadapt list data=folder",
    ),
)
