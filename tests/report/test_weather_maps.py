"""Maps: the right way up, to scale, hatched where nothing is known, and never larger than the page needs."""

from __future__ import annotations

import base64
import io
import re
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from geoadapt.errors import GeoadaptError
from geoadapt.report.weather_maps import LatLon, MapColumn, Scale, difference_scale, field_scale, map_size, weather_maps

NATL = LatLon(np.arange(70.0, 29, -2.5), np.arange(-70.0, 11, 2.5))
GLOBE = LatLon(np.linspace(90, -90, 181), np.arange(360.0))


def pictures(html: str) -> list[np.ndarray]:
    found = re.findall(r"data:image/png;base64,\s*([A-Za-z0-9+/=\s]+)\"", html)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA")) for data in found]


def draw(field: np.ndarray, place: LatLon = NATL, scale: Scale | None = None) -> str:
    column = MapColumn("truth", field[None], scale or field_scale(field))
    return str(weather_maps([column], ["Day 1"], place, "Pa", "caption", "pressure"))


def north_bright(place: LatLon) -> np.ndarray:
    return np.repeat(place.latitude[:, None], len(place.longitude), axis=1)


def test_north_is_up_and_east_is_right() -> None:
    field = north_bright(NATL)
    field[:, -1] = np.nan
    found = [p for p in pictures(draw(field)) if p.shape[:2] == (17, 33)]
    assert found, "a cell is a pixel: nothing is interpolated"
    picture = found[0]
    assert picture[0, 0, 0] > 200 > picture[-1, 0, 2] and picture[0, 0, 2] < 60, "yellow in the north, violet south"
    assert (picture[:, -1, 3] == 0).all() and (picture[:, :-1, 3] == 255).all(), "the hatching shows through"


def test_what_is_missing_is_hatched_and_only_then() -> None:
    field = north_bright(NATL)
    assert "<pattern" not in draw(field)
    field[3, 4] = np.nan
    assert "<pattern" in draw(field)


def test_a_field_without_any_value_is_a_map_still() -> None:
    text = draw(np.full(NATL.shape, np.nan))
    assert "truth unknown" in text and "<pattern" in text


def test_a_map_is_to_scale_at_its_middle_latitude() -> None:
    assert map_size(GLOBE, 10) == pytest.approx(5)
    west, east, south, north = NATL.extent
    assert (west, east, south, north) == (-71.25, 11.25, 28.75, 71.25)
    assert map_size(NATL, 1) == pytest.approx((north - south) / (east - west) / np.cos(np.deg2rad(50)))
    assert GLOBE.extent == (-0.5, 359.5, -90, 90), "cells do not pass the poles"


def test_ticks_name_the_hemispheres() -> None:
    texts = re.findall(r">([\d.]+°[NSEW]?)<", draw(north_bright(NATL)))
    assert {"60°W", "20°W", "0°", "40°N", "70°N"} <= set(texts)
    globe = re.findall(r">([\d.]+°[NSEW]?)<", draw(north_bright(GLOBE), GLOBE))
    assert {"120°E", "180°", "60°W", "60°N", "60°S"} <= set(globe)


def test_large_grids_are_averaged_over_what_is_known() -> None:
    place = LatLon(np.linspace(89.75, -89.75, 360), np.arange(0.25, 360, 0.5))
    field = north_bright(place)
    field[:2, 0] = np.nan
    field[2, 2] = np.nan
    picture = max(pictures(draw(field, place)), key=lambda p: p.size)
    assert picture.shape == (180, 360, 4)
    assert picture[0, 0, 3] == 255, "a block with one known cell is known"
    field[:2, :2] = np.nan
    assert max(pictures(draw(field, place)), key=lambda p: p.size)[0, 0, 3] == 0


def test_gaussian_rows_are_put_at_their_latitude() -> None:
    latitude = np.array([80.0, 40, 30, 20, 10, 0])
    field = np.zeros((6, 8))
    field[0] = 1
    found = pictures(draw(field, LatLon(latitude, np.arange(8.0))))
    (picture,) = (p for p in found if p.shape[:2] == (6, 8))
    bright = picture[:, 0, 0] > 200
    assert bright.tolist() == [True, True, False, False, False, False], "64° is nearer to 80° than to 40°"


def test_scales_bound_their_fields() -> None:
    values = np.linspace(0, 1000, 10001)
    scale = field_scale(values, np.array([np.nan]))
    assert (scale.low, scale.high, scale.diverging) == (pytest.approx(5), pytest.approx(995), False)
    errors = difference_scale(-values)
    assert errors.low == -errors.high and errors.diverging
    assert field_scale(np.full(4, 7.0)) == Scale(6.5, 7.5)
    assert difference_scale(np.zeros(4)) == Scale(-1, 1, diverging=True)


@pytest.mark.parametrize("name", ["viridis", "RdBu_r"])
def test_colour_maps_can_be_read_without_red_and_green(name: str) -> None:
    """To those who cannot tell red from green (Machado 2009, deuteranopia) neighbouring steps stay apart."""
    from matplotlib import colormaps

    assert name in {Scale(0, 1).colours, Scale(-1, 1, diverging=True).colours}
    seen = (
        colormaps[name](np.linspace(0, 1, 9))[:, :3]
        @ np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]).T
    )
    assert min(np.abs(a - b).sum() for a, b in pairwise(seen)) > 0.1


def test_maps_are_told_to_those_who_cannot_see_them() -> None:
    field = north_bright(NATL)
    columns = [
        MapColumn("forecast", np.stack([field, field]), field_scale(field)),
        MapColumn("difference", np.stack([field - 50, field - 60]), difference_scale(field - 50)),
    ]
    text = str(weather_maps(columns, ["Day 1", "Day 3"], NATL, "Pa", "<b>", "<i>"))
    assert "Day 1: forecast 30.00 to 70.00 Pa, difference −20.00 to 20.00 Pa; Day 3: forecast" in text
    assert 'role="img"' in text and "<b>" not in text and "<i>" not in text
    assert text.count(">Pa<") == 2, "a colour bar per scale, with its unit"


def test_a_land_mask_draws_the_coast() -> None:
    land = (north_bright(NATL) > 50).astype(float)
    bare, coast = (draw(north_bright(NATL), LatLon(NATL.latitude, NATL.longitude, m)) for m in (None, land))
    assert len(re.findall("<path", coast)) > len(re.findall("<path", bare))


def test_grids_that_run_another_way_are_refused() -> None:
    with pytest.raises(GeoadaptError, match="latitude descending"):
        LatLon(NATL.latitude[::-1], NATL.longitude)
    with pytest.raises(GeoadaptError, match="at least 2 × 2"):
        LatLon(NATL.latitude[:1], NATL.longitude)
    with pytest.raises(GeoadaptError, match=r"\(rows, h, w\) = \(1, 17, 33\)"):
        draw(np.zeros((33, 17)))
