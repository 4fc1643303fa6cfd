"""How well hidden pixels were restored: sums of single samples, which add, and the scores that are finished from them.

In: restored images (b, c, h, w) and what was to be seen [reflectance]. Out: sums by sample, region and band; MAE, RMSE,
bias, PSNR, SSIM and spectral angle, over the ``masked`` pixels and over ``all``.

``masked`` are the pixels that were hidden and whose truth is known. ``all`` is the image as it is delivered: restored
where it was hidden, as it was seen elsewhere, where its error is 0; so ``mae`` of ``all`` is that of ``masked`` times
the hidden share. Both regions leave out what nobody knows and what a model left empty, which ``coverage`` tells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch
from geoadapt.metrics.restoration_maps import angle_map, ssim_map

__all__ = [
    "REGIONS",
    "Asked",
    "RestorationSums",
    "asked_of",
    "concatenate",
    "finish",
    "restoration_sums",
    "score",
    "shared",
]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Totals = Mapping[str, Floats]
"""Name of a statistic → its sum (…, r, c); ``angle`` and ``angles`` (…, r, 1)."""

REGIONS = ("masked", "all")


@dataclass(frozen=True, slots=True)
class Asked:
    """What was to be restored."""

    truth: NDArray[np.floating]
    """(b, c, h, w) [reflectance], anything where it is not ``known``."""
    masked: Bools
    """(b, c, h, w): hidden from the model, and known."""
    known: Bools
    """(b, c, h, w): known at all; all that is masked is."""
    channels: tuple[str, ...]
    places: tuple[str, ...]
    """(b,): which samples err alike, and are resampled as one: the series that they are of."""

    def __post_init__(self) -> None:
        b, c, _, _ = self.truth.shape
        labels = (len(self.places), len(self.channels))
        if not self.truth.shape == self.masked.shape == self.known.shape or labels != (b, c):
            raise GeoadaptError(
                "restoration",
                f"truth {self.truth.shape}, masked {self.masked.shape}, known {self.known.shape}, "
                f"{len(self.channels)} channels, {len(self.places)} places",
                "expected three times (b, c, h, w), c and b",
            )


@dataclass(frozen=True, slots=True)
class RestorationSums:
    """Sums over the pixels of each sample n, by region r and band c; samples in the order in which they were added.

    ``count``, ``absolute``, ``squared``, ``error`` (n, r, c), ``ssim`` of as many pixels, ``angle`` and its ``angles``
    (n, r, 1), and ``asked``, the pixels that were to be restored, with ``given``, those that were.
    """

    channels: tuple[str, ...]
    places: tuple[str, ...]
    sums: Totals

    def totals(self) -> Totals:
        """Sums over all samples (r, c)."""
        return {name: values.sum(axis=0) for name, values in self.sums.items()}

    def blocks(self) -> tuple[tuple[str, ...], Totals]:
        """Places by name, and sums over each (places, r, c)."""
        names, which = np.unique(np.array(self.places, dtype=str), return_inverse=True)
        found = {name: np.zeros((len(names), *values.shape[1:])) for name, values in self.sums.items()}
        for name, values in self.sums.items():
            np.add.at(found[name], which, values)
        return tuple(str(n) for n in names), found


def asked_of(batch: Batch, channels: Sequence[str] | None = None) -> Asked:
    """What a batch of ``series_batch`` asks for; what its last frame shows is known, and not masked."""
    if batch.target is None:
        raise GeoadaptError("batch", "has no target", "make it with a truth, or hide what is clear")
    names = tuple(channels or batch.target.channels)
    target, optical = batch.target.select(names), batch.inputs["optical"].select(names)
    truth = target.values[:, 0].cpu().numpy()
    masked = np.ones(truth.shape, bool) if target.valid is None else target.valid[:, 0].cpu().numpy()
    seen = np.ones(truth.shape, bool) if optical.valid is None else optical.valid[:, -1].cpu().numpy()
    shown = optical.values[:, -1].cpu().numpy()
    places = tuple(where.scene for where in batch.where) or tuple(str(n) for n in range(len(truth)))
    return Asked(np.where(masked, truth, shown), masked, masked | seen, names, places)


def shared(predictions: Mapping[str, NDArray[np.floating]]) -> Bools:
    """Where every entry has a finite value (b, c, h, w): only there may their errors be compared."""
    if not predictions:
        raise GeoadaptError("restoration", "no prediction is given", "name one or more")
    return np.asarray(np.logical_and.reduce([np.isfinite(values) for values in predictions.values()]))


def score(predictions: Mapping[str, NDArray[np.floating]], asked: Asked) -> dict[str, RestorationSums]:
    """Sums of every entry WHO → (b, c, h, w) on the pixels that all of them have; each has its own ``coverage``."""
    common = shared(predictions)
    return {who: restoration_sums(values, asked, common) for who, values in predictions.items()}


def restoration_sums(
    prediction: NDArray[np.floating], asked: Asked, counted: Bools | None = None, data_range: float = 1.0
) -> RestorationSums:
    """Sums of one entry's (b, c, h, w), only of the masked pixels that it has, and that are ``counted``.

    ``data_range`` is that of SSIM [reflectance]. Raises GeoadaptError for a prediction of another shape.
    """
    if prediction.shape != asked.truth.shape or not len(prediction):
        raise GeoadaptError("prediction", f"has shape {prediction.shape}", f"expected {asked.truth.shape}, b > 0")
    common = np.isfinite(prediction) if counted is None else np.isfinite(prediction) & counted
    # one sample at a time: the maps of many chips at once would be most of the memory
    parts = [_sample_sums(prediction[n], asked, n, common[n], data_range) for n in range(len(prediction))]
    sums = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
    return RestorationSums(asked.channels, asked.places, sums)


def _sample_sums(
    prediction: NDArray[np.floating], asked: Asked, n: int, kept: Bools, data_range: float
) -> dict[str, Floats]:
    """Sums (r, c) of one sample, of the pixels that are kept."""
    masked = asked.masked[n]
    known = asked.known[n] & np.isfinite(asked.truth[n])
    wanted = masked & known
    known &= kept | ~masked
    truth = np.where(known, asked.truth[n], 0).astype(np.float64)
    image = np.where(wanted & known, prediction, truth).astype(np.float64)
    off = image - truth
    angle = angle_map(image, truth, known)[None]
    regions = np.stack([wanted & known, known])
    turned = np.isfinite(angle) & regions.any(axis=1, keepdims=True)
    asked_for, given = (
        pixels.sum(axis=(-2, -1), dtype=np.float64) for pixels in (wanted, wanted & np.isfinite(prediction))
    )
    return {
        "count": regions.sum(axis=(-2, -1), dtype=np.float64),
        "absolute": _over(np.abs(off), regions),
        "squared": _over(off**2, regions),
        "error": _over(off, regions),
        "ssim": _over(ssim_map(image, truth, known, data_range), regions),
        "angle": _over(angle, turned),
        "angles": turned.sum(axis=(-2, -1), dtype=np.float64),
        "asked": np.stack([asked_for, asked_for]),
        "given": np.stack([given, given]),
    }


def _over(values: Floats, regions: Bools) -> Floats:
    """Sums of a map (c, h, w) over the regions (r, c, h, w)."""
    return np.asarray(np.where(regions, values, 0.0).sum(axis=(-2, -1)))


def concatenate(parts: Sequence[RestorationSums]) -> RestorationSums:
    """The samples of several batches, in order; raises GeoadaptError where the channels differ or there are none."""
    if not parts:
        raise GeoadaptError("restoration", "nothing to put together", "score a batch first")
    first = parts[0]
    for other in parts[1:]:
        if other.channels != first.channels:
            raise GeoadaptError("restoration", f"channels differ: {other.channels} and {first.channels}")
    sums = {name: np.concatenate([part.sums[name] for part in parts]) for name in first.sums}
    return replace(first, places=tuple(p for part in parts for p in part.places), sums=sums)


def finish(metric: str, totals: Totals, data_range: float = 1.0) -> Floats:
    """A score (…, r, c + 1) by region, over all bands first, then by band; NaN where no pixel counts.

    Over bands: ``mae``, ``bias``, ``ssim`` and ``coverage`` are the bands' means, ``rmse`` √ and ``psnr`` 10 log₁₀ R² /
    of the mean of the bands' mean squared errors, R = ``data_range`` [reflectance]; inf where nothing differs. Bands
    without a pixel are left out. Sums of samples make ``psnr`` that of the mean squared error of all pixels, which is
    not the mean of the images' PSNR. ``sam`` [degrees] belongs to all bands: NaN for a single one.
    """
    if metric not in _OF:
        raise GeoadaptError("metric", f"'{metric}' is unknown", f"known: {', '.join(_OF)}")
    if metric == "sam":
        over = _ratio(totals["angle"], totals["angles"])
        bands = np.full((*over.shape[:-1], totals["count"].shape[-1]), np.nan)
        return np.concatenate([over, bands], axis=-1)
    above, below = _OF[metric]
    bands = _ratio(totals[above], totals[below])
    known = ~np.isnan(bands)
    over = _ratio(np.where(known, bands, 0).sum(axis=-1, keepdims=True), known.sum(axis=-1, keepdims=True))
    found = np.concatenate([over, bands], axis=-1)
    if metric == "rmse":
        return np.asarray(np.sqrt(found))
    if metric == "psnr":
        with np.errstate(divide="ignore"):
            return np.asarray(10 * np.log10(data_range**2 / found))
    return found


_OF = {
    "mae": ("absolute", "count"),
    "rmse": ("squared", "count"),
    "bias": ("error", "count"),
    "psnr": ("squared", "count"),
    "ssim": ("ssim", "count"),
    "sam": ("angle", "angles"),
    "coverage": ("given", "asked"),
}


def _ratio(above: Floats, below: Floats | NDArray[np.integer]) -> Floats:
    return np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)
