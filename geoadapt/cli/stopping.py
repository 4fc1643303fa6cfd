"""How a command ends before its time: by Ctrl-C, by a scheduler's SIGTERM, or because nobody reads on.

In: signals. Out: a ``KeyboardInterrupt``, on which everything that is half done is cleared away, and an exit status.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["UNREAD", "heeding_sigterm", "leave_stdout"]

UNREAD = 141
"""What a shell reports of a program that writes to a pipe nobody reads: 128 + SIGPIPE."""


@contextmanager
def heeding_sigterm() -> Iterator[None]:
    """SIGTERM is Ctrl-C while the block runs; torchrun's processes keep to Lightning's way of ending together."""
    ours = threading.current_thread() is threading.main_thread() and "TORCHELASTIC_RUN_ID" not in os.environ
    if not ours or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    owner = os.getpid()

    def stop(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:  # a forked helper, which has nothing to clear away
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def leave_stdout() -> None:
    """Let what is still to be printed vanish, which Python would otherwise complain about at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, sys.stdout.fileno())
    except (OSError, ValueError):  # no real file, as in a notebook
        pass
    finally:
        os.close(nowhere)
