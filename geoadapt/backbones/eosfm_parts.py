"""The parts of EoS-FM (arXiv 2511.21523): specialists, how their maps are normed, weighed and joined.

In: per specialist four maps (n, d, h, w), strides 4, 8, 16, 32. Out: four maps of all. Keys are those of the released
code, but for what is inside a specialist.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from geoadapt.backbones.picture_models import Variant, anatomy, network, own_keys, read_keys
from geoadapt.backbones.weights import check_state

__all__ = ["LEVELS", "Selector", "Specialist", "keep_columns", "mixed", "mixed_width", "mixer", "norms", "projections"]

LEVELS = 4


class Specialist(nn.Module):
    """A ConvNeXt V2 of any number of channels; in: (n, c, h, w), out: its four stages' maps."""

    def __init__(
        self,
        variant: Variant,
        channels: int,
        state: Mapping[str, Tensor] | None = None,
        path: object = "",
    ) -> None:
        """With the tensors of a file by timm's names, or drawn ones; raises GeoadaptError where these do not fit."""
        super().__init__()
        model = network(variant, channels, random=state is None)
        if state is not None:
            wanted = read_keys(variant, model)
            renamed = own_keys(variant.family, state, wanted)
            check_state(renamed, wanted, path)
            model.load_state_dict(renamed, strict=False)
        parts = anatomy(variant.family, model)
        self.stem, self.blocks = parts.stem, parts.blocks
        self.channels = channels

    def forward(self, x: Tensor) -> list[Tensor]:
        """Maps from shallow to deep."""
        x = self.stem(x)
        maps = []
        for block in self.blocks:
            x = block(x)
            maps.append(x)
        return maps


class Selector(nn.Module):
    """One weight per specialist, and what its maps are multiplied with.

    ``topk`` and ``smooth`` are those of the released code: the k largest weights' maps are let through as they are
    (which gives the weights no gradient) or times their weight, or all maps times the sigmoid of the weight, or the
    weight. ``straight_through`` lets the k largest through as they are, and hands the weights the gradient of k times
    their softmax, so that those that are not chosen can come back.
    """

    def __init__(self, count: int, kind: str, keep: int, scaled: bool) -> None:
        super().__init__()
        self.kind, self.keep, self.scaled = kind, keep, scaled
        self.specialists_weights = nn.Parameter(torch.ones(count))

    def chosen(self) -> Tensor:
        """Which specialists are let through (specialists,) bool; of equal ones the first."""
        if self.kind == "smooth":
            return torch.ones_like(self.specialists_weights, dtype=torch.bool)
        order = self.specialists_weights.argsort(descending=True, stable=True)
        return torch.zeros_like(order, dtype=torch.bool).scatter(0, order[: self.keep], True)

    def forward(self) -> Tensor:
        """A factor per specialist (specialists,)."""
        weights = self.specialists_weights
        if self.kind == "smooth":
            return weights if self.scaled else weights.sigmoid()
        hard = self.chosen().to(weights.dtype)
        if self.kind == "straight_through":
            soft = self.keep * weights.softmax(0)
            return hard + soft - soft.detach()
        return hard * weights if self.scaled else hard

    def only(self, kept: Sequence[int]) -> Selector | None:
        """A selector of these specialists that lets all of them through; None where that changes nothing."""
        if self.kind != "smooth" and not self.scaled:
            return None
        small = Selector(len(kept), self.kind, len(kept), self.scaled)
        small.specialists_weights = nn.Parameter(
            self.specialists_weights.detach()[list(kept)].clone(), self.specialists_weights.requires_grad
        )
        return small


def mixer(kind: str, width: int, count: int, multiple: float) -> nn.Module:
    """What mixes ``count`` maps of ``width`` that stand behind each other: convolutions of one pixel, or nothing.

    ``conv1x1`` is one to ``multiple`` times the width, ``mlp`` two with 1.25 times that between them.
    """
    out = int(multiple * width)
    if kind == "conv1x1":
        return nn.Conv2d(count * width, out, 1)
    if kind == "mlp":
        return nn.Sequential(
            nn.Conv2d(count * width, int(1.25 * out), 1), nn.ReLU(), nn.Conv2d(int(1.25 * out), out, 1)
        )
    return nn.Identity()


def mixed_width(kind: str, width: int, count: int, multiple: float) -> int:
    """Width of a level behind its fusion."""
    if kind in ("conv1x1", "mlp"):
        return int(multiple * width)
    return count * width if kind == "none" else width


def mixed(kind: str, mix: nn.Module, maps: Sequence[Tensor]) -> Tensor:
    """The maps (n, d, h, w) of one level as one: behind each other, then mixed, or joined value by value."""
    if kind == "addition":
        return torch.stack(list(maps)).sum(0)
    if kind == "multiplication":
        return torch.stack(list(maps)).prod(0)
    joined: Tensor = mix(torch.cat(list(maps), 1))
    return joined


def keep_columns(mix: nn.Module, columns: Sequence[int]) -> None:
    """Let a mixer read these channels alone from now on."""
    conv = mix[0] if isinstance(mix, nn.Sequential) else mix
    if isinstance(conv, nn.Conv2d):
        conv.weight = nn.Parameter(conv.weight.detach()[:, list(columns)].clone(), conv.weight.requires_grad)
        conv.in_channels = len(columns)


def norms(kind: str, widths: Sequence[int]) -> nn.ModuleList:
    """A norm without weights per level: over the batch, with running statistics, or over each sample's own map."""
    return nn.ModuleList(
        nn.BatchNorm2d(d, affine=False) if kind == "batch" else nn.GroupNorm(1, d, affine=False) for d in widths
    )


def projections(widths: Sequence[int]) -> nn.ModuleList:
    """Per level a convolution of one pixel that keeps the width, and a leaky ReLU."""
    return nn.ModuleList(nn.Sequential(nn.Conv2d(d, d, 1), nn.LeakyReLU()) for d in widths)
