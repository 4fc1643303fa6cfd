"""What a weather file holds, before any value is read: fields with names, or reasons why they have none.

In: the path of a NetCDF or GRIB file or of a Zarr store. Out: ``Candidate`` fields, lazy; and of them those that a list
of variables asks for, under whatever name.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from geoadapt.cubes.axes import fields_of
from geoadapt.cubes.naming import Named, Unnamed, name_field
from geoadapt.cubes.variables import VARIABLES, Variable, find_variable, name_and_level, near_names, split_channel
from geoadapt.errors import GeoadaptError
from geoadapt.io.grib import is_grib, open_grib
from geoadapt.io.guarded import guarded
from geoadapt.io.zarr_chunks import absent_chunks
from geoadapt.io.zarr_read import is_netcdf, is_zarr, open_store

__all__ = [
    "Candidate", "Wanted", "candidates", "checked_chunks", "choose",  "raw_datasets", "wanted_levels",
    "weather_in",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Candidate:
    """A field of a file: its array, lazy, in canonical dimensions and the file's units; or what is wrong with it."""

    path: Path
    name: str
    """As the file has it."""
    array: xr.DataArray | GeoadaptError
    found: Named | Unnamed
    notes: tuple[str, ...] = ()
    fill: float | None = None
    """What absent chunks of a Zarr array read as; None where no chunk is absent."""

    @property
    def canonical(self) -> str | None:
        """Its name in the cube; None where it has none."""
        return self.found.variable.name if isinstance(self.found, Named) else None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A field that is to be in the cube, and under which name."""

    candidate: Candidate
    name: str


def raw_datasets(path: Path) -> list[xr.Dataset]:
    """The datasets in a file or store, lazy, scaled and masked, their times still numbers where they are numbers.

    Raises GeoadaptError where the file is missing, damaged, or of another kind.
    """
    if not path.exists():
        raise GeoadaptError(path, "does not exist", "check the path")
    if is_zarr(path) or is_netcdf(path):
        with warnings.catch_warnings():
            # Two numbers for missing data are both masked, a NaN for whole numbers means none, and bounds are not read.
            for message in (".*multiple fill values.*", ".*non-conforming '_FillValue'.*", ".*referenced in bounds.*"):
                warnings.filterwarnings("ignore", message=message)
            return [guarded(open_store(path, decode_times=False), path, zarr=is_zarr(path))]
    if is_grib(path):
        return open_grib(path)
    kind = "folder without a Zarr store" if path.is_dir() else "file of another kind"
    raise GeoadaptError(path, f"is a {kind}", "expected NetCDF (.nc, .nc4), GRIB or Zarr")


def candidates(path: Path) -> list[Candidate]:
    """All fields on latitudes and longitudes that ``path`` holds; raises GeoadaptError where it holds none."""
    made, errors = _candidates(raw_datasets(path), path)
    if not made:
        raise errors[0]
    return made


def weather_in(path: Path) -> list[Candidate] | None:
    """As ``candidates``; None where ``path`` has no field on latitudes and longitudes whose variable is known.

    Raises GeoadaptError where it is damaged.
    """
    found = _candidates(raw_datasets(path), path)[0]
    known = any(isinstance(c.found, Named) or c.found.resembles is not None for c in found)
    return found if known else None


def choose(found: Sequence[Candidate], variables: Sequence[str] | None, where: str) -> tuple[list[Wanted], list[str]]:
    """The fields that ``variables`` ask for, or all that are known; and the names of those that are left out.

    Raises GeoadaptError where one is missing, or where a known one lacks what tells which it is.
    """
    if variables is not None:
        return [w for v in dict.fromkeys(variables) for w in _asked(found, v, where)], []
    ranks = {name: i for i, name in enumerate(VARIABLES)}
    known = [Wanted(c, str(c.canonical)) for c in found if c.canonical is not None]
    known.sort(key=lambda w: ranks[w.name])  # NetCDF lists variables as written, Zarr by the alphabet
    for c in found:
        if isinstance(c.found, Unnamed) and c.found.resembles is not None:
            raise _unclear(c, [w.candidate.name for w in known])
    if not known:
        listing = ", ".join(dict.fromkeys(c.name for c in found))
        raise GeoadaptError(where, f"holds no variable whose name is known, but {listing}", "ask for it: variables=[…]")
    return known, list(dict.fromkeys(c.name for c in found if c.canonical is None))


def wanted_levels(variables: Sequence[str] | None) -> list[float] | None:
    """Levels that channel names such as ``temperature@850`` ask for; None where none does."""
    levels = [level for v in variables or () if (level := _split(v)[1]) is not None]
    return list(dict.fromkeys(levels)) or None


def checked_chunks(candidate: Candidate) -> Candidate:
    """The candidate with a note on absent chunks, where its array is one of a Zarr store on disk."""
    if not is_zarr(candidate.path) or not candidate.path.is_dir():
        return candidate
    absent = absent_chunks(candidate.path, candidate.name)
    if absent is None:
        return candidate
    note = (
        f"{absent.count} of {absent.total} chunks of '{candidate.name}' are absent and read as {absent.fill:g} "
        f"(first: {absent.first})"
    )
    return Candidate(
        candidate.path, candidate.name, candidate.array, candidate.found, (*candidate.notes, note), absent.fill
    )


def _candidates(datasets: Iterable[xr.Dataset], path: Path) -> tuple[list[Candidate], list[GeoadaptError]]:
    """The fields of all datasets, and why some datasets have none."""
    made, errors = [], []
    for dataset in datasets:
        try:
            fields = fields_of(dataset, str(path))
        except GeoadaptError as error:
            errors.append(error)
            continue
        said = (str(dataset.attrs["geoadapt_notes"]),) if "geoadapt_notes" in dataset.attrs else ()
        for name, array in fields.items():
            if isinstance(array, GeoadaptError):
                found: Named | Unnamed = Unnamed(array.problem, find_variable(name))
            else:
                found = name_field(array)
            made.append(Candidate(path, name, array, found, said))
    return made, errors


def _split(text: str) -> tuple[str, float | None]:
    """Variable and level of what a person asks for: ``temperature@850``, ``t850`` or a plain name."""
    if "@" in text:
        return split_channel(text)
    return (found[0], found[1]) if (found := name_and_level(text)) is not None else (text, None)


def _asked(found: Sequence[Candidate], text: str, where: str) -> list[Wanted]:
    """The fields that one name asks for: the file's own, else the variable's, else a twin's."""
    own = [c for c in found if c.name == text]
    if own:
        return [Wanted(c, c.canonical or c.name) for c in own if _usable(c, asked=True)]
    base, _ = _split(text)
    variable = find_variable(base)
    names = [] if variable is None else [variable.name, *_same_place(variable, base)]
    for name in names:
        same = [c for c in found if c.canonical == name]
        if same:
            return [Wanted(c, name) for c in same]
    unclear = [c for c in found if isinstance(c.found, Unnamed) and c.found.resembles in (variable,) and variable]
    if unclear:
        raise _unclear(unclear[0], [])
    held = dict.fromkeys([*(str(c.canonical) for c in found if c.canonical), *(c.name for c in found)])
    listing = ", ".join(_listed(found))
    raise GeoadaptError(where, f"holds no '{text}', but {listing}", near_names(base, held))


def _same_place(variable: Variable, asked: str) -> list[str]:
    """Twins that an alias may mean as well: an amount for a rate, never the surface for a level."""
    if asked == variable.name:
        return []
    return [t for t in variable.twins if VARIABLES[t].on_levels == variable.on_levels]


def _usable(candidate: Candidate, *, asked: bool) -> bool:
    """True; raises the error that stands in place of the array."""
    if isinstance(candidate.array, GeoadaptError):
        raise candidate.array
    return asked


def _unclear(candidate: Candidate, others: Iterable[str]) -> GeoadaptError:
    if isinstance(candidate.array, GeoadaptError):
        return candidate.array
    assert isinstance(candidate.found, Unnamed)
    rest = ", ".join(f"'{n}'" for n in dict.fromkeys(others))
    hint = f"leave it out with variables=[{rest}]" if rest else "rename it to a long name of ERA5 where you know which"
    return GeoadaptError(candidate.path, f"'{candidate.name}' cannot be told: {candidate.found.why}", hint)


def _listed(found: Sequence[Candidate]) -> list[str]:
    """Names as the file has them, with those of the cube where they differ."""
    pairs: Mapping[str, str | None] = {c.name: c.canonical for c in found}
    return [n if k in (None, n) else f"{n} ({k})" for n, k in pairs.items()]
