"""Accessibility: the rules of axe-core, a development dependency of client/, that a page breaks."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

from tests.app.server import ROOT

AXE = ROOT / "client" / "node_modules" / "axe-core" / "axe.min.js"
EVERYTHING = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = """async rules => (await axe.run(document, {
  runOnly: rules,
  resultTypes: ['violations'],
})).violations.map(({id, nodes}) =>
  ({id, where: nodes.map(node => node.html.slice(0, 160) + ' ' + node.failureSummary)}))"""


def violations(page: Page) -> list[dict[str, Any]]:
    """Return each broken rule and its places. The script is evaluated, because the page's policy forbids adding it."""
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(AXE.read_text("utf-8"))
    found: list[dict[str, Any]] = page.evaluate(RUN, EVERYTHING)
    return found
