"""Both reports for everybody: axe-core's rules, print, no console error and no network at any width or theme."""

import json
import re

import pytest

REPORTS = ("pocket", "isoflop")


@pytest.fixture(scope="module")
def indices(study, isoflop):
    return {name: folder / "report/index.html" for name, folder in zip(REPORTS, (study, isoflop), strict=True)}


@pytest.fixture(scope="module", params=REPORTS)
def shown(request, indices, open_page):
    """Each report at desktop width, in light colours."""
    return open_page(indices[request.param])


def serious(page):
    """What axe-core calls serious or critical: (rule, where)."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-core is not installed: pip install zeroscale[test]"
    )
    violations = axe.Axe().run(page).response["violations"]
    grave = [violation for violation in violations if violation["impact"] in ("serious", "critical")]
    return [(violation["id"], node["target"]) for violation in grave for node in violation["nodes"]]


LOOKS = [("pocket", 1280), ("pocket", 390), ("isoflop", 1280), ("isoflop", 390)]


def test_axe_finds_nothing_serious(shown):
    assert shown.faults == [] and {url.split(":")[0] for url in shown.requests} <= {"file", "data"}
    assert serious(shown) == []


def test_axe_finds_nothing_serious_on_a_dark_phone_with_all_that_opens(indices, open_page):
    page = open_page(indices["pocket"], width=390, dark=True)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    page.click("#examples-options button:text-is('side by side')")
    page.locator("#results-table button.from").first.click()
    assert page.is_visible("#origin") and serious(page) == []
    page.click("#origin-close")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(("name", "width"), LOOKS)
def test_axe_finds_nothing_serious_anywhere(indices, open_page, name, width, dark):
    page = open_page(indices[name], width=width, dark=dark)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_every_figure_is_valid_and_draws(shown):
    """plotly's own schema judges what the page made of the data: an attribute that it does not know raises."""
    from plotly import graph_objects

    drawn = shown.evaluate(
        "JSON.stringify([...document.querySelectorAll('.plot')].map((node) => [node.data, node.layout]))"
    )
    for data, layout in json.loads(drawn):
        graph_objects.Figure({"data": data, "layout": layout})
    marks = shown.eval_on_selector_all(
        ".plot", "(all) => all.map((one) => one.querySelectorAll('.trace path, .trace text').length)"
    )
    assert len(marks) > 8 and min(marks) >= 3


def test_the_whole_page_can_be_reached_by_keyboard(shown):
    shown.keyboard.press("Tab")
    assert shown.evaluate("document.activeElement.className") == "skip"
    shown.keyboard.press("Enter")
    seen = set()
    for _ in range(400):
        shown.keyboard.press("Tab")
        where = shown.evaluate("document.activeElement.closest('section')?.id || document.activeElement.tagName")
        if where == "BODY":
            break
        seen.add(where)
    sections = set(shown.eval_on_selector_all("section", "(all) => all.map((one) => one.id)"))
    # Figures have their numbers in the tables, and what all runs share is text alone.
    assert sections - seen <= {"paper", "benchmarks", "provenance"}


def test_it_prints_in_light_colours_with_every_figure(indices, open_page):
    page = open_page(indices["pocket"], dark=True)
    sheets = page.pdf(format="A4", print_background=True)
    assert sheets.startswith(b"%PDF") and 3 <= len(re.findall(rb"/Type\s*/Page\b", sheets)) <= 60
    page.emulate_media(media="print")
    assert not page.is_visible("nav") and page.is_visible("#verdict") and page.is_visible("#law-figure")
