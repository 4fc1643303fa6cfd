"""A suite to run: its YAML with what was typed over it, and its pairs of a data set and an entry.

In: ``suite=NAME`` and ``suite.KEY=VALUE``. Out: a Plan, and the words of every run, as typed after ``geoadapt train``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from geoadapt.errors import GeoadaptError, nearest
from geoadapt.leaderboard.groups import Dataset, from_plain
from geoadapt.leaderboard.suite_config import KEYS, Beside, DatasetRun, Plan, SuiteEntry, plan_of

__all__ = ["Pair", "pairs_of", "places", "read_plan"]

OVERRIDE = re.compile(r"suite\.(?P<key>\w+)(?P<rest>[\w.]*)=(?P<value>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Pair:
    """One entry on one data set."""

    dataset: Dataset
    run: DatasetRun
    entry: SuiteEntry
    controls: tuple[Beside, ...]
    """Those that its runs bring along."""

    @property
    def name(self) -> str:
        """In a word, for people."""
        return f"{self.dataset.key}: {self.entry.name}"

    @property
    def slug(self) -> str:
        """The same as the name of a folder; no two pairs of a suite share one."""
        random = "random_" if self.entry.random else ""
        return f"{self.dataset.key}-{random}{self.entry.backbone}-{self.entry.adapter}"

    @property
    def barred(self) -> str:
        """Why the suite itself does not enter it, or nothing."""
        task, key = self.dataset.task, self.dataset.key
        if self.entry.enters(task, key):
            return ""
        return f"{self.entry.name} is entered for {', '.join([*self.entry.tasks, *self.entry.datasets])} alone"

    def seen_as(self, plan: Plan) -> tuple[Pair, ...]:
        """The same on every data set that its runs are scored for: those that look at them, and last its own."""
        views = [one for one in plan.suite.datasets.values() if one.of == self.dataset.key]
        return (*(replace(self, dataset=one) for one in views), self)

    def wanted(self) -> tuple[str, ...]:
        """The controls of the task that its runs fit."""
        return tuple(dict.fromkeys(c.control[self.dataset.task] for c in self.controls))

    def words(self, plan: Plan, folder: Path, seed: int, **chosen: float) -> list[str]:
        """What is typed after ``geoadapt train`` for one run; ``chosen`` are keys of ``train``.

        ``{dir}`` in the suite's words is the benchmark's folder, ``{data}`` the one of GEOADAPT_DATA.
        """
        entry, fill = self.entry, places(folder)
        # a pair that never runs needs no backbone as its data set would have it, and that one may not know the keys
        own = [word for word in self.run.words if not (self.barred and word.startswith("backbone."))]
        words = [*plan.words, *own, f"backbone={entry.backbone}", f"adapter={entry.adapter}"]
        words += [f"head={entry.head}"] if entry.head else []
        words += ["backbone.random_weights=true", f"backbone.seed={seed}"] if entry.random else []
        words += [*entry.words, *entry.words_on.get(self.run.key, ())]
        words += [f"train.{key}={value!r}" for key, value in chosen.items()]
        return [*(_filled(word, fill) for word in [*words, *plan.more]), f"seed={seed}"]


def pairs_of(plan: Plan) -> tuple[Pair, ...]:
    """All pairs, data set by data set in the order of the suite, those that it bars among them."""
    found = []
    for key, dataset in plan.suite.datasets.items():
        if dataset.of:
            continue
        for entry in plan.entries:
            mine = tuple(c for c in plan.controls if dataset.task in c.control and _bringer(c, plan, dataset) == entry)
            found.append(Pair(dataset, plan.datasets[key], entry, mine))
    return tuple(found)


def read_plan(path: Path, overrides: Sequence[str] = (), more: Sequence[str] = ()) -> Plan:
    """The plan of a YAML file with ``suite.KEY=VALUE`` over it; ``more`` are words for every run.

    Raises GeoadaptError for a file that is not there, a key that no suite has, or a value that cannot be.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        loaded = OmegaConf.load(path)
        typed = OmegaConf.from_dotlist([_dotted(word) for word in overrides])
        plain: Any = OmegaConf.to_container(OmegaConf.merge(loaded, typed), resolve=False)
    except FileNotFoundError as error:
        known = [file.stem for file in path.parent.glob("*.yaml")]
        raise GeoadaptError(f"suite={path.stem}", "there is no such suite", nearest(path.stem, known)) from error
    except (OSError, OmegaConfBaseException, YAMLError) as error:
        raise GeoadaptError(path, f"cannot be read: {str(error).splitlines()[0]}", "it is to be a YAML file") from error
    where = f"suite {path.stem}"
    return plan_of(_mapping(plain, where), from_plain(plain, where, path.stem), where, tuple(more))


def _bringer(control: Beside, plan: Plan, dataset: Dataset) -> SuiteEntry | None:
    """The entry whose runs bring a control along on a data set: the first of those it names that is entered."""
    known = {entry.name: entry for entry in plan.entries}
    names = (name for name in control.beside if known[name].enters(dataset.task, dataset.key))
    return next((known[name] for name in names), None)


def _dotted(word: str) -> str:
    found = OVERRIDE.fullmatch(word)
    if found is None:
        raise GeoadaptError(word, "is no suite.KEY=VALUE", f"keys are {', '.join(KEYS)}")
    if found["key"] not in KEYS:
        hint = re.sub(r"'(\w+)'", r"'suite.\1'", nearest(found["key"], KEYS))
        raise GeoadaptError(f"suite.{found['key']}", "unknown key", hint)
    return f"{found['key']}{found['rest']}={found['value']}"


def places(folder: Path) -> Mapping[str, str]:
    """What differs from machine to machine, and how a suite's words name it."""
    return {"{dir}": str(folder), "{data}": os.environ.get("GEOADAPT_DATA", "../shared/data")}


def _filled(word: str, fill: Mapping[str, str]) -> str:
    for name, place in fill.items():
        word = word.replace(name, place)
    return word


def _mapping(plain: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(plain, Mapping):
        raise GeoadaptError(where, "is no mapping of names to values", "see conf/suite/smoke.yaml")
    return {str(key): value for key, value in plain.items()}
