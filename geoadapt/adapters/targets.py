"""Which modules of a backbone an adapter goes to: target groups, regular expressions, blocks.

In: a backbone, whose ``spec`` names groups and numbers blocks. Out: regular expressions over whole module names, names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from torch import nn

from geoadapt.backbones.base import BackboneSpec
from geoadapt.errors import GeoadaptError, nearest

__all__ = ["exactly", "in_blocks", "layers", "target_groups", "target_pattern"]

BLOCK = "{block}"
BEHIND = "norm"
"""What backbones call the normalisation behind their last block."""


def target_groups(backbone: nn.Module) -> tuple[str, ...]:
    """All target groups that a backbone declares, in its order; raises GeoadaptError where it declares none."""
    spec: BackboneSpec = backbone.spec  # type: ignore[assignment]
    if not spec.targets:
        raise GeoadaptError("adapter.targets", f"{spec.name} names no groups of layers", "name layers, or adapter=none")
    return tuple(spec.targets)


def layers(backbone: nn.Module) -> list[str]:
    """Names of the linear and convolutional layers."""
    return [name for name, module in backbone.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]


def exactly(names: Iterable[str]) -> str:
    """The regular expression that these names match, and no others."""
    return "|".join(re.escape(name) for name in names)


def target_pattern(
    backbone: nn.Module,
    targets: Sequence[str],
    last_blocks: int | None = None,
    names: Sequence[str] | None = None,
    kind: str = "layer",
) -> str:
    """One regular expression over whole module names.

    Args:
        backbone: what has the modules, and in its ``spec`` the target groups.
        targets: group names, or regular expressions, in which ``{block}`` stands for the chosen blocks' numbers.
        last_blocks: only the last k; None = all.
        names: of the modules that may be matched; None = those of ``layers``.
        kind: what these are, for an error.

    Raises:
        GeoadaptError: for a target that matches no module, with the nearest names.
    """
    spec: BackboneSpec = backbone.spec  # type: ignore[assignment]
    names = layers(backbone) if names is None else names
    parts = []
    for target in targets:
        pattern = spec.targets.get(target, target)
        if last_blocks is not None and BLOCK not in pattern:
            raise GeoadaptError(
                "adapter.last_blocks", f"does not go with the target '{target}'", "write {block} for the block's number"
            )
        pattern = pattern.replace(BLOCK, _numbers(spec, last_blocks))
        try:
            matched = any(re.fullmatch(pattern, name) for name in names)
        except re.error as error:
            raise GeoadaptError("adapter.targets", f"'{target}' is no regular expression: {error}") from error
        if not matched:
            raise GeoadaptError(
                "adapter.targets",
                f"'{target}' matches no {kind} as a whole name",
                f"groups: {', '.join(spec.targets)}; {kind}s: {nearest(target, names)}",
            )
        parts.append(pattern)
    if not parts:
        raise GeoadaptError("adapter.targets", "is empty", f"groups: {', '.join(spec.targets)}")
    return "|".join(f"(?:{part})" for part in parts)


def in_blocks(backbone: nn.Module, names: Iterable[str], last_blocks: int | None = None) -> dict[str, list[str]]:
    """The names that lie in a backbone's last k blocks, by block; None = in any, and in the norm behind them.

    The blocks' own names are what stands in the target groups up to ``{block}``; where none has it, all names are
    those of one block without a name.

    Raises:
        GeoadaptError: where the last k are asked of a backbone that numbers none.
    """
    spec: BackboneSpec = backbone.spec  # type: ignore[assignment]
    starts = dict.fromkeys(p[: p.index(BLOCK) + len(BLOCK)] for p in spec.targets.values() if BLOCK in p)
    if not starts and last_blocks is None:
        return {"": list(names)}
    if not starts:
        raise GeoadaptError("adapter.last_blocks", f"{spec.name} numbers no blocks", "choose adapter=full or none")
    parts = [start.replace(BLOCK, _numbers(spec, last_blocks)) for start in starts]
    if last_blocks is None:
        parts.append(BEHIND)
    block = re.compile("(?:" + "|".join(parts) + r")(?=\.|$)")
    found: dict[str, list[str]] = {}
    for name in names:
        if match := block.match(name):
            found.setdefault(match[0], []).append(name)
    return found


def _numbers(spec: BackboneSpec, last_blocks: int | None) -> str:
    first = 0 if last_blocks is None else max(0, spec.blocks - last_blocks)
    return "(" + "|".join(str(n) for n in range(first, spec.blocks)) + ")"
