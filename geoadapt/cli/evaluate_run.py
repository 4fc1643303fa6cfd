"""What every kind of evaluation does alike: its folder, what is written there first, and what is said at the end.

In: a bundle and a checked job. Out: a run folder with ``config.yaml``; lines on the screen.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from geoadapt.cli.compose import run_jobs, store_config
from geoadapt.cli.train import data_root, headline, make_data
from geoadapt.config import JobConfig
from geoadapt.errors import GeoadaptError
from geoadapt.io.paths import as_path

if TYPE_CHECKING:
    from geoadapt.training.results import RunResult

__all__ = ["begin", "existing", "run_once", "say", "told"]

LOG = logging.getLogger(__name__)


def begin(folder: Path, job: JobConfig, bundle: Path, *sections: str) -> None:
    """Say where everything goes and on what, write down what is evaluated by which ``sections``, make the data."""
    LOG.info("run folder: %s", folder)
    LOG.info("data: %s in %s", job.data.name, data_root(job))
    shown: dict[str, object] = {name: asdict(getattr(job, name)) for name in sections}
    store_config(folder, {**shown, "bundle": str(bundle), "seed": job.seed})
    make_data(job)


def existing(word: str) -> Path:
    """The path; raises GeoadaptError where nothing is there."""
    path = as_path(word)
    if not path.exists():
        raise GeoadaptError(path, "does not exist", "check the path")
    return path


def told(result: RunResult) -> None:
    """Print the chief scores, and where the page is."""
    print("\n".join([*headline(result), f"page    {result.page}"]))


def run_once(work: Callable[[JobConfig, Path], None], overrides: tuple[str, ...]) -> int:
    """Evaluate in a run folder; raises what was raised."""
    failures = run_jobs(work, "evaluate", overrides)
    if failures:
        raise failures[0]
    return 0


def say(text: str) -> int:
    """Print, and end well."""
    print(text)
    return 0
