"""The README of a bundle: its card for people, in the form that model hubs read."""

from __future__ import annotations

from geoadapt.adapters import TUNED
from geoadapt.bundle.card import BundleCard
from geoadapt.report.numbers import number
from geoadapt.words import counted

__all__ = ["readme"]


def readme(card: BundleCard) -> str:
    """Its front matter, what it was trained on, how to run it, and its metrics, as Markdown."""
    scores = "\n".join(f"| {name} | {number(value)} |" for name, value in sorted(card.metrics.items()))
    state = TUNED.get(card.adapter["name"], "frozen")
    base = f"base_model: {card.source['where']}\n" if card.source.get("where") else ""
    rule = "" if card.threshold is None else f"Cloud where its probability reaches {card.threshold:g}.\n"
    simulated = "\n**Trained on simulated data.**\n" if card.simulated else ""
    return (
        f"---\n{base}library_name: geoadapt\nlicense: {card.licence}\n---\n\n"
        f"# {card.name}\n{simulated}\n"
        f"Task {card.task}; backbone {card.source.get('name')} ({state}), adapter {card.adapter['name']}, "
        f"head {card.head['name']}.\nChannels: {', '.join(card.channels)} [{card.units}].\n"
        f"{_told(card)}{rule}Data: {card.data}.\n\n"
        f"    {card.command}\n\n| metric | value |\n|---|---|\n{scores}\n"
    )


def _told(card: BundleCard) -> str:
    """What comes out: classes, an image and its error, or states at lead times."""
    if card.removal is not None:
        return f"The image of a date from {card.removal['frames']} dates or more, and its expected absolute error.\n"
    if card.samples is not None:
        target = card.samples["target"]
        unit = f" [{target['unit']}]" if target["unit"] else ""
        return f"One {target['kind'].replace('_', ' ')} for each sample: {', '.join(target['names'])}{unit}.\n"
    if card.forecast is None:
        return f"Classes: {', '.join(f'{c.value} {c.name}' for c in card.classes)}.\n"
    step, leads = card.forecast["step"] / 3600, ", ".join(f"{lead:g}" for lead in card.forecast["leads"])
    return f"Forecasts in steps of {step:g} h from {counted(card.forecast['frames'], 'state')}; tested at {leads} h.\n"
