from __future__ import annotations

import numpy as np
import pytest

from geoadapt.errors import GeoadaptError
from geoadapt.metrics.weights import Box, latitude_weights, make_space

LATITUDE = np.linspace(90, -90, 7)


def test_the_three_conventions_differ_and_have_mean_one():
    found = {name: latitude_weights(LATITUDE, name) for name in ("cos", "area", "none")}
    assert all(values.mean() == pytest.approx(1) for values in found.values())
    assert found["cos"][0] == pytest.approx(0, abs=1e-12)
    assert found["area"][0] > 0.05
    assert (found["none"] == 1).all()


def test_areas_are_those_of_the_sphere_in_either_order():
    down = latitude_weights(LATITUDE, "area")
    bounds = np.array([90, 75, 45, 15, -15, -45, -75, -90])
    exact = np.abs(np.diff(np.sin(np.deg2rad(bounds))))
    np.testing.assert_allclose(down, exact / exact.mean())
    np.testing.assert_array_equal(latitude_weights(LATITUDE[::-1], "area"), down[::-1])


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        (Box(-10, 30, 20, 60), [0, 10, 20, 350]),
        (Box(350, 30, 20, 60), [0, 10, 20, 350]),
        (Box(100, 30, 120, 60), [100, 110, 120]),
        (Box(-180, -90, 180, 90), list(range(0, 360, 10))),
        (Box(0, -90, 360, 90), list(range(0, 360, 10))),
    ],
)
def test_boxes_hold_the_same_points_however_longitudes_are_counted(box, expected):
    for longitude in (np.arange(0, 360, 10.0), np.arange(-180, 180, 10.0)):
        _, columns = box.holds(LATITUDE, longitude)
        assert sorted(longitude[columns] % 360) == expected


def test_a_region_without_a_grid_point_is_an_error():
    with pytest.raises(GeoadaptError, match="regions.gap: .*no point"):
        make_space(LATITUDE, np.arange(0, 360, 10.0), "cos", {"gap": Box(11, 0, 19, 90)})


@pytest.mark.parametrize("edges", [(0, 10, 10, 10), (0, -95, 10, 0), (5, 0, 5, 10)])
def test_a_box_without_an_inside_is_an_error(edges):
    with pytest.raises(GeoadaptError, match="box"):
        Box(*edges)


def test_an_unknown_convention_names_the_nearest():
    with pytest.raises(GeoadaptError, match="did you mean 'area'"):
        latitude_weights(LATITUDE, "areas")


def test_a_nan_spoils_only_the_regions_that_hold_it():
    longitude = np.arange(0, 360, 10.0)
    regions = {"north": Box(0, 20, 360, 90), "south": Box(0, -90, 360, -20)}
    space = make_space(LATITUDE, longitude, "area", regions)
    field = np.ones((7, 36))
    field[6, 3] = np.nan
    whole, north, south = space.integrate(field.reshape(1, -1))[0]
    assert np.isnan(whole) and np.isnan(south)
    assert north == pytest.approx(space.weights[:, 1].sum())
