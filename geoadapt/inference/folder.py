"""The output folder of a job: usable, held by one process at a time, with an account of what was run."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rasterio
import torch

from geoadapt import __version__
from geoadapt.errors import GeoadaptError
from geoadapt.io.atomic import sweep, write_text

if TYPE_CHECKING:
    from geoadapt.inference.predict import ItemResult

__all__ = ["hold", "make_ready", "write_run"]

_LOCK = ".lock"


def make_ready(folder: Path) -> None:
    """Create the folder and try to write in it; raises GeoadaptError before anything is computed."""
    probe = folder / f".probe.{os.getpid()}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise GeoadaptError(
            folder, f"cannot be written to: {error.strerror}", "choose another output folder or mend its rights"
        ) from error


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Keep other processes out of the folder, and clear away what killed ones left; the lock dies with its process."""
    import fcntl

    with (folder / _LOCK).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            raise GeoadaptError(
                folder, f"another run (process {lock.read().strip() or 'unknown'}) is writing here", "wait for its end"
            ) from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        sweep(folder)
        yield


def write_run(
    folder: Path,
    results: Sequence[ItemResult],
    total: int,
    config: Mapping[str, Any],
    bundle: str,
    bundle_hash: str,
    command: str,
    began: float,
    items: str = "scenes",
) -> Path:
    """Write ``run.json``: command, configuration, versions, times and how every scene, or what ``items`` are, ended."""
    counts = {status: sum(r.status == status for r in results) for status in ("done", "skipped", "failed")}
    plain = {
        "command": command,
        "config": dict(config),
        "bundle": {"name": bundle, "sha256": bundle_hash},
        "versions": {
            "geoadapt": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "rasterio": rasterio.__version__,
            "gdal": rasterio.__gdal_version__,
        },
        "began": datetime.fromtimestamp(began, UTC).isoformat(timespec="seconds"),
        "seconds": round(time.time() - began, 3),
        "counts": {**counts, "not_reached": total - len(results)},
        items: [_scene(folder, result) for result in results],
    }
    return write_text(folder / "run.json", json.dumps(plain, indent=2, ensure_ascii=False, default=str) + "\n")


def _scene(folder: Path, result: ItemResult) -> dict[str, Any]:
    files = {kind: path.relative_to(folder).as_posix() for kind, path in result.files.items()}
    return {**asdict(result), "seconds": round(result.seconds, 3), "files": files}
