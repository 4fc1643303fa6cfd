"""Which outputs are finished: one JSON line per file, appended only after the file is whole.

In: an output folder. Out: whether an output still is what was written, by size, configuration and input, never by
its mere existence.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from geoadapt.errors import GeoadaptError

__all__ = ["Entry", "Manifest", "config_hash", "describe", "input_stamp", "sha256"]

NAME = "manifest.jsonl"


@dataclass(frozen=True, slots=True)
class Entry:
    """One finished output: ``path`` is relative to the folder, with forward slashes."""

    path: str
    sha256: str
    bytes: int
    mtime_ns: int
    config: str
    """Hash of the configuration that made it."""
    bundle: str
    """Hash of the bundle that made it."""
    input: str
    input_bytes: int
    input_mtime_ns: int
    item: str = ""
    """The job's name for what the outputs of one scene have in common."""
    kind: str = ""
    """The job's name for what sort of output it is."""


class Manifest:
    """The manifest of one output folder; a later line about a path replaces an earlier one."""

    def __init__(self, folder: Path) -> None:
        """Read what is there; raises GeoadaptError for a manifest whose complete lines cannot be understood."""
        self.folder = folder
        self.path = folder / NAME
        self._entries: dict[str, Entry] = {}
        if self.path.exists():
            self._read()

    def append(self, entries: Iterable[Entry]) -> None:
        """Add lines for finished outputs and flush them to disk, all with one write."""
        made = list(entries)
        text = "".join(json.dumps(asdict(entry), ensure_ascii=True) + "\n" for entry in made)
        with self.path.open("ab") as file:
            if file.tell() and not self._ends_whole():
                text = "\n" + text
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        self._entries.update({entry.path: entry for entry in made})

    def paths(self) -> set[Path]:
        """Every file that was written here, as a resolved path."""
        return {(self.folder / path).resolve() for path in self._entries}

    def item(self, name: str, config: str, bundle: str) -> list[Entry]:
        """The outputs of one item by this configuration and bundle; others may have left more of them."""
        wanted = (name, config, bundle)
        return [entry for entry in self._entries.values() if (entry.item, entry.config, entry.bundle) == wanted]

    def finished(self, item: str, config: str, bundle: str, stamp: tuple[int, int], *, verify: bool = False) -> bool:
        """Whether every output of ``item`` is still as written, by this configuration and bundle, from this input.

        ``stamp`` is the input's; ``verify`` reads the files again and compares their sha256.
        """
        entries = self.item(item, config, bundle)
        return bool(entries) and all(
            (e.input_bytes, e.input_mtime_ns) == stamp and self._unchanged(e, verify) for e in entries
        )

    def _unchanged(self, entry: Entry, verify: bool) -> bool:
        path = self.folder / entry.path
        try:
            stat = path.stat()
        except OSError:
            return False
        if (stat.st_size, stat.st_mtime_ns) != (entry.bytes, entry.mtime_ns):
            return False
        return not verify or sha256(path) == entry.sha256

    def _ends_whole(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"

    def _read(self) -> None:
        lines = self.path.read_bytes().split(b"\n")
        for number, line in enumerate(lines, 1):
            entry = _parse(line)
            if entry is None:
                # A killed process can leave a line cut short; what it described counts as unfinished.
                if line.strip() and number < len(lines) and line.rstrip().endswith(b"}"):
                    raise GeoadaptError(
                        self.path, f"line {number} is no manifest entry", "move the manifest away to start over"
                    )
                continue
            _check_inside(self.path, entry.path)
            self._entries[entry.path] = entry


def describe(
    folder: Path,
    path: Path,
    *,
    config: str,
    bundle: str,
    source: str,
    stamp: tuple[int, int],
    item: str,
    kind: str = "",
) -> Entry:
    """The manifest entry of a file that was just published below ``folder``; ``stamp`` as it was before reading."""
    stat = path.stat()
    return Entry(
        path=path.relative_to(folder).as_posix(),
        sha256=sha256(path),
        bytes=stat.st_size,
        mtime_ns=stat.st_mtime_ns,
        config=config,
        bundle=bundle,
        input=source,
        input_bytes=stamp[0],
        input_mtime_ns=stamp[1],
        item=item,
        kind=kind,
    )


def sha256(path: Path) -> str:
    """The sha256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def config_hash(plain: Any) -> str:
    """A hash of plain data that does not depend on the order of its keys."""
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()


def input_stamp(paths: Iterable[Path]) -> tuple[int, int]:
    """Bytes and newest time [ns] of files and of all files in folders; (−1, −1) where none is a local file."""
    files = [p for path in paths for p in (path.rglob("*") if path.is_dir() else [path]) if p.is_file()]
    stats = [p.stat() for p in files]
    return (sum(s.st_size for s in stats), max(s.st_mtime_ns for s in stats)) if stats else (-1, -1)


def _parse(line: bytes) -> Entry | None:
    try:
        return Entry(**json.loads(line))
    except (ValueError, TypeError):
        return None


def _check_inside(manifest: Path, path: str) -> None:
    if not path or Path(path).is_absolute() or ".." in Path(path).parts:
        raise GeoadaptError(
            manifest, f"names an output outside its folder: '{path}'", "it was tampered with; remove it"
        )
