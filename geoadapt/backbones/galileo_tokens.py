"""Galileo's tokens: their encodings, their order in one sequence, which of them take part, and their means.

In: tokens per channel group, (b, t, h, w, d), (b, h, w, d), (b, t, d) or (b, d) by kind. Out: a sequence (b, n, d).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from geoadapt.backbones.galileo_inputs import GROUPS, KINDS, Groups
from geoadapt.backbones.vit_layers import sine_table, square_positions

__all__ = ["MAX_DATES", "METRES", "Encoded", "GroupTable", "Packing", "Sequence", "mean_of_all", "mean_per_patch"]

MAX_DATES = 24
METRES = 10.0
"""Ground resolution at which a step of one pixel is a step of one in the position encoding."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Tokens per group: (b, t, h, w, d), (b, h, w, d), (b, t, d) or (b, d) by kind; hidden ones are the norm's bias."""

    tokens: dict[str, Tensor]
    visible: dict[str, Tensor | None]
    """False where a token was hidden; None = all visible."""


class GroupTable(nn.Module):
    """What encoder and decoder share: channel embeddings (learned), dates and months (fixed), positions (computed)."""

    s_t_channel_embed: Tensor
    sp_channel_embed: Tensor
    t_channel_embed: Tensor
    st_channel_embed: Tensor
    pos_embed: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        part = width // 4
        for kind, prefix in zip(KINDS, ("s_t", "sp", "t", "st"), strict=True):
            count = sum(g.kind == kind for g in GROUPS.values())
            self.register_parameter(f"{prefix}_channel_embed", nn.Parameter(torch.randn(count, part) * 0.02))
        # buffers, not parameters: full fine-tuning must not move these tables
        self.register_buffer("pos_embed", sine_table(torch.arange(MAX_DATES), part, exponent=2 * part))
        angle = 2 * torch.pi * torch.arange(12) / 12
        months = torch.stack([angle.sin(), angle.cos()], 1).repeat_interleave(part // 2, 1)
        self.month_embed = nn.Module()
        self.month_embed.register_buffer("weight", months)

    def channel_table(self, kind: str) -> Tensor:
        """Channel embeddings (groups of the kind, d/4)."""
        return {
            "space_time": self.s_t_channel_embed,
            "space": self.sp_channel_embed,
            "time": self.t_channel_embed,
            "static": self.st_channel_embed,
        }[kind]

    def encodings(
        self, kind: str, names: list[str], grid: tuple[int, int], months: Tensor, step: float | Tensor
    ) -> Tensor:
        """What is added to a kind's stacked tokens (b, …, groups, d): a quarter channel, date, month, position each.

        ``step`` from patch to patch [10 m] is one for all samples, or (b,).
        """
        of_kind = [name for name, group in GROUPS.items() if group.kind == kind]
        channel = self.channel_table(kind)[[of_kind.index(name) for name in names]]
        part = channel.shape[-1]
        b, t = months.shape
        shape = {"space_time": (b, t, *grid), "space": (b, *grid), "time": (b, t), "static": (b,)}[kind]
        full = (*shape, len(names), part)
        zero = channel.new_zeros(()).expand(full)
        date = month = space = zero
        if kind in ("space_time", "time"):
            extra = len(shape) - 2
            table = self.month_embed.weight[months]  # type: ignore[index]
            date = self.pos_embed[:t].reshape(1, t, *(1,) * (extra + 1), part).expand(full)
            month = table.reshape(b, t, *(1,) * (extra + 1), part).expand(full)
        if kind in ("space_time", "space"):
            space = _positions(grid, part, step, channel).unsqueeze(-2)
            if kind == "space_time" and space.ndim == 5:
                space = space[:, None]
            space = space.expand(full)
        return torch.cat([channel.expand(full), date, month, space], -1)


def _positions(grid: tuple[int, int], width: int, step: float | Tensor, like: Tensor) -> Tensor:
    """Position encodings (h, w, d), or (b, h, w, d) where each sample has its own step."""
    if not isinstance(step, Tensor):
        return square_positions(*grid, width, step, like.device).to(like)
    steps, place = torch.unique(step, return_inverse=True)
    tables = [square_positions(*grid, width, own, like.device) for own in steps.tolist()]
    return torch.stack(tables).to(like)[place]


class Packing:
    """Which tokens of (b, n) take part: drops hidden ones, and pads where samples keep different numbers of them."""

    def __init__(self, visible: Tensor | None) -> None:
        self.index: Tensor | None = None
        self.keys: Tensor | None = None
        if visible is None or bool(visible.all()):
            return
        count = visible.sum(1)
        most = max(int(count.max()), 1)
        self.length = visible.shape[1]
        self.index = visible.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :most]
        self.kept = torch.arange(most, device=visible.device) < count[:, None]
        if not bool(self.kept.all()):
            # a softmax over nothing is not a number, so a sample without tokens looks at its padding instead
            self.keys = self.kept | (count == 0)[:, None]

    def pack(self, x: Tensor) -> Tensor:
        """Tokens (b, n, d) to those that take part (b, m, d)."""
        return x if self.index is None else x.gather(1, self.index[..., None].expand(-1, -1, x.shape[-1]))

    def unpack(self, x: Tensor) -> Tensor:
        """Back to (b, n, d), zeros where a token was hidden."""
        if self.index is None:
            return x
        x = torch.where(self.kept[..., None], x, 0.0)
        index = self.index[..., None].expand(-1, -1, x.shape[-1])
        return x.new_zeros(len(x), self.length, x.shape[-1]).scatter(1, index, x)


class Sequence:
    """The groups of a batch as one sequence, kind by kind, and the way back."""

    def __init__(self, groups: Groups, tokens: Mapping[str, Tensor]) -> None:
        self.names = {k: [n for n in GROUPS if n in tokens and GROUPS[n].kind == k] for k in KINDS}
        self.names = {kind: names for kind, names in self.names.items() if names}
        self.stacked = {kind: torch.stack([tokens[n] for n in names], -2) for kind, names in self.names.items()}
        self.visible = None
        if any(groups.visible.get(name) is not None for name in tokens):
            flat = [self._seen(kind, groups) for kind in self.names]
            self.visible = torch.cat(flat, 1)

    def _seen(self, kind: str, groups: Groups) -> Tensor:
        like = self.stacked[kind]
        ones = torch.ones(like.shape[:-2], dtype=torch.bool, device=like.device)
        masks = [ones if (m := groups.visible.get(n)) is None else m for n in self.names[kind]]
        return torch.stack(masks, -1).flatten(1)

    def flat(self, parts: Mapping[str, Tensor]) -> Tensor:
        """Stacked parts per kind (b, …, groups, d) as (b, n, d)."""
        return torch.cat([parts[kind].flatten(1, -2) for kind in self.names], 1)

    def kind(self, x: Tensor, kind: str) -> Tensor:
        """The stacked tokens of one kind (b, …, groups, d) out of a sequence (b, n, d)."""
        start = 0
        for name, part in self.stacked.items():
            stop = start + part[0, ..., 0].numel()
            if name == kind:
                return x[:, start:stop].reshape(*part.shape[:-1], x.shape[-1])
            start = stop
        raise KeyError(kind)

    def split(self, x: Tensor) -> dict[str, Tensor]:
        """A sequence (b, n, d) as tokens per group."""
        return {
            name: part
            for kind, names in self.names.items()
            for name, part in zip(names, self.kind(x, kind).unbind(-2), strict=True)
        }


def mean_of_all(encoded: Encoded) -> Tensor:
    """The mean over all visible tokens of all kinds (b, d); zeros where nothing is visible."""
    parts = [
        _visible_sum(tokens if tokens.ndim > 2 else tokens[:, None], encoded.visible[name], keep=1)
        for name, tokens in encoded.tokens.items()
    ]
    return _mean(parts)


def mean_per_patch(encoded: Encoded) -> Tensor:
    """Per patch the mean over its visible space-time and space tokens and all visible others (b, h, w, d)."""
    parts: list[tuple[Tensor, Tensor]] = []
    for name, tokens in encoded.tokens.items():
        kind, seen = GROUPS[name].kind, encoded.visible[name]
        if kind == "space_time":
            # dates go last, so that a patch's tokens are summed where it lies
            parts.append(_visible_sum(tokens.movedim(1, 3), None if seen is None else seen.movedim(1, 3), keep=3))
        elif kind == "space":
            parts.append(_visible_sum(tokens[:, :, :, None], seen, keep=3))
        else:
            total, count = _visible_sum(tokens if kind == "time" else tokens[:, None], seen, keep=1)
            parts.append((total[:, None, None], count[:, None, None]))
    return _mean(parts)


def _visible_sum(tokens: Tensor, seen: Tensor | None, keep: int) -> tuple[Tensor, Tensor]:
    """Sum (…, d) and number (…, 1) of visible tokens over the axes after the first ``keep``."""
    flat = tokens.flatten(keep, -2)
    mask = torch.ones_like(flat[..., 0], dtype=torch.bool) if seen is None else seen.reshape(flat.shape[:-1])
    return torch.where(mask[..., None], flat, 0.0).sum(-2), mask.sum(-1, keepdim=True)


def _mean(parts: list[tuple[Tensor, Tensor]]) -> Tensor:
    total = sum((t for t, _ in parts), parts[0][0].new_zeros(()))
    count = sum((c for _, c in parts), parts[0][1].new_zeros(()))
    return total / count.clamp(min=1)
