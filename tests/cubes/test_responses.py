from __future__ import annotations

import numpy as np
import pytest

from geoadapt.cubes.responses import RESPONSES, adjust, band_of, coefficients
from geoadapt.cubes.sensors import SENSORS
from geoadapt.errors import GeoadaptError

SIX = ("blue", "green", "red", "nir", "swir16", "swir22")


def reflectance(channels: tuple[str, ...] = SIX) -> np.ndarray:
    return np.random.default_rng(0).uniform(0.02, 0.8, (len(channels), 5, 4)).astype(np.float32)


def test_every_sensor_has_a_response_and_its_reflective_bands_lie_somewhere() -> None:
    assert set(RESPONSES) == set(SENSORS)
    for name, sensor in SENSORS.items():
        reflective = {b for b in sensor.bands.values() if not b.startswith("lwir") and b != "pan"}
        assert reflective <= set(RESPONSES[name].bands), f"{name} lacks bands"
        centres = [RESPONSES[name].bands[b].centre for b in SIX if b in RESPONSES[name].bands]
        assert centres == sorted(centres)


@pytest.mark.parametrize(
    ("first", "second"),
    [("sentinel2", "landsat8"), ("landsat7", "sentinel2_l1c"), ("landsat5_l2", "hls_l30"), ("hls_s30", "sentinel2")],
)
def test_there_and_back_again_is_where_one_was(first: str, second: str) -> None:
    values = reflectance()
    there = adjust(values, SIX, first, second)
    assert not np.array_equal(there, values)
    np.testing.assert_allclose(adjust(there, SIX, second, first), values, atol=1e-5)


def test_the_published_numbers_are_applied_as_published() -> None:
    slopes, offsets = coefficients(("blue", "red", "nir08"), "sentinel2", "landsat8")
    np.testing.assert_allclose(slopes, [0.9778, 0.9765, 0.9983], atol=1e-6)
    np.testing.assert_allclose(offsets, [-0.0040, 0.0009, -0.0001], atol=1e-6)
    slopes, offsets = coefficients(("nir",), "landsat8", "sentinel2")
    np.testing.assert_allclose([slopes[0], offsets[0]], [0.8954, 0.0033], atol=1e-6)
    top, surface = (coefficients(("blue",), name, "landsat9")[0][0] for name in ("landsat7", "landsat7_l2"))
    assert (round(float(top), 5), round(float(surface), 5)) == (1.03501, 0.9785)


@pytest.mark.parametrize(("first", "second"), [("sentinel2", "sentinel2_l2a"), ("landsat8", "hls_l30")])
def test_sensors_with_the_same_bands_need_no_adjustment(first: str, second: str) -> None:
    values = reflectance()
    assert np.array_equal(adjust(values, SIX, first, second), values)


def test_a_channel_that_one_of_them_lacks_keeps_its_values() -> None:
    channels = ("red", "rededge075", "vv")
    values = reflectance(channels)
    found = adjust(values, channels, "sentinel2", "landsat8")
    assert np.array_equal(found[1:], values[1:]) and not np.array_equal(found[0], values[0])


def test_what_hls_has_adjusted_already_stays_and_the_broad_near_infrared_does_not() -> None:
    slopes, offsets = coefficients(("red", "nir08", "nir"), "hls_s30", "hls_l30")
    assert slopes[:2].tolist() == [1, 1] and offsets[:2].tolist() == [0, 0]
    assert slopes[2] == pytest.approx(1 / 0.8954)


def test_an_unknown_sensor_is_told_the_nearest_known_one() -> None:
    with pytest.raises(GeoadaptError, match="landsat8"):
        adjust(reflectance(), SIX, "sentinel2", "landsat88")
    with pytest.raises(GeoadaptError, match="'modis' is unknown"):
        band_of("modis", "red")
    assert band_of("landsat7", "cirrus") is None
