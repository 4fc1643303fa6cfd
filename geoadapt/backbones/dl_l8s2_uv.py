"""dl_l8s2_uv: a small convolutional cloud U-Net of Landsat-8, frozen, with its own cloud mask beside.

In: a Batch with ``optical`` (TOA reflectance 0–1); invalid pixels read as average. Out: Features of strides 2, 4, 2, 1:
a map after every stage but the first, whose features the last one sees again.
López-Puigdollers 2021, doi 10.3390/rs13050992.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from geoadapt.backbones.base import BackboneSpec, Features, State
from geoadapt.backbones.config import DL_L8S2_UV_CHANNELS, DlL8s2UvConfig
from geoadapt.backbones.weights import Provenance, check_state, find_weights, provenance, random_provenance
from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch

if TYPE_CHECKING:
    import h5py

__all__ = ["DlL8s2Uv", "build", "read_keras"]

WIDTHS = (32, 64, 128, 64, 32)
"""Of the stages: three down, two up."""
STAGES = ("input", "pool1", "pool2", "up1", "up2")
"""Their names in the public files."""
NORM = {"weight": "gamma", "bias": "beta", "mean": "moving_mean", "var": "moving_variance"}
"""Parts of a batch normalisation: name here → name there."""
SCALE = (2.70713, 2.9055073, 2.7985368, 2.7135882, 5.3397794, 6.7042875)
OFFSET = (-0.81308526, -0.82588655, -0.82138795, -0.9098177, -0.96423227, -0.9862235)
"""The public files' normalisation, reflectance · scale + offset, which random weights keep."""
MULTIPLE = 8
EPS = 1e-3
DOWN = 2
"""Poolings, and transposed convolutions that undo them."""
WHERE = "https://github.com/IPL-UV/DL-L8S2-UV (dl_l8s2_uv/weights)"


class Normalise(nn.Module):
    """A fixed 1×1 convolution: buffers, because no adapter trains it."""

    weight: Tensor
    bias: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.diag(torch.tensor(SCALE[:channels]))[:, :, None, None])
        self.register_buffer("bias", torch.tensor(OFFSET[:channels]))

    def forward(self, values: Tensor) -> Tensor:
        """Normalised values (n, c, h, w)."""
        return F.conv2d(values, self.weight, self.bias)


class MovingNorm(nn.Module):
    """Batch normalisation by the stored moving statistics, in training too: what is frozen must not drift."""

    mean: Tensor
    var: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("var", torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalised features (n, d, h, w)."""
        return F.batch_norm(x, self.mean, self.var, self.weight, self.bias, training=False, eps=EPS)


class Separable(nn.Module):
    """A depthwise 3×3 convolution, a pointwise one, normalisation, ReLU."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, width, 1)
        self.norm = MovingNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, width, h, w)."""
        return F.relu(self.norm(self.pointwise(self.depthwise(x))))


class DlL8s2Uv(nn.Module):
    """The U-Net of the public files; a Backbone when called with a Batch, a cloud mask by ``cloud_probability``."""

    def __init__(self, config: DlL8s2UvConfig) -> None:
        super().__init__()
        self.settings = config
        self.source: Provenance | None = None
        self.channels = DL_L8S2_UV_CHANNELS[config.variant]
        self.normalise = Normalise(len(self.channels))
        # a stage on the way up sees the upsampled features beside those of its own level
        inputs = (len(self.channels), *WIDTHS[:DOWN], *(2 * w for w in WIDTHS[DOWN + 1 :]))
        self.blocks = nn.ModuleList(
            nn.Sequential(Separable(i, w), Separable(w, w)) for i, w in zip(inputs, WIDTHS, strict=True)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(i, w, 2, 2) for i, w in zip(WIDTHS[DOWN:], WIDTHS[DOWN + 1 :], strict=False)
        )
        self.classify = nn.Conv2d(WIDTHS[-1], 1, 1)
        self.spec = BackboneSpec(
            name=config.name,
            inputs={"optical": self.channels},
            required={"optical": self.channels},
            units={"optical": "reflectance"},
            widths=WIDTHS[1:],
            strides=(2, 4, 2, 1),
            blocks=len(WIDTHS),
            targets={"pointwise": r"blocks\.{block}\.[01]\.pointwise"},
            multiple=MULTIPLE,
            response="landsat8",
            dates=1,
        )

    def forward(self, batch: Batch) -> Features:
        """Features of a batch; raises GeoadaptError for missing channels, or sides that are no multiple of 8 px."""
        return self.upper(self.lower(batch, len(self.blocks)), len(self.blocks))

    def lower(self, batch: Batch, block: int) -> State:
        """The features of the first ``block`` stages (b, t, d, h, w); raises as ``forward`` does.

        Before the first stage that is the normalised image; after the last one, whose features no other stage needs,
        the first stage's are left out.
        """
        given = batch.inputs.get("optical")
        if given is None or not set(self.channels) <= set(given.channels):
            held = list(batch.inputs) if given is None else list(given.channels)
            raise GeoadaptError(
                "backbone",
                f"the batch holds {held}",
                f"variant {self.settings.variant} needs 'optical' with {list(self.channels)}",
            )
        height, width = given.values.shape[-2:]
        if height % MULTIPLE or width % MULTIPLE:
            raise GeoadaptError(
                "backbone", f"{height} × {width} px is no multiple of {MULTIPLE} px", "pad or crop the input"
            )
        field = given.select(self.channels)
        b, t = field.values.shape[:2]
        valid = None if field.valid is None else field.valid.flatten(0, 1)
        start = self._read(field.values.flatten(0, 1), valid)
        out = self._run([], start, block) if block else [start]
        done = out[1:] if block == len(self.blocks) else out
        return State(tuple(m.unflatten(0, (b, t)) for m in done), None, None, (b, t))  # type: ignore[no-untyped-call]

    def upper(self, state: State, block: int) -> Features:
        """Features from those of the first ``block`` stages."""
        if block == len(self.blocks):
            return Features(state.maps, self.spec.strides)
        shape = state.maps[0].shape[:2]
        out = [m.flatten(0, 1) for m in state.maps]
        stages = self._run(out if block else [], out[0], len(self.blocks))
        return Features(tuple(m.reshape(*shape, *m.shape[1:]) for m in stages[1:]), self.spec.strides)

    def cloud_probability(self, values: Tensor, valid: Tensor | None = None) -> Tensor:
        """The network's own output (b, h, w), cloud from 0.5 on.

        Args:
            values: images (b, c, h, w) [reflectance 0–1] of any size, in the order of ``channels``.
            valid: the same shape, bool; None where all is valid.
        """
        height, width = values.shape[-2:]
        rows, cols = (reflection(n, MULTIPLE).to(values.device) for n in (height, width))
        padded = None if valid is None else valid[..., rows[:, None], cols]
        last = self.stages(values[..., rows[:, None], cols], padded)[-1]
        return torch.sigmoid(self.classify(last))[:, 0, :height, :width]

    def stages(self, values: Tensor, valid: Tensor | None = None) -> list[Tensor]:
        """Features of all stages of images (n, c, h, w), sides a multiple of 4 px, in the order of computation."""
        return self._run([], self._read(values, valid), len(self.blocks))

    def _read(self, values: Tensor, valid: Tensor | None) -> Tensor:
        if valid is None:
            return self.normalise(values)  # type: ignore[no-any-return]
        # what hides behind a mask may be anything, and 0 is what the average reads as once normalised
        return torch.where(valid, self.normalise(torch.where(valid, values, 0.0)), 0.0)

    def _run(self, done: list[Tensor], image: Tensor, stop: int) -> list[Tensor]:
        """The features of the first ``stop`` stages, from those that are ``done``, or from the normalised image."""
        out = list(done)
        x = out[-1] if out else image
        for number in range(len(out), stop):
            if number > DOWN:
                x = torch.cat([self.up[number - DOWN - 1](x), out[2 * DOWN - number]], dim=1)
            elif number:
                x = F.max_pool2d(x, 2)
            x = self.blocks[number](x)
            out.append(x)
        return out


def reflection(size: int, multiple: int) -> Tensor:
    """Positions that continue an axis of ``size`` px by reflection, as often as needed, up to the next multiple."""
    positions = torch.arange(-(-size // multiple) * multiple)
    if size == 1:
        return torch.zeros_like(positions)
    period = 2 * (size - 1)
    return (size - 1) - ((positions % period) - (size - 1)).abs()


def build(config: DlL8s2UvConfig) -> DlL8s2Uv:
    """The frozen network with its public weights, or with random ones drawn from ``config.seed``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = DlL8s2Uv(config).apply(_initialise)
    if config.random_weights:
        model.source = random_provenance(config.name, config.seed, model)
    else:
        path = find_weights(config.name, config.weights, (f"landsatbiome{config.variant}.hdf5",), where=WHERE)
        state = read_keras(path)
        check_state(state, model.state_dict(), path)
        model.load_state_dict(state, strict=True)
        model.source = provenance(config.name, path, WHERE, "MIT")
    return model.requires_grad_(False).eval()


def _initialise(module: nn.Module) -> None:
    """Variance is kept from stage to stage: the control with random weights must not be a weakened one."""
    if isinstance(module, Separable):
        nn.init.kaiming_normal_(module.depthwise.weight, nonlinearity="linear")
        nn.init.kaiming_normal_(module.pointwise.weight, nonlinearity="relu")
        nn.init.zeros_(module.pointwise.bias)  # type: ignore[arg-type]
    elif isinstance(module, nn.ConvTranspose2d):
        nn.init.normal_(module.weight, std=module.in_channels**-0.5)
        nn.init.zeros_(module.bias)  # type: ignore[arg-type]


def read_keras(path: Path) -> dict[str, Tensor]:
    """The network's tensors in torch's layout, from a public Keras file; what the file lacks is left out.

    Raises:
        GeoadaptError: for a file that is no whole HDF5 file, and for values that are not finite.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            stored = {key: _stored(file, *place) for key, place in _places().items()}
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise GeoadaptError(path, f"not a whole HDF5 file of weights ({error})", "get it again") from error
    state = {key: value for key, value in stored.items() if value is not None}
    bad = [key for key, value in state.items() if not bool(value.isfinite().all())]
    if bad:
        raise GeoadaptError(path, f"values that are not finite in {', '.join(bad[:5])}", "get it again")
    return state


def _stored(file: h5py.File, layer: str, name: str, axes: tuple[int, ...]) -> Tensor | None:
    """One array of a layer, whatever Keras called the group inside it: ``pool1_bn_1`` or ``pool1_bn_1_2``."""
    root = file.get("model_weights")
    found = [g[f"{name}:0"] for g in root[layer].values() if f"{name}:0" in g] if root and layer in root else []
    if not found:
        return None
    array = np.asarray(found[0], dtype=np.float32)
    turned = array.transpose(axes) if array.ndim == len(axes) else array
    return torch.from_numpy(np.ascontiguousarray(turned))


def _places() -> Mapping[str, tuple[str, str, tuple[int, ...]]]:
    """Key → layer and array in the file, and how its axes go: Keras keeps a kernel as (h, w, in, out)."""
    vector, kernel, depthwise = (0,), (3, 2, 0, 1), (2, 3, 0, 1)
    places: dict[str, tuple[str, str, tuple[int, ...]]] = {
        "normalise.weight": ("normalization", "kernel", kernel),
        "normalise.bias": ("normalization", "bias", vector),
        "classify.weight": ("linear_model", "kernel", kernel),
        "classify.bias": ("linear_model", "bias", vector),
    }
    for number in range(DOWN):
        # transposed: (h, w, out, in) there, (in, out, h, w) here
        places[f"up.{number}.weight"] = (f"upconv{number + 1}", "kernel", kernel)
        places[f"up.{number}.bias"] = (f"upconv{number + 1}", "bias", vector)
    for block, stage in enumerate(STAGES):
        for half in (0, 1):
            own, conv, norm = f"blocks.{block}.{half}", f"{stage}_conv_{half + 1}", f"{stage}_bn_{half + 1}"
            places[f"{own}.depthwise.weight"] = (conv, "depthwise_kernel", depthwise)
            places[f"{own}.pointwise.weight"] = (conv, "pointwise_kernel", kernel)
            places[f"{own}.pointwise.bias"] = (conv, "bias", vector)
            for key, name in NORM.items():
                places[f"{own}.norm.{key}"] = (norm, name, vector)
    return places
