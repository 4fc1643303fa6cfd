"""Time stepping for spectral cores: semi-implicit leapfrog with the Robert–Asselin–Williams filter.

In: a core that knows its explicit tendency and how to solve its linear waves implicitly. Out: states, step by step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from data_pipelines.simulate.sphere import Reals

__all__ = ["Core", "march"]


class Core(Protocol):
    """What a time step needs to know of a model; a state is one array (field, …, 2, m, n)."""

    def tendency(self, state: Reals, time: float) -> Reals:
        """What is stepped explicitly, per second, at a time [s]: all but the linear gravity waves and damping."""

    def implicit(self, previous: Reals, tendency: Reals, half: float, time: float) -> Reals:
        """The state 2 · ``half`` [s] after ``previous``, waves averaged over both ends; ``time`` is that of the end."""


def march(
    core: Core, state: Reals, step: float, start: float = 0.0, strength: float = 0.06, alpha: float = 0.53
) -> Iterator[Reals]:
    """States after 1, 2, … steps of ``step`` [s] from ``state``, without end.

    A state may be corrected in place before the next is asked for, which then starts from it.

    The filter (Williams 2009, eqs. 7–9) has ``strength`` ν and splits its push between two states by ``alpha``.
    """
    previous, time = state, start
    now = core.implicit(previous, core.tendency(previous, time), step / 2, time + step)
    time += step
    yield now
    while True:
        after = core.implicit(previous, core.tendency(now, time), step, time + step)
        push = (previous - 2 * now + after) * (strength / 2)
        previous = now + alpha * push
        now = after - (1 - alpha) * push
        time += step
        yield now
