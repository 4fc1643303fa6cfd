"""MERRA-2 for Prithvi WxC: the agency's own files, or files of one day each, to a training cube.

In: a folder that holds either ``MERRA2_sfc_YYYYMMDD.nc`` and ``MERRA_pres_YYYYMMDD.nc``, or the products
inst3_3d_asm_Nv, inst1_2d_asm_Nx, tavg1_2d_lnd_Nx, tavg1_2d_flx_Nx, tavg1_2d_rad_Nx and a constant one, by their usual
file names. Out: a training cube (see ``chunks``) every three hours, under MERRA-2's names and in its units, on the
model's grid and levels; ``open_weather`` reads it in canonical form, ``merra2_layout.sample`` in the model's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from data_pipelines.chunks import TrainingCube, write_training
from data_pipelines.merra2_layout import FILLED, STATIC, SURFACE, VERTICAL, model_form
from geoadapt.errors import GeoadaptError
from geoadapt.io.zarr_read import open_store

__all__ = ["prepare_merra2", "training_cube"]

STEP = np.timedelta64(3, "h")
HALF = np.timedelta64(30, "m")
_DATE = re.compile(r"(?<!\d)(\d{8})(?!\d)")
_CONSTANT = re.compile(r"const_2d_\w+_Nx")
Dates = NDArray[np.datetime64]


def prepare_merra2(folder: Path, path: Path, start: str = "", end: str = "", *, shard: int = 1) -> Path:
    """The training cube of the files in ``folder`` at ``path``, made unless it is there; an interrupted run goes on.

    ``start`` and ``end`` are dates, both included. Raises GeoadaptError where a variable, a level or a day is missing.
    """
    return write_training(training_cube(folder, start, end), path, shard=shard)


def training_cube(folder: Path, start: str = "", end: str = "") -> TrainingCube:
    """What ``prepare_merra2`` writes."""
    files = _Files.of(folder, start, end)
    times = files.times()

    def region(dates: slice) -> xr.Dataset:
        return files.fields(times[dates])

    label = {"pipeline": "merra2", "source": str(folder), "start": start, "end": end}
    return TrainingCube(times, region, files.static(), label)


@dataclass(frozen=True, slots=True)
class _Files:
    """The files of a folder: for every variable and day the one that holds it."""

    folder: Path
    days: tuple[np.datetime64, ...]
    """Asked for, and all there."""
    holders: dict[str, dict[np.datetime64, Path]]
    """Variable → day → file; also the days around those asked for."""
    constant: Path | None

    @classmethod
    def of(cls, folder: Path, start: str, end: str) -> _Files:
        found = sorted(p for p in folder.rglob("*.nc*") if p.is_file()) if folder.is_dir() else []
        constant = next((p for p in found if _CONSTANT.search(p.name)), None)
        dated = [(p, d) for p in found if (d := _day_of(p)) is not None and p != constant]
        if not dated:
            raise GeoadaptError(folder, "holds no NetCDF file with a date in its name", "see the names in merra2.py")
        holders: dict[str, dict[np.datetime64, Path]] = {}
        kinds: dict[str, tuple[str, ...]] = {}
        for path, day in dated:
            kind = path.name.replace(str(day).replace("-", ""), "*")
            kind = re.sub(r"MERRA2_\d{3}", "MERRA2", kind)
            if kind not in kinds:
                with open_store(path, decode_times=False) as store:
                    kinds[kind] = tuple(map(str, store.data_vars))
            for name in kinds[kind]:
                holders.setdefault(name, {})[day] = path
        missing = [name for name in (*SURFACE, *VERTICAL) if name not in holders]
        if missing:
            raise GeoadaptError(folder, f"no file holds {missing}", f"found files like {sorted(kinds)}")
        return cls(folder, _days(folder, holders, start, end), holders, constant)

    def times(self) -> Dates:
        """Every three hours of the days; without those whose hourly means lack a neighbour in another file."""
        wanted = np.concatenate([day + STEP * np.arange(8) for day in self.days]).astype("datetime64[s]")
        made = np.ones(len(wanted), bool)
        for name in (*SURFACE, *VERTICAL):
            if self._averaged(name):
                around = [(wanted + shift).astype("datetime64[D]") for shift in (-HALF, HALF)]
                made &= [a in self.holders[name] and b in self.holders[name] for a, b in zip(*around, strict=True)]
        if not made.any():
            raise GeoadaptError(self.folder, "no date has all of its files", "give the day before too")
        kept = wanted[made]
        gap = np.flatnonzero(np.diff(kept) != STEP)
        if len(gap):
            raise GeoadaptError(self.folder, f"after {kept[gap[0]]} a date is missing", "give the files of every day")
        return kept

    def fields(self, times: Dates) -> xr.Dataset:
        """All variables at ``times`` (t,), lazy."""
        made = {}
        for name in (*SURFACE, *VERTICAL):
            if self._averaged(name):
                field = (self._read(name, times - HALF) + self._read(name, times + HALF)) / np.float32(2)
            else:
                field = self._read(name, times)
            field = field.assign_coords(time=times.astype("datetime64[ns]"))
            made[name] = field.fillna(np.float32(FILLED[name])) if name in FILLED else field
        first = self.holders[VERTICAL[0]][self.days[0]]
        for name, field in made.items():
            field.attrs = self._attributes(name)
        cube = model_form(xr.Dataset(made), str(first))
        return cube.transpose("time", "model_level", "latitude", "longitude")

    def static(self) -> xr.Dataset:
        """The four static fields on the model's grid; those of a constant file of several months are of January."""
        sources = [self.constant, *(self.holders[n][self.days[0]] for n in STATIC if n in self.holders)]
        for path in [p for p in sources if p is not None]:
            with open_store(path, decode_times=False) as store:
                if set(STATIC) <= set(store.data_vars):
                    held = store[list(STATIC)].isel({d: 0 for d in ("time",) if d in store.dims}, drop=True).load()
                    return model_form(held, str(path)).astype(np.float32)
        raise GeoadaptError(self.folder, f"no file holds {list(STATIC)}", "add M2C0NXCTM, the constant fields")

    def _averaged(self, name: str) -> bool:
        """Whether a variable is stored as means over hours, stamped at half past."""
        return "tavg1" in next(iter(self.holders[name].values())).name

    def _read(self, name: str, times: Dates) -> xr.DataArray:
        parts = []
        for day in np.unique(times.astype("datetime64[D]")):
            path = self.holders[name][day]
            field = _opened(path)[name]
            wanted = times[times.astype("datetime64[D]") == day]
            held = field["time"].values.astype("datetime64[s]")
            place = np.searchsorted(held, wanted)
            if (place >= len(held)).any() or (held[np.minimum(place, len(held) - 1)] != wanted).any():
                raise GeoadaptError(path, f"'{name}' lacks {wanted[0]}", f"it has {held[0]} to {held[-1]}")
            parts.append(field.isel(time=place))
        joined = parts[0] if len(parts) == 1 else xr.concat(parts, "time", coords="minimal", compat="override")
        return joined.drop_vars("time").astype(np.float32)

    def _attributes(self, name: str) -> dict[str, str]:
        field = _opened(self.holders[name][self.days[0]])[name]
        return {k: str(field.attrs[k]) for k in ("units", "long_name") if k in field.attrs}


@lru_cache(maxsize=32)
def _opened(path: Path) -> xr.Dataset:
    """A file with its dates; where the axis has no CF units, they are minutes from what its own attributes say."""
    store = open_store(path, {"time": 1}, decode_times=False)
    axis = store["time"]
    if "since" in str(axis.attrs.get("units", "")):
        return xr.decode_cf(store, mask_and_scale=False, decode_coords=False)
    if "begin_date" not in axis.attrs:
        raise GeoadaptError(path, "its dates have no units", "expected 'minutes since …', or begin_date and begin_time")
    date = str(int(axis.attrs["begin_date"]))
    begin = np.datetime64(f"{date[:4]}-{date[4:6]}-{date[6:]}", "m") + int(axis.attrs.get("begin_time", 0))
    minutes = np.round(np.asarray(axis.values, np.float64)).astype("timedelta64[m]")
    return store.assign_coords(time=(begin + minutes).astype("datetime64[ns]"))


def _day_of(path: Path) -> np.datetime64 | None:
    found = _DATE.search(path.name)
    if found is None:
        return None
    text = found.group(1)
    try:
        return np.datetime64(f"{text[:4]}-{text[4:6]}-{text[6:]}", "D")
    except ValueError:
        return None


def _days(
    folder: Path, holders: dict[str, dict[np.datetime64, Path]], start: str, end: str
) -> tuple[np.datetime64, ...]:
    """The days from ``start`` to ``end``; raises GeoadaptError where a variable has no file of one of them."""
    every = sorted(set.intersection(*(set(holders[n]) for n in (*SURFACE, *VERTICAL))))
    known = sorted({d for name in (*SURFACE, *VERTICAL) for d in holders[name]})
    first = _date(start, "start") if start else (every or known)[0]
    last = _date(end, "end") if end else (every or known)[-1]
    days = [d for d in every if first <= d <= last]
    if not days:
        raise GeoadaptError(folder, f"no day from {first} to {last} has all files", f"it has {_spoken(every)}")
    wanted = np.arange(days[0] if not start else first, (days[-1] if not end else last) + 1)
    lacking = sorted(set(wanted.tolist()) - {d.item() for d in days})
    if lacking:
        absent = [n for n in (*SURFACE, *VERTICAL) if np.datetime64(lacking[0], "D") not in holders[n]]
        raise GeoadaptError(folder, f"{lacking[0]} lacks the file of {absent[0]}", "add it, or choose another period")
    return tuple(days)


def _date(text: str, key: str) -> np.datetime64:
    try:
        return np.datetime64(text, "D")
    except ValueError as error:
        raise GeoadaptError(key, f"'{text}' is no date", "write 2020-01-31") from error


def _spoken(days: Sequence[np.datetime64]) -> str:
    return f"{days[0]} to {days[-1]}" if days else "none"
