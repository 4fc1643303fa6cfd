"""Long work that is whole or absent, and goes on where it stopped.

In: where the result is to be, and what it is made from. Out: a folder beside it in which parts are noted as they are
finished; the result gets its name when all of them are.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from geoadapt.errors import GeoadaptError
from geoadapt.io.atomic import publish, remove

__all__ = ["Making", "label_text"]


def label_text(label: Mapping[str, Any]) -> str:
    """Plain data as one line of JSON, the same for equal data."""
    return json.dumps(label, sort_keys=True, ensure_ascii=False, default=str)


class Making:
    """The folder ``.NAME.making`` beside a result: its ``product``, and a line with the size of every finished part."""

    def __init__(self, path: Path, label: str) -> None:
        self.path, self.label = path, label
        self.folder = path.with_name(f".{path.name}.making")
        self.product = self.folder / "product"
        self._plan = self.folder / "plan.json"
        self._journal = self.folder / "done.jsonl"
        self._done: dict[str, int] = {}

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep a second process from making the same; the lock falls with the process. Explains what the disk says."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / "lock").open("w") as handle:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    raise GeoadaptError(self.path, "is being made by another process", "wait for it") from None
                yield
        except OSError as error:
            hint = "check the free space and the rights of its folder, then run it again: it goes on from here"
            raise GeoadaptError(self.path, f"cannot be written: {error.strerror or error}", hint) from error

    def begun(self) -> bool:
        """Whether an earlier run of the same label has left a product to go on with; anything else is removed."""
        if self._plan.is_file() and self._plan.read_text(encoding="utf-8") == self.label:
            self._read()
            return True
        for part in (self._plan, self.product, self._journal):
            remove(part)
        return False

    def begin(self) -> None:
        """Say that the product is there, with nothing in it finished."""
        self._plan.write_text(self.label, encoding="utf-8")
        _flush(self._plan)

    def has(self, part: str, files: Iterable[Path]) -> bool:
        """Whether a part is finished and its files are as large as they were."""
        return part in self._done and self._done[part] == sum(p.stat().st_size for p in files)

    def note(self, part: str, files: Iterable[Path]) -> None:
        """Flush a part's files to the disk, then write down that it is finished."""
        size = 0
        for file in files:
            _flush(file)
            size += file.stat().st_size
        with self._journal.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps({"part": part, "bytes": size}) + "\n")
        _flush(self._journal)
        self._done[part] = size

    def publish(self) -> Path:
        """Give the product its name and remove the rest."""
        publish(self.product, self.path)
        remove(self.folder)
        return self.path

    def _read(self) -> None:
        if not self._journal.is_file():
            return
        for line in self._journal.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
                self._done[entry["part"]] = entry["bytes"]
            except (ValueError, KeyError, TypeError):
                continue  # a killed process can leave a line cut short: its part is made again
        with self._journal.open("a", encoding="utf-8") as journal:
            journal.write("\n")  # nor is the next line to be lost with it


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
