"""Threads that fail together: an error in one stops all and surfaces in the caller, never a hang.

In: functions to run in threads, joined by bounded channels. Out: all of them done, or the first error of any.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

__all__ = ["Channel", "Crew"]

T = TypeVar("T")
_POLL = 0.05
"""How often a waiting thread looks whether another one failed [s]."""


class _StopError(Exception):
    """Unwinds a thread whose work another thread's error made pointless."""


class Crew:
    """A group of threads; used as a context manager, it ends with all of them ended."""

    def __init__(self, patience: float = 10.0) -> None:
        """``patience``: how long to wait at the end for a thread that is inside a read or write [s]."""
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._patience = patience

    def start(self, name: str, work: Callable[[], None]) -> None:
        """Run ``work`` in a thread of this crew."""
        thread = threading.Thread(target=self._run, args=(work,), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def check(self) -> None:
        """Raise the first error of any thread, if there was one."""
        if self._stop.is_set():
            raise self._error if threading.current_thread() not in self._threads and self._error else _StopError()

    def wait(self) -> None:
        """Wait until all threads have ended; raises the first error."""
        for thread in self._threads:
            while thread.is_alive():
                thread.join(_POLL)
                self.check()
        self.check()

    def __enter__(self) -> Self:
        """This crew, ready to start threads."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop and join every thread, whatever happened."""
        self._stop.set()
        for thread in self._threads:
            thread.join(self._patience)

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except _StopError:
            return
        except BaseException as error:  # noqa: BLE001 - an error of any kind must reach the caller, or it would wait for ever
            with self._lock:
                self._error = self._error or error
            self._stop.set()


class Channel(Generic[T]):
    """A bounded queue between threads of one crew; waiting on it ends when the crew fails."""

    def __init__(self, crew: Crew, size: int) -> None:
        """``size``: how many items wait at most."""
        self._crew = crew
        self._queue: queue.Queue[T] = queue.Queue(size)

    def put(self, item: T) -> None:
        """Put ``item`` in, waiting for room."""
        while True:
            self._crew.check()
            try:
                return self._queue.put(item, timeout=_POLL)
            except queue.Full:
                continue

    def get(self) -> T:
        """Take the oldest item, waiting for one."""
        while True:
            self._crew.check()
            try:
                return self._queue.get(timeout=_POLL)
            except queue.Empty:
                continue
