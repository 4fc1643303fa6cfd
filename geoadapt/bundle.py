"""The bundle: a folder that is all one needs to run an adapted model. No pickle; every file is named with its sha256.

In: a trained model and plain data about it. Out: the folder, or from the folder the model, ready to run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from geoadapt.adapters import ADAPTERS, TUNED
from geoadapt.backbones import BACKBONES
from geoadapt.backbones.weights import load_into, load_state
from geoadapt.baselines.pixelwise import BlueRule, LinearDiscriminant
from geoadapt.baselines.unet import SmallUnet
from geoadapt.cubes.classes import ClassInfo
from geoadapt.errors import GeoadaptError
from geoadapt.heads import HEADS
from geoadapt.heads.inputs import HeadInputs
from geoadapt.io.atomic import staged_folder
from geoadapt.io.paths import as_path
from geoadapt.model import AdaptedModel, build_model, image_batch
from geoadapt.registry import from_plain, look_up
from geoadapt.report.numbers import number
from geoadapt.words import counted

__all__ = ["FORMAT", "Bundle", "BundleCard", "load_bundle", "read_card", "restore_model", "save_bundle"]

FORMAT = 1
CARD = "bundle.json"
HEAD = "head.safetensors"


@dataclass(frozen=True, slots=True)
class BundleCard:
    """What ``bundle.json`` says: plain data, the single source of everything else."""

    name: str
    task: str
    backbone: dict[str, Any]
    adapter: dict[str, Any]
    head: dict[str, Any]
    source: dict[str, Any]
    """The backbone's published file: name, sha256, where to get it, licence."""
    channels: tuple[str, ...]
    units: str
    mean: tuple[float, ...]
    """Per channel, over the training blocks [reflectance]."""
    std: tuple[float, ...]
    classes: tuple[ClassInfo, ...]
    metrics: dict[str, float]
    data: str
    seed: int
    command: str
    licence: str
    simulated: bool = False
    rule: dict[str, float] | None = None
    threshold: float | None = None
    """Cloud where its probability reaches this; None = the most probable class. Its metrics were measured so."""
    chip: int = 64
    """Side of the chips that it was trained on [px]."""
    forecast: dict[str, Any] | None = None
    """Of a forecaster: how it steps, on which grid, at which leads it was tested, and what its baselines are."""
    removal: dict[str, Any] | None = None
    """Of a restorer: which dates its backbone sees and how, whether clear pixels stay, and what its baselines are."""
    samples: dict[str, Any] | None = None
    """Of a model of labelled samples: its task and target, the inputs that it takes, and what its baselines are."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A model ready to run, with its card; ``scores`` is all that the streaming engine asks of it."""

    path: Path
    card: BundleCard
    model: nn.Module
    multiple: int
    sha256: str
    """Of ``bundle.json``, which names every other file by its own."""

    @property
    def name(self) -> str:
        """The bundle's name."""
        return self.card.name

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels it takes, in order."""
        return self.card.channels

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        """Classes it tells apart, in the order of its scores."""
        return self.card.classes

    @property
    def threshold(self) -> float | None:
        """The probability of cloud from which it was tested; None = the most probable class."""
        return self.card.threshold

    def scores(
        self,
        values: Tensor,
        valid: Tensor | None = None,
        *,
        time: datetime | None = None,
        resolution: float | None = None,
        sensor: str | None = None,
    ) -> Tensor:
        """Class probabilities (b, k, h, w) of images (b, c, h, w) [reflectance 0–1, finite]."""
        batch = image_batch(values, valid, self.channels, time=time, resolution=resolution, sensor=sensor)
        with torch.inference_mode():
            out: Tensor = self.model(batch)[:, 0].float().softmax(dim=1)
        return out


def save_bundle(
    path: Path,
    model: AdaptedModel,
    card: BundleCard,
    baselines: Mapping[str, object],
    more: Mapping[str, Mapping[str, Tensor]] | None = None,
) -> Path:
    """Write the bundle, whole or not at all; returns its path.

    ``baselines`` holds the fitted simple models by name, so that ``evaluate`` on other data can score them too;
    ``more`` further tensors by the name of their file.
    """
    from safetensors.torch import save_file

    with staged_folder(path) as part:
        model.attached.save(part / "adapter")
        save_file({k: v.contiguous() for k, v in model.head.state_dict().items()}, part / HEAD)
        for name, tensors in (more or {}).items():
            save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, part / f"{name}.safetensors")
        (part / "baselines").mkdir()
        for name, baseline in baselines.items():
            save_file(_baseline_state(name, baseline), part / "baselines" / f"{name}.safetensors")
        files = {str(file.relative_to(part)): _sha256(file) for file in sorted(part.rglob("*")) if file.is_file()}
        plain = {"format": FORMAT, **asdict(card), "files": files}
        (part / CARD).write_text(json.dumps(plain, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        (part / "README.md").write_text(_readme(card), encoding="utf-8")
    return path


def load_bundle(
    path: str | Path, *, device: str = "cpu", weights: str | None = None, allow_mismatch: bool = False
) -> Bundle:
    """The bundle at ``path``, its adapter merged, ready to run.

    ``weights`` overrides where the backbone's file is; ``allow_mismatch`` takes another backbone of the same shape.
    Raises GeoadaptError for a changed byte, a missing file or key, a NaN weight, or another backbone.
    """
    folder = as_path(path)
    card, digest = read_card(folder)
    if card.forecast is not None:
        raise GeoadaptError(folder, f"is a bundle of the task {card.task}", "geoadapt forecast FILE --bundle …")
    if card.removal is not None:
        raise GeoadaptError(folder, f"is a bundle of the task {card.task}", "geoadapt predict STACK --bundle …")
    if card.samples is not None:
        raise GeoadaptError(folder, f"is a bundle of the task {card.task}", "geoadapt evaluate BUNDLE data=…")
    model = restore_model(folder, card, _inputs(card), weights=weights, allow_mismatch=allow_mismatch)
    return Bundle(folder, card, model.to(device), model.spec.multiple, digest)


def restore_model(
    folder: Path, card: BundleCard, inputs: HeadInputs, *, weights: str | None = None, allow_mismatch: bool = False
) -> AdaptedModel:
    """The model that a card describes, its adapter merged; raises what ``load_bundle`` raises."""
    backbone: Any = from_plain(
        look_up(BACKBONES, str(card.backbone.get("name")), "backbone").config, card.backbone, "backbone"
    )
    if weights is not None:
        backbone.weights = weights
    model = build_model(
        backbone,
        from_plain(look_up(ADAPTERS, str(card.adapter.get("name")), "adapter").config, card.adapter, "adapter"),
        from_plain(look_up(HEADS, str(card.head.get("name")), "head").config, card.head, "head"),
        inputs,
        card.channels,
        card.seed,
    )
    found = model.source.sha256
    if found != card.source.get("sha256") and not allow_mismatch:
        raise GeoadaptError(
            folder,
            f"was trained on backbone {card.source.get('file')} ({str(card.source.get('sha256'))[:12]}), "
            f"the one at hand is {model.source.file} ({str(found)[:12]})",
            f"get it from {card.source.get('where')}, or allow the mismatch (allow_mismatch=True, --allow-mismatch)",
        )
    model.attached.load_folder(folder / "adapter")
    load_into(model.head, folder / HEAD)
    model.attached.merge()
    model.eval().requires_grad_(False)
    return model


def read_card(folder: Path) -> tuple[BundleCard, str]:
    """The checked card of a bundle and its sha256; every file is compared with the hash that the card names."""
    file = folder / CARD
    if not file.is_file():
        raise GeoadaptError(folder, f"is no bundle: it has no {CARD}", "name the folder that `geoadapt train` wrote")
    raw = file.read_bytes()
    try:
        plain = json.loads(raw)
    except ValueError as error:
        raise GeoadaptError(file, f"is not JSON ({error})", "the bundle is damaged; take a fresh copy") from error
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        raise GeoadaptError(
            file, f"format {plain.get('format') if isinstance(plain, dict) else '?'}", f"expected {FORMAT}"
        )
    _check_files(folder, plain.pop("files", {}))
    plain.pop("format")
    try:
        plain["classes"] = tuple(ClassInfo(c["value"], c["name"], tuple(c["colour"])) for c in plain["classes"])
        for key in ("channels", "mean", "std"):
            plain[key] = tuple(plain[key])
        card = BundleCard(**plain)
    except (KeyError, TypeError) as error:
        raise GeoadaptError(
            file, f"lacks or misspells a key ({error})", "the bundle is damaged; take a fresh copy"
        ) from error
    return card, hashlib.sha256(raw).hexdigest()


def load_baselines(bundle: Bundle) -> dict[str, Any]:
    """The fitted simple models that the bundle carries, by name."""
    names = [c.name for c in bundle.classes]
    made: dict[str, Any] = {}
    if bundle.card.rule is not None:
        made["rule"] = BlueRule(
            bundle.channels.index("blue"),
            names.index("cloud"),
            names.index("clear"),
            len(names),
            bundle.card.rule["blue"],
        )
    file = bundle.path / "baselines" / "lda.safetensors"
    if file.is_file():
        state = load_state(file)
        made["lda"] = LinearDiscriminant(state["weight"], state["bias"])
    file = bundle.path / "baselines" / "unet.safetensors"
    if file.is_file():
        made["unet"] = SmallUnet(_inputs(bundle.card))
        load_into(made["unet"], file)
    return made


def _inputs(card: BundleCard) -> HeadInputs:
    return HeadInputs(len(card.classes), torch.tensor(card.mean), torch.tensor(card.std))


def _baseline_state(name: str, baseline: object) -> dict[str, Tensor]:
    if isinstance(baseline, LinearDiscriminant):
        return {"weight": baseline.weight.contiguous(), "bias": baseline.bias.contiguous()}
    if isinstance(baseline, nn.Module):
        return {k: v.contiguous() for k, v in baseline.state_dict().items()}
    raise GeoadaptError("bundle", f"baseline '{name}' of type {type(baseline).__name__} cannot be stored", "")


def _check_files(folder: Path, files: object) -> None:
    """Raise where a file is missing, changed, outside the folder, or one that the card does not name."""
    if not isinstance(files, dict):
        raise GeoadaptError(folder / CARD, "names no files", "the bundle is damaged; take a fresh copy")
    present = {str(file.relative_to(folder)): file for file in sorted(folder.rglob("*.*")) if file.is_file()}
    for name, file in present.items():
        if file.suffix in (".safetensors", ".json") and name not in files and name != CARD:
            raise GeoadaptError(file, f"is not named in {CARD}, so its hash is unknown", "take a fresh copy")
    for name, expected in files.items():
        file = folder / name
        if Path(name).is_absolute() or ".." in Path(name).parts or file.is_symlink():
            raise GeoadaptError(folder / CARD, f"names a file outside the bundle: {name!r}", "do not use this bundle")
        if not file.is_file():
            raise GeoadaptError(file, "is missing from the bundle", "take a fresh copy")
        if _sha256(file) != expected:
            raise GeoadaptError(file, "has changed since the bundle was written (sha256 differs)", "take a fresh copy")


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _readme(card: BundleCard) -> str:
    scores = "\n".join(f"| {name} | {number(value)} |" for name, value in sorted(card.metrics.items()))
    state = TUNED.get(card.adapter["name"], "frozen")
    base = f"base_model: {card.source['where']}\n" if card.source.get("where") else ""
    rule = "" if card.threshold is None else f"Cloud where its probability reaches {card.threshold:g}.\n"
    simulated = "\n**Trained on simulated data.**\n" if card.simulated else ""
    return (
        f"---\n{base}library_name: geoadapt\nlicense: {card.licence}\n---\n\n"
        f"# {card.name}\n{simulated}\n"
        f"Task {card.task}; backbone {card.source.get('name')} ({state}), adapter {card.adapter['name']}, "
        f"head {card.head['name']}.\nChannels: {', '.join(card.channels)} [{card.units}].\n"
        f"{_told(card)}{rule}Data: {card.data}.\n\n"
        f"    {card.command}\n\n| metric | value |\n|---|---|\n{scores}\n"
    )


def _told(card: BundleCard) -> str:
    """What comes out: classes, an image and its error, or states at lead times."""
    if card.removal is not None:
        return f"The image of a date from {card.removal['frames']} dates or more, and its expected absolute error.\n"
    if card.samples is not None:
        target = card.samples["target"]
        unit = f" [{target['unit']}]" if target["unit"] else ""
        return f"One {target['kind'].replace('_', ' ')} for each sample: {', '.join(target['names'])}{unit}.\n"
    if card.forecast is None:
        return f"Classes: {', '.join(f'{c.value} {c.name}' for c in card.classes)}.\n"
    step, leads = card.forecast["step"] / 3600, ", ".join(f"{lead:g}" for lead in card.forecast["leads"])
    return f"Forecasts in steps of {step:g} h from {counted(card.forecast['frames'], 'state')}; tested at {leads} h.\n"
