"""small_wx: a small weather backbone of our own, for any variables and levels on any regular grid of the sphere.

In: a batch of standardised states, "atmosphere" (b, t, c, h, w), with dates, grid and lead time, and perhaps "usual",
what is usual at the date (b, 1, c, h, w), and "static".
Out: one feature map (b, 1, d, h / p, w / p). Kernels of channels are made from their names, so that there is no fixed
set; convolutions see the neighbourhood, axial attention (Ho 2019) in every few blocks the row and column of a cell.
A map of the southern hemisphere is turned over: mirrored at the equator, weather moves by the same laws.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's usual name

from geoadapt.backbones.base import BackboneSpec, Features
from geoadapt.backbones.config import SmallWxConfig
from geoadapt.backbones.small_wx_layers import Block, draw, padded
from geoadapt.backbones.small_wx_names import ChannelKernels, channel_codes
from geoadapt.backbones.small_wx_place import YEAR, Place, Sight, is_global
from geoadapt.backbones.weights import Provenance, find_weights, load_state, provenance, random_provenance
from geoadapt.cubes.variables import split_channel
from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch, Field, LatLonGrid

__all__ = ["SmallWx", "build"]

INPUTS = ("atmosphere", "usual", "static")
USUAL = "usual_"
NORTHWARD = ("v_component_of_wind", "10m_v_component_of_wind", "vorticity")
"""What changes its sign in a mirror at the equator."""
NEAR = 1.0
"""A map whose middle is this near to the equator is left as it is [degrees]."""
SECOND = 1.0 / 3600.0


class SmallWx(nn.Module):
    """The encoder, and the readout with which it was pre-trained to predict and to paint."""

    source: Provenance
    trainable: tuple[str, ...] = ()

    def __init__(self, config: SmallWxConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = ChannelKernels(config.code, config.width, 2)
        self.readout = ChannelKernels(config.code, config.width, 1)
        self.place = Place(config.width, config.waves)
        self.sight = Sight(config.width)
        self.blocks = nn.ModuleList(
            Block(config.width, config.heads if _attends(config, i) else 0, config.kernel, config.drop_path)
            for i in range(config.depth)
        )
        self.norm = nn.GroupNorm(1, config.width)
        self.last = nn.Conv2d(config.width, config.width, config.kernel)
        self.spec = BackboneSpec(
            name=config.name,
            inputs={"atmosphere": (), "usual": (), "static": ()},
            required={},
            units={"atmosphere": "standardised"},
            widths=(config.width,),
            strides=(config.patch_size,),
            blocks=config.depth,
            targets={"conv": r"blocks\.{block}\.conv"}
            | ({"attention": r"blocks\.{block}\.attn\.(qkv|proj)"} if config.depth >= config.attend_every else {}),
            multiple=1,
        )

    def forward(self, batch: Batch) -> Features:
        """The map after the last convolution (b, 1, d, h / p, w / p)."""
        given = batch.inputs["atmosphere"]
        if not isinstance(given.grid, LatLonGrid):
            raise GeoadaptError("backbone", f"{self.spec.name} needs latitude and longitude", "give weather fields")
        south = bool(given.grid.latitude.double().mean() < -NEAR)
        inputs = [batch.inputs[name] for name in INPUTS if name in batch.inputs]
        x = torch.stack([self._sum(mirrored(field) if south else field) for field in inputs]).sum(0)
        grid = self._coarse(given.grid)
        if south:
            grid = LatLonGrid(-grid.latitude.flip(0), grid.longitude)
        x = x + self.place(grid).to(x.dtype)
        times = given.times
        if south and times is not None:
            times = times + round(YEAR / 2)  # its summer is the other one's winter
        told = self.sight(times, batch.lead_time, len(x)).to(x.dtype)
        around = is_global(given.grid)
        for block in self.blocks:
            x = block(x, told, around)
        x = self.last(padded(F.gelu(self.norm(x)), around, self.config.kernel // 2))
        if south:
            x = x.flip(-2)
        return Features((x[:, None],), (self.config.patch_size,))

    def readout_kernels(self, channels: tuple[str, ...]) -> Tensor:
        """The linear readout of ``channels`` (c, d), for a head to start from."""
        kernels: Tensor = self.readout(channel_codes(channels, self.norm.weight.device))
        scale: float = self.config.width**-0.5
        return kernels[:, 0] * scale

    def _sum(self, field: Field) -> Tensor:
        """Every cell's channels and dates, each through its own kernel, summed (b, d, h / p, w / p)."""
        dates, count = field.values.shape[1:3]
        codes = channel_codes(field.channels, field.values.device, _ages(field))
        kernels = self.embed(codes).to(field.values.dtype)  # (t, c, 2, d)
        known = field.values if field.valid is None else torch.where(field.valid, field.values, 0.0)
        x: Tensor = torch.einsum("btchw,tcd->bdhw", self._pooled(known), kernels[:, :, 0])
        if field.valid is not None:
            gone = self._pooled((~field.valid).to(field.values.dtype))
            x = x + torch.einsum("btchw,tcd->bdhw", gone, kernels[:, :, 1])
        scale: float = (dates * count) ** -0.5
        return x * scale

    def _pooled(self, values: Tensor) -> Tensor:
        """Means over p × p cells; the last ones of an odd side are averaged over what there is."""
        p = self.config.patch_size
        if p == 1:
            return values
        flat = F.avg_pool2d(values.flatten(0, 2)[:, None], p, ceil_mode=True, count_include_pad=False)[:, 0]
        return torch.reshape(flat, (*values.shape[:3], *flat.shape[-2:]))

    def _coarse(self, grid: LatLonGrid) -> LatLonGrid:
        p = self.config.patch_size
        if p == 1:
            return grid
        return LatLonGrid(*(_means(axis, p) for axis in (grid.latitude, grid.longitude)))


def mirrored(field: Field) -> Field:
    """The field (b, t, c, h, w) mirrored at the equator: rows in the other order, northward winds blowing south."""
    signs = torch.ones(len(field.channels), device=field.values.device)
    for place, channel in enumerate(field.channels):
        if split_channel(channel)[0].removeprefix(USUAL) in NORTHWARD:
            signs[place] = -1.0
    values = field.values.flip(-2) * signs[:, None, None].to(field.values.dtype)
    return replace(field, values=values, valid=None if field.valid is None else field.valid.flip(-2))


def _attends(config: SmallWxConfig, block: int) -> bool:
    return (block + 1) % config.attend_every == 0


def _means(axis: Tensor, p: int) -> Tensor:
    return F.avg_pool1d(axis.double()[None, None], p, ceil_mode=True, count_include_pad=False)[0, 0]


def _ages(field: Field) -> Tensor:
    """How long before the last date each one lies (t,) [h]; the same for all samples of a batch."""
    if field.times is None:
        return torch.zeros(field.values.shape[1], device=field.values.device)
    ages = (field.times[:, -1:] - field.times).double() * SECOND
    if not bool((ages == ages[:1]).all()):
        raise GeoadaptError("batch", "samples whose dates lie differently far apart", "batch them by archive")
    return ages[0].float()


def build(config: SmallWxConfig) -> SmallWx:
    """The backbone with the weights that ship, or others, or random ones drawn from ``config.seed``; frozen."""
    if config.random_weights:
        model = drawn(config)
        model.source = random_provenance(config.name, config.seed, model)
    else:
        path = find_weights(config.name, config.weights, (f"{config.name}.safetensors",))
        model = drawn(config)
        load_tensors(model, load_state(path), path)
        model.source = provenance(config.name, path, "ships with geoadapt", "Apache-2.0")
    return model.requires_grad_(False).eval()


def load_tensors(model: SmallWx, state: dict[str, Tensor], path: object) -> None:
    """Fill the model, stored in half precision; raises GeoadaptError for other keys or shapes."""
    from geoadapt.backbones.weights import check_state

    check_state(state, model.state_dict(), path)
    model.load_state_dict({key: value.float() for key, value in state.items()})


def drawn(config: SmallWxConfig) -> SmallWx:
    """A model with random weights from ``config.seed``."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(config.seed)
        model = SmallWx(config)
        draw(model)
    return model
