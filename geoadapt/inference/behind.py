"""Write-behind: what a loop produces is written while it goes on, in order, by one thread beside it.

In: calls to be made. Out: all of them made when the block ends, or the first error of any, raised in the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from geoadapt.inference.crew import Channel, Crew

__all__ = ["behind"]

Call = Callable[[], object]


@contextmanager
def behind(waiting: int = 2) -> Iterator[Callable[[Call], None]]:
    """Yield a function that has a call made by the thread; it blocks while ``waiting`` calls wait already."""
    with Crew() as crew:
        calls: Channel[Call | None] = Channel(crew, waiting)

        def serve() -> None:
            while (call := calls.get()) is not None:
                call()

        crew.start("behind", serve)
        yield calls.put
        calls.put(None)
        crew.wait()
