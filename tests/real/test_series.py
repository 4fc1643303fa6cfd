"""Real series in the four ways they are stored: scenes of two orbits, 447 small stacks, one NetCDF, layers of dates."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoadapt.cubes.series import open_series
from geoadapt.errors import GeoadaptError
from geoadapt.io.base import Window

SIX = ("blue", "green", "red", "nir", "swir16", "swir22")
L8 = {"bands": SIX, "scale": 2e-5, "offset": -0.1}
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def test_neighbouring_scenes_of_one_day_are_an_error_or_a_mosaic(data_dir: Path) -> None:
    folder = data_dir / "timeseries/l8ny18"
    with pytest.raises(GeoadaptError, match="LC08_L1TP_014031_20180428: and LC08_L1TP_014032_20180428 .*2 days are"):
        open_series(folder, **L8)
    with open_series(folder, **L8, grid="union", duplicates="mosaic") as series:
        values, clear = series.read()
        info = series.info
        alone = {}
        for row in ("014031", "014032"):
            with open_series(f"{folder}/*_{row}_20180428*", **L8, grid=series._plan.grid) as one:
                alone[row] = one.read()
    assert values.shape[:2] == (9, 6) and info.crs is not None and info.crs.to_epsg() == 32618
    assert info.names[2] == "LC08_L1TP_014031_20180428 + LC08_L1TP_014032_20180428"
    assert "clear as landsat_c1_bqa says, from a file" in info.notes
    (north, seen_north), (south, seen_south) = alone.values()
    known = [np.isfinite(v).all((0, 1)) for v in (values[2:3], north, south)]
    np.testing.assert_array_equal(known[0], known[1] | known[2])
    assert known[0].sum() > 1.6 * known[1].sum()
    np.testing.assert_array_equal(clear[2], seen_north[0] | seen_south[0])
    np.testing.assert_array_equal(values[2][:, seen_north[0]], north[0][:, seen_north[0]])
    only = seen_south[0] & ~seen_north[0]
    assert only.any()
    np.testing.assert_array_equal(values[2][:, only], south[0][:, only])


def test_the_quality_band_of_collection_1_is_read_bit_by_bit(data_dir: Path) -> None:
    name = "LC08_L1TP_014031_20180106"
    product = data_dir / "timeseries/l8ny18" / f"{name}_20180119_01_T1"
    with open_series(product, **L8) as series:
        _, clear = series.read()
    with rasterio.open(product / f"{name}_BQA.TIF") as file:
        flags = file.read(1)
    hidden = (flags & 1 > 0) | (flags >> 4 & 1 > 0) | (flags >> 5 & 3 == 3) | (flags >> 7 & 3 == 3)
    wanted = ~(hidden | (flags >> 11 & 3 == 3))
    assert 0.2 < wanted.mean() < 0.6
    assert (clear[0] & ~wanted).sum() == 0 and (wanted & ~clear[0]).mean() < 0.01  # fill that BQA does not flag


@pytest.fixture(scope="module")
def stacks(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("p035r032")
    with tarfile.open(data_dir / "timeseries/landsat_p035r032/p035r032_testdata.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "p035r032/images"


def test_447_dates_of_two_landsats_fit_through_few_handles(stacks: Path) -> None:
    series = open_series(f"{stacks}/*/*.gtif", names=(*SIX, "lwir", "fmask"), bands=SIX, scale=1e-4)
    series._reader._free = 40
    with series:
        values, clear = series.read()
        assert len(series._reader._open) == 40
        part, _ = series.read(Window(1, 2, 3, 2))
        info = series.info
    assert values.shape == (447, 6, 5, 5) and len(set(info.times.astype("datetime64[D]").tolist())) == 447
    assert str(info.times[0])[:10] == "1984-04-17" and set(info.sensors) == {"landsat5", "landsat7"}
    assert (np.diff(info.times) > np.timedelta64(0)).all() and info.resolution == 30.0
    np.testing.assert_array_equal(part, values[..., 1:4, 2:4])
    for k in (0, 200, 446):
        with rasterio.open(next(stacks.glob(f"*/{info.names[k]}.gtif"))) as file:
            raw = file.read()
        missing = raw[:6] == -9999
        np.testing.assert_allclose(values[k], np.where(missing, np.nan, raw[:6] * 1e-4), atol=1e-6)
        np.testing.assert_array_equal(clear[k], np.isin(raw[7], (0, 1, 3)) & ~missing.any(0))
    assert (~np.isfinite(values).any((1, 2, 3))).sum() == 3 and 0.6 < clear.mean() < 0.7


def test_two_months_of_worldcereal_stay_missing(data_dir: Path) -> None:
    path = data_dir / "timeseries/worldcereal_s1s2/worldcereal_preprocessed_inputs.nc"
    with open_series(path, scale=1e-4, nodata=65535) as series:
        values, clear = series.read(Window(10, 20, 64, 64))
        info = series.info
    assert info.bands == ("blue", "green", "red", "rededge071", "rededge075", "rededge078", "nir", "swir16", "swir22")
    assert (info.height, info.width, info.resolution) == (100, 100, 10.0)
    assert info.crs is not None and info.crs.to_epsg() == 32631
    known = np.isfinite(values).any((1, 2, 3))
    assert info.times[~known].astype("datetime64[M]").astype(str).tolist() == ["2020-12", "2021-01"]
    assert clear[known].all() and not clear[~known].any()
    assert np.nanmin(values) >= 0 and np.nanmax(values) < 1.2
    with open_series(path, bands=("vv", "vh"), nodata=65535) as radar:
        assert np.isfinite(radar.read()[0]).all() and len(radar.info.times) == 12


def test_layers_of_modis_have_the_dates_of_their_timeline(data_dir: Path) -> None:
    folder = data_dir / "timeseries/modis_mt"
    with open_series(folder, names={"mir": "swir22"}) as series:
        values, _ = series.read()
        info = series.info
    assert info.bands == ("blue", "red", "nir", "swir22") and values.shape == (137, 4, 27, 37)
    assert [str(t)[:10] for t in info.times[[0, 1, -1]]] == ["2007-09-14", "2007-09-30", "2013-08-29"]
    steps = np.diff(info.times.astype("datetime64[D]")).astype(int).tolist()
    assert set(steps) == {13, 14, 16, 32} and steps.count(32) == 1  # shorter at the turn of years; one is not there
    assert info.resolution == pytest.approx(231.656, abs=1e-3)
    with rasterio.open(folder / "blue.tif") as file:
        raw = file.read()
    missing = raw < -1e300
    assert missing.any()
    np.testing.assert_allclose(values[:, 0], np.where(missing, np.nan, raw), atol=1e-6)
