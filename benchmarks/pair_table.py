"""The tables of ``benchmarks.pair``: its record as Markdown, and what has to be known about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from benchmarks.removal import NAMES, SCORES
from benchmarks.runs import spread

Record = dict[str, Any]

VISIBLE = ("blue", "green", "red")
TRAINED_ON = {"RICE2": "thick clouds", "RICE1": "thin haze"}
WHITES = (0.3, 1.0)
"""Reflectance that is shown as 1: the house's default, and all there is."""
BLOCK = 32
"""[px]."""
TINY = 5e-5
"""Less than this is rounding [reflectance]."""
AS_IS, FILLED, OTHER_DAY = "as_is", "filled", "nearest_clear"
MASKS = {
    "published": "dl_l8s2_uv as published, RGBISWIR7",
    "bundle": "the bundle that ships, its cloud, thin cloud and shadow",
}
TOLD = {
    **NAMES,
    AS_IS: "**the cloudy image as it is**",
    FILLED: "filled from its own clear pixels around",
    "small_series": "small_series under a head that nobody trained",
}
ASKED = {
    "cloud": "under the clouds, {pixels:,} px",
    "patch": "the whole patch as each gives it, {pixels:,} px",
    "pasted": "the cloud-free image, hidden {times} times, {scored:,} px",
}
"""What is asked → how it is told; the record also has ``clear``, around the clouds."""
IMAGE = {"image": "less MAE than the image in the same stretch", "filled": "than filled from around"}
AGAINST = {
    "cloud": IMAGE,
    "patch": IMAGE,
    "pasted": {"other_day": "less MAE than the other day", "filled": IMAGE["filled"]},
}
"""What is asked → the rivals whose gains are told, and their heads."""
RANDOM = "than random weights: better / no difference / worse"


def tables(record: Record) -> str:
    """Markdown: a table for everything that is asked, and what has to be known about it."""
    return "\n\n".join([*(_table(name, record["asked"]) for name in ASKED), _note(record)])


def _table(name: str, asked: Mapping[str, Record]) -> str:
    found, roles = asked[name], AGAINST[name]
    heads = [label for label, _ in SCORES.values()] + [f"MAE {' / '.join(VISIBLE)}"]
    heads += ["MAE around the clouds"] if name == "patch" else []
    heads += [*roles.values(), RANDOM]
    lines = [f"| {ASKED[name].format(**found)} | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    rows: dict[str, list[str]] = {}
    for who, pixels in found.get("said", {}).items():
        said = f"{'something' if pixels else 'nothing'} to say: {pixels:,} of {found['pixels']:,} px"
        rows.setdefault(" | ".join([said, *[""] * (len(heads) - 1)]), []).append(TOLD[who])
    outside = _grouped(asked["clear"]["entries"])
    for who, group in _grouped(found["entries"]).items():
        cells = _scores(group)
        cells += [spread([one["scores"]["mae"] for one in outside[who]], 4)] if name == "patch" else []
        cells += [_gains(group, role) for role in roles] + [_verdict(group[0])]
        rows.setdefault(" | ".join(cells), []).append(_name(who))
    return "\n".join([*lines, *(f"| {', '.join(names)} | {row} |" for row, names in rows.items())])


def _grouped(entries: Mapping[str, Record]) -> dict[str, list[Record]]:
    """Random weights of all seeds are one row."""
    found: dict[str, list[Record]] = {}
    for who, entry in entries.items():
        found.setdefault(who.rpartition(" ")[0] if who.startswith("random ") else who, []).append(entry)
    return found


def _name(who: str) -> str:
    name, _, white = who.partition(" ")
    if name in TRAINED_ON:
        return f"SpA-GAN, {name} ({TRAINED_ON[name]}), white = {white}"
    named = {"random": f"– random weights, white = {white}", "cut": f"– cut off at {white}, no network"}
    return named[name] if name in named else TOLD[who]


def _scores(group: Sequence[Record]) -> list[str]:
    """A cell per metric; of one entry its MAE has the interval, of several seeds all have their range."""
    cells = [spread([one["scores"][key] for one in group], digits) for key, (_, digits) in SCORES.items()]
    if len(group) == 1:
        scores = group[0]["scores"]
        cells[0] += f" ({scores['mae_low']:.3f} to {scores['mae_high']:.3f})"
    bands = [mean(one["scores"][f"mae/{band}"] for one in group) for band in VISIBLE]
    return [*cells, " / ".join(f"{value:.4f}" for value in bands)]


def _gains(group: Sequence[Record], role: str) -> str:
    """Of one entry its gain and the interval, of several seeds their mean and range."""
    found = [one["gain"][role] for one in group if role in one["gain"]]
    if not found:
        return ""
    if all(abs(value) < TINY for three in found for value in three):
        return "the same"
    gains = [gain for gain, _, _ in found]
    low, high = found[0][1:] if len(found) == 1 else (min(gains), max(gains))
    return f"{mean(gains):+.3f} ({low:+.3f} to {high:+.3f})"


def _verdict(entry: Record) -> str:
    ends = [(low, high) for role, (_, low, high) in entry["gain"].items() if role.startswith("random ")]
    better, worse = sum(low > 0 for low, _ in ends), sum(high < 0 for _, high in ends)
    return f"{better} / {len(ends) - better - worse} / {worse}" if ends else ""


def _note(record: Record) -> str:
    asked, mask = record["asked"], record["mask"]
    under, around = (asked[name]["entries"][AS_IS]["scores"] for name in ("cloud", "clear"))
    return (
        f"`{record['patch']}`, descriptive: the one patch at hand. {record['date']}, {record['machine']}. In brackets "
        f"paired 90 % intervals over blocks of {BLOCK} px of this patch, which tell of no other, and are too narrow, "
        "as its clouds are larger; of random weights the range of the seeds. Visible bands, reflectance, R = 1; "
        f"windows of SSIM end at the blocks. Clouds by {MASKS[mask['by']]}, from the cloudy image alone: "
        f"{mask['share']:.0%} of it ({MASKS[mask['other']]}: {mask['other_share']:.0%}; the two agree on "
        f"{mask['agree']:.0%}). The cloudy image is brighter than the cloud-free one by {under['bias']:.3f} there and "
        f"by {around['bias']:.3f} around, where they still differ by {around['mae']:.3f}: other ground, light and air "
        "of another day. SpA-GAN learned from 8-bit pictures of another sensor; it sees the clouds, rules go by the "
        "mask, and what white cuts off is no network's work. Patterns are the patch's own clouds, turned and shifted; "
        "pixels count that the other day shows, and SpA-GAN sees white there. Nothing is trained: one patch cannot be "
        "split by place or date, so that adapted models, and any that take radar, are not here."
    )
