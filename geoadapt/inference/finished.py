"""Which init times of a forecast store are finished, and whose forecasts it holds.

In: a store, the folder of its account, and the job at hand. Out: finished or not, by size, time, job and archive, never
by mere existence; an error where the store belongs to another job.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from geoadapt.cubes.calendar import shown
from geoadapt.errors import GeoadaptError
from geoadapt.fields.forecaster import Forecaster
from geoadapt.inference.config import ForecastConfig
from geoadapt.io.forecast_spec import ForecastSpec
from geoadapt.io.forecast_zarr import create_store, label_of
from geoadapt.io.manifest import Entry, Manifest, config_hash, input_stamp, sha256

__all__ = ["Finished", "claim", "job_label"]

_FORMAT = 1
"""Changes when the same configuration would write other bytes."""
_HINT = "name another --output, or add --overwrite"


def job_label(models: Sequence[Forecaster], spec: ForecastSpec, config: ForecastConfig) -> dict[str, Any]:
    """What makes two runs one job: the bundle or bundles, the configuration, the init times and the grid."""
    names = [str(getattr(model, "name", "model")) for model in models]
    hashes = [str(getattr(model, "sha256", "")) for model in models]
    axes = b"".join(np.ascontiguousarray(axis).tobytes() for axis in (spec.latitude, spec.longitude))
    latitude, longitude = spec.latitude, spec.longitude
    place = f"{latitude[0]:g} to {latitude[-1]:g} × {longitude[0]:g} to {longitude[-1]:g}"
    return {
        "bundle": {"name": ", ".join(names), "sha256": hashes[0] if len(hashes) == 1 else config_hash(hashes)},
        "config": {
            **config.plain(),
            "init_times": _told(spec.init_times.tobytes(), f"{len(spec.init_times)} from {shown(spec.init_times[0])}"),
            "grid": _told(axes, f"{latitude.size} × {longitude.size} points, {place}"),
            "kept": [variable.name for variable in spec.variables],
            "format": _FORMAT,
        },
    }


def claim(output: Path, spec: ForecastSpec, label: Mapping[str, Any], folder: Path, *, overwrite: bool) -> None:
    """Make the store, or find that it is there already and of this job; raises GeoadaptError naming both jobs."""
    there = label_of(output)
    if there is not None and not overwrite:
        _compare(output, there, label)
        return
    create_store(output, spec, label, folder / f".store.{os.getpid()}.part")


class Finished:
    """The init times of one job that are complete in its store, by its manifest."""

    def __init__(
        self, folder: Path, store: Path, label: Mapping[str, Any], source: str, stamp: tuple[int, int]
    ) -> None:
        """``stamp``: of the archive, whose change makes every init time unfinished."""
        self.store = store
        self.staging = folder / f".chunks.{os.getpid()}.part"
        self._manifest = Manifest(folder)
        self._config, self._bundle = config_hash(label["config"]), str(label["bundle"]["sha256"])
        self._source, self._stamp = source, stamp

    def holds(self, place: int, moment: np.datetime64, spec: ForecastSpec, *, verify: bool) -> bool:
        """Whether all variables of an init time are as they were written; ``verify`` reads them again."""
        entries = {e.path: e for e in self._manifest.item(str(moment), self._config, self._bundle)}
        wanted = [f"{variable.name}/c/{place}" for variable in spec.variables]
        return all(path in entries and self._unchanged(entries[path], verify) for path in wanted)

    def note(self, made: Mapping[np.datetime64, Sequence[Path]]) -> None:
        """Add what was just moved into the store: per init time a folder for each variable."""
        self._manifest.append(self._entry(moment, path) for moment, paths in made.items() for path in paths)

    def _entry(self, moment: np.datetime64, path: Path) -> Entry:
        size, changed = input_stamp([path])
        return Entry(
            path=path.relative_to(self.store).as_posix(),
            sha256=_folder_hash(path),
            bytes=size,
            mtime_ns=changed,
            config=self._config,
            bundle=self._bundle,
            input=self._source,
            input_bytes=self._stamp[0],
            input_mtime_ns=self._stamp[1],
            item=str(moment),
            kind="forecast",
        )

    def _unchanged(self, entry: Entry, verify: bool) -> bool:
        path = self.store / entry.path
        if (entry.input_bytes, entry.input_mtime_ns) != self._stamp or not path.is_dir():
            return False
        if input_stamp([path]) != (entry.bytes, entry.mtime_ns):
            return False
        return not verify or _folder_hash(path) == entry.sha256


def _folder_hash(folder: Path) -> str:
    """One sha256 for the names and contents of all files in a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return config_hash([(path.relative_to(folder).as_posix(), sha256(path)) for path in files])


def _compare(output: Path, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    old, new = there.get("bundle", {}), here["bundle"]
    if old != new:
        names = [f"'{b.get('name')}' ({str(b.get('sha256'))[:12]})" for b in (old, new)]
        raise GeoadaptError(output, f"holds forecasts by {names[0]}, this run is by {names[1]}", _HINT)
    before, now = there.get("config", {}), here["config"]
    differing = [key for key in sorted({*before, *now}) if before.get(key) != now.get(key)]
    if differing:
        told = "; ".join(f"{key}: {before.get(key)} there, {now.get(key)} here" for key in differing)
        raise GeoadaptError(output, f"holds forecasts of another job ({told})", _HINT)


def _told(data: bytes, words: str) -> str:
    return f"{words} [{hashlib.sha256(data).hexdigest()[:12]}]"
