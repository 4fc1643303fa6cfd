"""Which specialists of EoS-FM can read which data, and with which of its channels.

In: what each specialist reads, what the data have. Out: ``Entry``: a specialist and the data's channels for its input.
A specialist may run twice, one that nothing fits is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["CHANNELS", "Entry", "by_count", "by_name"]

RGB = ("red", "green", "blue")
SAR = ("vv", "vh", "vh")
INFRARED = ("nir", "red", "green")
BIGEARTHNET = (
    *("coastal", "blue", "green", "red", "rededge071", "rededge075", "rededge078", "nir", "nir08", "nir09"),
    *("swir16", "swir22"),
)
CHANNELS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        (
            *("ben_rgb", "deepglobe_lcc", "eurosat_rgb", "firerisk", "inria_aerial", "landcoverai", "levircdplus"),
            *("loveda", "minifrance", "opencanopy", "sen12ms_rgb"),
        ),
        RGB,
    ),
    **dict.fromkeys(("ben_s1", "sen12ms_s1"), SAR),
    **dict.fromkeys(("cloud_cover", "potsdam"), INFRARED),
    "ben_all": ("vv", "vh", *BIGEARTHNET),
}
"""Specialist → what it was trained on, as far as the paper's configurations say it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A run of a specialist: its place in the ensemble, and for each of its inputs the place of a channel."""

    specialist: int
    channels: tuple[int, ...]


def by_name(specialists: Sequence[Sequence[str] | None], available: Sequence[str]) -> list[Entry]:
    """Every specialist all of whose channels are there, once; None stands for one whose channels are unknown."""
    return [
        Entry(number, tuple(available.index(c) for c in wanted))
        for number, wanted in enumerate(specialists)
        if wanted is not None and set(wanted) <= set(available)
    ]


COUNTS: Mapping[tuple[int, int], tuple[tuple[int, ...], ...]] = {
    (3, 12): ((3, 2, 1),),
    (3, 13): ((3, 2, 1), (7, 3, 2)),
    (3, 2): ((0, 1, 1),),
    (12, 14): (tuple(range(2, 14)),),
    (2, 14): ((0, 1),),
    (3, 14): ((5, 4, 3),),
    (3, 4): ((3, 0, 1), (0, 1, 2)),
    (3, 5): ((0, 1, 2), (3, 4, 4)),
}
"""Channels that are wanted and available → which of the latter, once or twice."""


def by_count(specialists: Sequence[int], available: int) -> list[Entry]:
    """As in the released code, which looks at numbers of channels alone: any three channels count as red, green, blue.

    Twelve to fourteen channels are made of two to four by taking these in turns.
    """
    entries = []
    for number, wanted in enumerate(specialists):
        choices: tuple[tuple[int, ...], ...] = COUNTS.get((wanted, available), ())
        if wanted == available:
            choices = (tuple(range(wanted)),)
        elif wanted in (12, 13, 14) and available in (2, 3, 4):
            choices = (tuple(i % available for i in range(wanted)),)
        entries += [Entry(number, channels) for channels in choices]
    return entries
