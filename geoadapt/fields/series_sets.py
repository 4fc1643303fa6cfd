"""Small public time series under GEOADAPT_DATA, each with the split that it allows; what is missing stays missing.

In: a ``RealSeriesConfig``. Out: ``SeriesData`` whose note says what it is, how it is split and what it lacks.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoadapt.cubes.series import open_series
from geoadapt.errors import GeoadaptError
from geoadapt.fields.landsat_stacks import read_stacks
from geoadapt.fields.series import Radar, Series, SeriesData
from geoadapt.fields.series_config import RealSeriesConfig
from geoadapt.fields.series_split import by_columns, by_dates
from geoadapt.fields.timeseries import read_series
from geoadapt.io.base import Window
from geoadapt.io.paths import as_path

__all__ = ["FOLDERS", "MaskedSeries", "build", "sigma_db"]

FOLDERS = {
    "worldcereal": "worldcereal_s1s2",
    "modis_mt": "modis_mt",
    "l8ny18": "l8ny18",
    "landsat_p035r032": "landsat_p035r032",
}
"""Name → folder under GEOADAPT_DATA/timeseries."""
OLI = ("blue", "green", "red", "nir", "swir16", "swir22")
OLI_SCALE, OLI_OFFSET = 2e-5, -0.1
"""Of Landsat-8's Collection 1, the same in every scene's metadata: REFLECTANCE_MULT and REFLECTANCE_ADD."""
ROWS = {"train": "014031", "test": "014032"}
"""Path and row of ``l8ny18``'s two scenes; the second lies south of the first and overlaps it."""
Bools = NDArray[np.bool_]


class MaskedSeries(tuple[Series, ...]):
    """Series without a cloud of their own, with ``masks`` of other places to paste."""

    masks: tuple[Bools, ...] = ()


def build(config: RealSeriesConfig, seed: int = 0) -> SeriesData:
    """The data set ``config.name``; ``seed`` changes nothing. Raises GeoadaptError where its files are not there."""
    root = _root(config, config.name)
    with warnings.catch_warnings():
        # what is said about masks and scales stands in the note
        warnings.simplefilter("ignore", UserWarning)
        return BUILDERS[config.name](config, root)


def sigma_db(numbers: NDArray[Any]) -> NDArray[np.float32]:
    """Backscatter [dB] of WorldCereal's digital numbers, 20 log10 DN − 83; NaN for 0 and 65535, which mean missing."""
    known = (numbers > 0) & (numbers < 65535)
    decibel: NDArray[np.float32] = (20 * np.log10(np.where(known, numbers, 1.0)) - 83).astype(np.float32)
    return np.where(known, decibel, np.float32(np.nan))


def _root(config: RealSeriesConfig, name: str) -> Path:
    if config.root and name == config.name:
        root = as_path(config.root)
    else:
        root = Path(os.environ.get("GEOADAPT_DATA", "../shared/data")) / "timeseries" / FOLDERS[name]
    if not root.is_dir():
        raise GeoadaptError(root, "is not there", f"set GEOADAPT_DATA, or data.root to the folder of {name}")
    return root


def _worldcereal(config: RealSeriesConfig, root: Path) -> SeriesData:
    path = root / "worldcereal_preprocessed_inputs.nc"
    with open_series(path, scale=1e-4, nodata=65535, mask="none", sensor="sentinel2", name="worldcereal") as source:
        series = _plausible(read_series(source))
    if config.radar:
        bands = {"S1-SIGMA0-VV": "vv", "S1-SIGMA0-VH": "vh"}
        with open_series(path, bands=("vv", "vh"), names=bands, units="raw", mask="none") as source:
            numbers, _ = source.read()
            series = replace(series, radar=Radar(sigma_db(numbers), source.info.times, ("vv", "vh")))
    west, strip, east = by_columns(series, config.val_fraction, config.test_fraction)
    empty = [
        str(t)[:7]
        for t, seen in zip(series.times, series.clear.reshape(len(series.times), -1), strict=True)
        if not seen.any()
    ]
    note = (
        f"WorldCereal's example patch: {len(series.times)} monthly Sentinel-2 L2A composites of 100 × 100 px, 10 m, "
        f"months without any data {empty}; composites have no mask, so whatever lies in 0–1 counts as clear; "
        f"{'Sentinel-1 σ⁰ as 20 log10 DN − 83 dB; ' if config.radar else ''}split by place: west trains, a strip "
        f"validates, east tests; pasted gaps are real Landsat-8 clouds over New York, others in the test"
    )
    return _pasted(config, (west, strip, east), note)


def _modis_mt(config: RealSeriesConfig, root: Path) -> SeriesData:
    files = {"blue": "blue", "red": "red", "nir": "nir", "swir22": "mir"}
    days = (root / "timeline").read_text(encoding="utf-8").split()
    paths = {band: root / f"{stem}.tif" for band, stem in files.items()}
    with open_series(paths, times=days, bands=tuple(files), scale=1.0, mask="none", name="modis_mt") as source:
        series = _plausible(read_series(source))
    parts = by_dates(series, config.val_fraction, config.test_fraction)
    note = (
        f"MODIS MOD13Q1, Mato Grosso: {len(series.times)} composites of 16 days, 27 × 37 px, 232 m, blue red nir and "
        f"its MIR (2.1 µm, here swir22); a composite keeps its best day, so its dates are those of the period and "
        f"remaining clouds are not marked; split by period: train to {_last(parts[0])}, validation to "
        f"{_last(parts[1])}, test to {_last(parts[2])}; pasted gaps are real Landsat-8 clouds over New York"
    )
    return _pasted(config, parts, note)


def _l8ny18(config: RealSeriesConfig, root: Path) -> SeriesData:
    first, edge = _landsat8(root, ROWS["train"])
    west, strip, _ = by_columns(first, config.val_fraction, 0.0)
    south, _ = _landsat8(root, ROWS["test"], below=edge)
    note = (
        f"Landsat-8 L1TP, New York 2018, thinned to {first.resolution:g} m: path/row {ROWS['train']} with "
        f"{len(first.times)} dates trains (its eastern columns validate), {ROWS['test']} with {len(south.times)} "
        f"tests, without the rows that both see; reflectance at the top of the air = DN · 2e-5 − 0.1, not divided by "
        f"the sine of the sun's elevation, which its files do not tell; clouds, shadows and cirrus by BQA"
    )
    return SeriesData((west,), (strip,), (south,), first.channels, note)


def _landsat8(root: Path, row: str, below: float | None = None) -> tuple[Series, float]:
    """A path/row's series with the northing of its lower edge [m]; ``below`` leaves out what lies north of it."""
    scenes = sorted(root.glob(f"LC08_L1TP_{row}_*"))
    if not scenes:
        raise GeoadaptError(root, f"holds no scene of path/row {row}", "expected folders LC08_L1TP_PPPRRR_…")
    with open_series(
        scenes, bands=OLI, scale=OLI_SCALE, offset=OLI_OFFSET, nodata=0, sensor="landsat8", name=f"l8ny18_{row}"
    ) as source:
        info, window = source.info, None
        assert info.transform is not None
        if below is not None:
            skipped = int(np.ceil((info.transform.f - below) / -info.transform.e))
            window = Window(skipped, 0, info.height - skipped, info.width)
        return read_series(source, window), info.transform.f + info.height * info.transform.e


def _landsat_p035r032(config: RealSeriesConfig, root: Path) -> SeriesData:
    series = read_stacks(root / "p035r032_testdata.tar.gz", "landsat_p035r032")
    parts = by_dates(series, config.val_fraction, config.test_fraction)
    note = (
        f"Landsat-4, -5 and -7 surface reflectance, path 35 row 32: {len(series.times)} dates of 5 × 5 px, 30 m; clear "
        f"as Fmask says; split by period: train to {_last(parts[0])}, validation to {_last(parts[1])}, test to "
        f"{_last(parts[2])}; one place of 25 pixels says nothing about others"
    )
    first, second, third = ((part,) for part in parts)
    return SeriesData(first, second, third, series.channels, note)


def _plausible(series: Series) -> Series:
    """Composites have no mask: what is no reflectance is not clear."""
    return replace(series, clear=series.clear & ((series.values > 0) & (series.values <= 1)).all(1))


def _last(series: Series) -> str:
    return str(series.times[-1])[:10]


def _pasted(config: RealSeriesConfig, parts: Sequence[Series], note: str) -> SeriesData:
    """The three parts with cloud patterns of Landsat-8: one scene's for the fit, the other's for the test."""
    root = _root(config, "l8ny18")
    fit, held = (_patterns(root, ROWS[part]) for part in ("train", "test"))
    made = [MaskedSeries((part,)) for part in parts]
    for one, masks in zip(made, (fit, fit, held), strict=True):
        one.masks = masks
    return SeriesData(made[0], made[1], made[2], parts[0].channels, note)


def _patterns(root: Path, row: str) -> tuple[Bools, ...]:
    """What clouds and their shadows hide on each date of a path/row (h, w); beyond the scene nothing is hidden."""
    series, _ = _landsat8(root, row)
    hidden = ~series.clear & np.isfinite(series.values).all(1)
    return tuple(mask for mask in hidden if 0 < mask.mean() < 1)


BUILDERS: dict[str, Callable[[RealSeriesConfig, Path], SeriesData]] = {
    "worldcereal": _worldcereal,
    "modis_mt": _modis_mt,
    "l8ny18": _l8ny18,
    "landsat_p035r032": _landsat_p035r032,
}
