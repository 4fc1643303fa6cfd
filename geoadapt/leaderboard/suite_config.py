"""What a suite runs, as plain data: words per data set, entries, and the space that is searched; no torch.

In: the keys of ``conf/suite/NAME.yaml`` beside its data sets and groups. Out: the same, checked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from geoadapt.adapters import ADAPTERS, REGIMES
from geoadapt.errors import GeoadaptError, nearest
from geoadapt.leaderboard.groups import Suite
from geoadapt.leaderboard.page_words import RANDOM
from geoadapt.leaderboard.records import Regime
from geoadapt.registry import from_plain

__all__ = ["Beside", "DatasetRun", "Plan", "Space", "SuiteEntry", "plan_of"]


@dataclass
class Space:
    """What a search draws from; by default what GEO-Bench-2 publishes."""

    lr: list[float] = field(default_factory=lambda: [1e-6, 1e-3])
    """Lowest and highest, log-uniform."""
    scale: float = 1.0
    """Both times this: small models and short fits want higher rates than the published ones."""
    batch: list[int] = field(default_factory=lambda: [8, 16, 32])
    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        if len(self.lr) != 2 or not 0 < self.lr[0] <= self.lr[1] < math.inf:
            raise GeoadaptError("space.lr", f"{self.lr}", "write the lowest and the highest, such as [1e-6, 1e-3]")
        if not self.batch or min(self.batch) < 1:
            raise GeoadaptError("space.batch", f"{self.batch}", "write sizes from 1, such as [8, 16, 32]")
        if not 0 < self.scale < math.inf:
            raise GeoadaptError("space.scale", f"{self.scale}", "choose a positive number")
        if not 0 <= self.weight_decay < math.inf:
            raise GeoadaptError("space.weight_decay", f"{self.weight_decay}", "choose 0 or more")

    @property
    def rates(self) -> tuple[float, float]:
        """Lowest and highest learning rate."""
        return self.lr[0] * self.scale, self.lr[1] * self.scale


@dataclass(frozen=True, slots=True)
class DatasetRun:
    """How a data set is run: the words after ``geoadapt train``, and its own space."""

    key: str
    words: tuple[str, ...]
    space: Space


@dataclass
class SuiteEntry:
    """A backbone with an adapter, tuned and tested on every data set that it takes."""

    backbone: str
    adapter: str = "none"
    head: str = ""
    """Empty = the one that the data set's words choose."""
    random: bool = False
    """The control: the same with weights drawn from the run's seed."""
    words: list[str] = field(default_factory=list)
    """After those of the data set, such as ``backbone.patch_size=8``."""
    words_on: dict[str, list[str]] = field(default_factory=dict)
    """Data set → words that are said there alone, last."""
    tasks: list[str] = field(default_factory=list)
    """Those that it is entered for; empty = all."""
    datasets: list[str] = field(default_factory=list)
    """Those that it is entered for; empty = all."""

    @property
    def shown(self) -> str:
        """The backbone as records name it."""
        return self.backbone + RANDOM if self.random else self.backbone

    @property
    def name(self) -> str:
        """The entry in a word, as ``beside`` names it."""
        return f"{self.shown} + {self.adapter}"

    @property
    def regime(self) -> Regime:
        """In which a board ranks it; everything trained from random weights is ``scratch``."""
        known: Regime = REGIMES[_kind(self.adapter)]  # type: ignore[assignment]
        return "scratch" if self.random and known == "full" else known

    def enters(self, task: str, dataset: str) -> bool:
        """Whether it is entered for a data set."""
        return (not self.tasks or task in self.tasks) and (not self.datasets or dataset in self.datasets)


@dataclass
class Beside:
    """A control that a run brings along, computed in the same run on the same test: a rule, a model from scratch."""

    name: str
    control: dict[str, str]
    """Task → which of its controls it is."""
    regime: str = "none"
    beside: list[str] = field(default_factory=list)
    """Entries that may bring it along: on each data set the first that is entered for it. Empty = any."""

    def __post_init__(self) -> None:
        if self.regime not in ("none", "scratch", "frozen"):
            hint = "write none for a rule, scratch, or frozen for what stands on the backbone as it is"
            raise GeoadaptError("controls.regime", f"'{self.regime}'", hint)


@dataclass(frozen=True, slots=True)
class Plan:
    """A suite and how to run it."""

    suite: Suite
    datasets: Mapping[str, DatasetRun]
    entries: tuple[SuiteEntry, ...]
    controls: tuple[Beside, ...]
    words: tuple[str, ...]
    """For every run, before those of the data set."""
    more: tuple[str, ...]
    """For every run, after all others: what was typed."""
    trials: int
    """Of the search on each data set and entry; 0 = none, and the words say everything."""
    seeds: tuple[int, ...]
    """Of the runs of the best; the search has its own, ``search_seed``."""
    search_seed: int
    pruning: bool
    max_minutes: float | None
    """After which nothing new is begun."""


PLAIN = {"trials": 16, "search_seed": 0, "pruning": False, "max_minutes": None}
KEYS = ("datasets", "groups", "name", "protocol", "seeds", "runs", "entries", "controls", "space", "words", *PLAIN)


def plan_of(plain: Mapping[str, Any], suite: Suite, where: str, more: tuple[str, ...] = ()) -> Plan:
    """The plan of a suite's plain data; raises GeoadaptError with the key and the nearest right name."""
    for key in plain:
        if key not in KEYS:
            raise GeoadaptError(f"{where}: {key}", "unknown key", nearest(str(key), KEYS))
    for key in ("runs", "entries"):
        if not plain.get(key):
            hint = "this suite is for records that are brought, or add what runs: see conf/suite/smoke.yaml"
            raise GeoadaptError(where, f"has no {key}: nothing says how its data sets are run", hint)
    space = dict(_mapping(plain.get("space") or {}, f"{where}: space"))
    entries = tuple(_entry(told, suite, f"{where}: entries[{i}]") for i, told in enumerate(plain["entries"]))
    _refuse_twins(entries, where)
    plan = Plan(
        suite,
        _runs(plain["runs"], suite, space, where),
        entries,
        tuple(_beside(told, entries, f"{where}: controls[{i}]") for i, told in enumerate(plain.get("controls") or [])),
        tuple(str(word) for word in plain.get("words") or ()),
        more,
        seeds=_seeds(plain.get("seeds", 5)),
        **{key: plain.get(key, default) for key, default in PLAIN.items()},
    )
    _check(plan, where)
    return plan


def _runs(plain: Any, suite: Suite, space: Mapping[str, Any], where: str) -> dict[str, DatasetRun]:
    found = {}
    for key, told in _mapping(plain, f"{where}: runs").items():
        here = f"{where}: runs.{key}"
        if of := suite.dataset(key, f"{where}: runs").of:
            raise GeoadaptError(
                here, f"looks at the runs of {of}, and has none of its own", f"remove it, or its of: {of}"
            )
        told = _mapping(told, here)
        for name in told:
            if name not in ("words", "space"):
                raise GeoadaptError(here, f"unknown key '{name}'", nearest(name, ("words", "space")))
        own = from_plain(Space, {**space, **_mapping(told.get("space") or {}, f"{here}.space")}, f"{here}.space")
        found[key] = DatasetRun(key, tuple(str(word) for word in told.get("words") or ()), own)
    absent = [key for key, dataset in suite.datasets.items() if key not in found and not dataset.of]
    if absent:
        raise GeoadaptError(f"{where}: runs", f"lacks {', '.join(absent)}", "say how each data set is run")
    return {key: found[key] for key in suite.datasets if key in found}


def _entry(told: Any, suite: Suite, where: str) -> SuiteEntry:
    entry = from_plain(SuiteEntry, _mapping(told, where), where)
    if not _kind(entry.adapter):
        raise GeoadaptError(f"{where}.adapter", f"'{entry.adapter}' is unknown", nearest(entry.adapter, ADAPTERS))
    for name in entry.datasets:
        suite.dataset(name, f"{where}.datasets")
    for name in entry.words_on:
        if suite.dataset(name, f"{where}.words_on").of:
            raise GeoadaptError(
                f"{where}.words_on", f"'{name}' has no runs of its own", "name the data set that it looks at"
            )
    tasks = {dataset.task for dataset in suite.datasets.values()}
    for name in entry.tasks:
        if name not in tasks:
            raise GeoadaptError(f"{where}.tasks", f"'{name}' is the task of no data set", nearest(name, tasks))
    return entry


def _kind(adapter: str) -> str:
    """The method that a choice is of: a file may also give a method other numbers, and its name then begins with it."""
    return next((name for name in ADAPTERS if adapter == name or adapter.startswith(f"{name}_")), "")


def _beside(told: Any, entries: tuple[SuiteEntry, ...], where: str) -> Beside:
    control = from_plain(Beside, _mapping(told, where), where)
    names = [entry.name for entry in entries]
    for name in control.beside:
        if name not in names:
            raise GeoadaptError(f"{where}.beside", f"'{name}' is no entry", nearest(name, names))
    return replace(control, beside=control.beside or names)


def _refuse_twins(entries: tuple[SuiteEntry, ...], where: str) -> None:
    names = [entry.name for entry in entries]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise GeoadaptError(
            f"{where}: entries", f"{', '.join(twice)} stands there twice", "a board tells them not apart"
        )


def _seeds(given: Any) -> tuple[int, ...]:
    """``n`` are the seeds 1 to n: 0 is the search's, so that nothing is tested that was chosen by its own luck."""
    seeds = tuple(given) if isinstance(given, list) else tuple(range(1, given + 1))
    if len(set(seeds)) < len(seeds) or not all(isinstance(s, int) and 0 <= s < 2**32 for s in seeds):
        raise GeoadaptError("suite.seeds", f"{given!r}", "write a number of runs, or seeds that differ")
    return seeds


def _check(plan: Plan, where: str) -> None:
    for name, least in (("trials", 0), ("search_seed", 0)):
        value = getattr(plan, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise GeoadaptError(f"{where}: {name}", f"{value!r}", f"write a whole number from {least}")
    if not isinstance(plan.pruning, bool):
        raise GeoadaptError(f"{where}: pruning", f"{plan.pruning!r}", "write true or false")
    limit = plan.max_minutes
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | float) or not limit > 0):
        raise GeoadaptError(f"{where}: max_minutes", f"{limit!r}", "choose more than 0, or null for no limit")


def _mapping(plain: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(plain, Mapping):
        raise GeoadaptError(where, f"{str(plain)[:40]!r} is no mapping of names to values", "see conf/suite/smoke.yaml")
    return {str(key): value for key, value in plain.items()}
