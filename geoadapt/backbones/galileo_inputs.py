"""From a Batch to what Galileo reads: one normalised tensor and one visibility mask per channel group.

In: fields in physical units. Out: ``Groups``: space-time groups (b, t, c, H, W), space groups (b, c, H, W),
time groups (b, t, c), static groups (b, c); masks are per patch, per date, per sample. Absent groups are hidden.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from geoadapt.backbones.told import months, unit_vector, vegetation_index
from geoadapt.backbones.vit_layers import Windows
from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch, Field, ProjectedGrid

__all__ = ["GROUPS", "INPUTS", "KINDS", "UNITS", "Group", "Groups", "cut_groups", "read_batch"]


@dataclass(frozen=True, slots=True)
class Group:
    """Channels that are visible together: their input, names, and y = (x·scale − (mean − 2 std)) / (4 std) each."""

    kind: str
    """``space_time``, ``space``, ``time`` or ``static``."""
    source: str
    channels: tuple[str, ...]
    stats: tuple[tuple[float, float], ...] | None = None
    """Mean and standard deviation per channel; None = used as it is."""
    scale: float = 1.0

    def affine(self) -> tuple[list[float], list[float]]:
        """Factor and offset per channel."""
        if self.stats is None:
            return [self.scale] * len(self.channels), [0.0] * len(self.channels)
        return [self.scale / (4 * s) for _, s in self.stats], [(2 * s - m) / (4 * s) for m, s in self.stats]


KINDS = ("space_time", "space", "time", "static")

LANDCOVER = (
    "water",
    "trees",
    "grass",
    "flooded_vegetation",
    "crops",
    "shrub_and_scrub",
    "built",
    "bare",
    "snow_and_ice",
)
CROPS = ("temporarycrops", "maize", "wintercereals", "springcereals", "irrigation")
OPTICAL = 1e4
"""The statistics are of reflectance times this."""

GROUPS: dict[str, Group] = {
    "S1": Group(
        "space_time",
        "sar",
        ("vv", "vh"),
        ((-11.728724389184965, 4.887145774840316), (-18.85558188024017, 5.730270320384293)),
    ),
    "S2_RGB": Group(
        "space_time",
        "optical",
        ("blue", "green", "red"),
        (
            (1395.3408730676722, 917.7041440370853),
            (1338.4026921784578, 913.2988423581528),
            (1343.09883810357, 1092.678723527555),
        ),
        OPTICAL,
    ),
    "S2_Red_Edge": Group(
        "space_time",
        "optical",
        ("rededge071", "rededge075", "rededge078"),
        (
            (1543.8607982512297, 1047.2206083460424),
            (2186.2022069512263, 1048.0101611156767),
            (2525.0932853316694, 1143.6903026819996),
        ),
        OPTICAL,
    ),
    "S2_NIR_10m": Group("space_time", "optical", ("nir",), ((2410.3377187373408, 1098.979177731649),), OPTICAL),
    "S2_NIR_20m": Group("space_time", "optical", ("nir08",), ((2750.2854646886753, 1204.472755085893),), OPTICAL),
    "S2_SWIR": Group(
        "space_time",
        "optical",
        ("swir16", "swir22"),
        ((2234.911100061487, 1145.9774063078878), (1474.5311266077113, 980.2429840007796)),
        OPTICAL,
    ),
    "NDVI": Group("space_time", "optical", ("ndvi",)),
    "SRTM": Group(
        "space",
        "terrain",
        ("elevation", "slope"),
        ((673.0152819503361, 983.0697298296237), (5.930092668915115, 8.167406789813247)),
    ),
    "DW": Group("space", "landcover", LANDCOVER),
    "WC": Group("space", "crops", CROPS, None, 0.01),
    "ERA5": Group(
        "time",
        "era5",
        ("2m_temperature", "total_precipitation"),
        ((271.5674963541667, 79.80828940314429), (0.08554303677156568, 0.11669547098151486)),
    ),
    "TC": Group(
        "time",
        "terraclimate",
        ("def", "soil", "aet"),
        (
            (657.3181260091111, 704.0008695557707),
            (692.1291795806885, 925.0116126406431),
            (562.781331880633, 453.2434022278578),
        ),
    ),
    "VIIRS": Group("time", "nightlights", ("avg_rad",), ((1.5647115934036673, 7.513020170832818),)),
    "LS": Group("static", "population", ("population",), ((188.20315880851746, 1154.5919128300602),)),
    "location": Group("static", "location", ("x", "y", "z")),
    "DW_static": Group("static", "landcover_mean", LANDCOVER),
    "WC_static": Group("static", "crops_mean", CROPS, None, 0.01),
}
"""Name → group, in the order of the public checkpoint's channel embeddings, kind by kind."""

INPUTS: dict[str, tuple[str, ...]] = {
    source: tuple(c for g in GROUPS.values() if g.source == source for c in g.channels if c != "ndvi")
    for source in dict.fromkeys(g.source for g in GROUPS.values())
    if source != "location"
}
UNITS: dict[str, str] = {
    "optical": "reflectance",
    "sar": "dB",
    "terrain": "m, degrees",
    "landcover": "probability",
    "crops": "percent",
    "era5": "K, m per month",
    "terraclimate": "as published",
    "nightlights": "nW cm-2 sr-1",
    "population": "persons per cell",
    "landcover_mean": "probability",
    "crops_mean": "percent",
}


@dataclass(frozen=True, slots=True)
class Groups:
    """Normalised values per group, which of them may be seen (None = all), and the month of each date.

    ``visible``: (b, t, h, w), (b, h, w), (b, t) or (b,) bool by kind; ``months`` (b, t) 0–11.
    """

    values: dict[str, Tensor]
    months: Tensor
    visible: dict[str, Tensor | None] = field(default_factory=dict)


def read_batch(batch: Batch, patch: int, *, location: bool = False) -> Groups:
    """The groups of a batch that are there, normalised; raises GeoadaptError where fields do not fit together."""
    images = {name: f for name, f in batch.inputs.items() if name in ("optical", "sar")}
    if not images:
        raise GeoadaptError("backbone", f"the batch holds {list(batch.inputs)}", "Galileo needs 'optical' or 'sar'")
    lead = next(iter(images.values()))
    _check(batch, lead, patch)
    values: dict[str, Tensor] = {}
    visible: dict[str, Tensor | None] = {}
    for name, group in GROUPS.items():
        given = batch.inputs.get(group.source)
        if given is None:
            continue
        picked = vegetation_index(given) if name == "NDVI" else _pick(given, group)
        if picked is not None:
            values[name], visible[name] = _arrange(*picked, group, patch)
    if not any(GROUPS[name].kind == "space_time" for name in values):
        held = {name: list(f.channels) for name, f in images.items()}
        raise GeoadaptError(
            "backbone", f"no channel group is complete in {held}", "give at least blue, green, red, or nir, or vv, vh"
        )
    if location and isinstance(lead.grid, ProjectedGrid) and lead.grid.centre is not None:
        values["location"] = unit_vector(*lead.grid.centre.unbind(-1)).to(lead.values)
    return Groups(values, months(lead), visible)


def cut_groups(groups: Groups, windows: Windows, patch: int) -> Groups:
    """The same groups with each window as a sample of its own; padding is hidden."""
    if windows.count == 1 and not windows.padded:
        return groups
    values: dict[str, Tensor] = {}
    visible: dict[str, Tensor | None] = {}
    for name, value in groups.values.items():
        seen = groups.visible.get(name)
        if GROUPS[name].kind in ("space_time", "space"):
            values[name] = windows.cut(value, patch)
            if seen is None and windows.padded:
                shape = (*value.shape[:-3], windows.height, windows.width)
                seen = torch.ones(shape, dtype=torch.bool, device=value.device)
            visible[name] = None if seen is None else windows.cut(seen)
        else:
            values[name] = value.repeat_interleave(windows.count, 0)
            visible[name] = None if seen is None else seen.repeat_interleave(windows.count, 0)
    return Groups(values, groups.months.repeat_interleave(windows.count, 0), visible)


def _check(batch: Batch, lead: Field, patch: int) -> None:
    b, t, _, height, width = lead.values.shape
    if height % patch or width % patch:
        raise GeoadaptError(
            "backbone", f"{height} × {width} px is no multiple of the patch size {patch} px", "pad or crop the input"
        )
    for name, given in batch.inputs.items():
        if name not in INPUTS:
            continue
        kinds = {g.kind for g in GROUPS.values() if g.source == name}
        dated = bool(kinds & {"space_time", "time"})
        if len(given.values) != b or (dated and given.values.shape[1] != t):
            raise GeoadaptError(
                f"inputs.{name}",
                f"{len(given.values)} samples of {given.values.shape[1]} dates, expected {b} of {t}",
                "put all inputs on the same dates, invalid where there is none",
            )
        if kinds & {"space_time", "space"} and given.values.shape[-2:] != (height, width):
            raise GeoadaptError(
                f"inputs.{name}", f"grid {tuple(given.values.shape[-2:])}, expected {(height, width)}", "resample it"
            )


def _pick(given: Field, group: Group) -> tuple[Tensor, Tensor | None] | None:
    """Normalised values (b, t, c, h, w) of a group and its validity (b, t, h, w); None where a channel is missing."""
    if not set(group.channels) <= set(given.channels):
        return None
    index = [given.channels.index(c) for c in group.channels]
    picked = given.values[:, :, index].float()
    factor, offset = (picked.new_tensor(v)[:, None, None] for v in group.affine())
    values = picked * factor + offset
    return values, None if given.valid is None else given.valid[:, :, index].all(2)


def _arrange(values: Tensor, valid: Tensor | None, group: Group, patch: int) -> tuple[Tensor, Tensor | None]:
    """Values and visibility in the group's own shape: one invalid pixel hides its patch, one invalid cell its date."""
    if valid is not None and bool(valid.all()):
        valid = None
    if valid is not None:
        # hidden values must be finite, whatever they hold: they are multiplied before they are dropped
        values = torch.where(valid.unsqueeze(2), values, 0.0)
    if group.kind in ("time", "static"):
        values = values.mean((-2, -1))
        seen = None if valid is None else valid.all(-1).all(-1)
        return (values, seen) if group.kind == "time" else (values[:, 0], None if seen is None else seen[:, 0])
    if group.kind == "space":
        values, valid = values[:, 0], None if valid is None else valid[:, 0]
    if valid is None:
        return values, None
    *lead, height, width = valid.shape
    return values, valid.reshape(*lead, height // patch, patch, width // patch, patch).all(-1).all(-2)
