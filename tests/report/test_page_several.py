"""Several studies on one page, and many runs, in a real browser."""

import pytest
from support import study_fixture


@pytest.fixture(scope="module")
def shown(tmp_path_factory, open_page, write_page):
    parent = tmp_path_factory.mktemp("outputs")
    first = study_fixture.write_study(parent / "pocket", n_steps=30)
    names = {f"<i>run-{i:02d}": round(20_000 * 1.2**i) for i in range(24)}
    second = study_fixture.write_study(parent / "many", names, n_steps=30, fit=False, failed=False, scored=False)
    return open_page(write_page([first, second]))


def test_it_opens_without_a_fault_and_says_which_is_which(shown):
    assert shown.faults == [] and {url.split(":")[0] for url in shown.requests} <= {"file", "data"}
    assert shown.inner_text("#title") == "Studies pocket + many"
    assert shown.locator("#studies-table tbody th").all_inner_texts() == ["pocket", "many"]
    assert shown.evaluate("document.querySelectorAll('main i').length") == 0
    assert shown.evaluate("document.documentElement.scrollWidth") <= 1280


def test_each_study_has_one_colour(shown):
    colours = shown.eval_on_selector_all(
        "#law-figure .trace.scatter .point", "(all) => all.map((one) => one.style.fill)"
    )
    assert len(colours) == 4 + 24 and len(set(colours)) == 2


def test_curves_of_many_runs_share_traces_and_can_be_looked_for(shown):
    traces = "document.getElementById('curves-figure').data.length"
    assert shown.evaluate(traces) == 4  # training and validation, of two studies
    points = "document.getElementById('curves-figure').data.reduce((sum, one) => sum + one.x.length, 0)"
    before = shown.evaluate(points)
    shown.click("#curves-runs button >> nth=0")
    assert 0 < shown.evaluate(points) < before
    shown.click("#curves-runs button >> nth=0")
    assert shown.evaluate(points) == before


def test_smoothing_can_be_chosen(report, open_page):
    page = open_page(report / "index.html")
    roughness = """(() => {
        const one = document.getElementById('curves-figure').data.find((trace) => trace.meta.part === 'smooth');
        return one.y.slice(-200).reduce((sum, y, i, all) => sum + (i ? Math.abs(y - all[i - 1]) : 0), 0);
    })()"""
    by_span = {}
    for span in ("light", "medium", "heavy"):
        page.click(f"#curves-controls [aria-label='Smoothing'] button:text-is('{span}')")
        by_span[span] = page.evaluate(roughness)
    assert by_span["light"] > 1.5 * by_span["medium"] > 2 * by_span["heavy"]
    page.click("#curves-controls [aria-label='Smoothing'] button:text-is('none')")
    assert page.evaluate("document.getElementById('curves-figure').data.every((t) => t.meta.part !== 'smooth')")
