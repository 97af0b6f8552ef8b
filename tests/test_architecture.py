"""The rules of docs/architecture.md, checked in the source: imports, cycles, names, and sizes of files and folders."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("stories", "generator", "web", "tests", "benchmarks")
PYTHON = sorted(path for name in PACKAGES for path in ROOT.glob(f"{name}/**/*.py")) + sorted(ROOT.glob("*.py"))
PRODUCT = [path for path in PYTHON if path.relative_to(ROOT).parts[0] not in ("tests", "benchmarks")]
CLIENT = sorted(path for ending in ("ts", "svelte", "mjs") for path in ROOT.glob(f"client/[!n]*/**/*.{ending}"))
MAX_LINES = 300
MAX_FUNCTION_LINES = 40
MAX_FILES = 15
# Each of these folders is one subject, which would be harder to read in parts.
LARGE_FOLDERS = {"web", "tests/web"}
LARGE_FOLDERS |= {"generator/engine/int8", "tests/generator/engine/int8"}

# The modules that a folder or file may import besides the standard library. The most specific entry applies.
MAY_IMPORT: dict[str, set[str]] = {
    "stories": {"stories"},
    "stories/text": {"stories.text", "stories.errors"},
    "stories/draft": {"stories.draft", "stories.text", "stories.errors", "stories.limits"},
    "stories/storage": {"stories.storage", "stories.text", "stories.errors"},
    "stories/files": {"stories.files", "stories.text", "stories.errors", "stories.limits"},
    "generator/wire": {"generator.wire", "stories.errors"},
    "generator/models": {"generator.models", "generator.wire", "stories.errors", "json5"},
    "generator/engine_host": {"generator.engine_host", "generator.wire"},
    "generator/engine_link": {"generator.engine_link", "generator.models", "generator.wire", "stories"},
    "generator/drafts": {
        *("generator.drafts", "generator.engine_link", "generator.models", "generator.wire", "stories"),
    },
    "generator/library": {"generator.library", "generator.drafts", "generator.models", "stories"},
    "generator/engine": {"generator.engine", "generator.wire"},
    "generator/engine/process": {"generator.engine.process", "generator.wire"},
    "generator/engine/tokens": {"generator.engine.tokens", "generator.wire", "numpy"},
    "generator/engine/sampling": {"generator.engine.sampling", "generator.engine.tokens", "generator.wire", "numpy"},
    "generator/engine/networks": {
        *("generator.engine.networks", "generator.engine.sampling", "generator.engine.tokens", "generator.wire"),
        *("torch", "transformers", "numpy"),
    },
    # Needed before torch is imported.
    "generator/engine/networks/runner.py": {"generator.engine.sampling", "generator.engine.tokens"},
    "generator/engine/networks/fake.py": {"generator.engine", "generator.wire", "numpy"},
    "generator/engine/networks/memory_size.py": set(),
    "generator/engine/scheduling": {
        *("generator.engine.scheduling", "generator.engine.networks.runner", "generator.engine.sampling"),
        *("generator.engine.tokens", "generator.wire", "numpy"),
    },
    "generator/engine/int8": {
        *("generator.engine.int8", "generator.engine.networks", "generator.engine.process"),
        *("numba", "llvmlite", "numpy", "torch"),
    },
    "generator/engine/loading": {
        *("generator.engine", "generator.wire"),
        *("torch", "transformers", "tokenizers", "huggingface_hub", "numpy", "tqdm"),
    },
    "web": {
        *("stories", "generator", "web"),
        *("flask", "flask_socketio", "socketio", "engineio", "werkzeug", "simple_websocket"),
        *("itsdangerous", "prometheus_client"),
    },
    "web/concurrency.py": {"web", "generator.drafts.group_commit", "eventlet", "werkzeug"},
    "web/settings.py": set(),
    "server.py": {"stories", "generator", "web"},
    # Runs before any package is installed.
    "launch.py": {"generator.models.bundled", "web.settings"},
    "generator/models/bundled.py": set(),
}
FORBIDDEN: dict[str, set[str]] = {
    "generator": {"sqlite3"},
    "web": {"generator.engine", "sqlite3", "stories.storage"},
    "server.py": {"generator.engine"},
}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports_of(path: Path) -> Iterator[str]:
    """Yield every module that a file imports, also inside functions and for type checking, as `package.module`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{relative(path)} has a relative import"
            assert node.module
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part_of(path: Path, table: dict[str, set[str]]) -> set[str]:
    """Return the most specific entry of the table that covers the path."""
    name = relative(path)
    parts = [part for part in table if name == part or name.startswith(f"{part}/")]
    return table[max(parts, key=len)] if parts else set()


def is_within(module: str, packages: set[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def violations(path: Path) -> list[str]:
    """Return the modules that the file imports against the rules."""
    allowed, forbidden = part_of(path, MAY_IMPORT), part_of(path, FORBIDDEN)
    found = []
    for module in imports_of(path):
        outside = module.split(".")[0] not in sys.stdlib_module_names and not is_within(module, allowed)
        # `from generator.models import menu` yields the package too, which alone is no violation.
        is_package = any(name.startswith(f"{module}.") for name in allowed)
        if (outside and not is_package) or is_within(module, forbidden):
            found.append(module)
    return found


def test_imports_point_one_way() -> None:
    assert {relative(path): found for path in PRODUCT if (found := violations(path))} == {}


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("stories/x.py", "import generator.models.menu"),
        ("stories/x.py", "import flask"),
        ("stories/text/x.py", "from stories.draft import state"),
        ("stories/draft/x.py", "import stories.storage.store"),
        ("generator/wire/x.py", "from generator.drafts import open_drafts"),
        ("generator/drafts/x.py", "from generator.engine import loop"),
        ("generator/drafts/x.py", "from generator.library import library"),
        ("generator/drafts/x.py", "def f():\n    import torch"),
        ("generator/models/x.py", "from generator import engine"),
        ("generator/library/x.py", "import sqlite3"),
        ("generator/engine/x.py", "from generator.models import menu"),
        ("generator/engine/x.py", "import stories.text.changes"),
        ("generator/engine/tokens/x.py", "import torch"),
        ("generator/engine/scheduling/x.py", "import torch"),
        ("generator/engine/scheduling/x.py", "from generator.engine.networks import model_runner"),
        ("generator/engine/sampling/x.py", "if True:\n    import torch"),
        ("web/x.py", "import eventlet.tpool"),
        ("web/x.py", "from stories.storage import store"),
        ("server.py", "import torch"),
    ],
)
def test_a_wrong_import_is_found(place: str, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    assert violations(path)


def graph_of(sources: Mapping[str, Path]) -> dict[str, set[str]]:
    """Return for each module the modules of `sources` that it imports."""
    return {name: {found for found in imports_of(path) if found in sources} - {name} for name, path in sources.items()}


def folders_of(graph: Mapping[str, Set[str]]) -> dict[str, set[str]]:
    """Return the same graph between folders. The folder of `a.b.c` is `a.b`."""
    folders: dict[str, set[str]] = {}
    for name, imported in graph.items():
        folder = name.rpartition(".")[0]
        folders.setdefault(folder, set()).update({other.rpartition(".")[0] for other in imported} - {folder})
    return folders


def cycle_in(graph: Mapping[str, Set[str]]) -> list[str]:
    """Return the modules of one import cycle, or an empty list."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        return cycle
    return []


SOURCES = {relative(path).removesuffix(".py").replace("/", "."): path for path in PRODUCT if path.stem != "__init__"}


def test_modules_and_folders_have_no_import_cycles() -> None:
    graph = graph_of(SOURCES)
    assert cycle_in(graph) == []
    assert cycle_in(folders_of(graph)) == []


def test_an_import_cycle_is_found(tmp_path: Path) -> None:
    for name, source in {"a": "def f():\n    from p import b", "b": "if TYPE_CHECKING:\n    import p.a"}.items():
        (tmp_path / name).write_text(source)
    graph = graph_of({"p.a": tmp_path / "a", "p.b": tmp_path / "b"})
    assert cycle_in(graph)
    assert cycle_in(folders_of({"p.a": {"q.b"}, "q.c": {"p.d"}}))


def test_files_have_at_most_300_lines() -> None:
    lengths = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in [*PYTHON, *CLIENT]}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_folders_have_at_most_15_files() -> None:
    files = [path for path in [*PYTHON, *CLIENT] if path.name != "__init__.py"]
    counts = Counter(relative(path.parent) for path in files)
    assert {name: n for name, n in counts.items() if n > MAX_FILES and name not in LARGE_FOLDERS} == {}


def test_functions_have_at_most_40_lines() -> None:
    lengths = {f"{relative(path)}: {name}": length for path in PRODUCT for name, length in functions_of(path)}
    assert {name: length for name, length in lengths.items() if length > MAX_FUNCTION_LINES} == {}


def functions_of(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the name and the number of lines of each function in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


def test_every_module_has_a_docstring() -> None:
    modules = [path for path in PYTHON if path.name != "__init__.py"]
    without = [relative(path) for path in modules if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))]
    assert without == []


def test_class_names_are_unique() -> None:
    counts = Counter(name for path in PRODUCT for name in classes_of(path) if not name.startswith("_"))
    assert {name for name, n in counts.items() if n > 1} == set()


def classes_of(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    yield from (node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def test_file_names_name_a_subject() -> None:
    stems = {path.stem for path in [*PYTHON, *CLIENT]}
    assert not stems & {"utils", "util", "helpers", "helper", "manager", "misc", "common"}
