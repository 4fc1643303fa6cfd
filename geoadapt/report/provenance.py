"""Where a page's numbers come from: the command, the configuration, the versions, the data."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version

from markupsafe import Markup

__all__ = ["provenance", "versions"]

PACKAGES = ("geoadapt", "torch", "peft", "lightning", "rasterio", "xarray", "zarr")


def provenance(
    command: str | Sequence[str],
    config: Mapping[str, object],
    versions: Mapping[str, str],
    data: Mapping[str, str] | Sequence[str] = (),
) -> Markup:
    """The exact command in a block to copy, versions and data as lists, the configuration folded."""
    text = command if isinstance(command, str) else shlex.join(command)
    parts = [
        Markup('<pre class="command" tabindex="0" aria-label="Command"><code>{}</code></pre>').format(text),
        _notes(data),
        _pairs(versions),
    ]
    if config:
        folded = Markup('<details><summary>Configuration</summary><pre tabindex="0"><code>{}</code></pre></details>')
        parts.append(folded.format(_yaml(config)))
    return Markup("\n").join(parts)


def versions() -> dict[str, str]:
    """Of the packages that a number depends on, and of Python."""
    return {name: _version(name) for name in PACKAGES} | {"python": platform.python_version()}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _notes(data: Mapping[str, str] | Sequence[str]) -> Markup:
    if isinstance(data, Mapping):
        return _pairs(data)
    return Markup("\n").join(Markup("<p>{}</p>").format(note) for note in data)


def _pairs(pairs: Mapping[str, str]) -> Markup:
    if not pairs:
        return Markup("")
    items = Markup("").join(Markup("<dt>{}</dt><dd>{}</dd>").format(*pair) for pair in pairs.items())
    return Markup("<dl>{}</dl>").format(items)


def _yaml(config: Mapping[str, object]) -> str:
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create(dict(config))).rstrip()
