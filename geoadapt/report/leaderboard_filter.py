"""What a reader chooses on a leaderboard: raw or normalised scores, and which ways of training are shown.

The choice is made by the style sheet alone (``:has``), so that it works without a script.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

__all__ = ["Choice", "filter_bar", "filter_style"]

KEY = re.compile(r"[a-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Choice:
    """A way of training, and how many entries went it."""

    label: str
    entries: int


def filter_bar(choices: Mapping[str, Choice]) -> Markup:
    """A form with one switch and a box per key of ``data-regime``; everything is shown at first."""
    boxes = Markup("\n").join(
        Markup('<label><input type="checkbox" id="show-{}" checked> {} <small>{}</small></label>').format(
            key, choice.label, choice.entries
        )
        for key, choice in choices.items()
    )
    return Markup(
        '<form class="filters" id="filters" autocomplete="off" aria-label="What is shown">\n'
        "<fieldset><legend>Scores</legend>\n"
        '<label><input type="radio" name="scale" id="scale-normal" checked> normalised</label>\n'
        '<label><input type="radio" name="scale" id="scale-raw"> raw</label></fieldset>\n'
        "<fieldset><legend>Training</legend>\n{}</fieldset>\n"
        '<p role="status" id="shown"></p></form>'
    ).format(boxes)


def filter_style(choices: Mapping[str, Choice]) -> str:
    """The rules that hide what was not chosen; raises ValueError for a key that is no plain word.

    They ask the form and not the body: a browser that prints asks again for every folded row, and a body is long.
    """
    rules = []
    for key in choices:
        if not KEY.fullmatch(key):
            raise ValueError(f"{key!r} is no key of a filter: lower case, digits, - and _")
        rules.append(f'.filters:has(#show-{key}:not(:checked)) ~ main [data-regime="{key}"] {{ display: none; }}')
    return "\n".join(rules)
