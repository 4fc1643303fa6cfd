"""The runs of one entry on one data set: each with its score, configuration, commit, bundle and command.

In: records. Out: HTML that says once what runs share, and writes ``$seed`` where they differ in their seeds alone.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

from geoadapt.leaderboard.records import RunRecord
from geoadapt.report.numbers import number

__all__ = ["command_text", "told_runs", "with_seed"]

FACTS = {"config_hash": "config", "commit": "commit", "bundle": "bundle", "date": "", "machine": "on"}
"""Field of a record → the word before it."""
NEEDED = ("config_hash", "commit", "bundle")
"""What is missed where no record says it."""


def told_runs(runs: Sequence[RunRecord], shared: Mapping[str, str] | None = None) -> Markup:
    """Scores by seed, what the records say of the runs, and their command; ``shared`` is said elsewhere."""
    scores = ", ".join(f"{run.seed}: {_value(run)}" for run in runs)
    facts = [_fact(name, runs) for name in FACTS if name not in (shared or {})]
    told = ", ".join(fact for fact in facts if fact)
    return Markup(f"<p>By seed {escape(scores)}; {told}.</p>{_command(runs)}")


def command_text(runs: Sequence[RunRecord]) -> str:
    """The command of all runs, as a loop where they differ in their seeds alone; else what each changes."""
    if len(runs) == 1:
        return runs[0].command
    pattern = with_seed([run.command for run in runs], runs)
    if pattern and not any("$seed" in quoted for quoted in pattern.split("'")[1::2]):
        return f"for seed in {' '.join(str(run.seed) for run in runs)}; do {pattern}; done"
    first, *rest = (_words(run.command) for run in runs)
    return "\n".join(
        [runs[0].command, *(_change(first, words, run) for words, run in zip(rest, runs[1:], strict=True))]
    )


def with_seed(texts: Sequence[str], runs: Sequence[RunRecord]) -> str:
    """What becomes every run's text where its seed stands for ``$seed``; empty where there is none such."""
    seed = re.escape(str(runs[0].seed))
    pattern = re.sub(rf"(?<=seed[=-]){seed}\b|(?<=/){seed}(?=[/\s]|$)", "$seed", texts[0])
    fits = all(pattern.replace("$seed", str(run.seed)) == text for run, text in zip(runs, texts, strict=True))
    return pattern if fits else ""


def _change(first: Sequence[str], words: Sequence[str], run: RunRecord) -> str:
    if len(words) != len(first):
        return f"# seed {run.seed}: {run.command or 'no command was recorded'}"
    apart = [new for old, new in zip(first, words, strict=True) if old != new]
    return f"# seed {run.seed}: {shlex.join(apart) or 'the same'}"


def _command(runs: Sequence[RunRecord]) -> str:
    if not any(run.command for run in runs):
        return "<p>No command was recorded.</p>"
    return f"<pre><code>{escape(command_text(runs))}</code></pre>"


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def _value(run: RunRecord) -> str:
    if not math.isfinite(run.value):
        return str(run.extra.get("missing") or run.extra.get("failed") or "no score")
    return number(float(run.value), 4)


def _fact(name: str, runs: Sequence[RunRecord]) -> str:
    """One fact in words: once where all agree, by seed where they follow it, else one after the other."""
    values = [str(getattr(run, name) or "") for run in runs]
    if not any(values):
        return f"no {FACTS[name]} recorded" if name in NEEDED else ""
    told = values[:1] if len(set(values)) == 1 else [with_seed(values, runs)]
    told = told if told[0] else [value or "unknown" for value in values]
    before = f"{FACTS[name]} " if FACTS[name] else ""
    tag = ("<code>", "</code>") if name in NEEDED else ("", "")
    return before + ", ".join(f"{tag[0]}{escape(value)}{tag[1]}" for value in told)
