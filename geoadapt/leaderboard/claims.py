"""Who works on what, where several processes share a folder: a claim is a lock, and dies with its process.

In: a name. Out: whether it is ours; what a killed process had claimed is free at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from geoadapt.errors import GeoadaptError

__all__ = ["claimed"]


@contextmanager
def claimed(path: Path, *, wait: bool = False) -> Iterator[bool]:
    """Whether nobody else holds the claim of ``path``; with ``wait`` once nobody does.

    Raises GeoadaptError where the file cannot be written. Where the system has no such locks, all are ours: there one
    process at a time is what works.
    """
    try:
        import fcntl
    except ImportError:
        yield True
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        raise GeoadaptError(path, f"cannot be written: {error.strerror}", "check the folder's rights") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
