"""What the comparison with the controls says, in sentences that follow from the intervals alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from geoadapt.report.numbers import decimals, metric_interval, signed
from geoadapt.report.wording import channel_words, lead_key, lead_words, unit_words

__all__ = ["Verdict", "from_metrics", "rmse_verdicts", "verdict"]

SHADOWLESS = ("rule", "dl_l8s2_uv")
"""Controls that do not tell shadows: beating them there says nothing."""
Outcome = Literal["better", "even", "worse", "unknown"]
MARKS: dict[Outcome, tuple[str, str]] = {
    "better": ("\N{CHECK MARK}", "better"),
    "even": ("\N{ALMOST EQUAL TO}", "even"),
    "worse": ("\N{BALLOT X}", "worse"),
    "unknown": ("?", "even"),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The model minus one control in one metric, with the interval of that difference, paired over blocks."""

    control: str
    """As it stands in the sentence: ``the U-Net from scratch``."""
    metric: str
    difference: float
    low: float
    high: float
    level: int = 90
    """Coverage of the interval [%]."""
    lower_is_better: bool = False
    subject: str = ""
    """What the sentence begins with, where it is not about the model itself: ``Instability finds errors``."""
    unit: str = ""
    digits: int = 3
    """Decimals of the difference and its interval."""

    @property
    def outcome(self) -> Outcome:
        """Better or worse only where the whole interval lies on that side of zero."""
        if not all(map(math.isfinite, (self.difference, self.low, self.high))):
            return "unknown"
        low, high = (-self.high, -self.low) if self.lower_is_better else (self.low, self.high)
        return "better" if low > 0 else "worse" if high < 0 else "even"

    def sentence(self) -> str:
        """One sentence: the outcome, the control, the difference and its interval."""
        if self.outcome == "unknown":
            about = f"{self.subject}: no" if self.subject else "No"
            return f"{about} verdict against {self.control}: {self.metric} has no interval."
        words = {"better": "better than", "even": "not better than", "worse": "worse than"}[self.outcome]
        words = f"{self.subject} {words}" if self.subject else words.capitalize()
        difference, low, high = (signed(v, self.digits) for v in (self.difference, self.low, self.high))
        unit = f" {self.unit}" if self.unit else ""
        numbers = f"{difference}{unit} ({self.level} % interval {low} … {high})"
        return f"{words} {self.control}: {self.metric} {numbers}."


def verdict(verdicts: Sequence[Verdict]) -> Markup:
    """The verdicts as a list, one sentence each."""
    if not verdicts:
        return Markup('<p class="note">No controls were run, so nothing can be claimed for the adaptation.</p>')
    items = Markup("\n").join(
        Markup('<li class="{}"><span class="mark" aria-hidden="true">{}</span><span>{}</span></li>').format(
            MARKS[item.outcome][1], MARKS[item.outcome][0], item.sentence()
        )
        for item in verdicts
    )
    return Markup('<ul class="verdicts">{}</ul>').format(items)


def from_metrics(metrics: Mapping[str, float], controls: Mapping[str, str], classes: Sequence[str]) -> list[Verdict]:
    """Verdicts from flat metrics ``WHO/iou_gain…/CLASS``, one per control and class that it tells."""
    found = []
    for who, control in controls.items():
        for name in classes:
            if who in SHADOWLESS and name == "shadow":
                continue
            ends = ("", "_low", "_high")
            gain, low, high = (metrics.get(f"{who}/iou_gain{end}/{name}", float("nan")) for end in ends)
            found.append(Verdict(control, f"{name} IoU", gain, low, high))
    return found


def rmse_verdicts(
    metrics: Mapping[str, float],
    controls: Mapping[str, str],
    channel: str,
    lead: float,
    unit: str = "",
    level: int = 90,
    *,
    named: bool = True,
) -> list[Verdict]:
    """Verdicts on a forecast at one lead time [h] from ``WHO/rmse_gain…/CHANNEL/LEADh``, one per control.

    A gain is the control's RMSE minus the model's; the sentence gives the model's minus the control's. Where there is
    but one channel it need not be ``named``.
    """
    metric = f"RMSE{f' of {channel_words(channel)}' if named else ''} at {lead_words(lead)}"
    found = []
    for who, control in controls.items():
        gain = metric_interval(metrics, who, f"rmse_gain/{channel}/{lead_key(lead)}")
        ends = (0 - gain.value, 0 - gain.high, 0 - gain.low)
        digits = decimals(ends)
        found.append(
            Verdict(control, metric, *ends, level=level, lower_is_better=True, unit=unit_words(unit), digits=digits)
        )
    return found
