"""EoS-FM (arXiv 2511.21523): an ensemble of small specialists, each a ConvNeXt V2 Atto of its own data and channels.

In: a Batch with ``optical`` (reflectance 0–1), ``sar`` [dB]. Out: Features, four maps, strides 4 to 32, in each of
which the maps of all specialists that can read the data stand behind each other, or are joined. Every date is a
picture of its own. The released weights are licensed CC BY-NC-SA 4.0.
"""

from __future__ import annotations

import copy
import logging
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from geoadapt.backbones.base import BackboneSpec, Features
from geoadapt.backbones.eosfm_match import CHANNELS, by_name
from geoadapt.backbones.eosfm_network import Ensemble
from geoadapt.backbones.eosfm_parts import LEVELS, Specialist
from geoadapt.backbones.eosfm_weights import Stored, read_ensemble
from geoadapt.backbones.picture_config import EosFmConfig
from geoadapt.backbones.picture_models import VARIANTS, Variant, resized
from geoadapt.backbones.weights import Provenance, find_weights, provenance, random_provenance
from geoadapt.errors import GeoadaptError, nearest
from geoadapt.fields.types import Batch, Field

__all__ = ["EosFm", "build"]

log = logging.getLogger(__name__)
ATTO = "convnextv2_atto"
STRIDES = (4, 8, 16, 32)
WHERE = "the ensemble file released with arXiv 2511.21523"
LICENCE = "CC BY-NC-SA 4.0"
RADAR = ("vv", "vh", "hh", "hv")


class EosFm(nn.Module):
    """The ensemble as a Backbone: specialists are matched with the data by the names of channels."""

    def __init__(self, config: EosFmConfig, specialists: dict[str, Specialist]) -> None:
        """``specialists`` can all read ``config.channels``."""
        super().__init__()
        self.settings = config
        self.names = tuple(specialists)
        self.source: Provenance | None = None
        entries = by_name([_reads(config)[name] for name in specialists], config.channels)
        variant = _variant(config)
        self.ensemble = Ensemble(list(specialists.values()), entries, variant.widths, config)
        own = ("feature_fusion", "feature_projections", "encoder_selector")
        self.trainable = tuple(name for name, _ in self.named_parameters() if name.split(".")[1] in own)
        """Parameters that an adapter is to train along: nobody has trained them yet."""
        inputs = {
            "optical": tuple(c for c in config.channels if c not in RADAR),
            "sar": tuple(c for c in config.channels if c in RADAR),
        }
        self.inputs = {name: channels for name, channels in inputs.items() if channels}
        units = {"optical": "reflectance", "sar": "dB"}
        self.spec = BackboneSpec(
            name=config.name,
            inputs=self.inputs,
            required=self.inputs,
            units={name: units[name] for name in self.inputs},
            widths=self.ensemble.widths,
            strides=STRIDES,
            blocks=LEVELS,
            targets={"mlp": r"ensemble\.encoders\.\d+\.blocks\.{block}\.layers\.\d+\.pwconv[12]"},
            multiple=STRIDES[-1],
        )

    def forward(self, batch: Batch) -> Features:
        """Features of a batch.

        Raises:
            GeoadaptError: where an input or a channel is missing, or the size is no multiple of 32 px.
        """
        parts = [self._read(batch, name, channels) for name, channels in self.inputs.items()]
        dates = {tuple(part.values.shape[:2]) + tuple(part.values.shape[-2:]) for part in parts}
        if len(dates) > 1:
            raise GeoadaptError("backbone", f"inputs of sizes {sorted(dates)}", "put all on the same dates and grid")
        names = [c for part in parts for c in part.channels]
        joined = torch.cat([_standard(part) for part in parts], 2)[
            :, :, [names.index(c) for c in self.settings.channels]
        ]
        maps = self.ensemble(joined.flatten(0, 1))
        return Features(tuple(m.unflatten(0, joined.shape[:2]) for m in maps), STRIDES)

    def pruned(self) -> tuple[EosFm, list[list[int]]]:
        """The same backbone without the specialists that are not chosen, and which channels of each level remain.

        Without a fusion a head must be given these channels alone; behind one nothing is missing.

        Raises:
            GeoadaptError: where maps are multiplied, so that what is left out would count.
        """
        network, kept, columns = self.ensemble.pruned()
        left = [self.names[number] for number in kept]
        selection = "none" if network.encoder_selector is None else self.settings.selection
        config = replace(self.settings, specialists=tuple(left), keep=len(left), selection=selection)
        smaller = copy.copy(self)
        smaller._modules = dict(self._modules)
        smaller.settings, smaller.names, smaller.ensemble = config, tuple(left), network
        smaller.spec = replace(self.spec, widths=network.widths)
        smaller.trainable = tuple(n for n in self.trainable if n in dict(smaller.named_parameters()))
        return smaller, columns

    def _read(self, batch: Batch, name: str, channels: tuple[str, ...]) -> Field:
        given = batch.inputs.get(name)
        if given is None or not set(channels) <= set(given.channels):
            held = list(batch.inputs) if given is None else list(given.channels)
            raise GeoadaptError(f"inputs.{name}", f"the batch holds {held}", f"give {list(channels)}")
        height, width = given.values.shape[-2:]
        if height % STRIDES[-1] or width % STRIDES[-1]:
            raise GeoadaptError("backbone", f"{height} × {width} px is no multiple of 32 px", "pad or crop the input")
        return given.select(channels)


def build(config: EosFmConfig) -> EosFm:
    """The ensemble of all specialists that can read ``config.channels``, with released or random weights.

    Specialists are frozen; fusion, projections and selector are new and trainable.

    Raises:
        GeoadaptError: where no specialist can read the channels, or one that is asked for cannot.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        if config.random_weights:
            known = _reads(config)
            names = _readable(config, {name: len(channels) for name, channels in known.items()})
            chosen = {n: Specialist(_variant(config), len(known[n])) for n in names}
            model = EosFm(config, chosen)
            model.source = random_provenance(config.name, config.seed, model)
        else:
            path = find_weights(config.name, config.weights, ("eosfm.pt", "ensemble.pt", "eosfm.pth"), where=WHERE)
            log.warning("%s: its weights are licensed %s: no commercial use, share alike", config.name, LICENCE)
            stored = {one.name: one for one in read_ensemble(path)}
            names = _readable(config, {name: one.channels for name, one in stored.items()})
            model = EosFm(config, {name: _filled(config, stored[name], path) for name in names})
            model.source = provenance(config.name, path, WHERE, LICENCE)
    model.requires_grad_(False).eval()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in model.trainable)
    return model


def _variant(config: EosFmConfig) -> Variant:
    return resized(VARIANTS[ATTO], config.widths, config.depths, None)


def _reads(config: EosFmConfig) -> dict[str, tuple[str, ...]]:
    """Specialist → its channels: as known, or as the configuration says."""
    return CHANNELS | {name: tuple(channels) for name, channels in config.reads.items()}


def _readable(config: EosFmConfig, counts: dict[str, int]) -> list[str]:
    """Names of the specialists (name → its number of channels) that are wanted and can read the data."""
    known = _reads(config)
    for name in config.specialists:
        if name not in counts:
            raise GeoadaptError("backbone.specialists", f"'{name}' is unknown", nearest(name, counts))
    wanted = config.specialists or tuple(counts)
    unknown = [name for name in wanted if name not in known]
    for name in wanted:
        if name in known and len(known[name]) != counts[name]:
            problem = f"'{name}' takes {counts[name]} channels, not {list(known[name])}"
            raise GeoadaptError("backbone.reads", problem, f"say which, as in backbone.reads.{name}=[…]")
    names = [name for name in wanted if name in known and set(known[name]) <= set(config.channels)]
    missing = [name for name in config.specialists if name not in names]
    if not names or missing:
        problem = f"{missing or 'no specialist'} can read {list(config.channels)}"
        hint = "name more channels" + (f", or the channels of {unknown} in backbone.reads" if unknown else "")
        raise GeoadaptError("backbone.channels", f"not {problem}" if missing else problem, hint)
    if left := [name for name in wanted if name not in names]:
        log.warning("%s: specialists that cannot read the data are left out: %s", config.name, ", ".join(left))
    return names


def _filled(config: EosFmConfig, stored: Stored, path: Path) -> Specialist:
    """A specialist with the tensors of the file."""
    return Specialist(_variant(config), stored.channels, stored.state, f"{path} ({stored.name})")


def _standard(part: Field) -> Tensor:
    """Every channel of every picture (b, t, c, h, w) with its own mean and standard deviation, invalid values 0.

    How the specialists' training scaled its inputs is not published; this does not depend on it.
    """
    values = part.values.float()
    valid = torch.ones_like(values, dtype=torch.bool) if part.valid is None else part.valid
    values = torch.where(valid, values, 0.0)
    count = valid.sum((-2, -1), keepdim=True).clamp(min=1)
    away = torch.where(valid, values - values.sum((-2, -1), keepdim=True) / count, 0.0)
    deviation = (away.square().sum((-2, -1), keepdim=True) / count).sqrt()
    return away / deviation.clamp(min=1e-6)
