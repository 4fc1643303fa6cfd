"""Names to builders: what a configuration may choose, checked before anything heavy is imported.

In: a literal dict ``{name: Entry}`` and a plain mapping. Out: a checked configuration, or the object it describes.
A folder's ``__init__`` holds its dict; it imports no torch, because an entry names its builder by module path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import import_module
from typing import Any, TypeVar, get_origin, get_type_hints

from geoadapt.errors import GeoadaptError, nearest

__all__ = ["Entry", "build", "from_plain", "look_up"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """A choice: its configuration class and where its builder lives (``module:function``)."""

    config: type
    builder: str


def look_up(entries: Mapping[str, Entry], name: str, where: str) -> Entry:
    """The entry called ``name``; raises GeoadaptError with the nearest known name."""
    if name not in entries:
        raise GeoadaptError(where, f"'{name}' is unknown", nearest(name, entries))
    return entries[name]


def from_plain(config: type[T], plain: Mapping[str, Any], where: str) -> T:
    """A configuration from plain data; raises GeoadaptError for an unknown key, a wrong type or a bad value.

    Plain data name no code: a ``_target_``, at any depth, and an interpolation are errors, never obeyed.
    A mapping replaces the default of its key, so that what was stored comes back as it was.
    """
    if not isinstance(plain, Mapping):
        raise GeoadaptError(where, f"{plain!r} is no mapping of keys to values", f"see {config.__name__}")
    known = [f.name for f in fields(config)]  # type: ignore[arg-type]
    for key, value in plain.items():
        _refuse_live(key, value, f"{where}.{key}")
        if key not in known:
            raise GeoadaptError(f"{where}.{key}", "unknown key", nearest(str(key), known))
    return _typed(config, plain, where)


def build(entries: Mapping[str, Entry], config: Any, *args: Any, **kwargs: Any) -> Any:
    """What ``config`` describes: imports the builder of ``config.name`` and calls ``builder(config, …)``."""
    entry = look_up(entries, config.name, "name")
    module, _, function = entry.builder.partition(":")
    return getattr(import_module(module), function)(config, *args, **kwargs)


def _refuse_live(key: object, value: object, where: str) -> None:
    """Raise where data pretend to be instructions, or where a value was left open."""
    if isinstance(key, str) and key.startswith("_") and key.endswith("_"):
        raise GeoadaptError(where, "names code to run, and nothing here runs code from a file", f"remove {key}")
    if isinstance(value, str) and "${" in value:
        raise GeoadaptError(where, f"holds an interpolation: {value!r}", "write the value itself")
    if value == "???":
        raise GeoadaptError(where, "is required and has no value", f"add {where}=…")
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else ()
    for inner, below in items:
        _refuse_live(inner, below, f"{where}.{inner}")


def _typed(config: type[T], plain: Mapping[str, Any], where: str) -> T:
    """The dataclass, with every value checked against its annotation."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    hints = get_type_hints(config)
    # label values are numbers to who types them, and names to a mapping of names
    plain = {k: {str(i): v for i, v in m.items()} if isinstance(m, Mapping) else m for k, m in plain.items()}
    try:
        draft = OmegaConf.structured(config)
        for key, value in plain.items():
            if isinstance(value, Mapping):
                draft[key] = {}
        made: Any = OmegaConf.to_object(OmegaConf.merge(draft, dict(plain)))
    except OmegaConfBaseException as error:
        key = _key_of(error, plain)
        expected = f"expected {_spelled(hints[key])}" if key in hints else f"see {config.__name__}"
        if key in plain and isinstance(plain[key], str) and get_origin(hints[key]) in (list, tuple):
            expected += f", such as [{plain[key]}]"
        problem = f"{plain[key]!r} does not fit" if key in plain else str(error).splitlines()[0]
        raise GeoadaptError(f"{where}.{key}" if key else where, problem, expected) from error
    for name, hint in hints.items():
        if get_origin(hint) in (list, tuple):
            items = getattr(made, name)
            if any(isinstance(item, Mapping | list) for item in items):
                raise GeoadaptError(f"{where}.{name}", f"{items!r} is nested", f"expected {_spelled(hint)}")
            setattr(made, name, get_origin(hint)(items))
    return made  # type: ignore[no-any-return]


def _key_of(error: Exception, plain: Mapping[str, Any]) -> str:
    """The top-level key that an OmegaConf error is about, or nothing."""
    full = str(getattr(error, "full_key", None) or getattr(error, "key", None) or "")
    key = full.partition(".")[0].partition("[")[0]
    return key if key in plain else ""


def _spelled(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and get_origin(hint) is None else str(hint)
