"""Landsat and date metadata in odd states."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from geoadapt.cubes.dates import time_in_name
from geoadapt.errors import GeoadaptError
from geoadapt.io.landsat import band_scales, landsat_sensor, read_mtl
from tests import synth


@pytest.mark.parametrize(
    ("name", "sensor"),
    [
        ("LC80130312015295LGN00_B4", "landsat8"),
        ("LC08_L1TP_014031_20180106_20180119_01_T1_B2", "landsat8"),
        ("LC09_L2SP_198024_20220705_20220712_02_T1_SR_B2", "landsat9_l2"),
        ("LE07_L1TP_198024_20210705_20210712_02_T1_B1", "landsat7"),
        ("LT05_L2SP_198024_20050705_20210712_02_T1_SR_B1", "landsat5_l2"),
        ("S2A_MSIL1C_20200101", None),
        ("LC_something", None),
    ],
)
def test_the_sensor_is_told_by_the_identifier(name: str, sensor: str | None) -> None:
    assert landsat_sensor(name) == sensor


def test_text_and_json_metadata_say_the_same(tmp_path: Path) -> None:
    said = []
    for form in ("txt", "json"):
        file = next(synth.write_landsat(tmp_path / form, mtl=form, sun=41.5).glob("*_MTL.*"))
        said.append(band_scales(read_mtl(file), file, level2=False))
    assert said[0] == said[1]
    assert said[0][1] == datetime(2021, 7, 5, 10, 33, 40, 123456, tzinfo=UTC)


def test_damaged_metadata_are_errors(tmp_path: Path) -> None:
    file = next(synth.write_landsat(tmp_path).glob("*_MTL.txt"))
    text = file.read_text()
    for old, new, message in (
        ("SUN_ELEVATION = 30", "SUN_ELEVATION = x", "SUN_ELEVATION is 'x"),
        ("SUN_ELEVATION = 30", "SUN_ELEVATION = -30", "the sun is below the horizon"),
        ("REFLECTANCE_ADD_BAND_3", "OTHER", "REFLECTANCE_ADD_BAND_3 is None"),
        ("REFLECTANCE_MULT", "RADIANCE_MULT", "has no REFLECTANCE_MULT_BAND_… keys"),
    ):
        file.write_text(text.replace(old, new))
        with pytest.raises(GeoadaptError, match=message):
            band_scales(read_mtl(file), file, level2=False)
    file.write_text("nothing")
    with pytest.raises(GeoadaptError, match="holds no groups of keys"):
        read_mtl(file)


@pytest.mark.parametrize(
    ("name", "moment"),
    [
        ("LC80130312015295LGN00", datetime(2015, 10, 22, tzinfo=UTC)),
        ("LC08_L1TP_014031_20180106_20180119_01_T1", datetime(2018, 1, 6, tzinfo=UTC)),
        ("T31UFS_20230714T105629_B02", datetime(2023, 7, 14, 10, 56, 29, tzinfo=UTC)),
        ("201609281750_FINUTM", datetime(2016, 9, 28, 17, 50, tzinfo=UTC)),
        ("HLS.S30.T10TGS.2018285T184513.v1.4", datetime(2018, 10, 12, 18, 45, 13, tzinfo=UTC)),
        ("NDVI_2013-09-14", datetime(2013, 9, 14, tzinfo=UTC)),
        ("scene_12345678", None),
        ("plain", None),
    ],
)
def test_dates_are_found_in_names(name: str, moment: datetime | None) -> None:
    assert time_in_name(name) == moment
