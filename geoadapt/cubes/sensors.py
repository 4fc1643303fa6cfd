"""Sensors: their bands under the file's own name, the common name, and the scale that a product is defined with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from geoadapt.errors import GeoadaptError, nearest

__all__ = ["SENSORS", "Sensor", "sensor_band", "sensor_in_tags", "sensor_named"]


@dataclass(frozen=True, slots=True)
class Sensor:
    """A product of a sensor: band → common name, and how its stored numbers become reflectance.

    ``scale`` None means that only the scene's own metadata know it. ``nodata`` is the fill value by definition.
    """

    name: str
    bands: dict[str, str]
    scale: float | None = None
    offset: float = 0.0
    nodata: float | None = None
    thermal: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Scale and offset of the thermal bands, to brightness or surface temperature [K]."""


_S2 = {
    "B01": "coastal",
    "B02": "blue",
    "B03": "green",
    "B04": "red",
    "B05": "rededge071",
    "B06": "rededge075",
    "B07": "rededge078",
    "B08": "nir",
    "B8A": "nir08",
    "B09": "nir09",
    "B10": "cirrus",
    "B11": "swir16",
    "B12": "swir22",
}
_OLI = {
    "B1": "coastal",
    "B2": "blue",
    "B3": "green",
    "B4": "red",
    "B5": "nir",
    "B6": "swir16",
    "B7": "swir22",
    "B8": "pan",
    "B9": "cirrus",
    "B10": "lwir11",
    "B11": "lwir12",
}
_ETM = {
    "B1": "blue",
    "B2": "green",
    "B3": "red",
    "B4": "nir",
    "B5": "swir16",
    "B6": "lwir",
    "B7": "swir22",
    "B8": "pan",
}
_ETM_LEVEL1 = {**{k: v for k, v in _ETM.items() if k != "B6"}, "B6_VCID_1": "lwir", "B6": "lwir"}
_TM = {k: v for k, v in _ETM.items() if k != "B8"}
_HLS_L30 = {
    **{f"B0{i}": _OLI[f"B{i}"] for i in range(1, 8)},
    "B09": "cirrus",
    "B10": "lwir11",
    "B11": "lwir12",
}
_L2_SCALE, _L2_OFFSET = 2.75e-5, -0.2
_L2_THERMAL = (0.00341802, 149.0)

SENSORS: dict[str, Sensor] = {
    "sentinel2": Sensor("sentinel2", _S2, 1e-4, 0.0, 0),
    "sentinel2_l1c": Sensor("sentinel2_l1c", _S2, 1e-4, 0.0, 0),
    "sentinel2_l2a": Sensor("sentinel2_l2a", _S2, 1e-4, 0.0, 0),
    "landsat5": Sensor("landsat5", _TM, None, 0.0, 0),
    "landsat7": Sensor("landsat7", _ETM_LEVEL1, None, 0.0, 0),
    "landsat8": Sensor("landsat8", _OLI, None, 0.0, 0),
    "landsat9": Sensor("landsat9", _OLI, None, 0.0, 0),
    "landsat5_l2": Sensor("landsat5_l2", _TM, _L2_SCALE, _L2_OFFSET, 0, {"B6": _L2_THERMAL}),
    "landsat7_l2": Sensor("landsat7_l2", _ETM, _L2_SCALE, _L2_OFFSET, 0, {"B6": _L2_THERMAL}),
    "landsat8_l2": Sensor("landsat8_l2", _OLI, _L2_SCALE, _L2_OFFSET, 0, {"B10": _L2_THERMAL}),
    "landsat9_l2": Sensor("landsat9_l2", _OLI, _L2_SCALE, _L2_OFFSET, 0, {"B10": _L2_THERMAL}),
    "hls_l30": Sensor("hls_l30", _HLS_L30, 1e-4, 0.0, -9999, {"B10": (0.01, 273.15), "B11": (0.01, 273.15)}),
    "hls_s30": Sensor("hls_s30", _S2, 1e-4, 0.0, -9999),
}


def sensor_named(name: str) -> Sensor:
    """The sensor called ``name``; raises GeoadaptError with the nearest known name."""
    if name not in SENSORS:
        raise GeoadaptError("sensor", f"'{name}' is unknown", nearest(name, SENSORS))
    return SENSORS[name]


def sensor_in_tags(tags: Mapping[str, str]) -> str | None:
    """What a file's own tag ``sensor`` says, None if it has none."""
    return next((value for key, value in tags.items() if key.lower() == "sensor" and value), None)


def sensor_band(sensor: Sensor, band: str) -> str | None:
    """The sensor's own name of ``band``, whether written B2, B02, b02 or SR_B2; None if it has no such band."""
    word = band.upper().removeprefix("SR_").removeprefix("ST_")
    number = word.removeprefix("B").removeprefix("AND_").lstrip("0")
    spellings = (word, f"B{number}", f"B{number.zfill(2)}")
    return next((s for s in spellings if s in sensor.bands), None)
