"""A simulated weather archive: Zarr cubes that training reads like a reanalysis, and that say what they are.

In: years, members, a seed, an interval, a truncation. Out: ROOT/member_00.zarr …, complete; asked again, left alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from data_pipelines.simulate.channels import LEVELS, UNITS, surface_pressure, weather_fields
from data_pipelines.simulate.climate import Planet, build_core, draw_planet, initial_state
from data_pipelines.simulate.layers import PrimitiveCore
from data_pipelines.simulate.leapfrog import march
from data_pipelines.simulate.sphere import Reals, Sphere
from geoadapt.errors import GeoadaptError
from geoadapt.io.atomic import staged_folder, write_text

__all__ = ["MANIFEST", "WeatherSpec", "member_path", "simulate", "write_weather"]

MANIFEST = "simulated_weather.json"
"""Written last: names the spec and the members."""
VERSION = 1
"""Rises when the same spec would give other numbers."""
START = "2001-01-01"
SHARD = 64
"""States in one file; each is a chunk of its own within it, so that a sample reads nothing else."""
TOGETHER = 8
"""Members simulated at once; a group is made whole, since rounding depends on what is computed beside it."""
DAY = 86400.0
NOTE = "SIMULATED by geoadapt (dry primitive equations, data_pipelines/simulate): no such weather was ever observed"


@dataclass(frozen=True, slots=True)
class WeatherSpec:
    """What an archive holds; the same spec gives the same numbers on the same machine."""

    years: float
    members: int
    seed: int
    interval_hours: int
    truncation: int
    spinup_days: int = 90
    """Simulated before the first state that is kept; one interval at least."""

    def __post_init__(self) -> None:
        hours = self.interval_hours
        if min(self.members, hours, self.years) <= 0 or (24 % hours and hours % 24):
            raise GeoadaptError(
                "data",
                f"{self.members} members of {self.years} years, every {hours} h, cannot be simulated",
                "choose at least one member, some years, and an interval that divides the day or is whole days",
            )
        if not 10 <= self.truncation <= 170:
            raise GeoadaptError(
                "data.truncation", f"{self.truncation} is outside 10–170", "choose 31 (96 × 48) or 42 (128 × 64)"
            )

    @property
    def times(self) -> NDArray[np.datetime64]:
        """Dates (t,) of the states that are kept."""
        count = max(1, round(self.years * 365.25 * 24 / self.interval_hours))
        step = np.timedelta64(self.interval_hours, "h")
        return (np.datetime64(START, "h") + np.arange(count) * step).astype("datetime64[ns]")

    @property
    def steps(self) -> int:
        """Time steps of the core per interval: 30 minutes at T31, 22.5 at T42, stable for winds up to 120 m/s."""
        return int(np.ceil(self.interval_hours * 60 / (945 / self.truncation)))


def member_path(root: Path, member: int) -> Path:
    """Where one member's cube stands."""
    return root / f"member_{member:02d}.zarr"


def write_weather(
    root: Path,
    *,
    years: float = 1.0,
    members: int = 8,
    seed: int = 0,
    interval_hours: int = 24,
    truncation: int = 31,
    spinup_days: int = 90,
) -> Path:
    """Simulate an archive under ``root`` unless it is there; groups of members that a broken run finished are kept.

    Each member is another planet (see ``Planet``), simulated from ``START``: some train a model that others test.

    Raises:
        GeoadaptError: the spec makes no sense, ``root`` holds another archive, or it cannot be written.
    """
    spec = WeatherSpec(years, members, seed, interval_hours, truncation, spinup_days)
    _check(root, spec)
    for first in range(0, members, TOGETHER):
        group = range(first, min(first + TOGETHER, members))
        if not all(member_path(root, i).exists() for i in group):
            _write_members(root, spec, group)
    planets = {member_path(root, i).name: asdict(draw_planet(seed, i)) for i in range(members)}
    plain = {
        "simulated": True,
        "note": NOTE,
        "spec": asdict(spec),
        "fingerprint": _fingerprint(spec),
        "members": planets,
    }
    write_text(root / MANIFEST, json.dumps(plain, indent=1) + "\n")
    return root


def simulate(spec: WeatherSpec, planets: Sequence[Planet]) -> Iterator[tuple[PrimitiveCore, dict[str, Reals]]]:
    """Weather (see ``weather_fields``) at each of the spec's dates, for all ``planets`` at once.

    Raises:
        GeoadaptError: a member's numbers are no longer finite.
    """
    core = build_core(Sphere(spec.truncation, dtype=np.float32), planets)
    step = spec.interval_hours * 3600 / spec.steps
    spinup = max(1, -(-spec.spinup_days * 24 // spec.interval_hours)) * spec.steps
    states = march(core, initial_state(core, planets), step, start=-spinup * step)
    masses = _mean(core, surface_pressure(core, initial_state(core, planets)))
    for state in islice(states, spinup - 1, None, spec.steps):
        fields = weather_fields(core, state)
        if not np.isfinite(fields["mean_sea_level_pressure"]).all():
            raise GeoadaptError(
                "simulation", "a member's numbers overflowed", "choose a shorter interval or another seed"
            )
        yield core, fields
        lost = np.log(_mean(core, surface_pressure(core, state)) / masses)
        core.split(state)[3][:, 0, 0, 0] -= lost.astype(state.dtype)


def _write_members(root: Path, spec: WeatherSpec, members: Sequence[int]) -> None:
    planets = [draw_planet(spec.seed, i) for i in members]
    with ExitStack() as stack:
        parts = [stack.enter_context(staged_folder(member_path(root, i))) for i in members]
        buffer: list[dict[str, Reals]] = []
        begun = 0
        for core, fields in islice(simulate(spec, planets), len(spec.times)):
            if not begun and not buffer:
                for i, (part, planet) in enumerate(zip(parts, planets, strict=True)):
                    _begin(part, spec, core, i, planet)
            buffer.append(fields)
            if len(buffer) == SHARD or begun + len(buffer) == len(spec.times):
                for i, part in enumerate(parts):
                    _append(part, buffer, i, begun)
                begun += len(buffer)
                buffer = []


def _begin(part: Path, spec: WeatherSpec, core: PrimitiveCore, place: int, planet: Planet) -> None:
    """Write coordinates, orography and the empty arrays of one member."""
    sphere, count = core.sphere, len(spec.times)
    coordinates = {
        "time": spec.times,
        "level": ("level", np.array(LEVELS), {"units": "hPa"}),
        "latitude": ("latitude", sphere.latitude, {"units": "degrees_north"}),
        "longitude": ("longitude", sphere.longitude, {"units": "degrees_east"}),
    }
    flat, deep = ("time", "latitude", "longitude"), ("time", "level", "latitude", "longitude")
    lengths = {"time": count, "level": len(LEVELS), "latitude": sphere.shape[0], "longitude": sphere.shape[1]}
    variables, encoding = {}, {}
    for name, units in UNITS.items():
        dims = flat if name == "mean_sea_level_pressure" else deep
        shape = [lengths[dim] for dim in dims]
        empty = da.zeros(shape, dtype=np.float32, chunks=(SHARD, *shape[1:]))
        variables[name] = xr.Variable(dims, empty, {"units": units, "simulated": "true"})
        encoding[name] = {"chunks": (1, *shape[1:]), "shards": (SHARD, *shape[1:])}
    ground = np.ascontiguousarray(sphere.to_grid(core.forcing.surface)[place], np.float32)
    about = {"units": "m2 s-2", "simulated": "true"}
    variables["geopotential_at_surface"] = xr.Variable(flat[1:], ground, about)
    notes = {"simulated": "true", "note": NOTE, "version": VERSION, "planet": json.dumps(asdict(planet))}
    cube = xr.Dataset(variables, coordinates, {**notes, "spec": json.dumps(asdict(spec))})
    cube.to_zarr(part, compute=False, encoding=encoding, zarr_format=3, consolidated=False, mode="w")


def _append(part: Path, buffer: Sequence[dict[str, Reals]], place: int, begun: int) -> None:
    """Write the states of one member from ``begun`` on; ``begun`` is a multiple of ``SHARD``."""
    variables = {}
    for name in UNITS:
        values = np.stack([fields[name][place] for fields in buffer]).astype(np.float32)
        dims = ("time", "latitude", "longitude") if values.ndim == 3 else ("time", "level", "latitude", "longitude")
        variables[name] = xr.Variable(dims, np.ascontiguousarray(values))
    region = {"time": slice(begun, begun + len(buffer))}
    xr.Dataset(variables).to_zarr(part, region=region, consolidated=False)


def _mean(core: PrimitiveCore, values: Reals) -> NDArray[np.float64]:
    """Means (e,) over the sphere."""
    found: NDArray[np.float64] = (values.astype(float) * core.sphere.weights.astype(float)).sum(axis=-2).mean(axis=-1)
    return found


def _fingerprint(spec: WeatherSpec) -> str:
    return hashlib.sha256(f"{VERSION} {json.dumps(asdict(spec), sort_keys=True)}".encode()).hexdigest()


def _check(root: Path, spec: WeatherSpec) -> None:
    """Refuse a folder whose members were made from another spec; what is there of this one is used."""
    wanted = json.dumps(asdict(spec))
    for path in sorted(root.glob("*.zarr")):
        try:
            plain = json.loads((path / "zarr.json").read_text(encoding="utf-8"))["attributes"]
            found = plain["spec"], plain["version"]
        except (OSError, ValueError, KeyError, TypeError):
            found = "", 0
        if found != (wanted, VERSION):
            raise GeoadaptError(
                path, f"was not made from {wanted}, which would mix with it", "choose an empty folder as data.root"
            )
