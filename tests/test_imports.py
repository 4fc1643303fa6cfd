"""Imports point one way, and what must answer at once loads nothing heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.folders import ROOT

HOUSE = (
    *(
        "errors",
        "words",
        "registry",
        "shipped",
        "io",
        "cubes",
        "fields",
        "backbones",
        "heads",
        "metrics",
        "report",
        "adapters",
        "baselines",
    ),
    *(
        "model",
        "standard",
        "forecaster",
        "restorer",
        "bundle",
        "tasks",
        "config",
        "inference",
        "training",
        "leaderboard",
        "cli",
        "__main__",
    ),
)
"""From the ground up: a part of the package imports only what stands before it."""
LEVEL = {name: level for level, name in enumerate(HOUSE)}
TORCH_FREE_FOLDERS = ("io", "cubes")
HEAVY = ("torch", "lightning", "peft", "transformers", "torchvision")


def _modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def _imports(path: Path, *, top_level_only: bool = False) -> Iterator[tuple[int, str]]:
    """Line and absolute name of everything a module imports; types alone do not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = list(_executed(tree.body)) if top_level_only else [n for n in ast.walk(tree) if not _for_types_only(n)]
    hidden = {id(inner) for n in ast.walk(tree) if _for_types_only(n) for inner in ast.walk(n)}
    for node in nodes:
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            yield node.lineno, node.module or ""
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def _executed(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Statements that run when the module is imported: functions' bodies do not."""
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
            yield from _executed([child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)])


def _for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _layer(name: str) -> str:
    return name.split(".")[1] if name.startswith("geoadapt.") and len(name.split(".")) > 1 else ""


def test_every_module_has_a_floor() -> None:
    package = ROOT / "geoadapt"
    found = {
        p.stem if p.is_file() else p.name
        for p in package.iterdir()
        if p.suffix == ".py" or (p / "__init__.py").exists()
    }
    assert found - {"__init__"} <= set(LEVEL), f"no floor for {found - {'__init__'} - set(LEVEL)}"


@pytest.mark.parametrize("path", _modules("geoadapt"), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down_the_house(path: Path) -> None:
    own = path.relative_to(ROOT / "geoadapt").parts[0].removesuffix(".py")
    if own == "__init__":
        return
    for line, name in _imports(path):
        other = _layer(name)
        if other in LEVEL and other != own:
            assert LEVEL[other] < LEVEL[own], (
                f"{path.relative_to(ROOT)}:{line}: {own} imports {name}, which is not below it"
            )
        if name.split(".")[0] == "data_pipelines":
            assert own == "cli", f"{path.relative_to(ROOT)}:{line}: only cli calls data_pipelines"


@pytest.mark.parametrize("path", _modules("data_pipelines"), ids=lambda p: str(p.relative_to(ROOT)))
def test_data_pipelines_use_io_and_cubes_only(path: Path) -> None:
    for line, name in _imports(path):
        if name.startswith("geoadapt."):
            assert _layer(name) in {"errors", "words", "registry", "io", "cubes"}, f"{path.name}:{line}: imports {name}"
        assert name.split(".")[0] not in HEAVY, f"{path.name}:{line}: imports {name}"


def _torch_free_files() -> list[Path]:
    files = [p for folder in TORCH_FREE_FOLDERS for p in _modules(f"geoadapt/{folder}")]
    files += sorted((ROOT / "geoadapt").glob("*/*config.py")) + sorted((ROOT / "geoadapt").glob("*/__init__.py"))
    return sorted({*files, *(ROOT / "geoadapt" / f"{n}.py" for n in ("__init__", "config", "errors", "registry"))})


@pytest.mark.parametrize("path", _torch_free_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_layers_below_the_models_name_no_torch(path: Path) -> None:
    for line, name in _imports(path):
        assert name.split(".")[0] not in HEAVY, f"{path.relative_to(ROOT)}:{line}: imports {name}"


@pytest.mark.parametrize("path", _modules("geoadapt"), ids=lambda p: str(p.relative_to(ROOT)))
def test_slow_libraries_are_imported_inside_functions(path: Path) -> None:
    slow = {"peft", "transformers", "lightning", "hydra", "optuna", "torchvision"}
    if path in (ROOT / "geoadapt/training/loop.py", ROOT / "geoadapt/training/checkpoints.py"):
        slow.remove("lightning")  # They subclass Lightning's classes, and are themselves imported inside functions.
    for line, name in _imports(path, top_level_only=True):
        assert name.split(".")[0] not in slow, f"{path.relative_to(ROOT)}:{line}: imports {name} at import"


def _loads_heavy(code: str) -> list[str]:
    script = f"import sys\n{code}\nprint([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    return list(ast.literal_eval(done.stderr.strip().splitlines()[-1]))


def test_importing_the_light_layers_loads_nothing_heavy() -> None:
    light = ["geoadapt", "geoadapt.config", "geoadapt.cli", "data_pipelines"]
    light += [
        ".".join(p.relative_to(ROOT).with_suffix("").parts)
        for f in TORCH_FREE_FOLDERS
        for p in _modules(f"geoadapt/{f}")
    ]
    assert _loads_heavy("import " + ", ".join(name.removesuffix(".__init__") for name in light)) == []


def test_help_loads_nothing_heavy() -> None:
    assert _loads_heavy("from geoadapt.cli import main; main(['--help'])") == []
