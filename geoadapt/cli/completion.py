"""Completion in the shell: verbs, flags, groups, choices and keys, from the tables that the checks use.

In: ``install=bash`` or ``query=bash`` (with bash's COMP_LINE). Out: a line for ``eval``, or the candidates.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from geoadapt.cli.keys import choices, keys_of
from geoadapt.config import GROUPS, SECTIONS
from geoadapt.errors import GeoadaptError

__all__ = ["answer", "candidates"]

INSTALL = "complete -o nospace -o default -C 'geoadapt -sc query=bash' geoadapt"


def answer(words: list[str]) -> str:
    """What ``geoadapt -sc …`` prints."""
    if words[:1] in (["install=bash"], ["install=zsh"]):
        return INSTALL if words[0] == "install=bash" else f"autoload -U +X bashcompinit && bashcompinit; {INSTALL}"
    if words[:1] == ["uninstall=bash"]:
        return "complete -r geoadapt"
    if words[:1] == ["query=bash"]:
        line = os.environ.get("COMP_LINE", "")[: int(os.environ.get("COMP_POINT", "1000000"))]
        return "\n".join(candidates(line))
    raise GeoadaptError(
        "-sc", f"{' '.join(words) or 'nothing'} is not understood", "use -sc install=bash or install=zsh"
    )


def candidates(line: str) -> list[str]:
    """What may stand where ``line`` ends; after an ``=`` bash wants only what follows it."""
    words = line.split()[1:] + ([""] if line[-1:].isspace() else [])
    current = words[-1] if words else ""
    offered = _verbs() if len(words) < 2 else _words(words[0], current)
    cut = current.rpartition("=")[0]
    return [word.removeprefix(f"{cut}=") if cut else word for word in offered if word.startswith(current)]


def _verbs() -> Iterable[str]:
    from geoadapt.cli import VERBS

    return [f"{name} " for name in VERBS]


def _words(name: str, current: str) -> Iterable[str]:
    from geoadapt.cli import COMMON, VERBS, load_verb

    if name not in VERBS:
        return []
    if name == "list" and "=" not in current and not current.startswith("-"):
        return [f"{group} " for group in (*GROUPS, *SECTIONS, "experiment")]
    verb = load_verb(name)
    if current.startswith("-"):
        return [f"{flag.name} " for flag in (*verb.flags, *COMMON)]
    group, equals, _ = current.partition("=")
    if equals:
        return (
            [f"{group}={choice} " for choice in choices(group)] if group in (*GROUPS, *SECTIONS, "experiment") else []
        )
    section, dot, _ = current.partition(".")
    if dot:
        known = section in verb.sections and section in (*GROUPS, *SECTIONS)
        return [f"{section}.{key}=" for key in keys_of(section)] if known else []
    return [word for group in verb.sections for word in (f"{group}=", f"{group}.") if group in (*GROUPS, *SECTIONS)] + [
        f"{group}=" for group in verb.sections if group not in (*GROUPS, *SECTIONS)
    ]
