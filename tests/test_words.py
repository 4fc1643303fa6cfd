from __future__ import annotations

import pytest

from geoadapt.words import counted


@pytest.mark.parametrize(
    ("count", "noun", "plural", "said"),
    [
        (0, "scene", "", "0 scenes"),
        (1, "scene", "", "1 scene"),
        (2, "scene", "", "2 scenes"),
        (1.0, "year", "", "1 year"),
        (0.5, "year", "", "0.5 years"),
        (12_345_678, "pixel", "", "12345678 pixels"),
        (1, "series", "series", "1 series"),
        (3, "series", "series", "3 series"),
    ],
)
def test_one_is_singular_and_everything_else_plural(count: float, noun: str, plural: str, said: str) -> None:
    assert counted(count, noun, plural) == said
