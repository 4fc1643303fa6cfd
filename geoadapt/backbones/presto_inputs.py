"""From a Batch to what Presto reads: each pixel's own series, normalised, and what of it may be seen.

In: fields in physical units. Out: ``PixelSeries``: channel groups (n, t, c) and their visibility (n, t), n = b · h · w.
Groups that are not there are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from geoadapt.backbones.galileo_inputs import LANDCOVER
from geoadapt.backbones.told import months, unit_vector, vegetation_index
from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch, Field, LatLonGrid, ProjectedGrid

__all__ = ["GROUPS", "INPUTS", "MAX_DATES", "MISSING", "UNITS", "Group", "PixelSeries", "read_pixels", "thinned"]

MAX_DATES = 24
MISSING = len(LANDCOVER)
"""The class of a land cover that is unknown."""


@dataclass(frozen=True, slots=True)
class Group:
    """Channels that are visible together: their input, names, and y = (x + shift) / divisor of each."""

    source: str
    channels: tuple[str, ...]
    shift: tuple[float, ...] = ()
    divisor: tuple[float, ...] = ()
    """Both empty: used as it is."""

    def normalise(self, values: Tensor) -> Tensor:
        """Physical values (…, c) as Presto takes them."""
        if not self.divisor:
            return values
        return (values + values.new_tensor(self.shift)) / values.new_tensor(self.divisor)


GROUPS: dict[str, Group] = {
    "S1": Group("sar", ("vv", "vh"), (25.0, 25.0), (25.0, 25.0)),
    "S2_RGB": Group("optical", ("blue", "green", "red")),
    "S2_Red_Edge": Group("optical", ("rededge071", "rededge075", "rededge078")),
    "S2_NIR_10m": Group("optical", ("nir",)),
    "S2_NIR_20m": Group("optical", ("nir08",)),
    "S2_SWIR": Group("optical", ("swir16", "swir22")),
    # the public code subtracts 272.15, not 273.15, and so do its weights expect
    "ERA5": Group("era5", ("2m_temperature", "total_precipitation"), (-272.15, 0.0), (35.0, 0.03)),
    "SRTM": Group("terrain", ("elevation", "slope"), (0.0, 0.0), (2000.0, 50.0)),
    "NDVI": Group("optical", ("ndvi",)),
}
"""Name → group of continuous values, in the order of the tokens; land cover comes behind them."""

INPUTS: dict[str, tuple[str, ...]] = {
    source: tuple(c for g in GROUPS.values() if g.source == source for c in g.channels if c != "ndvi")
    for source in ("optical", "sar", "era5", "terrain")
} | {"landcover": LANDCOVER}
UNITS: dict[str, str] = {
    "optical": "reflectance",
    "sar": "dB",
    "era5": "K, m per day",
    "terrain": "m, degrees",
    "landcover": "probability",
}


@dataclass(frozen=True, slots=True)
class PixelSeries:
    """Pixels as series: normalised values, which of them may be seen (None = all), and what the encoder is told."""

    values: dict[str, Tensor]
    """Group → (n, t, c); of SRTM only the first date is read."""
    months: Tensor
    """(n, t), 0–11."""
    visible: dict[str, Tensor | None]
    """Group → (n, t) bool."""
    classes: Tensor | None = None
    """Land cover (n, t), 0–8, ``MISSING`` where it is unknown; None where it is not given."""
    place: Tensor | None = None
    """Unit vectors (n, 3), not finite where the place is unknown; None where no place is given."""

    def __len__(self) -> int:
        return len(self.months)

    def parts(self, size: int) -> Iterator[PixelSeries]:
        """The same pixels in their order, at most ``size`` at a time."""
        for start in range(0, len(self), size):
            cut = slice(start, start + size)
            yield PixelSeries(
                {name: v[cut] for name, v in self.values.items()},
                self.months[cut],
                {name: None if v is None else v[cut] for name, v in self.visible.items()},
                None if self.classes is None else self.classes[cut],
                None if self.place is None else self.place[cut],
            )


def read_pixels(batch: Batch, *, location: bool = True) -> tuple[PixelSeries, tuple[int, int, int]]:
    """The pixels of a batch in the order (b, h, w), and these three sizes.

    ``landcover`` gives the likeliest class, of each date or of all; ``era5`` may be one cell for all pixels.

    Raises:
        GeoadaptError: where fields do not fit together, or there is no complete group or more than 24 dates.
    """
    lead = next((f for name, f in batch.inputs.items() if name in ("optical", "sar")), None)
    if lead is None:
        raise GeoadaptError("backbone", f"the batch holds {list(batch.inputs)}", "Presto needs 'optical' or 'sar'")
    b, t, _, height, width = lead.values.shape
    if t > MAX_DATES:
        raise GeoadaptError("backbone", f"{t} dates", f"Presto takes up to {MAX_DATES}, best one for each month")
    size = (b, height, width)
    for name in INPUTS:
        if name in batch.inputs:
            _check(name, batch.inputs[name], size, t)
    values: dict[str, Tensor] = {}
    visible: dict[str, Tensor | None] = {}
    for name, group in GROUPS.items():
        given = batch.inputs.get(group.source)
        picked = None if given is None else vegetation_index(given) if name == "NDVI" else _pick(given, group.channels)
        if picked is None:
            continue
        numbers, valid = picked
        seen = None if valid is None or bool(valid.all()) else _pixels(valid.unsqueeze(2), size)[..., 0]
        series = _pixels(numbers, size)
        # hidden values must be finite, whatever they hold: they are multiplied before they are dropped
        values[name] = group.normalise(series if seen is None else torch.where(seen[..., None], series, 0.0))
        visible[name] = seen
    if not any(GROUPS[name].source in ("optical", "sar") for name in values):
        held = {name: list(f.channels) for name, f in batch.inputs.items()}
        raise GeoadaptError(
            "backbone", f"no channel group is complete in {held}", "give at least blue, green, red, or nir, or vv, vh"
        )
    cover = batch.inputs.get("landcover")
    classes = None if cover is None else _classes(cover, size, t)
    told = months(lead).repeat_interleave(height * width, 0)
    return PixelSeries(values, told, visible, classes, _place(lead, size) if location else None), size


def thinned(batch: Batch, stride: int) -> Batch:
    """The middle pixel of every square of ``stride`` px, at an edge the last there is; one cell stays one cell."""
    if stride == 1:
        return batch
    return Batch({name: _thinned(given, stride) for name, given in batch.inputs.items()}, where=batch.where)


def _thinned(given: Field, stride: int) -> Field:
    height, width = given.values.shape[-2:]
    if height == width == 1:
        return given
    rows, cols = (
        (torch.arange(-(-n // stride), device=given.values.device) * stride + stride // 2).clamp(max=n - 1)
        for n in (height, width)
    )
    grid = given.grid
    if isinstance(grid, LatLonGrid):
        grid = LatLonGrid(grid.latitude[rows], grid.longitude[cols])

    def pick(values: Tensor) -> Tensor:
        return values.index_select(-2, rows).index_select(-1, cols)

    valid = None if given.valid is None else pick(given.valid)
    return replace(given, values=pick(given.values), valid=valid, grid=grid)


def _check(name: str, given: Field, size: tuple[int, int, int], dates: int) -> None:
    b, t, _, height, width = given.values.shape
    wanted = (1, dates) if name in ("terrain", "landcover") else (dates,)
    if b != size[0] or t not in wanted:
        raise GeoadaptError(
            f"inputs.{name}",
            f"{b} samples of {t} dates, expected {size[0]} of {' or '.join(map(str, wanted))}",
            "put all inputs on the same dates, invalid where there is none",
        )
    if (height, width) != size[1:] and not (name == "era5" and height == width == 1):
        raise GeoadaptError(f"inputs.{name}", f"grid {(height, width)}, expected {size[1:]}", "resample it")


def _pick(given: Field, channels: tuple[str, ...]) -> tuple[Tensor, Tensor | None] | None:
    """Values (b, t, c, h, w) of a group and its validity (b, t, h, w); None where a channel is missing."""
    if not set(channels) <= set(given.channels):
        return None
    chosen = given.select(channels)
    return chosen.values.float(), None if chosen.valid is None else chosen.valid.all(2)


def _pixels(images: Tensor, size: tuple[int, int, int]) -> Tensor:
    """Images (b, t, c, h, w), or one cell for all pixels, as series (n, t, c)."""
    return images.expand(*images.shape[:3], *size[1:]).permute(0, 3, 4, 1, 2).flatten(0, 2)


def _classes(cover: Field, size: tuple[int, int, int], dates: int) -> Tensor:
    """The likeliest of the nine classes (n, t); ``MISSING`` where one of their probabilities is."""
    picked = _pick(cover, LANDCOVER)
    if picked is None:
        missing = [c for c in LANDCOVER if c not in cover.channels]
        raise GeoadaptError("inputs.landcover", f"channels {missing} are missing", "leave it out, or give all nine")
    values, valid = picked
    likeliest = values.argmax(2)
    if valid is not None:
        likeliest = torch.where(valid, likeliest, MISSING)
    return _pixels(likeliest.unsqueeze(2), size)[..., 0].expand(-1, dates)


def _place(lead: Field, size: tuple[int, int, int]) -> Tensor | None:
    """Unit vectors (n, 3) of the pixels: their own where the grid gives them, or those of the image's centre."""
    grid = lead.grid
    b, height, width = size
    if isinstance(grid, LatLonGrid):
        vectors = unit_vector(*torch.meshgrid(grid.latitude, grid.longitude, indexing="ij")).expand(b, -1, -1, -1)
    elif isinstance(grid, ProjectedGrid) and grid.centre is not None:
        vectors = unit_vector(*grid.centre.unbind(-1))[:, None, None].expand(-1, height, width, -1)
    else:
        return None
    return vectors.flatten(0, 2).to(lead.values.device, torch.float32)
