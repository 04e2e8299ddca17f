"""The example browser in a real browser: filtered, searched, side by side."""

import pytest
from support import study_fixture

LIST = "#examples-list"


@pytest.fixture(scope="module")
def page(report, open_page):
    return open_page(report / "index.html")


def choose(page, card):
    """Waits until the card's own examples are there: they are a script that is loaded when it is chosen."""
    page.click(f"#examples-controls button:text-is('{card}')")
    page.wait_for_function(f"document.getElementById('examples-list').innerText.includes('({card} ')")


def counted(page):
    return page.inner_text(".counted")


def test_only_what_all_sizes_got_wrong(page):
    choose(page, "lambada")
    assert counted(page) == "14 of 14 examples"
    page.select_option("#examples-options select >> nth=0", "wrong")
    shown = page.locator(f"{LIST} .example")
    assert 0 < shown.count() < 14 and counted(page).startswith(f"{shown.count()} of 14")
    assert set(page.locator(f"{LIST} summary .small").all_inner_texts()) == {"0 of 4 right"}
    page.select_option("#examples-options select >> nth=0", "differ")
    assert not {"0 of 4 right", "4 of 4 right"} & set(page.locator(f"{LIST} summary .small").all_inner_texts())


def test_only_what_one_size_got_right(page):
    choose(page, "lambada")
    page.select_option("#examples-options select >> nth=0", "right")
    page.select_option("#examples-options select >> nth=1", "pocket-l")
    page.click("#examples-options button:text-is('side by side')")
    column = page.locator(f"{LIST} thead th").all_inner_texts().index("pocket-l")
    cells = page.locator(f"{LIST} tbody tr")
    assert cells.count() > 0
    for i in range(cells.count()):
        assert "✓ right" in cells.nth(i).locator(f":nth-child({column + 1})").first.inner_text()


def test_text_is_looked_for_in_passages_and_answers(page):
    choose(page, "lambada")
    page.fill("#examples-options input[type=search]", "(LAMBADA 7)")
    page.wait_for_function("document.querySelector('.counted').innerText.startsWith('1 of')")
    assert "(lambada 7)" in page.inner_text(f"{LIST} .passage")
    page.fill("#examples-options input[type=search]", "nothing of the kind")
    page.wait_for_function("document.querySelector('.counted').innerText.startsWith('0 of')")
    assert "None of them fits." in page.inner_text(LIST)


def test_generations_for_the_same_prompt_stand_side_by_side(page):
    choose(page, "coqa")
    heads = page.locator(f"{LIST} thead th").all_inner_texts()
    assert heads == ["example", "expected", *study_fixture.SIZES]
    row = page.locator(f"{LIST} tbody tr").first
    assert "What did he row?" in row.locator("th").inner_text()
    assert row.locator("td").count() == 5
    assert "<script>window.hacked = 1</script>" in row.inner_text() and page.evaluate("window.hacked") is None
    page.click("#examples-runs button:text-is('pocket-s')")
    assert "pocket-s" not in page.locator(f"{LIST} thead th").all_inner_texts()


def test_more_are_shown_on_demand(page):
    choose(page, "lambada")
    assert page.locator(f"{LIST} .example").count() == 12
    page.click(f"{LIST} button:text-is('Show 2 more')")
    assert page.locator(f"{LIST} .example").count() == 14


def test_what_cannot_be_judged_offers_no_right_or_wrong(page):
    choose(page, "cnn_dailymail")
    assert page.locator("#examples-options select").count() == 0
    assert page.locator("#examples-options input[type=search]").count() == 1
