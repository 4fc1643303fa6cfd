"""Overrides: which keys and choices exist, and how a word becomes one that Hydra takes; neither Hydra nor torch.

In: ``group=choice`` or ``key=value`` as typed. Out: the same, checked, and quoted where its value is a path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from textwrap import wrap

import geoadapt
from geoadapt.config import GROUPS, SECTIONS
from geoadapt.errors import GeoadaptError, nearest

__all__ = ["CONFIG_SECTIONS", "LITERAL_KEYS", "choices", "conf_dir", "describe", "keys_of", "prepare", "quoted"]

CONFIG_SECTIONS = (*GROUPS, *SECTIONS, "experiment", "seed", "hydra")
"""Everything that an override of a whole job may begin with."""

LITERAL_KEYS = {
    "backbone.weights",
    "data.root",
    "data.path",
    "data.source",
    "data.images",
    "data.labels",
    "data.class_column",
    "data.mask",
    "data.masks",
    "infer.radar",
    "hydra.run.dir",
    "hydra.sweep.dir",
    "hydra.sweep.subdir",
    "train.controls",
    "train.start",
    "train.resume",
    "train.cache_dir",
}
"""Keys whose value is taken as typed: paths and names, in which a comma or a bracket is a comma or a bracket."""

OVERRIDE = re.compile(r"(?P<mark>\+{1,2}|~)?(?P<key>[^=+~\s][^=]*)(?:=(?P<value>.*))?", re.DOTALL)
PLAIN_CHOICES = re.compile(r"[\w-]+(,[\w-]+)*")


def conf_dir() -> Path:
    """The folder of YAML choices: inside the installed package, or beside it in the repository."""
    package = Path(geoadapt.__file__).parent
    for folder in (package / "conf", package.parent / "conf"):
        if (folder / "config.yaml").is_file():
            return folder
    raise GeoadaptError(package / "conf", "the configuration files are missing", "install geoadapt again")


def choices(group: str, more: Sequence[Path] = ()) -> list[str]:
    """The names that ``group=`` takes, from ``conf`` and from the user's own configuration folders."""
    return sorted({file.stem for root in (conf_dir(), *more) for file in (root / group).glob("*.yaml")})


def keys_of(section: str) -> dict[str, str]:
    """Keys of a section and their types as written; those of all its choices, where it is a group."""
    configs = [SECTIONS[section]] if section in SECTIONS else [entry.config for entry in GROUPS[section].values()]
    return {f.name: str(f.type) for config in configs for f in fields(config)}


def describe(sections: Iterable[str]) -> list[str]:
    """For each section a line with its choices, and one with its keys."""
    lines = []
    for section in sections:
        names = choices(section)
        if names and names != ["default"]:
            lines.append(f"{section}={'|'.join(names)}")
        if section in (*GROUPS, *SECTIONS):
            lines += wrap(f"{section}." + f" {section}.".join(key for key in keys_of(section) if key != "name"), 110)
    return lines


def prepare(overrides: Iterable[str], more: Sequence[Path] = ()) -> list[str]:
    """The overrides as Hydra takes them; raises GeoadaptError with the nearest name for a key or a choice."""
    return [_prepared(word, more) for word in overrides]


def quoted(value: str) -> str:
    """``value`` as a quoted string of Hydra's grammar, in which backslashes count only before a quote."""
    escaped = re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), value)
    return f"'{escaped}'"


def _prepared(word: str, more: Sequence[Path]) -> str:
    found = OVERRIDE.fullmatch(word)
    if found is None or (found["value"] is None and found["mark"] != "~"):
        raise GeoadaptError(word, "is neither group=choice nor key=value", nearest(word, CONFIG_SECTIONS))
    mark, key, value = found["mark"] or "", found["key"], found["value"]
    head, dot, rest = key.partition(".")
    if re.split("[/@.]", key)[0] == "hydra":
        return f"{mark}{key}={quoted(value)}" if key in LITERAL_KEYS and value else word
    if head not in CONFIG_SECTIONS:
        raise GeoadaptError(key, "unknown key", nearest(head, CONFIG_SECTIONS))
    if not dot:
        _check_choice(key, value, more)
        return word
    _check_key(key, head, rest)
    if mark == "~":
        return word
    return f"++{key}={_literal(key, value) if key in LITERAL_KEYS else value}"


def _check_choice(group: str, value: str | None, more: Sequence[Path]) -> None:
    """Raise for an unknown choice, where the value is a plain name or a sweep over plain names."""
    known = choices(group, more)
    if value == "" and known:
        raise GeoadaptError(group, "nothing is chosen", f"known: {', '.join(known)}")
    if group == "seed" or value is None or not PLAIN_CHOICES.fullmatch(value):
        return
    for choice in value.split(","):
        if choice not in known and (group, choice) != ("experiment", "null"):
            raise GeoadaptError(f"{group}={choice}", f"'{choice}' is unknown", nearest(choice, known))


def _check_key(key: str, section: str, rest: str) -> None:
    """Raise for an unknown key; only a key that holds a mapping has keys of its own."""
    if section not in (*GROUPS, *SECTIONS):
        raise GeoadaptError(key, f"'{section}' has no keys", f"write {section}=…")
    known = keys_of(section)
    name, dot, _ = rest.partition(".")
    if name not in known:
        raise GeoadaptError(key, "unknown key", _hint(section, name, known))
    if dot and not known[name].startswith("dict"):
        raise GeoadaptError(key, f"{section}.{name} is {known[name]} and has no keys", f"write {section}.{name}=…")


def _hint(section: str, name: str, known: Iterable[str]) -> str:
    return re.sub(r"'(\w+)'", rf"'{section}.\1'", nearest(name, known))


def _literal(key: str, value: str) -> str:
    if value == "null":
        return value
    if "${" in value:
        raise GeoadaptError(key, f"holds an interpolation: {value!r}", "write the path itself")
    return quoted(value)
