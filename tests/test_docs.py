"""The docs: the map names every folder, named files exist, and lines have at most 120 characters."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("generator/**/*.md")])
MAX_LINE = 120
PARTS = ("web", "generator", "stories", "client/src")
FOLDERS = sorted({path.parent.relative_to(ROOT).as_posix() for part in PARTS for path in (ROOT / part).rglob("*.*")})
FOLDERS = [name for name in FOLDERS if "__pycache__" not in name]


@pytest.mark.parametrize("folder", [name for name in FOLDERS if list((ROOT / name).glob("[!_]*.*"))])
def test_every_folder_is_on_the_map(folder: str) -> None:
    assert f"\n* `{folder}/`" in ARCHITECTURE


def test_the_map_names_only_folders_that_exist() -> None:
    for name in re.findall(r"^\* `([\w/]+)/`", ARCHITECTURE, re.MULTILINE):
        assert (ROOT / name).is_dir(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_files_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    names = re.findall(r"\]\(([^)#:]+)\)", text) + re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.\w+)`", text)
    for name in names:
        assert (page.parent / name).exists() or (ROOT / name).exists(), f"{page.name} names {name}"


def long_lines(text: str) -> list[int]:
    """Return the numbers of the lines that are too long.

    Table rows, code blocks and the targets of links do not count.
    """
    found, is_code = [], False
    for number, line in enumerate(text.splitlines(), 1):
        is_code ^= line.startswith("```")
        shown = re.sub(r"\]\([^)]*\)|https?://\S+", "", line)
        if not is_code and not line.startswith("|") and len(shown) > MAX_LINE:
            found.append(number)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_lines_have_at_most_120_characters(page: Path) -> None:
    assert long_lines(page.read_text(encoding="utf-8")) == []


def test_long_lines_finds_long_prose_only() -> None:
    words, fits = "word " * 30, "w" * MAX_LINE
    assert long_lines(f"{fits}\n{fits}w\n{words}") == [2, 3]
    assert (
        long_lines(f"| {words} |\n```\n{words}\n```\n[a link](https://example.org/{fits})\nhttps://example.org/{fits}")
        == []
    )
    assert long_lines(f"```\n```\n{words}") == [3]
