from __future__ import annotations

import json
import math
import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest

from geoadapt.errors import GeoadaptError
from geoadapt.leaderboard.records import append, read
from tests.leaderboard.published import record


def test_what_is_appended_comes_back(tmp_path: Path) -> None:
    first = record("a", "pastis", 1, 0.25, seconds=3.5, memory_mb=100.0, extra={"lr": 1e-4, "tags": ["x"]})
    second = record("é", "pastis", 2, 0.5, bundle="runs/1/bundle", simulated=True)
    append(tmp_path, [first])
    append(tmp_path / "records.jsonl", [second])
    back = read(tmp_path)
    assert back.runs[0] == first and back.left_out == ()
    assert replace(back.runs[1], seconds=0.0) == replace(second, seconds=0.0) and math.isnan(back.runs[1].seconds)


def test_a_run_without_a_score_is_missing_and_not_zero(tmp_path: Path) -> None:
    append(tmp_path, [record("a", "pastis", 1, math.nan)])
    assert json.loads((tmp_path / "records.jsonl").read_text())["value"] is None
    assert math.isnan(read(tmp_path).runs[0].value)


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_a_torn_last_line_is_left_out_by_name_and_spoils_no_other(tmp_path: Path, cut: int) -> None:
    append(tmp_path, [record("a", "pastis", seed, 0.5) for seed in range(3)])
    file = tmp_path / "records.jsonl"
    file.write_bytes(file.read_bytes()[: -1 - cut])
    found = read(tmp_path)
    assert [r.seed for r in found.runs] == [0, 1]
    assert len(found.left_out) == 1 and f"{file}:3" in found.left_out[0]
    append(tmp_path, [record("a", "pastis", 7, 0.5)])
    found = read(tmp_path)
    assert [r.seed for r in found.runs] == [0, 1, 7] and f"{file}:3" in found.left_out[0]


def test_a_run_that_was_made_again_counts_once_and_it_is_said(tmp_path: Path) -> None:
    append(tmp_path, [record("a", "pastis", 1, 0.1), record("a", "pastis", 2, 0.2), record("a", "pastis", 1, 0.3)])
    found = read(tmp_path)
    assert [(r.seed, r.value) for r in found.runs] == [(2, 0.2), (1, 0.3)]
    assert "1 run of a + none on pastis made again; the latest counts" in found.left_out[0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"regime": "peff"}, "did you mean 'peft'"),
        ({"direction": "up"}, "'up' is unknown"),
        ({"value": "0.5"}, "no finite number"),
        ({"seed": -1}, "no whole number"),
        ({"dataset": ""}, "no name"),
        ({"backbon": "a"}, "did you mean 'backbone'"),
    ],
)
def test_a_line_that_is_no_record_is_refused_with_the_reason(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    append(tmp_path, [record("a", "pastis", 1, 0.1), record("a", "pastis", 2, 0.1)])
    file = tmp_path / "records.jsonl"
    lines = file.read_text().splitlines()
    lines[0] = json.dumps({**json.loads(lines[0]), **change})
    file.write_text("\n".join(lines) + "\n")
    with pytest.raises(GeoadaptError, match=reason) as caught:
        read(tmp_path)
    assert caught.value.path == f"{file}:1"


def test_a_record_that_lacks_a_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").write_text('{"board": "b"}\n{"board": "b"}\n')
    with pytest.raises(GeoadaptError, match="lacks adapter, backbone"):
        read(tmp_path)


def test_an_infinite_score_cannot_be_recorded() -> None:
    with pytest.raises(GeoadaptError, match="no finite number"):
        record("a", "pastis", 1, math.inf)


def test_no_records_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(GeoadaptError, match="geoadapt benchmark"):
        read(tmp_path)


def _write(folder: Path, worker: int) -> None:
    for seed in range(40):
        append(folder, [record(f"w{worker}", "pastis", seed, 0.5, extra={"text": "x" * 5000})])


def test_processes_that_append_at_once_lose_no_line(tmp_path: Path) -> None:
    workers = [multiprocessing.get_context("fork").Process(target=_write, args=(tmp_path, i)) for i in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    found = read(tmp_path)
    assert len(found.runs) == 120 and found.left_out == ()
