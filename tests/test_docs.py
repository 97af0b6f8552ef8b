"""Docs that can be compared with what they describe, are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("generator/**/*.md")])
PARTS = ("web", "generator", "stories", "client/src")
FOLDERS = sorted({path.parent.relative_to(ROOT).as_posix() for part in PARTS for path in (ROOT / part).rglob("*.*")})
FOLDERS = [name for name in FOLDERS if "__pycache__" not in name]


@pytest.mark.parametrize("folder", [name for name in FOLDERS if list((ROOT / name).glob("[!_]*.*"))])
def test_every_folder_is_on_the_map(folder: str) -> None:
    assert f"\n* `{folder}/`" in ARCHITECTURE


def test_the_map_names_no_folder_that_is_gone() -> None:
    for name in re.findall(r"^\* `([\w/]+)/`", ARCHITECTURE, re.MULTILINE):
        assert (ROOT / name).is_dir(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    names = re.findall(r"\]\(([^)#:]+)\)", text) + re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.\w+)`", text)
    for name in names:
        assert (page.parent / name).exists() or (ROOT / name).exists(), f"{page.name} names {name}"
