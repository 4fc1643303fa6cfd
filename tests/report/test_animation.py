"""The animation: all states, the last one longest, small, and a still for those who ask for less motion."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from geoadapt.errors import GeoadaptError
from geoadapt.report.animation import LIMIT, animation, frames, pack
from geoadapt.report.weather_maps import LatLon

PLACE = LatLon(np.arange(70.0, 50, -2.5), np.arange(-20.0, 11, 2.5))
LABELS = ["Day 1", "Day 2", "Day 3"]


def states(shift: float = 0.0) -> np.ndarray:
    wave = np.sin(np.deg2rad(8 * PLACE.longitude))
    return np.stack([np.tile(np.roll(wave, i) + shift, (len(PLACE.latitude), 1)) for i in range(3)])


def noise(count: int, side: int = 300) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (side, side, 3)).astype(np.uint8) for _ in range(count)]


def test_every_state_is_a_frame_and_the_last_stays_longest() -> None:
    made = list(frames(states(), states(0.5), LABELS, PLACE, "Pa"))
    assert len(made) == 3 and len({m.shape for m in made}) == 1
    assert not np.array_equal(made[0], made[1])
    with Image.open(io.BytesIO(pack(made, 0.5))) as image:
        assert image.n_frames == 3 and image.is_animated and image.info["loop"] == 0
        durations = []
        for index in range(3):
            image.seek(index)
            image.load()
            durations.append(image.info["duration"])
            assert np.array_equal(np.asarray(image.convert("RGB")), made[index]), "small pictures lose nothing"
    assert durations == [500, 500, 1500]


def test_forecast_is_left_and_truth_is_right_under_one_scale() -> None:
    made = next(frames(states() * 0 + 10, states() * 0 + 20, LABELS, PLACE, "Pa"))
    middle = made.shape[0] // 2
    left, right = made[middle, made.shape[1] // 4], made[middle, 3 * made.shape[1] // 4]
    assert left[2] > left[0] and right[0] > 200 > right[2], "low is violet, high is yellow"


def test_the_part_has_a_still_a_description_and_can_be_folded_away() -> None:
    text = str(animation(states(), states(), LABELS, PLACE, "Pa", "<alt>", "<caption>"))
    still, kind, moving = re.search(  # type: ignore[union-attr]
        r'<source media="\(prefers-reduced-motion: reduce\)" type="image/png" srcset="data:image/png;base64,([^"]+)">'
        r'<img src="data:image/(\w+);base64,([^"]+)"',
        text,
    ).groups()
    last = list(frames(states(), states(), LABELS, PLACE, "Pa"))[-1]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(still)))), last)
    assert kind == "webp" and Image.open(io.BytesIO(base64.b64decode(moving))).n_frames == 3
    assert "<details open>" in text and 'alt="&lt;alt&gt;"' in text and "<caption>" not in text
    assert len(text) < 300_000


def test_what_does_not_fit_is_reduced_and_then_refused() -> None:
    pictures = noise(8)
    assert len(pack(pictures, 0.5, LIMIT)) <= LIMIT, "8 frames of noise are 2 MB as they are"
    small = pack(pictures, 0.5, 60_000)
    with Image.open(io.BytesIO(small)) as image:
        assert len(small) <= 60_000 and image.size < (300, 300) and image.n_frames < 8
    with pytest.raises(GeoadaptError, match="show fewer states"):
        pack(pictures, 0.5, 1000)


def test_shapes_must_agree() -> None:
    with pytest.raises(GeoadaptError, match=r"expected \(time, h, w\) = \(2, 8, 13\)"):
        next(frames(states(), states(), LABELS[:2], PLACE, "Pa"))
    with pytest.raises(GeoadaptError, match="at least one state"):
        next(frames(states()[:0], states()[:0], [], PLACE, "Pa"))
