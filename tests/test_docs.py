"""Docs that can be compared with what they describe, are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
MODULES = sorted(path for part in ("web", "generator", "stories") for path in (ROOT / part).rglob("*.py"))


@pytest.mark.parametrize("path", [path for path in MODULES if path.name != "__init__.py"], ids=lambda path: path.name)
def test_every_module_is_on_the_map(path: Path) -> None:
    heading = f"\n`{path.relative_to(ROOT).parent.as_posix()}/`"
    assert heading in ARCHITECTURE
    part = ARCHITECTURE.split(heading, 1)[1].split("\n`", 1)[0]
    assert f"`{path.name}`" in part, f"{path.name} is missing under {heading}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    names = re.findall(r"\]\(([^)#:]+)\)", text) + re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.\w+)`", text)
    for name in names:
        assert (page.parent / name).exists() or (ROOT / name).exists(), f"{page.name} names {name}"
