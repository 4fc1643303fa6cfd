"""What every test may ask for, and the last line of a run: how many tests were skipped, and why."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pyproj  # noqa: F401 - before anything loads ecCodes, which brings a PROJ of its own and would crash at the end
import pytest
from hypothesis import settings

from tests.folders import folder

settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
settings.load_profile("fixed")

SKIPS = pytest.StashKey[Counter[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """One thread per xdist worker, set before anything imports torch: two workers with two threads each fight."""
    config.stash[SKIPS] = Counter()
    if hasattr(config, "workerinput"):
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ.setdefault(name, "1")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count the reasons, while the reports are at hand."""
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        terminalreporter.config.stash[SKIPS][reason.removeprefix("Skipped: ")] += 1


def pytest_unconfigure(config: pytest.Config) -> None:
    """Print the line after everything else, pytest's own count included."""
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    skips = config.stash.get(SKIPS, Counter())
    reasons = "; ".join(f"{count} because {reason}" for reason, count in skips.most_common())
    print(f"{skips.total()} skipped" + (f": {reasons}" if reasons else ""))


def _present(name: str) -> Path:
    path = folder(name)
    if not path.is_dir():
        pytest.skip(f"the folder of GEOADAPT_{name.upper()} is absent ({path.name})")
    return path


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Real scenes and fields (GEOADAPT_DATA)."""
    return _present("data")


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """Golden vectors (GEOADAPT_GOLDEN)."""
    return _present("golden")


@pytest.fixture(scope="session")
def weights_dir() -> Path:
    """Public weights (GEOADAPT_WEIGHTS)."""
    return _present("weights")
