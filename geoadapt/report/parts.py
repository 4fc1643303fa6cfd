"""The parts of a page, in one place: each function returns HTML that ``Page.add`` takes as it is."""

from geoadapt.report.charts import Series, curves, figure, intervals, series
from geoadapt.report.numbers import Interval, number, signed
from geoadapt.report.pictures import MapRow, Panel, legend, maps, picture
from geoadapt.report.provenance import provenance
from geoadapt.report.tables import confusion, table
from geoadapt.report.verdicts import Verdict, verdict

__all__ = [
    "Interval", "MapRow", "Panel", "Series", "Verdict", "confusion", "curves", "figure", "intervals", "legend", "maps",
    "number", "picture", "provenance", "series", "signed", "table", "verdict",
]  # fmt: skip
