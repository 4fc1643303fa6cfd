"""The simulator: what it says about clouds must follow from what it painted."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from data_pipelines.simulate.air import GASES, draw_air
from data_pipelines.simulate.clouds import HEIGHTS, SKIES, Layer, shadow
from data_pipelines.simulate.cover import BIOMES
from data_pipelines.simulate.noise import Canvas, cells, fractal, hashed, uniform
from data_pipelines.simulate.optics import ICE_LOSS, WATER_LOSS, Stuff, reflected, steps, thickness_at
from data_pipelines.simulate.scene import SceneSpec, simulate_scene
from data_pipelines.simulate.sensors import FLAGGED, SENSORS, needed
from data_pipelines.simulate.spectra import BANDS, MATERIALS, WAVELENGTHS
from data_pipelines.simulate.terrain import Sun, sun
from geoadapt.errors import GeoadaptError


def test_the_same_spec_gives_the_same_scene_and_another_seed_another() -> None:
    first, again = simulate_scene(SceneSpec(96, 5)), simulate_scene(SceneSpec(96, 5))
    assert np.array_equal(first.values, again.values, equal_nan=True)
    assert np.array_equal(first.labels, again.labels)
    assert first.transform == again.transform and first.time == again.time
    assert not np.array_equal(first.values, simulate_scene(SceneSpec(96, 6)).values)


@pytest.mark.parametrize("biome", BIOMES)
@pytest.mark.parametrize("sensor", SENSORS)
def test_every_landscape_and_sensor_gives_plausible_reflectance(biome: str, sensor: str) -> None:
    scene = simulate_scene(SceneSpec(101, 3, sensor, biome=biome, cloud_cover=0.4, swath_edge=False))
    assert scene.values.shape == (6, 101, 101) and scene.values.dtype == np.float32
    assert np.isfinite(scene.values).all()
    assert scene.values.min() >= 1e-4, "a stored 0 would read as nodata"
    assert scene.values.max() <= FLAGGED
    assert np.median(scene.values[0]) < 1
    assert scene.transform.a == SENSORS[sensor].resolution == -scene.transform.e
    assert scene.crs.is_projected
    assert set(np.unique(scene.labels)) <= {0, 1, 2, 3}


@pytest.mark.parametrize("seed", range(6))
def test_asked_cloud_cover_is_what_the_labels_count(seed: int) -> None:
    scene = simulate_scene(SceneSpec(256, seed, cloud_cover=0.4, swath_edge=False))
    covered = np.isin(scene.labels, (1, 2)).mean()
    # Layers overlap and so hide less than the sum of their covers; smooth outlines around small clouds hide more.
    assert 0.25 < covered < 0.53, f"asked for 0.4, painted {covered:.2f}"


def test_without_clouds_everything_is_clear() -> None:
    assert not simulate_scene(SceneSpec(128, 1, cloud_cover=0.0, swath_edge=False)).labels.any()


def test_clouds_are_bright_and_shadows_dark_most_of_all_beyond_the_visible() -> None:
    spec = SceneSpec(256, 3, biome="farmland", sky="mixed", cloud_cover=0.35, date="2021-06-20", swath_edge=False)
    scene = simulate_scene(spec)
    clear, cloud, thin, dark = (scene.values[:, scene.labels == k].mean(axis=1) for k in range(4))
    blue, nir, swir = 0, 3, 4
    assert cloud[blue] > thin[blue] > clear[blue] > dark[blue]
    assert dark[nir] / clear[nir] < dark[blue] / clear[blue], "a shadow is lit by the blue sky"
    assert cloud[swir] < cloud[nir], "droplets absorb in the short-wave infrared"


def test_clouds_change_nothing_of_the_ground_outside_cloud_and_shadow() -> None:
    plain = SceneSpec(192, 4, biome="hills", cloud_cover=0.0, swath_edge=False)
    cloudy = SceneSpec(192, 4, biome="hills", cloud_cover=0.3, swath_edge=False)
    bare, seen = simulate_scene(plain), simulate_scene(cloudy)
    difference = np.abs(seen.values - bare.values).mean(axis=0)
    assert np.median(difference[seen.labels == 0]) < 0.01 < np.median(difference[seen.labels == 1])


@pytest.mark.parametrize(("azimuth", "down", "right"), [(180, -1, 0), (90, 0, -1), (135, -1, -1), (0, 1, 0)])
def test_a_shadow_falls_away_from_the_sun_as_far_as_the_cloud_is_high(azimuth: int, down: int, right: int) -> None:
    canvas = Canvas(101, 101, 10.0)
    thickness = np.zeros(canvas.shape, np.float32)
    thickness[49:52, 49:52] = 40
    passed = shadow(Layer("cumulus", 200.0, thickness), canvas, Sun(45.0, azimuth))
    row, col = (int(i) for i in np.unravel_index(passed.argmin(), passed.shape))
    reach = 20 / np.hypot(down, right)
    assert abs(row - 50 - down * reach) <= 1.5 and abs(col - 50 - right * reach) <= 1.5


def test_the_sun_is_high_in_summer_and_in_the_south_east_of_the_north() -> None:
    summer, winter = (sun(datetime(2021, m, 21, tzinfo=UTC), 48.0) for m in (6, 12))
    assert summer.elevation > 55 > 20 > winter.elevation
    assert 90 < summer.azimuth < winter.azimuth < 180
    assert sun(datetime(2021, 1, 21, tzinfo=UTC), -33.0).azimuth < 100, "from the south the sun stands to the north"


@pytest.mark.parametrize("stuff", [Stuff(), Stuff(ice=1.0)])
@pytest.mark.parametrize("band", BANDS)
def test_more_cloud_reflects_more_passes_less_and_never_makes_light(stuff: Stuff, band: str) -> None:
    back, on = reflected(stuff, 0.7, band)
    assert back[0] == 0 and on[0] == 1
    assert (np.diff(back) >= 0).all() and (np.diff(on) <= 0).all() and on[-1] < 0.1
    assert (back + on < 1 + 1e-5).all()


def test_thick_ice_is_darker_than_water_in_the_short_wave_infrared_and_as_bright_in_blue() -> None:
    thick = steps(np.array([60], np.float32))
    water, ice = ({band: float(reflected(Stuff(ice=k), 0.7, band)[0][thick][0]) for band in BANDS} for k in (0.0, 1.0))
    assert ice["blue"] == pytest.approx(water["blue"]) and water["blue"] > 0.7
    assert 0.4 < water["swir16"] < 0.75 and water["swir22"] < water["swir16"]
    assert 0.1 < ice["swir16"] < 0.5 * water["swir16"]


def test_the_thickness_at_a_brightness_has_that_brightness() -> None:
    for share in (0.03, 0.11, 0.5):
        at = steps(np.array([thickness_at(share, 0.6)], np.float32))
        assert reflected(Stuff(), 0.6, "red")[0][at][0] == pytest.approx(share, abs=0.001)


def test_air_is_blue_hides_more_at_low_sun_and_lies_mostly_below_a_high_cloud() -> None:
    high, low = (draw_air(np.random.default_rng(0), Sun(up, 150.0), BANDS) for up in (65.0, 22.0))
    assert (np.diff(high.molecules) < 0).all() and (low.molecules > high.molecules).all()
    assert 0.03 < high.molecules[1] < 0.09
    assert (low.clear < high.clear).all() and (low.diffuse > high.diffuse).all()
    molecules, aerosol, through = high.between(9000, 1e6)
    below = high.between(0, 9000)
    assert (molecules < 0.5 * below[0]).all() and (aerosol < 0.01 * below[1]).all()
    assert np.allclose(through * below[2], high.clear, rtol=1e-3)


def test_landsat_7_saturates_over_bright_cloud_and_sentinel_2_does_not() -> None:
    spec = {"biome": "farmland", "sky": "stormy", "cloud_cover": 0.5, "date": "2021-06-20", "swath_edge": False}
    seven, two = (simulate_scene(SceneSpec(128, 3, name, **spec)) for name in ("landsat7", "sentinel2"))  # type: ignore[arg-type]
    top = seven.values[0][seven.values[0] < FLAGGED].max()
    assert (seven.values[0] >= top).mean() > 0.1, "a plateau at the largest count"
    assert (two.values[0] == two.values[0].max()).mean() < 0.01


def test_hls_is_without_the_air_of_what_the_sensor_saw() -> None:
    clear = {"biome": "boreal", "cloud_cover": 0.0, "date": "2021-06-20", "swath_edge": False}
    seen, corrected = (simulate_scene(SceneSpec(128, 3, name, **clear)).values for name in ("landsat8", "hls_l30"))  # type: ignore[arg-type]
    fell = np.median(seen - corrected, axis=(1, 2))
    assert fell[0] > 0.03 and abs(fell[4]) < 0.02


def test_a_shadow_on_water_is_left_unlabelled_because_nobody_sees_it() -> None:
    spec = {"biome": "islands", "sky": "cumulus", "date": "2021-06-20", "swath_edge": False}
    scene, bare = (simulate_scene(SceneSpec(256, 6, cloud_cover=cover, **spec)) for cover in (0.3, 0.0))  # type: ignore[arg-type]
    water, open_ = (bare.values[4] < 0.012) & (bare.values[2] < 0.045), ~np.isin(scene.labels, (1, 2))
    assert 0.2 < water.mean() < 0.8
    on_water, on_land = ((scene.labels[where & open_] == 3).mean() for where in (water, ~water))
    assert on_water < 0.3 * on_land


def test_swath_edge_is_nodata_in_image_and_labels_alike() -> None:
    scene = simulate_scene(SceneSpec(128, 2, swath_edge=True))
    gone = np.isnan(scene.values).all(axis=0)
    assert gone.any() and not gone.all()
    assert np.array_equal(gone, scene.labels == 255)


def test_all_bands_can_be_had_and_tables_cover_them() -> None:
    scene = simulate_scene(SceneSpec(64, 0, bands=BANDS))
    assert scene.values.shape[0] == len(BANDS)
    assert {len(row) for row in (*MATERIALS.values(), GASES, WAVELENGTHS, WATER_LOSS, ICE_LOSS)} == {len(BANDS)}
    assert {kind for sky in SKIES.values() for kind in sky} == set(HEIGHTS)
    for name, sensor in SENSORS.items():
        assert set(needed(name, BANDS)) <= set(BANDS)
        assert set(sensor.bands) | set(sensor.limits) | set(sensor.coarse) <= set(BANDS)


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ({"sensor": "sentinal2"}, "did you mean 'sentinel2'"),
        ({"sky": "hasy"}, "did you mean 'hazy'"),
        ({"biome": "coasts"}, "did you mean 'coast'"),
        ({"bands": ("bleu",)}, "did you mean 'blue'"),
        ({"size": 3}, "16 or more"),
        ({"cloud_cover": 40.0}, "choose 0 to 1"),
    ],
)
def test_a_wrong_spec_says_what_would_be_right(wrong: dict[str, object], hint: str) -> None:
    with pytest.raises(GeoadaptError, match=hint):
        SceneSpec(**wrong)  # type: ignore[arg-type]


def test_a_wrong_date_says_how_to_write_one() -> None:
    with pytest.raises(GeoadaptError, match="2021-06-30"):
        simulate_scene(SceneSpec(64, date="30.6.2021"))


def test_fractal_noise_is_standardised_and_smooth_at_steep_slopes() -> None:
    canvas = Canvas(128, 96, 10.0)
    rough, smooth = (fractal(canvas, np.random.default_rng(0), 500, slope) for slope in (0.5, 3.0))
    for field in (rough, smooth):
        assert field.shape == canvas.shape and field.dtype == np.float32
        assert abs(field.mean()) < 1e-3 and abs(field.std() - 1) < 1e-3
    assert np.abs(np.diff(smooth)).mean() < 0.2 * np.abs(np.diff(rough)).mean()


def test_hashed_numbers_are_even_and_independent_of_their_neighbours() -> None:
    values = uniform(hashed(np.arange(200)[:, None], np.arange(200)[None], 7), 1)
    assert values.min() >= 0 and values.max() < 1
    assert np.abs(np.histogram(values, 10, (0, 1))[0] / values.size - 0.1).max() < 0.01
    assert abs(np.corrcoef(values[:-1].ravel(), values[1:].ravel())[0, 1]) < 0.02


def test_each_place_belongs_to_one_cell_and_borders_lie_between_cells() -> None:
    y, x = np.mgrid[:120, :120].astype(np.float32)
    owner, border = cells(y, x, 30.0, 1)
    assert 6 < len(np.unique(owner)) < 60
    assert border.min() >= 0
    change = owner[:, 1:] != owner[:, :-1]
    assert border[:, 1:][change].max() < 1.1, "the border is where the owner changes"
