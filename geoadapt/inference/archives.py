"""An archive as a forecaster takes it: its channels and static fields, in its steps, on its grid.

In: files and a forecaster. Out: a ``History``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from geoadapt.bundle.forecaster import BundledForecaster
from geoadapt.cubes.latlon_box import part_of
from geoadapt.cubes.variables import split_channel
from geoadapt.cubes.weather import open_weather
from geoadapt.errors import GeoadaptError
from geoadapt.fields.archive import history_of
from geoadapt.fields.forecaster import Forecaster
from geoadapt.fields.history import History

__all__ = ["history_for"]


def history_for(
    model: Forecaster,
    files: Sequence[Path],
    *,
    bbox: Sequence[float] = (),
    gaps: str = "allow",
    units: Mapping[str, str] | None = None,
    name: str = "",
) -> History:
    """What the files hold of a model's channels, in its steps; of a bundle also the static fields it was fitted with.

    ``bbox``, ``gaps`` and ``units`` are those of ``WeatherConfig``; ``name`` is the archive's, else its first file's.
    Raises GeoadaptError where a file or a channel is missing, or the grid is not the bundle's.
    """
    card = (model.card.forecast or {}) if isinstance(model, BundledForecaster) else {}
    split = [split_channel(channel) for channel in model.channels]
    variables = list(dict.fromkeys([*(name for name, _ in split), *card.get("static_channels", ())]))
    levels = sorted({level for _, level in split if level is not None})
    cube = open_weather(files, variables=variables, levels=levels or None, gaps=gaps, units=units or None, chunks={})
    if bbox:
        part = part_of(cube["latitude"].values, cube["longitude"].values, list(bbox), "data.bbox")
        cube = cube.isel(latitude=part.rows, longitude=part.columns).assign_coords(longitude=part.longitude)
    told = name or (str(files[0]) if len(files) == 1 else f"{files[0]} and {len(files) - 1} more")
    history = history_of(cube, model.channels, np.timedelta64(round(model.step), "s"), told)
    for axis, own in (("latitude", history.latitude), ("longitude", history.longitude)):
        wanted = np.asarray(card.get(axis, own))
        if own.shape != wanted.shape or not np.allclose(own, wanted, atol=1e-3):
            raise GeoadaptError(
                told,
                f"{axis} {own[0]:g} … {own[-1]:g} ({len(own)})",
                f"the bundle was made on {wanted[0]:g} … {wanted[-1]:g} ({len(wanted)})",
            )
    return history
