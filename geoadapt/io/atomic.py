"""An output exists only when it is whole: written beside its place, flushed to disk, then renamed.

In: a final path and what to put there. Out: that path, complete, or nothing under its name.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from geoadapt.errors import GeoadaptError

__all__ = ["part_path", "publish", "remove", "staged", "staged_folder", "sweep", "write_bytes", "write_text"]

_PART = re.compile(r"^\..*\.(\d+)\.(?:part|old)(?:\..*)?$", re.DOTALL)
_LONGEST = 255
"""Bytes of a file name on the usual file systems."""


def part_path(path: Path) -> Path:
    """The temporary neighbour of ``path``: ``.name.pid.part``, shortened where that would be too long a name."""
    suffix = f".{os.getpid()}.part"
    name = path.name
    if len(os.fsencode(name)) + len(suffix) + 1 > _LONGEST:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return path.with_name(f".{name}{suffix}")


def publish(part: Path, path: Path) -> Path:
    """Flush ``part`` (a file or a folder) to disk and rename it to ``path``, replacing what was there."""
    if part.is_dir():
        for inner in sorted(part.rglob("*")):
            _fsync(inner)
        _fsync(part)
        _replace_folder(part, path)
    else:
        _fsync(part)
        os.replace(part, path)
    _fsync(path.parent)
    return path


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there; never follows a link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``: published when the block ends well, removed when it does not."""
    part = part_path(path)
    _make_parent(path)
    try:
        yield part
        publish(part, path)
    except OSError as error:
        remove(part)
        raise _explain(path, error) from error
    except BaseException:
        remove(part)
        raise


@contextmanager
def staged_folder(path: Path) -> Iterator[Path]:
    """Like ``staged`` for a whole folder, which exists and is empty when the block begins."""
    with staged(path) as part:
        remove(part)
        part.mkdir()
        yield part


def write_bytes(path: Path, data: bytes) -> Path:
    """Write ``data`` to ``path``, whole or not at all."""
    with staged(path) as part:
        part.write_bytes(data)
    return path


def write_text(path: Path, text: str) -> Path:
    """Write ``text`` as UTF-8 to ``path``, whole or not at all; bytes of a file name that are none become escapes."""
    return write_bytes(path, text.encode("utf-8", "backslashreplace"))


def sweep(folder: Path) -> list[Path]:
    """Remove what killed processes left unfinished in ``folder`` and below; returns what was removed."""
    gone = []
    for path in sorted(folder.rglob(".*")):
        found = _PART.match(path.name)
        if found and not _alive(int(found.group(1))):
            remove(path)
            gone.append(path)
    return gone


def _make_parent(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _explain(path, error) from error


def _replace_folder(part: Path, path: Path) -> None:
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    if path.exists():
        os.replace(path, old)
    os.replace(part, path)
    remove(old)


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _explain(path: Path, error: OSError) -> GeoadaptError:
    return GeoadaptError(
        path, f"cannot be written: {error.strerror or error}", "check the free space and the rights of its folder"
    )
