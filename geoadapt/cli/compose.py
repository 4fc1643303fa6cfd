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
from geoadapt.io.atomic import write_text

__all__ = ["as_yaml", "compose", "run_jobs", "store_config"]

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
        raise GeoadaptError(*_explained(error, words)) from error
    return _job(composed)


def as_yaml(job: JobConfig | Mapping[str, Any]) -> str:
    """The whole job, defaults included, as YAML."""
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(_plain(asdict(job) if isinstance(job, JobConfig) else dict(job)))


def store_config(folder: Path, config: JobConfig | Mapping[str, Any]) -> None:
    """Write ``config.yaml``; results of another configuration, which would seem to be this one's, are set aside.

    They are ``metrics.before.json`` then: a run that ends before it has its own must not be reported with theirs.
    """
    text, path, results = as_yaml(config), folder / "config.yaml", folder / "metrics.json"
    if results.is_file() and not (path.is_file() and path.read_text(encoding="utf-8") == text):
        results.replace(folder / "metrics.before.json")
    write_text(path, text)


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
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

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
        except (HydraException, OmegaConfBaseException) as error:  # some of them are an OSError too
            raise GeoadaptError(*_explained(error, words, "--multirun" in flags)) from error
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


def _explained(error: Exception, words: Sequence[str], sweeping: bool = False) -> tuple[str, str, str]:
    """Which key it is about where that can be told, what is wrong on one line, and what to do about it."""
    for word in words:
        if (found := _doubtful(word, sweeping)) is not None:
            return found
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    typed = " ".join(word.removeprefix("++") for word in words)
    hint = f"the overrides were {typed}" if words else "see conf/config.yaml"
    return "config", lines[0] if lines else type(error).__name__, hint


def _doubtful(word: str, sweeping: bool) -> tuple[str, str, str] | None:
    """Key, problem and hint where a word alone is not to be read, or means several and may not; else None."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    key, _, value = word.removeprefix("++").partition("=")
    try:
        several = OverridesParser.create().parse_override(word).is_sweep_override() and not sweeping
    except HydraException:
        return key, f"{value!r} cannot be read", "close its brackets and quotes, or put the whole value in quotes"
    hint = f"a comma makes a sweep: add -m to run all, or write [{value}] for a list, or quote the value"
    return (key, f"{value!r} is several values", hint) if several else None


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
