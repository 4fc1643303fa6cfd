"""Hydra, kept in one place: overrides to a checked job, and runs in Hydra's folders.

In: overrides as typed. Out: a ``JobConfig``; or the calls of a function, one per job, each with its run folder.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from geoadapt.cli.keys import conf_dir, prepare, quoted
from geoadapt.config import JobConfig, job_from_plain
from geoadapt.errors import GeoadaptError

__all__ = ["as_yaml", "compose", "run_jobs"]

FULL_ERROR = "HYDRA_FULL_ERROR"


def compose(overrides: Sequence[str] = (), config_dirs: Sequence[Path] = ()) -> JobConfig:
    """The job that ``overrides`` describe, e.g. ``["experiment=cloud_segmentation", "data.root=my chips"]``.

    Raises:
        GeoadaptError: a key, a choice or a value is wrong; it names the key and the nearest right name.
    """
    words = _words(overrides, config_dirs)
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        with initialize_config_dir(config_dir=str(conf_dir()), version_base="1.3"):
            composed = hydra_compose("config", overrides=words)
    except (HydraException, OmegaConfBaseException) as error:
        raise GeoadaptError("config", *_explained(error, words)) from error
    return _job(composed)


def as_yaml(job: JobConfig | Mapping[str, Any]) -> str:
    """The whole job, defaults included, as YAML."""
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(_plain(asdict(job) if isinstance(job, JobConfig) else dict(job)))


def run_jobs(
    work: Callable[[JobConfig, Path], None],
    name: str,
    overrides: Sequence[str],
    *,
    config_dirs: Sequence[Path] = (),
    flags: Sequence[str] = (),
) -> list[BaseException]:
    """Call ``work(job, run_dir)`` for every job that Hydra makes of the overrides (several with ``--multirun``).

    A job that fails does not stop the others: what was raised is returned, its folder as a note.
    Hydra makes the folders; raises GeoadaptError where it cannot.
    """
    import hydra
    from hydra.core.hydra_config import HydraConfig

    failures: list[BaseException] = []

    def task(composed: Any) -> None:
        folder = Path(HydraConfig.get().runtime.output_dir)
        try:
            work(_job(composed), folder)
        except Exception as error:
            error.add_note(f"run folder: {folder}")
            failures.append(error)

    words = [f"hydra.job.name={name}", *_words(overrides, config_dirs)]
    with _arguments([*flags, *words]):
        try:
            hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")(task)()
        except OSError as error:
            folder = error.filename or "hydra.run.dir"
            raise GeoadaptError(folder, f"cannot be made ({error.strerror})", "choose another hydra.run.dir") from error
    return failures


def _words(overrides: Sequence[str], config_dirs: Sequence[Path]) -> list[str]:
    words = prepare(overrides, config_dirs)
    for folder in config_dirs:
        if not folder.is_dir():
            raise GeoadaptError(folder, "is no folder", "--config-dir names a folder with backbone/, experiment/ …")
    places = ",".join(quoted(f"file://{folder.resolve()}") for folder in config_dirs)
    return [*words, *([f"hydra.searchpath=[{places}]"] if places else [])]


def _job(composed: Any) -> JobConfig:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        plain = OmegaConf.to_container(composed, resolve=True)
    except OmegaConfBaseException as error:
        key = str(getattr(error, "full_key", None) or "config")
        raise GeoadaptError(key, str(error).splitlines()[0], "give it a value on the command line") from error
    if not isinstance(plain, dict):
        raise GeoadaptError("config", "is no mapping", "see conf/config.yaml")
    return job_from_plain({str(key): value for key, value in plain.items() if key not in ("hydra", "experiment")})


def _explained(error: Exception, words: Sequence[str]) -> tuple[str, str]:
    """Hydra's message on one line, and what to do about it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    problem = lines[0] if lines else type(error).__name__
    if "Ambiguous value" in problem or "Sweep parameters" in str(error):
        return problem, "a comma makes a sweep: add -m to run all, or quote the value"
    return problem, f"the overrides were {' '.join(words)}" if words else "see conf/config.yaml"


def _plain(value: Any) -> Any:
    """Tuples as lists, which YAML knows."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


@contextmanager
def _arguments(words: Sequence[str]) -> Iterator[None]:
    """Hydra reads its words from ``sys.argv`` alone, and raises what went wrong only when this variable is set."""
    before, told = sys.argv, os.environ.get(FULL_ERROR)
    sys.argv = ["geoadapt", *words]
    os.environ[FULL_ERROR] = "1"
    try:
        yield
    finally:
        sys.argv = before
        del os.environ[FULL_ERROR]
        if told is not None:
            os.environ[FULL_ERROR] = told
