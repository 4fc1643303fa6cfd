from __future__ import annotations

import numpy as np
import pytest

from geoadapt.errors import GeoadaptError
from geoadapt.metrics.accumulate import Accumulator
from geoadapt.metrics.catalogue import finish
from geoadapt.metrics.events import Event, during, read_events
from geoadapt.metrics.weights import Box

CSV = """name, west, south, east, north, start, end
heat 2003, -5, 40, 15, 55, 2003-08-01, 2003-08-14
storm, 350, 45, 20, 60, 1999-12-25T18, 1999-12-28T06
"""
YAML = """
- {name: heat 2003, west: -5, south: 40, east: 15, north: 55, start: 2003-08-01, end: 2003-08-14}
- name: storm
  west: 350
  south: 45
  east: 20
  north: 60
  start: 1999-12-25T18
  end: 1999-12-28T06
"""


@pytest.mark.parametrize(("name", "text"), [("events.csv", CSV), ("events.yaml", YAML)])
def test_events_come_from_either_kind_of_file(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    heat, storm = read_events(tmp_path / name)
    assert heat.name == "heat 2003" and heat.box == Box(-5, 40, 15, 55)
    assert heat.start == np.datetime64("2003-08-01") and heat.end == np.datetime64("2003-08-14T23:59:59.999999999")
    assert storm.end == np.datetime64("1999-12-28T06")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("events.csv", CSV.replace("west", "wset"), "event 1: 'wset' is unknown.*did you mean 'west'"),
        ("events.csv", CSV.replace(" 2003-08-14", " "), "event 1: lacks end"),
        ("events.csv", CSV.replace("storm", "heat 2003"), "two events are called 'heat 2003'"),
        ("events.csv", CSV.replace("1999-12-28T06", "Christmas"), "event 2: .*Christmas"),
        ("events.csv", CSV.replace("350", "west"), "event 2: .*'west'"),
        ("events.csv", CSV.replace("2003-08-01", "2003-09-01"), "heat 2003: ends .* before it starts"),
        ("events.csv", CSV.replace("storm", "sto/rm"), "no name for an event"),
        ("events.yaml", "name: storm", "holds no list"),
        ("events.yaml", "- storm", "'storm' is no event"),
        ("events.yaml", "- {name: [", "cannot be read"),
        ("events.txt", CSV, "'.txt' is no table"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, name, text, message):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(GeoadaptError, match=message):
        read_events(tmp_path / name)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(GeoadaptError, match="cannot be read"):
        read_events(tmp_path / "events.yaml")


def test_an_event_takes_the_forecasts_that_are_valid_in_its_period():
    latitude, longitude = np.linspace(60, 40, 3), np.arange(0, 30, 10.0)
    leads = np.array([24, 48], "timedelta64[h]")
    event = Event("storm", Box(-5, 45, 15, 65), np.datetime64("2008-01-04"), np.datetime64("2008-01-05"))
    made = Accumulator(["x"], latitude, longitude, leads, ["mae"], "none", {"storm": event.box})
    dates = np.datetime64("2008-01-01", "ns") + np.arange(8) * np.timedelta64(1, "D")
    for lead in range(2):
        error = np.arange(8.0)[:, None, None, None] + 10 * lead + np.zeros((8, 1, 3, 3))
        made.add(dates, lead, error, np.zeros_like(error))
    part = during(made.statistics(), event)
    assert part.regions == ("storm",)
    # Valid on the 4th and 5th: from the 3rd and 4th at one day, from the 2nd and 3rd at two.
    assert finish("mae", part.totals())[:, 0, 0].tolist() == [2.5, 11.5]
    assert part.sums["count"].sum(axis=0)[:, 0, 0].tolist() == [8, 8]
