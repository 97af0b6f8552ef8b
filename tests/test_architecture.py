"""The rules of docs/architecture.md, read from the source: who may import whom, and how large a file may grow."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("stories", "generator", "web", "tests", "benchmarks")
PYTHON = sorted(path for name in PACKAGES for path in ROOT.glob(f"{name}/**/*.py")) + sorted(ROOT.glob("*.py"))
PRODUCT = [path for path in PYTHON if path.relative_to(ROOT).parts[0] not in ("tests", "benchmarks")]
CLIENT = sorted(path for ending in ("ts", "svelte", "mjs") for path in ROOT.glob(f"client/[!n]*/**/*.{ending}"))
MAX_LINES = 300
MAX_FUNCTION_LINES = 40

# What a part of the program may import besides the standard library. The most specific part counts.
MAY_IMPORT: dict[str, set[str]] = {
    "stories": {"stories"},
    "generator": {"stories", "generator", "json5"},
    "generator/engine": {
        *("generator.engine", "generator.messages", "generator.sampling_settings", "generator.frames"),
        *("torch", "transformers", "tokenizers", "huggingface_hub", "numpy", "tqdm"),
    },
    "generator/engine/int8": {"generator.engine", "numba", "llvmlite", "numpy", "torch"},
    "web": {
        *("stories", "generator", "web"),
        *("flask", "flask_socketio", "socketio", "engineio", "werkzeug", "simple_websocket"),
        *("itsdangerous", "prometheus_client"),
    },
    "web/concurrency.py": {"web", "eventlet", "werkzeug"},
    "web/settings.py": set(),
    "server.py": {"stories", "generator", "web"},
    # Runs before anything is installed.
    "launch.py": {"generator.bundled", "web.settings"},
    "generator/bundled.py": set(),
}
FORBIDDEN: dict[str, set[str]] = {
    "generator": {"generator.engine", "sqlite3"},
    "generator/engine": {"sqlite3"},
    "web": {"generator.engine", "sqlite3", "stories.store"},
    "server.py": {"generator.engine"},
}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports_of(path: Path) -> Iterator[str]:
    """Every module a file imports, also within functions, as `package.module`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{relative(path)} imports relatively"
            assert node.module
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part_of(path: Path, table: dict[str, set[str]]) -> set[str]:
    name = relative(path)
    parts = [part for part in table if name == part or name.startswith(f"{part}/")]
    return table[max(parts, key=len)] if parts else set()


def is_within(module: str, packages: set[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def violations(path: Path) -> list[str]:
    allowed, forbidden = part_of(path, MAY_IMPORT), part_of(path, FORBIDDEN)
    found = []
    for module in imports_of(path):
        outside = module.split(".")[0] not in sys.stdlib_module_names and not is_within(module, allowed)
        # `from generator import menu` names the package first, which says nothing yet.
        is_package = any(name.startswith(f"{module}.") for name in allowed)
        if (outside and not is_package) or is_within(module, forbidden):
            found.append(module)
    return found


def test_imports_point_one_way() -> None:
    assert {relative(path): found for path in PRODUCT if (found := violations(path))} == {}


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("stories/x.py", "import generator.menu"),
        ("stories/x.py", "import flask"),
        ("generator/x.py", "from generator.engine import loop"),
        ("generator/x.py", "def f():\n    import torch"),
        ("generator/x.py", "from generator import engine"),
        ("generator/engine/x.py", "from generator import menu"),
        ("generator/engine/x.py", "import stories.changes"),
        ("web/x.py", "import eventlet.tpool"),
        ("web/x.py", "from stories import store"),
        ("server.py", "import torch"),
    ],
)
def test_a_wrong_import_is_seen(place: str, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    assert violations(path)


def test_files_stay_small() -> None:
    lengths = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in [*PYTHON, *CLIENT]}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_functions_fit_on_a_screen() -> None:
    lengths = {f"{relative(path)}: {name}": length for path in PRODUCT for name, length in functions_of(path)}
    assert {name: length for name, length in lengths.items() if length > MAX_FUNCTION_LINES} == {}


def functions_of(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


def test_every_module_says_what_it_owns() -> None:
    modules = [path for path in PYTHON if path.name != "__init__.py"]
    without = [relative(path) for path in modules if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))]
    assert without == []


def test_no_file_is_named_after_nothing() -> None:
    stems = {path.stem for path in [*PYTHON, *CLIENT]}
    assert not stems & {"utils", "util", "helpers", "helper", "manager", "misc", "common"}
