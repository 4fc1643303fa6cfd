"""Capability groups: which data sets a score is made of, as data in ``conf/suite/*.yaml``.

In: a suite's YAML. Out: its data sets and groups, checked. What else a suite holds is for who runs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from geoadapt.errors import GeoadaptError, nearest
from geoadapt.leaderboard.records import DIRECTIONS, Direction

__all__ = ["Dataset", "Group", "Suite", "from_plain", "read_suite"]


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set of a suite: its task, and the metric that its runs are compared by."""

    key: str
    task: str
    metric: str
    direction: Direction = "max"
    label: str = ""
    scale: float | None = None
    """Where a board wants 1 - RMSE x scale in place of an RMSE."""
    of: str = ""
    """The data set whose runs it looks at by another metric: a lead time, a class, a share under cloud."""


@dataclass(frozen=True, slots=True)
class Group:
    """A capability: a score over the runs of its data sets."""

    key: str
    label: str
    about: str
    datasets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Suite:
    """Data sets and capability groups of a board."""

    name: str
    datasets: Mapping[str, Dataset]
    groups: Mapping[str, Group]
    seeds: int = 5
    """Runs that every entry needs on every data set."""

    def dataset(self, key: str, where: str = "dataset") -> Dataset:
        """The data set called ``key``; raises GeoadaptError with the nearest name."""
        if key not in self.datasets:
            raise GeoadaptError(where, f"'{key}' is no data set of {self.name}", nearest(key, self.datasets))
        return self.datasets[key]

    def group(self, name: str) -> Group:
        """The group by key or label; raises GeoadaptError with the nearest name."""
        for group in self.groups.values():
            if name in (group.key, group.label):
                return group
        raise GeoadaptError("group", f"'{name}' is no group of {self.name}", nearest(name, self.groups))

    def metrics(self) -> dict[str, str]:
        """The metric of every data set."""
        return {key: dataset.metric for key, dataset in self.datasets.items()}


def read_suite(path: Path) -> Suite:
    """The suite of a YAML file; raises GeoadaptError where a group names no data set of it, or a key is unknown."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        plain = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except FileNotFoundError as error:
        known = [file.stem for file in path.parent.glob("*.yaml")]
        raise GeoadaptError(path, "there is no such suite", nearest(path.stem, known)) from error
    except (OSError, OmegaConfBaseException, YAMLError) as error:
        raise GeoadaptError(path, f"cannot be read: {str(error).splitlines()[0]}", "it is to be a YAML file") from error
    return from_plain(plain, str(path), path.stem)


def from_plain(plain: Any, where: str, name: str = "suite") -> Suite:
    """A suite from plain data with ``datasets`` and ``groups``; other keys are left to who runs the suite."""
    given = _mapping(plain, where)
    datasets = {
        key: _dataset(key, _mapping(told, f"{where}: datasets.{key}"), f"{where}: datasets.{key}")
        for key, told in _mapping(given.get("datasets"), f"{where}: datasets").items()
    }
    for key, dataset in datasets.items():
        _check_view(key, dataset, datasets, f"{where}: datasets.{key}.of")
    groups = {
        key: _group(key, _mapping(told, f"{where}: groups.{key}"), datasets, f"{where}: groups.{key}")
        for key, told in _mapping(given.get("groups", {}), f"{where}: groups").items()
    }
    seeds = given.get("seeds", 5)
    count = len(seeds) if isinstance(seeds, list) else seeds
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise GeoadaptError(f"{where}: seeds", f"{seeds!r} is no number of runs", "write a number from 1, or a list")
    return Suite(str(given.get("name", name)), datasets, groups, count)


def _dataset(key: str, told: Mapping[str, Any], where: str) -> Dataset:
    _known(told, [f.name for f in fields(Dataset) if f.name != "key"], where)
    for needed in ("task", "metric"):
        if not isinstance(told.get(needed), str):
            raise GeoadaptError(where, f"lacks its {needed}", f"add {needed}: NAME")
    if told.get("direction", "max") not in DIRECTIONS:
        raise GeoadaptError(where, f"direction '{told['direction']}' is unknown", "write max or min")
    return Dataset(key, **told)


def _check_view(key: str, view: Dataset, datasets: Mapping[str, Dataset], where: str) -> None:
    if not view.of:
        return
    found = datasets.get(view.of)
    if found is None or found.of:
        known = [name for name, dataset in datasets.items() if not dataset.of]
        raise GeoadaptError(where, f"'{view.of}' is no data set of its own", nearest(view.of, known))
    if found.task != view.task:
        raise GeoadaptError(where, f"{key} is of {view.task}, and {view.of} of {found.task}", "give both one task")


def _group(key: str, told: Mapping[str, Any], datasets: Mapping[str, Dataset], where: str) -> Group:
    _known(told, ["label", "about", "datasets"], where)
    members = told.get("datasets")
    if not isinstance(members, list) or not members:
        raise GeoadaptError(where, "has no data sets", "add datasets: [NAME, …]")
    for member in members:
        if member not in datasets:
            raise GeoadaptError(where, f"'{member}' is no data set of this suite", nearest(str(member), datasets))
    twice = sorted({m for m in members if members.count(m) > 1})
    if twice:
        raise GeoadaptError(where, f"names {', '.join(twice)} twice", "a data set counts once in a group")
    return Group(key, str(told.get("label", key)), str(told.get("about", "")), tuple(members))


def _known(told: Mapping[str, Any], names: list[str], where: str) -> None:
    for key in told:
        if key not in names:
            raise GeoadaptError(where, f"unknown key '{key}'", nearest(str(key), names))


def _mapping(plain: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(plain, Mapping):
        raise GeoadaptError(where, f"{str(plain)[:40]!r} is no mapping of names to values", "see conf/suite")
    return {str(key): value for key, value in plain.items()}
