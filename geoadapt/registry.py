"""Names to builders: what a configuration may choose, checked before anything heavy is imported.

In: a literal dict ``{name: Entry}`` and a plain mapping. Out: a checked configuration, or the object it describes.
A folder's ``__init__`` holds its dict; it imports no torch, because an entry names its builder by module path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import import_module
from typing import Any, TypeVar

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
    """A configuration from plain data; raises GeoadaptError for an unknown key, a wrong type or a bad value."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    for key, value in plain.items():
        if "${" in repr(value):
            raise GeoadaptError(f"{where}.{key}", f"holds an interpolation: {value!r}", "write the value itself")
    known = [f.name for f in fields(config)]  # type: ignore[arg-type]
    for key in plain:
        if key not in known:
            raise GeoadaptError(f"{where}.{key}", "unknown key", nearest(str(key), known))
    try:
        merged = OmegaConf.merge(OmegaConf.structured(config), dict(plain))
        made = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        key = f"{where}.{error.full_key}" if getattr(error, "full_key", None) else where
        raise GeoadaptError(key, str(error).splitlines()[0], f"see {config.__name__}") from error
    return made  # type: ignore[return-value]


def build(entries: Mapping[str, Entry], config: Any, *args: Any, **kwargs: Any) -> Any:
    """What ``config`` describes: imports the builder of ``config.name`` and calls ``builder(config, …)``."""
    entry = look_up(entries, config.name, "name")
    module, _, function = entry.builder.partition(":")
    return getattr(import_module(module), function)(config, *args, **kwargs)
