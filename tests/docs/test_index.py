"""docs/README.md lists every page; every relative link of every page leads somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def links(page: Path) -> list[str]:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text)]


def test_the_index_lists_every_page():
    named = set(links(ROOT / "docs" / "README.md"))
    assert {path.name for path in ROOT.glob("docs/*.md")} - {"README.md"} <= named


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    for link in links(page):
        if link and not link.startswith(("http:", "https:", "mailto:")):
            assert (page.parent / link).exists(), link
