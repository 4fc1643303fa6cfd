"""Energy spectra: how much of the truth's small scales a forecast keeps, by lead time.

In: power per wavenumber of the truth, the model and its controls. Out: a log–log chart, and a table of what is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.report.charts import COLOURS, INK, MARKERS, figure, plain
from geoadapt.report.numbers import number
from geoadapt.report.tables import Cell, table
from geoadapt.report.wording import capital, lead_words, safe_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Spectra", "kept_table", "spectra_chart"]

TRUTH = "truth"
FINE = 1 / 3
"""The small scales are this share of the wavenumbers, the highest."""
Power = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Spectra:
    """Mean power of one channel by wavenumber; WHO ``truth`` is what the others are held against."""

    wavenumber: Power
    """(k,), ascending, above zero."""
    power: Mapping[str, Power]
    """WHO → (lead, k) [units²]."""
    label: str = "zonal wavenumber"

    def __post_init__(self) -> None:
        if TRUTH not in self.power:
            raise GeoadaptError("spectra", f"of {', '.join(self.power) or 'nobody'}", "expected truth among them")
        if not (len(self.wavenumber) and (self.wavenumber > 0).all()):
            raise GeoadaptError("spectra", "wavenumbers at or below zero", "leave the mean out: log axes have no zero")
        for who, power in self.power.items():
            expected = (len(self.power[TRUTH]), len(self.wavenumber))
            if power.shape != expected:
                raise GeoadaptError("spectra", f"{who} {power.shape}", f"expected (lead, k) = {expected}")

    def kept(self, who: str, lead: int) -> float:
        """Power in the small scales over the truth's; below one where a forecast blurs."""
        fine = slice(-max(1, round(FINE * len(self.wavenumber))), None)
        truth, own = self.power[TRUTH][lead, fine], self.power[who][lead, fine]
        known = np.isfinite(truth) & np.isfinite(own)
        total = float(truth[known].sum())
        return float(own[known].sum()) / total if total > 0 else float("nan")


def spectra_chart(
    spectra: Spectra, names: Mapping[str, str], leads: Sequence[float], shown: Sequence[float], unit: str, caption: str
) -> Markup:
    """Power against wavenumber, both logarithmic, a panel per shown lead time [h]; ``leads`` name the rows of power."""
    from matplotlib.figure import Figure

    told = [who for who in names if who in spectra.power]
    drawing = Figure(figsize=(10.4, 3.9), layout="constrained")
    panels = drawing.subplots(1, len(shown), squeeze=False, sharey=True)[0]
    for axes, lead in zip(panels, shown, strict=True):
        row = list(leads).index(lead)
        _line(axes, spectra, TRUTH, row, color=INK, linewidth=2.2, label="the truth")
        for index, who in enumerate(told):
            colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
            width = 2.2 if who == "test" else 1.3
            name = safe_text(names[who])
            _line(axes, spectra, who, row, color=colour, linewidth=width, label=name, marker=marker)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_title(capital(lead_words(lead)), color=INK, fontsize=10.5)
        axes.set_xlabel(safe_text(spectra.label))
        plain(axes)
        axes.minorticks_off()
        _whole(axes, spectra.wavenumber)
    panels[0].set_ylabel(safe_text(f"power [({unit})²]" if unit else "power"))
    handles = {str(line.get_label()): line for axes in panels for line in axes.get_lines()}
    columns = 4 if len(told) < 4 else 3
    drawing.legend(
        handles=list(handles.values()),
        frameon=False,
        labelcolor=INK,
        fontsize=9,
        loc="outside upper left",
        ncols=columns,
    )
    spoken = "; ".join(
        f"{names[who]} keeps {number(spectra.kept(who, list(leads).index(shown[-1])), 2)}" for who in told
    )
    alt = f"{caption} Of the truth's power in the smallest scales at {lead_words(shown[-1])}, {spoken}."
    return figure(drawing, alt, caption, "chart wide")


def _line(axes: Axes, spectra: Spectra, who: str, row: int, **style: Any) -> None:
    """Draw what a logarithmic axis can show: power that is known, and above zero."""
    power = spectra.power[who][row]
    shown = np.isfinite(power) & (power > 0)
    if shown.any():
        axes.plot(spectra.wavenumber[shown], power[shown], markersize=4, markevery=0.15, **style)


def kept_table(spectra: Spectra, names: Mapping[str, str], leads: Sequence[float], shown: Sequence[float]) -> Markup:
    """Power in the small scales over the truth's, a column per shown lead time [h]."""
    rows: list[list[Cell]] = [
        [name, *(spectra.kept(who, list(leads).index(lead)) for lead in shown)]
        for who, name in names.items()
        if who in spectra.power
    ]
    caption = "Power in the smallest third of the scales over the truth's: 1 keeps it all, below 1 is blurred"
    own = 0 if next(iter(names), "") == "test" else None
    return table(["", *(capital(lead_words(lead)) for lead in shown)], rows, caption, own=own)


def _whole(axes: Axes, wavenumber: Power) -> None:
    """Ticks at 1, 2, 5, 10, … where they fall among the wavenumbers."""
    low, high = float(wavenumber[0]), float(wavenumber[-1])
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    ticks = [s * 10.0**d for d in decades for s in (1, 2, 5) if low <= s * 10.0**d <= high]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
