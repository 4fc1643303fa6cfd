"""The line of another library's error that a message shows."""

from __future__ import annotations

import warnings

import pytest

from geoadapt.io.reason import reason


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (ValueError("not a cube\nsee the manual"), "not a cube"),
        (ValueError("\n  too short \n"), "too short"),
        (OSError(), "OSError"),
        (RuntimeError(" \n"), "RuntimeError"),
        (UserWarning(""), "UserWarning"),
    ],
)
def test_the_first_words_are_shown_or_the_kind(said: Exception, line: str) -> None:
    assert reason(said) == line


def test_a_warning_as_python_records_it_has_a_line() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.warn(UserWarning(), stacklevel=1)
    assert reason(caught[0].message) == "UserWarning"
