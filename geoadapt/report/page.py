"""One self-contained HTML page: headings, and parts made by the functions of this folder."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

__all__ = ["Page", "folded"]

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
# The policy makes a browser refuse anything that is not on the page itself, should a part ever let something through.
TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{{ policy }}">
<meta name="generator" content="geoadapt">
<title>{{ title }}</title>
<style>
{{ style }}
</style>
</head>
<body>
<div class="page">
<header>
<h1>{{ title }}</h1>
{% if subtitle %}<p class="subtitle">{{ subtitle }}</p>{% endif %}
{% if sections|length > 2 %}<nav aria-label="Sections"><ul>
{% for section in sections %}<li><a href="#{{ section.anchor }}">{{ section.heading }}</a></li>
{% endfor %}</ul></nav>{% endif %}
</header>
{% if bar %}{{ bar }}

{% endif %}<main>
{% for section in sections %}<section aria-labelledby="{{ section.anchor }}">
<h2 id="{{ section.anchor }}">{{ section.heading }}</h2>
{{ section.body }}
</section>
{% endfor %}</main>
<footer>Written by geoadapt. Everything on this page is in this file.</footer>
</div>
{% if script %}<script>{{ script }}</script>
{% endif %}</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, where a link finds it, and its content."""

    heading: str
    anchor: str
    body: Markup


def _policy(script: str) -> str:
    """What a browser may load and run: nothing but what is on the page, and of scripts this one."""
    if not script:
        return POLICY
    return f"{POLICY}; script-src 'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _body(parts: Iterable[str]) -> Markup:
    return Markup("\n").join(p if isinstance(p, Markup) else Markup("<p>{}</p>").format(p) for p in parts)


def folded(summary: str, *parts: str, shown: bool = False) -> Markup:
    """Parts behind a line that opens and closes them."""
    state = Markup(" open") if shown else Markup("")
    return Markup("<details{}><summary>{}</summary>{}</details>").format(state, summary, _body(parts))


@dataclass
class Page:
    """A page under construction: add sections, then write it."""

    title: str
    subtitle: str = ""
    sections: list[Section] = field(default_factory=list)
    bar: Markup = Markup()
    """Stands between the head and the sections."""
    styles: tuple[str, ...] = ()
    """More rules, after the style that all pages share; never anything that a user named."""
    script: str = ""
    """The only script that a browser will run; never anything that a user named."""

    def add(self, heading: str, *parts: str) -> None:
        """Append a section; a part made by ``geoadapt.report`` stands as it is, any other text becomes a paragraph."""
        word = re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-") or "section"
        taken = {section.anchor for section in self.sections}
        anchor = word if word not in taken else f"{word}-{len(self.sections) + 1}"
        self.sections.append(Section(heading, anchor, _body(parts)))

    def html(self) -> str:
        """The page as text."""
        template = Environment(autoescape=True, trim_blocks=True).from_string(TEMPLATE)
        style = Markup(files("geoadapt.report").joinpath("style.css").read_text(encoding="utf-8"))  # noqa: S704
        more = {"bar": self.bar, "script": Markup(self.script), "policy": Markup(_policy(self.script))}  # noqa: S704
        style = Markup("\n").join([style, *map(Markup, self.styles)])  # noqa: S704
        return template.render(title=self.title, subtitle=self.subtitle, sections=self.sections, style=style, **more)

    def write(self, path: Path) -> Path:
        """Write the page as one HTML file, whole or not at all."""
        from geoadapt.io.atomic import write_text

        write_text(path, self.html())
        return path
