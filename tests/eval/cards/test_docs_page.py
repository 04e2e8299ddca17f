"""docs/benchmarks-of-the-paper.md is what the cards say today."""

import pytest

from zeroscale.core import paths
from zeroscale.eval.cards import card as cards
from zeroscale.eval.cards import docs_page, registry

PAGE = paths.evals().parent / "docs" / "benchmarks-of-the-paper.md"


def test_the_page_is_current() -> None:
    found = PAGE.read_text(encoding="utf-8")
    assert found == docs_page.page(), f"the cards have changed: {docs_page.COMMAND}"


@pytest.mark.parametrize("name", registry.suites()["paper"])
def test_each_card_has_its_section_with_every_choice_number_and_reproduction(name: str) -> None:
    (card,) = registry.resolve([name])
    section = docs_page.page().split(f"\n## {name}\n")[1].split("\n## ")[0]
    for choices in card.protocols.values():
        for field, choice in choices.items():
            assert f"| `{field}` |" in section
            assert choice.says.removeprefix("assumed").replace("|", "\\|").replace("\n", "⏎") in section
    for entry in card.paper:
        for size in (*cards.SIZES, "no_model"):
            value = getattr(entry, size)
            assert value is None or f" {value:g} |" in section
    for one in card.reproductions:
        assert (
            f"| `{one.metric}` | {one.size.replace('_', ' ')} | {one.value:g} | {one.how} | {one.source} |" in section
        )
    assert card.licence in section and card.citation in section


def test_a_choice_that_is_assumed_is_marked() -> None:
    assert "| `leading_newline` | `true` | *assumed*:" in docs_page.page()
