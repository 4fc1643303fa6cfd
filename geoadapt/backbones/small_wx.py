"""small_wx: a small weather backbone of our own, for any variables and levels on any regular grid of the sphere.

In: a batch of standardised states, "atmosphere" (b, t, c, h, w), with dates, grid and lead time, and perhaps "static".
Out: one feature map (b, 1, d, h / p, w / p). Kernels of channels are made from their names, so that there is no fixed
set; a convolution sees the neighbourhood, axial attention (Ho 2019) the row and column of each cell.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's usual name

from geoadapt.backbones.base import BackboneSpec, Features
from geoadapt.backbones.config import SmallWxConfig
from geoadapt.backbones.small_wx_layers import Block, draw
from geoadapt.backbones.small_wx_names import ChannelKernels, channel_codes
from geoadapt.backbones.small_wx_place import Place, Sight, is_global
from geoadapt.backbones.weights import Provenance, find_weights, load_state, provenance, random_provenance
from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch, Field, LatLonGrid

__all__ = ["SmallWx", "build"]

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
            Block(config.width, config.heads, config.mlp_ratio, config.drop_path) for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.width)
        self.spec = BackboneSpec(
            name=config.name,
            inputs={"atmosphere": (), "static": ()},
            required={},
            units={"atmosphere": "standardised"},
            widths=(config.width,),
            strides=(config.patch_size,),
            blocks=config.depth,
            targets={
                "attention": r"blocks\.{block}\.attn\.(qkv|proj)",
                "mlp": r"blocks\.{block}\.mlp\.fc[12]",
                "conv": r"blocks\.{block}\.conv",
            },
            multiple=1,
        )

    def forward(self, batch: Batch) -> Features:
        """The map after the last block, normed (b, 1, d, h / p, w / p)."""
        given = batch.inputs["atmosphere"]
        if not isinstance(given.grid, LatLonGrid):
            raise GeoadaptError("backbone", f"{self.spec.name} needs latitude and longitude", "give weather fields")
        x = self._tokens(given, batch.inputs.get("static"))
        grid = self._coarse(given.grid)
        x = x + self.place(grid).to(x.dtype)
        x = x + self.sight(given.times, batch.lead_time, len(x)).to(x.dtype)[:, :, None, None]
        around = is_global(given.grid)
        for block in self.blocks:
            x = block(x, around)
        x = self.norm(x.movedim(1, -1)).movedim(-1, 1)
        return Features((x[:, None],), (self.config.patch_size,))

    def readout_kernels(self, channels: tuple[str, ...]) -> Tensor:
        """The linear readout of ``channels`` (c, d), for a head to start from."""
        kernels: Tensor = self.readout(channel_codes(channels, self.norm.weight.device))
        scale: float = self.config.width**-0.5
        return kernels[:, 0] * scale

    def _tokens(self, given: Field, static: Field | None) -> Tensor:
        """Every cell's channels and dates, each through its own kernel, summed (b, d, h / p, w / p)."""
        x = self._sum(given)
        if static is not None:
            x = x + self._sum(static)
        return x

    def _sum(self, field: Field) -> Tensor:
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
