"""EoS-FM's network: specialists that are run one by one, their maps normed, weighed and joined level by level.

In: data (n, c, h, w). Out: four maps, strides 4, 8, 16, 32. Keys are those of the released code, but for what is
inside a specialist.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor, nn

from geoadapt.backbones.eosfm_match import Entry
from geoadapt.backbones.eosfm_parts import (
    LEVELS,
    Selector,
    Specialist,
    keep_columns,
    mixed,
    mixed_width,
    mixer,
    norms,
    projections,
)
from geoadapt.backbones.picture_config import EosFmConfig
from geoadapt.errors import GeoadaptError

__all__ = ["Ensemble"]


class Ensemble(nn.Module):
    """Which specialist runs on which channels is said by the entries; one may run twice."""

    def __init__(
        self,
        specialists: Sequence[Specialist],
        entries: Sequence[Entry],
        widths: Sequence[int],
        config: EosFmConfig,
        norm: str = "layer",
    ) -> None:
        """``widths`` are those of a specialist's levels.

        ``norm`` is ``batch`` in the released code. Its running statistics are no parameters, so that an adapter would
        not store them; ``layer``, which needs none, is its other choice.
        """
        super().__init__()
        count = len(specialists)
        self.entries = tuple(entries)
        self.encoders = nn.ModuleList(specialists)
        self.feature_normalizers = nn.ModuleList(norms(norm, widths) for _ in specialists)
        self.feature_projections = nn.ModuleList(projections(widths) for _ in specialists) if config.project else None
        keep = min(config.keep or count, count)
        selects = config.selection != "none"
        self.encoder_selector = Selector(count, config.selection, keep, config.scaled) if selects else None
        self.fusion, self.own_widths, self.multiple = config.fusion, tuple(widths), config.multiple
        self.feature_fusion = nn.ModuleList(mixer(self.fusion, d, len(entries), self.multiple) for d in widths)

    @property
    def widths(self) -> tuple[int, ...]:
        """Of the four maps."""
        return tuple(mixed_width(self.fusion, d, len(self.entries), self.multiple) for d in self.own_widths)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Data (n, c, h, w), channels as the entries number them, to four maps."""
        factors = None if self.encoder_selector is None else self.encoder_selector()
        levels: list[list[Tensor]] = [[] for _ in range(LEVELS)]
        for entry in self.entries:
            number = entry.specialist
            for level, features in enumerate(self.encoders[number](x[:, list(entry.channels)])):
                features = self._at(self.feature_normalizers, number, level)(features)
                if self.feature_projections is not None:
                    features = self._at(self.feature_projections, number, level)(features)
                levels[level].append(features if factors is None else features * factors[number])
        return [mixed(self.fusion, mix, maps) for mix, maps in zip(self.feature_fusion, levels, strict=True)]

    def pruned(self) -> tuple[Ensemble, list[int], list[list[int]]]:
        """The same network without what is not chosen, the numbers of what is, and each level's channels that remain.

        Raises:
            GeoadaptError: where maps are multiplied, so that what is left out would count.
        """
        if self.encoder_selector is None:
            kept = list(range(len(self.encoders)))
        else:
            kept = [n for n, chosen in enumerate(self.encoder_selector.chosen().tolist()) if chosen]
        runs = [n for n, entry in enumerate(self.entries) if entry.specialist in kept]
        if self.fusion == "multiplication" and len(runs) < len(self.entries):
            raise GeoadaptError("backbone.fusion", "multiplication cannot be pruned", "choose another fusion")
        small = copy.deepcopy(self)
        small.entries = tuple(replace(self.entries[n], specialist=kept.index(self.entries[n].specialist)) for n in runs)
        small.encoders = nn.ModuleList(small.encoders[n] for n in kept)
        small.feature_normalizers = nn.ModuleList(small.feature_normalizers[n] for n in kept)
        if small.feature_projections is not None:
            small.feature_projections = nn.ModuleList(small.feature_projections[n] for n in kept)
        if small.encoder_selector is not None:
            small.encoder_selector = small.encoder_selector.only(kept)
        columns = [[n * width + d for n in runs for d in range(width)] for width in self.own_widths]
        for mix, chosen in zip(small.feature_fusion, columns, strict=True):
            keep_columns(mix, chosen)
        return small, kept, columns

    @staticmethod
    def _at(table: nn.ModuleList, number: int, level: int) -> nn.Module:
        row: nn.ModuleList = table[number]  # type: ignore[assignment]
        return row[level]
