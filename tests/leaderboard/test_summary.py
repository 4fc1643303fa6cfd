"""The table in the terminal."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from geoadapt.leaderboard.summary import lines
from tests.leaderboard.published import record
from tests.leaderboard.small_suite import plan


def test_means_over_the_plans_seeds_and_a_word_where_there_is_none(tmp_path: Path) -> None:
    one = replace(record("small_eo", "clouds", 1, 0.2), board="small", adapter="none")
    runs = [
        one,
        replace(one, seed=2, value=0.4),
        replace(one, seed=9, value=100.0),
        replace(one, dataset="removal", value=math.nan, extra={"missing": "no such band"}),
        replace(one, adapter="lora_r16", value=math.nan, extra={"failed": "out of memory"}),
        replace(one, backbone="rule", value=0.1),
    ]
    told = lines(plan(tmp_path), runs)
    assert told[0].split() == ["clouds", "(miou", "↑)", "removal", "(mae/masked", "↓)"]
    assert told[1].split("  ")[0] == "small_eo + none" or told[1].startswith("small_eo ")
    assert "0.300 ± 0.141" in told[1] and told[1].endswith("missing")
    assert "failed" in told[2] and "–" in told[3]
    assert told[4].startswith("rule") and "0.100" in told[4]
    assert told[-1] == "mean ± standard deviation over 2 seeds"
