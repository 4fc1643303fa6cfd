"""The one exception that geoadapt raises on purpose: what, where, and what to try."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["GeoadaptError", "nearest"]


class GeoadaptError(Exception):
    """A problem that a person can mend: the file or key, what was found and expected, and a hint."""

    def __init__(self, path: object, problem: str, hint: str = "") -> None:
        self.path = str(path)
        self.problem = problem
        self.hint = hint
        super().__init__(f"{self.path}: {problem}" + (f"; {hint}" if hint else ""))

    def __reduce__(self) -> tuple[type[GeoadaptError], tuple[str, str, str]]:
        """Survive a trip between processes, which rebuild an exception from its arguments."""
        return type(self), (self.path, self.problem, self.hint)


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint that names the closest known word, or lists what is known."""
    names = sorted(set(known))
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    if close:
        return f"did you mean '{close[0]}'?"
    return "known: " + ", ".join(names) if names else "nothing is known here"
