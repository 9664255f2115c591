"""Themes, and what automated checks say about a page."""

from __future__ import annotations

from typing import Final

from playwright.sync_api import Page

from moonx_pipeline_tests.fixtures.dagster import ROOT

AXE: Final = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"


THEMES: Final = ("light", "dark")


def problems_for_some(page: Page) -> list[str]:
    """What axe finds that keeps somebody from using the page. Evaluated, since the page's policy allows no script."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{rule['id']}: {rule['help']}: {node['html'][:200]} ({node['failureSummary']})"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]
