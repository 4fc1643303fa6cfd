"""What was typed, sorted: ``geoadapt VERB [PATHS…] [--flags] [group=choice] [key=value]``.

In: the words after the verb. Out: a ``Request``. Paths are ordinary words and are never parsed any further; a word is
an override only when its key is one that the verb takes and no file has that name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from geoadapt.errors import GeoadaptError, nearest

__all__ = ["Flag", "Request", "Verb", "parse"]

ASSIGNMENT = re.compile(r"(?:\+{1,2})?(?P<head>[A-Za-z_]\w*)(?:[./@][^=\s]*)?=")

SURE = 0.8
"""How much alike a word and a key must be for the word to be a slip and no path: ``date=…`` is no slip of ``data``."""


@dataclass(frozen=True, slots=True)
class Flag:
    """A ``--flag``; with ``value``, the name of what follows it in the help, it takes one."""

    name: str
    help: str
    value: str = ""
    short: str = ""
    many: bool = False
    """It may be given several times; its values come joined by commas."""


@dataclass(frozen=True, slots=True)
class Request:
    """One command: the paths, the flags with their values ("" for a switch), the overrides, and the line as typed."""

    paths: tuple[str, ...]
    flags: dict[str, str]
    overrides: tuple[str, ...]
    command: str

    def required(self, flag: str) -> str:
        """The value of a flag that must be there; raises GeoadaptError."""
        if flag not in self.flags:
            raise GeoadaptError(flag, "is missing", f"add {flag} …, or see --help")
        return self.flags[flag]


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb: what it does, what it takes, and ``plan``, which checks a request and returns the work still to be done.

    What ``plan`` raises is the caller's mistake (exit status 2); what the work raises is a failure (1).
    """

    summary: str
    plan: Callable[[Request], Callable[[], int]]
    paths: str = ""
    """How the paths are called in the help; empty = the verb takes none."""
    flags: tuple[Flag, ...] = ()
    sections: tuple[str, ...] = ()
    """Groups and sections of the configuration that may be overridden."""
    examples: tuple[str, ...] = field(default=())


def parse(verb: Verb, words: Sequence[str], command: str) -> Request:
    """Sort the words; raises GeoadaptError for an unknown flag, a missing value, or a word that is nothing."""
    known = {name: flag for flag in verb.flags for name in (flag.name, flag.short) if name}
    flags: dict[str, str] = {}
    paths: list[str] = []
    overrides: list[str] = []
    queue = list(words)
    while queue:
        word = queue.pop(0)
        if word == "--":
            paths += queue
            break
        if word.startswith("-") and len(word) > 1 and not (verb.paths and os.path.exists(word)):
            flag, value = _flag(word, queue, known)
            before = f"{flags[flag.name]}," if flag.many and flag.name in flags else ""
            flags[flag.name] = before + value
        elif _is_override(word, verb):
            overrides.append(word)
        else:
            _refuse_misspelt(word, verb)
            paths.append(word)
    if paths and not verb.paths:
        if not verb.sections:
            raise GeoadaptError(paths[0], "is no flag, and nothing else is taken here", "see --help")
        raise GeoadaptError(
            paths[0], "is neither a flag nor group=choice nor key=value", nearest(paths[0], verb.sections)
        )
    return Request(tuple(paths), flags, tuple(overrides), command)


def _flag(word: str, queue: list[str], known: dict[str, Flag]) -> tuple[Flag, str]:
    """The flag that ``word`` names, and its value: after ``=``, or the next word whatever it looks like."""
    name, equals, value = word.partition("=")
    if name not in known:
        raise GeoadaptError(name, "unknown flag", nearest(name, known))
    flag = known[name]
    if not flag.value:
        if equals:
            raise GeoadaptError(name, "takes no value", f"write {name} alone")
        return flag, ""
    if not equals:
        if not queue:
            raise GeoadaptError(name, "has no value", f"write {name} {flag.value}")
        value = queue.pop(0)
    return flag, value


def _refuse_misspelt(word: str, verb: Verb) -> None:
    """Raise for what looks like an override, is no file, and whose key all but spells one that the verb takes."""
    found = ASSIGNMENT.match(word)
    if found is None or os.path.lexists(word):
        return
    meant = get_close_matches(found["head"], verb.sections, n=1, cutoff=SURE)
    if meant:
        raise GeoadaptError(word, "is neither a file nor a key", f"did you mean '{meant[0]}'?")


def _is_override(word: str, verb: Verb) -> bool:
    if not verb.sections:
        return False
    if not verb.paths:
        return "=" in word or word.startswith("~")
    found = ASSIGNMENT.match(word)
    return found is not None and found["head"] in verb.sections and not os.path.lexists(word)
