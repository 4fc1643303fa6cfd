"""What may go wrong around instability maps and tile scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from geoadapt.config import InferConfig
from geoadapt.errors import GeoadaptError
from geoadapt.inference.base import StreamOptions
from geoadapt.inference.doubt import DoubtProduct
from geoadapt.inference.predict import predict
from geoadapt.inference.settings import memory_needed
from geoadapt.inference.stream import stream
from geoadapt.io.arrays import ArraySource
from tests.inference.fakes import CountingSource, FakeBundle, MemorySink
from tests.synth import scene, write_tif

HALF = InferConfig(tile=32, overlap=16, batch=2, instability=True)


@pytest.mark.parametrize("kind", ["instability", "tiles"])
@pytest.mark.parametrize("harm", ["gone", "cut", "altered"])
def test_a_lost_or_altered_file_is_made_again(tmp_path: Path, kind: str, harm: str) -> None:
    path = write_tif(tmp_path / "a.tif", scene(3, 60, 50), names=("blue", "green", "red"))

    def run() -> tuple[str, bytes]:
        (result,) = predict([path], FakeBundle(), tmp_path / "out", HALF, tile_scores=True)
        return result.status, result.files[kind].read_bytes()

    _, whole = run()
    file = next((tmp_path / "out").glob(f"a_{kind}.*"))
    if harm == "gone":
        file.unlink()
    else:
        file.write_bytes(whole[:20] if harm == "cut" else whole + b" ")
    assert run() == ("done", whole)
    assert run()[0] == "skipped"


def test_an_error_while_the_map_is_written_surfaces() -> None:
    def fail(*_: object) -> None:
        raise OSError("the disk is gone")

    sink = MemorySink(1, 200, 60)
    sink.write = fail  # type: ignore[method-assign]
    bundle = FakeBundle()
    with pytest.raises(OSError, match="the disk is gone"):
        stream(
            CountingSource(scene(3, 200, 60)),
            lambda v, m: bundle.scores(v, m, time=None, resolution=None),
            [DoubtProduct(sink)],
            StreamOptions(4, 32, 8, 2, 4),
        )


def test_a_scene_of_nothing_but_missing_pixels_has_an_empty_map_and_no_tile(tmp_path: Path) -> None:
    from geoadapt.inference.propose import propose

    path = write_tif(tmp_path / "a.tif", np.full((3, 60, 50), np.nan, np.float32), names=("blue", "green", "red"))
    results = predict([path], FakeBundle(), tmp_path / "out", HALF, tile_scores=True)
    assert results[0].status == "done", results[0].error
    assert propose(results, tmp_path / "out", 3).tiles == ()


def test_the_second_moment_is_counted_in_the_memory_that_must_be_free() -> None:
    info, options = ArraySource(np.zeros((3, 64, 1000), np.float32), ["a", "b", "c"]).info, StreamOptions(4, 32, 8)
    more = memory_needed(info, options, disagreement=True) - memory_needed(info, options)
    assert more == 2 * 4 * 32 * 1000


def test_probabilities_that_are_none_are_an_error_and_no_stable_map(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", scene(3, 60, 50), names=("blue", "green", "red"))
    bundle = FakeBundle()
    bundle.scores = lambda values, valid, **more: torch.full((len(values), 4, 32, 32), float("nan"))  # type: ignore[method-assign]
    (result,) = predict([path], bundle, tmp_path / "out", HALF)
    assert result.status == "failed" and "not numbers" in result.error
    assert list((tmp_path / "out").glob("*.tif")) == []


def test_an_instability_that_is_no_switch_is_an_error() -> None:
    from geoadapt.registry import from_plain

    with pytest.raises(GeoadaptError, match=r"infer\.instability"):
        from_plain(InferConfig, {"instability": "sometimes"}, "infer")
