"""Spectral response: where each sensor's bands lie, and how one sensor's reflectance reads on another.

In: reflectance with channel names, and two sensors by their names in ``cubes.sensors``. Out: the same reflectance as
the other sensor would have seen it, by linear fits per band, made on clear land: over clouds they extrapolate.

Sentinel-2A to OLI: HLS v2 (Claverie 2018); its broad near infrared, which HLS leaves alone, and ETM+ to OLI at the top
of the atmosphere: Chastain 2019, doi 10.1016/j.rse.2018.11.012, tables 4 and 6; ETM+ to OLI at the surface: Roy 2016,
doi 10.1016/j.rse.2015.12.024, table 2, reduced major axis. TM is taken as ETM+, whose bands are nearly its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError, nearest

__all__ = ["RESPONSES", "Band", "adjust", "band_of", "coefficients"]


@dataclass(frozen=True, slots=True)
class Band:
    """Centre and full width at half maximum [nm]."""

    centre: float
    width: float


@dataclass(frozen=True, slots=True)
class Response:
    """A sensor's bands by common name, and per band slope and offset of the fit to OLI, where it differs from it."""

    bands: Mapping[str, Band]
    to_oli: Mapping[str, tuple[float, float]]


_MSI = {
    "coastal": Band(443, 20),
    "blue": Band(490, 65),
    "green": Band(560, 35),
    "red": Band(665, 30),
    "rededge071": Band(705, 15),
    "rededge075": Band(740, 15),
    "rededge078": Band(783, 20),
    "nir": Band(842, 115),
    "nir08": Band(865, 20),
    "nir09": Band(945, 20),
    "cirrus": Band(1375, 30),
    "swir16": Band(1610, 90),
    "swir22": Band(2190, 180),
}
_OLI = {
    "coastal": Band(443, 16),
    "blue": Band(482, 60),
    "green": Band(561.5, 57),
    "red": Band(654.5, 37),
    "nir": Band(865, 28),
    "nir08": Band(865, 28),
    "cirrus": Band(1373.5, 21),
    "swir16": Band(1608.5, 85),
    "swir22": Band(2200.5, 187),
}
_ETM = {
    "blue": Band(485, 70),
    "green": Band(560, 80),
    "red": Band(660, 60),
    "nir": Band(835, 130),
    "nir08": Band(835, 130),
    "swir16": Band(1650, 200),
    "swir22": Band(2220, 260),
}
_TM = {**_ETM, "nir": Band(830, 140), "nir08": Band(830, 140), "swir22": Band(2215, 270)}

# Chastain's fit goes from OLI to MSI, slope 0.8954 and offset 0.0033: here it is turned round.
_BROAD_NIR = (1 / 0.8954, -0.0033 / 0.8954)
_MSI_TO_OLI = {
    "coastal": (0.9959, -0.0002),
    "blue": (0.9778, -0.0040),
    "green": (1.0053, -0.0009),
    "red": (0.9765, 0.0009),
    "nir": _BROAD_NIR,
    "nir08": (0.9983, -0.0001),
    "swir16": (0.9987, -0.0011),
    "swir22": (1.0030, -0.0012),
}
_ETM_TO_OLI = {
    "blue": (1.03501, -0.0055),
    "green": (1.00921, -0.0008),
    "red": (1.01991, -0.0021),
    "nir": (1.14061, -0.0163),
    "nir08": (1.14061, -0.0163),
    "swir16": (1.04351, -0.0045),
    "swir22": (1.05271, 0.00261),
}
_ETM_TO_OLI_SURFACE = {
    "blue": (0.9785, -0.0095),
    "green": (0.9542, -0.0016),
    "red": (0.9825, -0.0022),
    "nir": (1.0073, -0.0021),
    "nir08": (1.0073, -0.0021),
    "swir16": (1.0171, -0.0030),
    "swir22": (0.9949, 0.0029),
}

RESPONSES: dict[str, Response] = {
    "sentinel2": Response(_MSI, _MSI_TO_OLI),
    "sentinel2_l1c": Response(_MSI, _MSI_TO_OLI),
    "sentinel2_l2a": Response(_MSI, _MSI_TO_OLI),
    "landsat5": Response(_TM, _ETM_TO_OLI),
    "landsat7": Response(_ETM, _ETM_TO_OLI),
    "landsat8": Response(_OLI, {}),
    "landsat9": Response(_OLI, {}),
    "landsat5_l2": Response(_TM, _ETM_TO_OLI_SURFACE),
    "landsat7_l2": Response(_ETM, _ETM_TO_OLI_SURFACE),
    "landsat8_l2": Response(_OLI, {}),
    "landsat9_l2": Response(_OLI, {}),
    "hls_l30": Response(_OLI, {}),
    # HLS has already brought these to OLI's response, all but the broad near infrared and the red edge
    "hls_s30": Response({**_MSI, **{k: v for k, v in _OLI.items() if k != "nir"}}, {"nir": _BROAD_NIR}),
}
"""Sensor → its response; the names are those of ``cubes.sensors.SENSORS``."""


def band_of(sensor: str, channel: str) -> Band | None:
    """Where a sensor's channel lies, None if it has no such band; raises GeoadaptError for an unknown sensor."""
    return _response(sensor).bands.get(channel)


def coefficients(
    channels: Sequence[str], from_sensor: str, to_sensor: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Slopes (c,) and offsets (c,) [reflectance] that turn one sensor's reflectance into the other's.

    A channel without a fit on either side, such as the red edge, keeps its values.
    Raises GeoadaptError for an unknown sensor.
    """
    first, second = _response(from_sensor), _response(to_sensor)
    slopes, offsets = np.ones(len(channels)), np.zeros(len(channels))
    for place, channel in enumerate(channels):
        if first.to_oli is second.to_oli or not (channel in first.bands and channel in second.bands):
            continue
        up, above = first.to_oli.get(channel, (1.0, 0.0))
        down, below = second.to_oli.get(channel, (1.0, 0.0))
        slopes[place], offsets[place] = up / down, (above - below) / down
    return slopes.astype(np.float32), offsets.astype(np.float32)


def adjust(
    values: NDArray[np.float32], channels: Sequence[str], from_sensor: str, to_sensor: str
) -> NDArray[np.float32]:
    """Reflectance (…, c, h, w) as ``to_sensor`` would have seen it; raises GeoadaptError for an unknown sensor."""
    slopes, offsets = coefficients(channels, from_sensor, to_sensor)
    return values * slopes[:, None, None] + offsets[:, None, None]


def _response(sensor: str) -> Response:
    if sensor not in RESPONSES:
        raise GeoadaptError("sensor", f"'{sensor}' is unknown", nearest(sensor, RESPONSES))
    return RESPONSES[sensor]
