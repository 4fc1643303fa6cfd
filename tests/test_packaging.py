"""What is declared is what is imported, pinned and shipped."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib import import_module
from importlib.metadata import packages_distributions

import pytest

from geoadapt.cli.keys import conf_dir
from tests.folders import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _name(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", requirement)[0]).lower()


EXTRAS = {name: lines for name, lines in PROJECT["project"]["optional-dependencies"].items() if name != "test"}
DECLARED = {_name(line) for lines in (PROJECT["project"]["dependencies"], *EXTRAS.values()) for line in lines}
PINNED = {
    _name(line): line.strip()
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
}


def _imported() -> dict[str, str]:
    """Top-level packages that the product imports, and a file that does."""
    found: dict[str, str] = {}
    for package in ("geoadapt", "data_pipelines"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
                found |= {name.split(".")[0]: str(path.relative_to(ROOT)) for name in names}
    own = {"geoadapt", "data_pipelines", "__future__"}
    return {name: file for name, file in found.items() if name not in sys.stdlib_module_names and name not in own}


def test_every_import_is_a_declared_dependency() -> None:
    distributions = packages_distributions()
    homes = {name: {_name(home) for home in distributions.get(name, [])} for name in _imported()}
    missing = {name: _imported()[name] for name in homes if not homes[name] & DECLARED}
    assert missing == {}, "pyproject.toml does not declare what these files import"


def test_every_dependency_is_pinned_and_torch_to_the_tested_build() -> None:
    wanted = DECLARED | {_name(line) for line in PROJECT["project"]["optional-dependencies"]["test"]}
    assert wanted - set(PINNED) == set()
    assert PINNED["torch"] == "torch==2.13.0"


@pytest.mark.parametrize("script", PROJECT["project"]["scripts"].values())
def test_the_command_exists(script: str) -> None:
    module, _, function = script.partition(":")
    assert callable(getattr(import_module(module), function))


def test_conf_is_shipped_where_it_is_looked_for() -> None:
    assert PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"] == {"conf": "geoadapt/conf"}
    assert conf_dir() == ROOT / "conf"
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").split()[:2] == ["Apache", "License"]


def test_no_file_names_a_place_of_one_machine() -> None:
    places = re.compile(r"(?<![\w.])/(?:work|farm|root|home|opt)/\w")
    kinds = {".py", ".yaml", ".toml", ".md", ".txt"}
    folders = ("geoadapt", "data_pipelines", "conf", "benchmarks")
    files = [p for f in folders for p in (ROOT / f).rglob("*") if p.suffix in kinds] + [
        *ROOT.glob("*.*"),
        ROOT / "Makefile",
    ]
    for path in (p for p in files if p.is_file()):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            assert not places.search(line), f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
