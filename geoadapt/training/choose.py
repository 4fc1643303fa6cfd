"""Which controls a run has, found before its first fit.

In: a job, the controls that its task knows, and what stands in the way of one. Out: their names, each once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from geoadapt.config import JobConfig
from geoadapt.errors import GeoadaptError

__all__ = ["chosen"]

log = logging.getLogger(__name__)


def chosen(
    job: JobConfig, known: Iterable[str], what: str, obstacle: Callable[[str], str] = lambda name: ""
) -> tuple[str, ...]:
    """The controls of ``train.controls``; of ``all`` those are left out, and said, that cannot be.

    ``what`` is the task in words, ``obstacle`` says why a control cannot be fitted, or nothing. Raises GeoadaptError
    for a control that is named and cannot be.
    """
    names, found = tuple(known), []
    for name in job.train.chosen_controls(job.task.name):
        if name not in names:
            problem = f"{name} is no control of {what}"
        elif name == "random_backbone" and not hasattr(job.backbone, "random_weights"):
            problem = f"{job.backbone.name} offers no random weights"
        else:
            problem = obstacle(name)
        if problem and job.train.controls != "all":
            raise GeoadaptError("train.controls", problem, f"choose from {', '.join(names)}")
        if problem:
            log.warning("control %s is left out: %s", name, problem)
        else:
            found.append(name)
    return tuple(dict.fromkeys(found))
