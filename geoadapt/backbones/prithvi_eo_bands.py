"""Bands of Prithvi-EO's pre-training: their order and statistics, and where the channels of a model lie among them."""

from __future__ import annotations

__all__ = ["BANDS", "NEAR", "NODATA", "REFLECTANCE", "STATISTICS", "kernel_of", "per_channel", "source_of"]

BANDS = ("blue", "green", "red", "nir08", "swir16", "swir22")
"""Of the pre-training, in the order of the stored kernels."""
NEAR = {"nir08": "nir", "nir": "nir08"}
"""The broad and the narrow near infrared stand in for each other, where only one is there."""
STATISTICS: dict[int, tuple[tuple[float, ...], tuple[float, ...]]] = {
    1: ((775, 1081, 1229, 2497, 2204, 1611), (1282, 1270, 1399, 1368, 1292, 1155)),
    2: ((1087, 1342, 1433, 2734, 1958, 1363), (2248, 2179, 2178, 1850, 1242, 1049)),
}
"""Version → mean and standard deviation per band [reflectance × 10000]."""
REFLECTANCE = 1e4
NODATA = 1e-4
"""What the pre-training put where a value was missing [normalised]."""


def kernel_of(channel: str, channels: tuple[str, ...]) -> int:
    """Where a channel's kernel lies: among the pre-trained ones, or, for a new channel, behind them in order."""
    known = _known(channel, channels)
    if known is not None:
        return known
    new = [c for c in channels if _known(c, channels) is None]
    return len(BANDS) + new.index(channel)


def _known(channel: str, channels: tuple[str, ...]) -> int | None:
    name = "nir08" if channel == "nir" and "nir08" not in channels else channel
    return BANDS.index(name) if name in BANDS else None


def per_channel(values: tuple[float, ...], channels: tuple[str, ...]) -> tuple[float, ...]:
    """A statistic of every channel; new ones take the mean over the pre-trained bands."""
    known = [_known(c, channels) for c in channels]
    return tuple(sum(values) / len(values) if k is None else values[k] for k in known)


def source_of(channel: str, given: tuple[str, ...], wanted: tuple[str, ...]) -> int | None:
    """Where a channel lies in the input; the other near infrared stands in for a missing one."""
    if channel in given:
        return given.index(channel)
    other = NEAR.get(channel)
    return given.index(other) if other in given and other not in wanted else None
