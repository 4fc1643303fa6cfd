"""Layers of PMAA: the extractor of one date, and the U-Net that fuses scales by a global attention.

Maps are (n, d, h, w). Every convolution has its normalisation behind it, made by a function of the width.
Zou 2023, arXiv 2303.16565.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

__all__ = ["NORMS", "Aspp", "Extractor", "GlobalAttention", "Norm", "UNet"]

Norm = Callable[[int], nn.Module]
NORMS: dict[str, Norm] = {"instance": nn.InstanceNorm2d, "batch": nn.BatchNorm2d}
"""Published weights belong to instance normalisation without parameters, published code to batch normalisation."""
ASPP_WIDTH = 128
RATES = (12, 24, 36)
LEVELS = 5
"""Strides 1 to 16."""
DROPPED = 0.1
"""Chance of dropout and of a dropped branch, in training."""


class Extractor(nn.Module):
    """Features of one date, the mask of its clouds, and the image that these features alone would give."""

    def __init__(self, channels: int, width: int, norm: Norm, *, norm_pool: bool = False) -> None:
        super().__init__()
        self.conv_in = nn.Sequential(*_conv(channels, width, norm, 3))
        for number in range(1, 7):
            self.add_module(f"bottle{number}", Bottleneck(width, norm))
        self.cloud_detection = CloudDetection(width, norm)
        self.ASPP = Aspp(width, norm, norm_pool)
        self.aux_conv = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images (n, c, h, w) in [−1, 1] → cloud masks (n, 1, h, w), features (n, d, h, w), images (n, c, h, w)."""
        mask, out = self.features(x)
        return mask, out, torch.tanh(self.aux_conv(out))

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Cloud masks (n, 1, h, w) and features (n, d, h, w)."""
        out = self.conv_in(x)
        out = self._step(1, out, None)
        mask = self.cloud_detection(out)
        out = self._step(3, self._step(2, out, mask), mask)
        mask = self.cloud_detection(out)
        out = self._step(5, self._step(4, out, mask), mask)
        return mask, self.ASPP(self._step(6, out, None))

    def _step(self, number: int, x: Tensor, mask: Tensor | None) -> Tensor:
        found: Tensor = self.get_submodule(f"bottle{number}")(x)
        return F.relu(x + (found if mask is None else found * mask))


class Bottleneck(nn.Module):
    """A dilated 3×3 convolution between two pointwise ones."""

    def __init__(self, width: int, norm: Norm) -> None:
        super().__init__()
        self.bottleneck = nn.Sequential(
            *_conv(width, width, norm, 1), *_conv(width, width, norm, 3, dilation=2), *_conv(width, width, norm, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, d, h, w) to features."""
        return self.bottleneck(x)  # type: ignore[no-any-return]


class CloudDetection(nn.Module):
    """The cloud mask that features show (n, 1, h, w), 0 to 1."""

    def __init__(self, width: int, norm: Norm) -> None:
        super().__init__()
        self.cloud_det = nn.Sequential(
            *_conv(width, 2 * width, norm, 1, bias=True),
            *_conv(2 * width, 4 * width, norm, 1, bias=True),
            nn.Conv2d(4 * width, 1, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, d, h, w) to masks."""
        return self.cloud_det(x)  # type: ignore[no-any-return]


class Aspp(nn.Module):
    """Atrous spatial pyramid pooling (Chen 2017): the surroundings at four reaches, and the image's mean."""

    def __init__(self, width: int, norm: Norm, norm_pool: bool) -> None:
        super().__init__()
        branches = [_conv(width, ASPP_WIDTH, norm, 1)]
        branches += [_conv(width, ASPP_WIDTH, norm, 3, dilation=rate) for rate in RATES]
        pooled: list[nn.Module] = [nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, ASPP_WIDTH, 1, bias=False)]
        # one pixel has no variance, so that instance normalisation could not follow the pooling
        branches.append([*pooled, *([norm(ASPP_WIDTH)] if norm_pool else []), nn.ReLU()])
        self.convs = nn.ModuleList(nn.Sequential(*branch) for branch in branches)
        self.project = nn.Sequential(*_conv(ASPP_WIDTH * len(branches), width, norm, 1), nn.Dropout(DROPPED))

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, d, h, w) to features."""
        found = [branch(x) for branch in self.convs]
        found[-1] = found[-1].expand(-1, -1, *x.shape[-2:])
        return self.project(torch.cat(found, 1))  # type: ignore[no-any-return]


class UNet(nn.Module):
    """Five levels, their sum attended to at the coarsest, and a way back up on which it gates every level.

    ``coarse`` starts the way up from the coarsest level, as the paper draws it; the published code starts it from the
    one above, whose finer neighbour then never reaches the output.
    """

    def __init__(self, inputs: int, width: int, norm: Norm, *, coarse: bool = False) -> None:
        super().__init__()
        hidden = 4 * width
        self.coarse = coarse
        self.proj_1x1 = Separable(inputs, hidden, norm, 1, groups=inputs)
        self.spp_dw = nn.ModuleList(
            Separable(hidden, hidden, norm, 3, stride=2 if level else 1, skip=not level) for level in range(LEVELS)
        )
        self.loc_glo_fus = nn.ModuleList(Injection(hidden, norm, 1) for _ in range(LEVELS))
        self.last_layer = nn.ModuleList(Injection(hidden, norm, 5) for _ in range(LEVELS - 1))
        self.globalatt = GlobalAttention(hidden)
        self.res_conv = nn.Conv2d(hidden, width, 1)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, d or k·d, h, w) to features (n, d, h, w)."""
        width = self.res_conv.out_channels
        residual = x.unflatten(1, (-1, width)).sum(1)  # type: ignore[no-untyped-call]
        maps = [self.proj_1x1(x)]
        for layer in self.spp_dw:
            maps.append(layer(maps[-1]))
        maps = maps[1:]
        size = (maps[-1].shape[-2], maps[-1].shape[-1])
        told = self.globalatt(torch.stack([F.adaptive_avg_pool2d(m, size) for m in maps]).sum(0))
        maps = [fuse(m, told) for fuse, m in zip(self.loc_glo_fus, maps, strict=True)]
        out = self.last_layer[3](maps[3], maps[4] if self.coarse else maps[2])
        for level in (2, 1, 0):
            out = self.last_layer[level](maps[level], out)
        return self.res_conv(out) + residual  # type: ignore[no-any-return]


class Separable(nn.Module):
    """A convolution, dense unless ``groups`` says otherwise, and a pointwise one, without any activation."""

    def __init__(
        self, inputs: int, width: int, norm: Norm, kernel: int, *, stride: int = 1, groups: int = 1, skip: bool = False
    ) -> None:
        super().__init__()
        self.skip = skip
        self.conv_dw = nn.Conv2d(inputs, inputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn1 = norm(inputs)
        self.conv_pw = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn2 = norm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, d, h, w) to features, half the size where the stride is 2."""
        out: Tensor = self.bn2(self.conv_pw(self.bn1(self.conv_dw(x))))
        return out + x if self.skip else out


class Injection(nn.Module):
    """Local features, gated and shifted by those of another size."""

    def __init__(self, width: int, norm: Norm, kernel: int) -> None:
        super().__init__()
        for name in ("local_embedding", "global_embedding", "global_act"):
            conv = nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width, bias=False)
            self.add_module(name, nn.Sequential(conv, norm(width)))

    def forward(self, local: Tensor, other: Tensor) -> Tensor:
        """Features (n, d, h, w) of the local ones' size."""
        size = (local.shape[-2], local.shape[-1])
        gate = F.interpolate(torch.sigmoid(self.get_submodule("global_act")(other)), size)
        shift = F.interpolate(self.get_submodule("global_embedding")(other), size)
        return self.get_submodule("local_embedding")(local) * gate + shift  # type: ignore[no-any-return]


class GlobalAttention(nn.Module):
    """Convolutional modulation and an MLP (Conv2Former, Hou 2022), each scaled per channel and added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attn = Modulation(width)
        self.mlp = ConvMlp(width)
        self.layer_scale_1 = nn.Parameter(torch.full((width,), 1e-6))
        self.layer_scale_2 = nn.Parameter(torch.full((width,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, d, h, w) to features."""
        x = x + self._dropped(self.layer_scale_1[:, None, None] * self.attn(x))
        return x + self._dropped(self.layer_scale_2[:, None, None] * self.mlp(x))

    def _dropped(self, branch: Tensor) -> Tensor:
        """Stochastic depth (Huang 2016): the whole branch of a sample, in training."""
        if not self.training:
            return branch
        kept = torch.rand(len(branch), 1, 1, 1, device=branch.device) >= DROPPED
        return branch * kept.to(branch.dtype) / (1 - DROPPED)


class Modulation(nn.Module):
    """Values weighed by an 11×11 depthwise convolution, in place of a softmax."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(width)
        self.a = nn.Sequential(
            nn.Conv2d(width, width, 1), nn.GELU(), nn.Conv2d(width, width, 11, padding=5, groups=width)
        )
        self.v = nn.Conv2d(width, width, 1)
        self.proj = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, d, h, w) to features."""
        x = self.norm(x)
        return self.proj(self.a(x) * self.v(x))  # type: ignore[no-any-return]


class ConvMlp(nn.Module):
    """An MLP over channels that sees its neighbours by a 3×3 depthwise convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(width)
        self.fc1 = nn.Conv2d(width, 4 * width, 1)
        self.pos = nn.Conv2d(4 * width, 4 * width, 3, padding=1, groups=4 * width)
        self.fc2 = nn.Conv2d(4 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, d, h, w) to features."""
        x = F.gelu(self.fc1(self.norm(x)))
        return self.fc2(x + F.gelu(self.pos(x)))  # type: ignore[no-any-return]


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of a map."""

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, d, h, w), normalised at every pixel."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


def _conv(
    inputs: int, width: int, norm: Norm, kernel: int, *, dilation: int = 1, bias: bool = False
) -> list[nn.Module]:
    margin = dilation * (kernel // 2)
    conv = nn.Conv2d(inputs, width, kernel, padding=margin, dilation=dilation, bias=bias)
    return [conv, norm(width), nn.ReLU()]


def _initialise(module: nn.Module) -> None:
    """As published: variance is kept over the outputs that each input feeds."""
    if isinstance(module, nn.Conv2d):
        fan = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=(2 / fan) ** 0.5)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
