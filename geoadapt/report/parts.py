"""The parts of a page, in one place: each function returns HTML that ``Page.add`` takes as it is."""

from geoadapt.report.animation import animation
from geoadapt.report.charts import Series, curves, figure, intervals, series
from geoadapt.report.numbers import Interval, number, signed
from geoadapt.report.page import folded
from geoadapt.report.pictures import MapRow, Panel, legend, maps, picture
from geoadapt.report.provenance import provenance
from geoadapt.report.scorecard import Change, ScoreRow, scorecard
from geoadapt.report.skill import score_table, skill_chart
from geoadapt.report.spectra import Spectra, spectra_chart
from geoadapt.report.tables import confusion, table
from geoadapt.report.verdicts import Verdict, verdict
from geoadapt.report.weather_maps import LatLon, MapColumn, Scale, weather_maps

__all__ = [
    "Change", "Interval", "LatLon", "MapColumn", "MapRow", "Panel", "Scale", "ScoreRow", "Series", "Spectra", "Verdict",
    "animation", "confusion", "curves", "figure", "folded", "intervals", "legend", "maps", "number", "picture",
    "provenance", "score_table", "scorecard", "series", "signed", "skill_chart", "spectra_chart", "table", "verdict",
    "weather_maps",
]  # fmt: skip
