"""Whatever the order or precision of a file, values keep their bits; and units lead back to where they came from."""

from __future__ import annotations

import numpy as np
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from geoadapt.cubes.latlon import latitude_order, longitude_order, ordered
from geoadapt.cubes.units import convert
from geoadapt.cubes.variables import VARIABLES, channel_name, split_channel

UNITS = (
    ("K", "degC"), ("K", "degF"), ("Pa", "hPa"), ("Pa", "mb"), ("kg kg-1", "g kg-1"), ("m", "mm"), ("m s-1", "knots"),
    ("Pa s-1", "mb/day"), ("kg m-2 s-1", "kg m-2 day-1"), ("1", "%"), ("m2 s-2", "J kg-1"),
)  # fmt: skip


def field(height: int, width: int, seed: int) -> np.ndarray:
    """Random bits as float32: NaNs with payloads, infinities, subnormal numbers, both zeros."""
    bits = np.random.default_rng(seed).integers(0, 2**32, (height, width), dtype=np.uint32)
    return bits.view(np.float32)


@settings(max_examples=60)
@given(
    width=st.integers(2, 40),
    height=st.integers(1, 12),
    start=st.integers(0, 39),
    west=st.integers(-720, 0),
    wrap=st.booleans(),
    backwards=st.booleans(),
    upwards=st.booleans(),
    single=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_globe_cut_open_anywhere_comes_back_bit_for_bit(
    width: int, height: int, start: int, west: int, wrap: bool, backwards: bool, upwards: bool, single: bool, seed: int
) -> None:  # fmt: skip
    values = field(height, width, seed)
    longitude = np.arange(width) * (360 / width)
    latitude = np.linspace(80, -80, height) if height > 1 else np.array([0.0])
    turned = np.roll(np.arange(width), -(start % width))
    stored, degrees = (
        values[:, turned],
        np.sort((longitude[turned] - longitude[turned][0]) % 360) + longitude[start % width],
    )
    degrees = degrees - 360 * ((-west) // 360 if degrees[0] - 360 * ((-west) // 360) >= -360 else 0)
    if wrap and width > 2:
        stored, degrees = np.hstack([stored, stored[:, :1]]), np.append(degrees, degrees[0] + 360)
    if backwards:
        stored, degrees = stored[:, ::-1], degrees[::-1]
    if upwards:
        stored, latitude = stored[::-1], latitude[::-1]
    degrees = degrees.astype(np.float32) if single else degrees
    array = xr.DataArray(stored, dims=("latitude", "longitude"))
    rows, columns = latitude_order(latitude, "a"), longitude_order(degrees, "a")
    found = ordered(ordered(array, "latitude", rows), "longitude", columns)
    assert np.ascontiguousarray(found.values).tobytes() == values.tobytes()
    np.testing.assert_allclose(found["longitude"], longitude, atol=1e-4)
    assert (np.diff(found["longitude"]) > 0).all() and (np.diff(found["latitude"]) < 0).all()


@given(count=st.integers(2, 60), step=st.integers(1, 5), west=st.integers(-180, 359), seed=st.integers(0, 2**32 - 1))
def test_a_region_is_the_same_in_both_ways_of_counting_degrees(count: int, step: int, west: int, seed: int) -> None:
    east = west + np.arange(count) * step
    if east[-1] - east[0] + step >= 360:
        return
    counted = [
        longitude_order(d, "a") for d in (east.astype(float), (east % 360).astype(float), ((east + 180) % 360 - 180.0))
    ]
    first = counted[0]
    for other in counted[1:]:
        assert other.coordinates.tobytes() == first.coordinates.tobytes()
        assert (other.positions == first.positions).all()
    crosses = bool((np.diff(east % 360) < 0).any())
    assert (first.coordinates[0] < 0) == crosses
    assert (np.diff(first.coordinates) == step).all()


@given(pair=st.sampled_from(UNITS), values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8))
def test_units_lead_back_to_where_they_came_from(pair: tuple[str, str], values: list[float]) -> None:
    array = np.array(values)
    there = convert(array, pair[0], pair[1])
    np.testing.assert_allclose(convert(there, pair[1], pair[0]), array, rtol=1e-12, atol=1e-9)


@given(variable=st.sampled_from(sorted(VARIABLES)), level=st.none() | st.integers(1, 110000).map(lambda n: n / 100))
def test_channels_split_into_what_made_them(variable: str, level: float | None) -> None:
    assert split_channel(channel_name(variable, level)) == (variable, level)
