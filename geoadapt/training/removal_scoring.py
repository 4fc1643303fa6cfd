"""The test of a cloud removal run: every entry restores the same samples, and only sums are kept.

In: restorers by name and the test samples. Out: sums by sample, histograms of the predicted scale, and a few examples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from geoadapt.fields.gaps import val_batches
from geoadapt.fields.restorer import Restored, Restorer
from geoadapt.fields.series import Sample, series_batch
from geoadapt.fields.types import Batch
from geoadapt.metrics.reliability import scale_histograms
from geoadapt.metrics.restoration import Asked, RestorationSums, asked_of, concatenate, score
from geoadapt.metrics.stretched import delivered, stretched_scores
from geoadapt.tasks.cloud_removal import seen_elsewhere
from geoadapt.training.removal_blocks import resampled
from geoadapt.training.removal_story import RemovalExample

__all__ = ["PARTIAL", "RemovalScores", "score_entries"]

PARTIAL = ("last_clear",)
"""They leave pixels missing that others restore: compared with the model alone, on what they have."""
TOLD = {"typical": 0.5, "as typical": 0.6, "hard": 0.9, "the worst": 1.0}
"""Examples by the rank of their error among the samples of which at least ``LEAST`` is hidden."""
LEAST = 0.1
TINY = 2.0**-14
"""The least error that stands for a scale [reflectance]."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RemovalScores:
    """What a test leaves of each of its samples n."""

    channels: tuple[str, ...]
    sums: Mapping[str, RestorationSums]
    """WHO → sums, all on the same pixels."""
    partial: Mapping[str, Mapping[str, RestorationSums]]
    """WHO of ``PARTIAL`` → its sums and the model's, on the pixels that both have."""
    hidden: Floats
    """(n,) share of the chip that is hidden or cloudy."""
    unseen: Floats
    """(n, 2): pixels that were asked for and are on no other date, and all that were asked for."""
    scales: Mapping[str, Floats]
    """WHO → sums by level of its predicted scale (c, levels, 4), of the calibrated one."""
    errors: Floats
    """The same of the model with its errors for a scale: a perfect order."""
    examples: tuple[RemovalExample, ...]
    blocks: str = ""
    """What is resampled as one, such as ``16 places``."""
    protocol: str = ""
    """Whose 8-bit images are scored too, such as ``sen2_mtc_new``; empty = nobody's."""
    left_out: Floats = field(default_factory=lambda: np.zeros(0))
    """Predicted over found error of validation places, each with the scale calibrated on the others."""
    stretched: Mapping[str, Mapping[str, Floats]] = field(default_factory=dict)
    """WHO → ``psnr`` and ``ssim`` of every sample's 8-bit image (n,), NaN where it is not whole."""
    series: tuple[str, ...] = ()
    """(n,) which series each sample is of."""
    land_covers: tuple[str | None, ...] = ()
    """(n,) what that place is; None = its data set does not tell."""

    @property
    def places(self) -> tuple[str, ...]:
        """(n,) which samples are resampled as one."""
        return next(iter(self.sums.values())).places


def score_entries(
    entries: Mapping[str, Restorer],
    samples: Sequence[Sample],
    *,
    size: int,
    keep_clear: bool = True,
    device: str = "cpu",
    model: str = "test",
    protocol: str = "",
) -> RemovalScores:
    """All entries on all samples, ``size`` at a time.

    ``keep_clear`` says what the examples show; ``protocol`` whose 8-bit images are scored beside reflectance.
    """
    kept = _Kept(model, {who: [] for who in PARTIAL if who in entries}, protocol)
    labels, blocks = resampled(samples)
    done = 0
    for batch in _batches(samples, size, device):
        asked = asked_of(batch)
        asked = replace(asked, places=labels[done : done + len(asked.truth)])
        done += len(asked.truth)
        kept.add({who: entry.restore(batch) for who, entry in entries.items()}, asked)
        kept.hidden.append(_hidden(batch))
        kept.unseen.append(_unseen(batch, asked))
    sums, hidden = _joined(kept.parts), np.concatenate(kept.hidden)
    examples = []
    for word, n, error in _chosen(sums[model], hidden):
        note = f"{word}: MAE {error:.4f}, {100 * hidden[n]:.0f} % hidden"
        examples.append(_example(entries[model], samples[n], note, device, keep_clear))
    return RemovalScores(
        channels=sums[model].channels,
        sums=sums,
        partial={who: _joined(pair) for who, pair in kept.pairs.items()},
        hidden=hidden,
        unseen=np.concatenate(kept.unseen),
        scales=kept.scales,
        errors=kept.errors,
        examples=tuple(examples),
        blocks=blocks,
        protocol=protocol,
        stretched=_in_order(kept.stretched),
        series=tuple(sample.series.name for sample in samples),
        land_covers=tuple(sample.series.land_cover for sample in samples),
    )


@dataclass
class _Kept:
    """What is kept of every batch."""

    model: str
    pairs: dict[str, list[dict[str, RestorationSums]]]
    protocol: str = ""
    parts: list[dict[str, RestorationSums]] = field(default_factory=list)
    scales: dict[str, Floats] = field(default_factory=dict)
    errors: Floats = field(default_factory=lambda: np.zeros(1))
    hidden: list[Floats] = field(default_factory=list)
    unseen: list[Floats] = field(default_factory=list)
    stretched: list[dict[str, dict[str, Floats]]] = field(default_factory=list)

    def add(self, restored: Mapping[str, Restored], asked: Asked) -> None:
        """Count what every entry made of one batch."""
        images = {who: found.image.float().cpu().numpy() for who, found in restored.items()}
        self.parts.append(score({who: image for who, image in images.items() if who not in PARTIAL}, asked))
        for who, pair in self.pairs.items():
            pair.append(score({name: images[name] for name in (self.model, who)}, asked))
        for who, found in restored.items():
            if found.scale is not None:
                scale = found.scale.float().cpu().numpy()
                made = scale_histograms(scale, images[who] - asked.truth, asked.masked).sum(0)
                self.scales[who] = self.scales.get(who, 0) + made
        off = np.abs(images[self.model] - asked.truth)
        self.errors = self.errors + scale_histograms(np.maximum(off, TINY), off, asked.masked).sum(0)
        if self.protocol:
            self.stretched.append({who: self._as_bytes(image, asked) for who, image in images.items()})

    def _as_bytes(self, image: NDArray[np.floating], asked: Asked) -> dict[str, Floats]:
        """Scores of the images as they are delivered, in 8 bits."""
        pair = delivered(image, asked), np.where(asked.known, asked.truth, np.nan)
        return stretched_scores(*pair, self.protocol, asked.channels)


def _joined(parts: Sequence[Mapping[str, RestorationSums]]) -> dict[str, RestorationSums]:
    return {who: concatenate([part[who] for part in parts]) for who in parts[0]}


def _batches(samples: Sequence[Sample], size: int, device: str) -> Iterator[Batch]:
    batches = val_batches(samples, size)
    for index in range(len(batches)):
        yield batches[index].to(device)


def _in_order(parts: Sequence[Mapping[str, Mapping[str, Floats]]]) -> dict[str, dict[str, Floats]]:
    first = parts[0] if parts else {}
    return {who: {name: np.concatenate([p[who][name] for p in parts]) for name in first[who]} for who in first}


def _hidden(batch: Batch) -> Floats:
    valid = batch.inputs["optical"].valid
    if valid is None:
        return np.zeros(len(batch.where))
    return 1 - valid[:, -1].all(1).double().mean((-2, -1)).cpu().numpy()


def _unseen(batch: Batch, asked: Asked) -> Floats:
    seen = seen_elsewhere(batch).cpu().numpy()
    counts = [(asked.masked & ~seen).sum((1, 2, 3)), asked.masked.sum((1, 2, 3))]
    return np.stack(counts, 1).astype(np.float64)


def _chosen(sums: RestorationSums, hidden: Floats) -> Iterator[tuple[str, int, float]]:
    """Word, number and MAE of the examples."""
    count, off = (sums.sums[name][:, 0].sum(-1) for name in ("count", "absolute"))
    able = np.flatnonzero((count > 0) & (hidden >= LEAST))
    able = able if able.size else np.flatnonzero(count > 0)
    error = off[able] / count[able]
    order = able[np.argsort(error, kind="stable")]
    ranked = np.sort(error, kind="stable")
    taken: set[int] = set()
    for word, rank in TOLD.items():
        place = round(rank * (len(order) - 1)) if len(order) else 0
        if len(order) and order[place] not in taken:
            taken.add(int(order[place]))
            yield word, int(order[place]), float(ranked[place])


def _example(restorer: Restorer, sample: Sample, note: str, device: str, keep_clear: bool) -> RemovalExample:
    batch = series_batch([sample])
    found = restorer.restore(batch.to(device))
    given, series, k = batch.inputs["optical"], sample.series, sample.target
    assert given.valid is not None
    clear, seen = given.valid[0, -1].numpy(), given.values[0, -1].numpy()
    image = found.image[0].float().cpu().numpy()
    scale = np.full_like(image, np.nan) if found.scale is None else found.scale[0].float().cpu().numpy()
    true = series.truth[k] if series.truth is not None else np.where(series.clear[k], series.values[k], np.nan)
    return RemovalExample(
        f"{series.name}, {np.datetime_as_string(series.times[k], 'D')}",
        note,
        np.where(sample.hidden, np.nan, series.values[k]),
        np.where(clear, seen, image) if keep_clear else image,
        true,
        np.where(clear, np.nan, scale) if keep_clear else scale,
    )
