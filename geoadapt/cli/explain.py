"""What the keys of a configuration mean: the sentences that stand below them in its class.

In: a configuration's dataclass. Out: key → its type, its default and what it is. The sentences are read from the
source, because Python keeps none for a field.
"""

from __future__ import annotations

import ast
import inspect
from dataclasses import MISSING, Field, fields
from itertools import pairwise
from textwrap import dedent, wrap
from typing import Any

__all__ = ["explained"]

WIDTH = 100


def explained(config: type, section: str) -> dict[str, str]:
    """``section.key`` → ``type = default``, and below it in lines what it is."""
    told: dict[str, str] = {}
    for owner in reversed(config.__mro__[:-1]):
        told |= _sentences(owner)
    own = [field for field in fields(config) if field.name != "name"]
    return {
        f"{section}.{field.name}": "\n".join([_spelled(field), *wrap(told.get(field.name, ""), WIDTH)]) for field in own
    }


def _spelled(field: Field[Any]) -> str:
    default = field.default if field.default_factory is MISSING else field.default_factory()
    return str(field.type) if default is MISSING else f"{field.type} = {_typed(default)}"


def _typed(value: object) -> str:
    """A default as one would type it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_typed, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_typed(held)}' for key, held in value.items())}}}"
    return str(value) if value != "" else "''"


def _sentences(owner: type) -> dict[str, str]:
    """Field → the string that stands below it in the class's source."""
    [made] = ast.parse(dedent(inspect.getsource(owner))).body
    found = {}
    for above, below in pairwise(made.body if isinstance(made, ast.ClassDef) else []):
        if isinstance(above, ast.AnnAssign) and isinstance(above.target, ast.Name) and isinstance(below, ast.Expr):
            text = below.value.value if isinstance(below.value, ast.Constant) else None
            if isinstance(text, str):
                found[above.target.id] = " ".join(text.replace("``", "").split())
    return found
