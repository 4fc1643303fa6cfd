"""What the page says about finding errors follows from the areas' intervals."""

from __future__ import annotations

import numpy as np
import pytest

from geoadapt.metrics.selective import LEVELS
from geoadapt.report.selective import doubt_parts, doubt_verdicts


def metrics(low: float, high: float) -> dict[str, float]:
    found = {"test/instability_share": 0.75, "test/aurc/perfect": 0.001}
    for name in ("confidence", "instability", "both"):
        found |= {f"test/aurc/{name}": 0.02, f"test/aurc_low/{name}": 0.01, f"test/aurc_high/{name}": 0.03}
    for name in ("instability", "both"):
        ends = {"": (low + high) / 2, "_low": low, "_high": high}
        found |= {f"test/aurc_gain{end}/{name}": value for end, value in ends.items()}
    return found


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(0.001, 0.003, "better than"), (-0.001, 0.003, "not better than"), (-0.003, -0.001, "worse than")],
)
def test_the_verdict_compares_with_softmax_confidence(low: float, high: float, words: str) -> None:
    alone, together = doubt_verdicts(metrics(low, high))
    assert alone.sentence().startswith(f"Instability finds errors {words} softmax confidence: area under the risk")
    assert together.sentence().startswith(f"Instability and confidence together find errors {words} softmax")


def test_a_smaller_area_is_shown_as_a_negative_change_in_percent() -> None:
    sentence = doubt_verdicts(metrics(0.001, 0.003))[0].sentence()
    assert sentence.endswith("[%] −0.200 (90 % interval −0.300 … −0.100).")


def test_without_areas_there_is_no_verdict() -> None:
    assert doubt_verdicts({})[0].sentence().startswith("Instability finds errors: no verdict against softmax")


def test_the_page_has_curves_areas_and_the_share_they_are_of() -> None:
    counts = np.ones((LEVELS, 2), np.int64)
    parts = doubt_parts(metrics(0.001, 0.003), dict.fromkeys(("confidence", "instability", "both"), counts))
    text = "\n".join(map(str, parts))
    assert "<svg" in text and "currentColor" in text and "#010203" not in text
    assert "a perfect ordering" in text and "75 % of the labelled test pixels" in text
    assert "softmax confidence 50.0 %" in text, "what the chart shows must be told to those who cannot see it"


def test_where_no_tiles_overlap_the_page_says_so() -> None:
    (text,) = doubt_parts({"test/instability_share": 0.0}, {})
    assert "No labelled pixel lies in more than one tile" in text
