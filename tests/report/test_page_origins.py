"""Where a number comes from, asked for in a real browser: by mouse, by keyboard, in a table and in a figure."""

import pytest


@pytest.fixture(scope="module")
def page(report, open_page):
    return open_page(report / "index.html")


def facts(page):
    """The dialog's labels and texts."""
    labels, texts = (page.locator(f"#origin-facts {tag}").all_inner_texts() for tag in ("dt", "dd"))
    return dict(zip(labels, texts, strict=True))


def test_a_click_on_a_score_shows_its_hashes(page):
    place = page.locator("#results-table thead th").all_inner_texts()
    column = next(i for i, text in enumerate(place) if text.startswith("lambada"))
    page.locator("#results-table tbody tr").nth(2).locator("td").nth(column - 1).locator("button").click()
    shown = facts(page)
    assert shown["run"] == "pocket-m" and shown["step"] == "500"
    assert shown["file"] == "pocket-m/evals/step-00000500/lambada.paper.json"
    assert (shown["card hash"], shown["data hash"], shown["weights hash"]) == ("a" * 64, "b" * 64, "c" * 64)
    assert shown["settings hash of the run"] == "2" * 64 and "c0ffee" in shown["corpus of the run"]
    assert shown["to check it"].endswith("cell=pocket-m metric=lambada/perplexity")
    page.keyboard.press("Escape")
    assert not page.is_visible("#origin")


def test_the_keyboard_goes_from_number_to_number_and_back(page):
    page.locator("#results-table tbody button.from").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.closest('tr').cells[0].textContent") == "pocket-s"
    page.keyboard.press("Enter")
    assert page.is_visible("#origin") and facts(page)["run"] == "pocket-s"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.classList.contains('from')")
    stops = page.eval_on_selector_all(
        "#results-table button.from", "(all) => all.filter((b) => b.tabIndex === 0).length"
    )
    assert stops == 1


def test_the_exponent_leads_to_the_fit(page):
    page.click("#facts button.from:text-is('0.090')")
    shown = facts(page)
    assert shown["file"].endswith("fit.json") and shown["place in it"] == "laws, val/loss, parameters, alpha"
    assert page.inner_text("#origin-value") == "0.090 (95\u00a0%: 0.081 to 0.099)"
    page.click("#origin-close")
    assert not page.is_visible("#origin")


def test_a_click_on_a_point_shows_its_run(page):
    page.evaluate("scrollTo(0, 0)")
    point = page.locator("#law-figure .trace path.point").last.bounding_box()
    middle = point["x"] + point["width"] / 2, point["y"] + point["height"] / 2
    page.mouse.move(*middle)
    page.wait_for_selector("#law-figure .hoverlayer .hovertext")
    page.mouse.click(*middle)
    page.wait_for_selector("#origin[open]")
    assert facts(page)["run"] == "pocket-l"
    page.click("#origin-close")
    assert not page.is_visible("#origin")


def test_the_worst_behaved_run_is_on_the_first_screen(page):
    fact = page.locator("#facts div", has_text="worst-behaved run")
    assert "pocket-xl" in fact.inner_text() and "failed at step 3" in fact.inner_text()
    box = fact.bounding_box()
    assert box["y"] + box["height"] <= 860
    fact.locator("a").click()
    first = page.locator("#runs-table tbody tr").first
    assert first.locator("th").inner_text() == "pocket-xl"
    page.wait_for_function("document.getElementById('runs').getBoundingClientRect().top < 200")
