"""The report in a real browser, opened from disk."""

import pytest
from support import study_fixture


def text_of(page, selector: str) -> str:
    return page.inner_text(selector)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory, write_page):
    """A study whose name, run names and failure are HTML."""
    names = {"<img src=x onerror=hacked=1>": 25_600, "<b>bold<": 102_400, "a&lt;b": 409_600}
    folder = study_fixture.write_study(tmp_path_factory.mktemp("outputs") / "<script>hacked=1<", names, n_steps=20)
    study_fixture.write_json(folder / "pocket-xl/status.json", {"state": "failed", "reason": study_fixture.HOSTILE})
    return write_page(folder)


@pytest.fixture(scope="module")
def shown(report, open_page):
    """The report at desktop width, in light colours: for tests that only look."""
    return open_page(report / "index.html")


@pytest.fixture(scope="module")
def used(report, open_page):
    """The report again, for tests that press its buttons; each presses others."""
    return open_page(report / "index.html")


def test_opens_from_disk_without_a_fault_or_the_network(shown):
    page = shown
    assert page.faults == []
    assert {url.split(":")[0] for url in page.requests} <= {"file", "data"}
    assert len(page.requests) >= 5


def test_every_figure_draws_marks(shown):
    page = shown
    marks = page.eval_on_selector_all(
        ".plot",
        "(nodes) => nodes.map((node) => node.querySelectorAll('.trace path.point, .trace path.js-line').length)",
    )
    # Law, curves, the metrics of the cards; three tasks of the paper's figure 1, and its figure 4.
    assert len(marks) == 2 + study_fixture.N_PANELS + 3 + 1
    assert min(marks) >= 4


def test_the_first_screen_answers(shown):
    page = shown
    verdict = text_of(page, "#verdict")
    assert verdict.startswith(
        "Four sizes, 25.6\u00a0K to 1.64\u00a0M parameters: validation loss falls from 4.44 to 3.05"
    )
    assert "N−α with α = 0.090" in verdict.replace("\n", "")
    assert "they are not benchmark results" in text_of(page, "#sample-note")
    assert "cannot carry an irreducible term" in text_of(page, "#warnings")
    assert "inside the interval" in text_of(page, "#hold-out")
    for part in ("#verdict", "#sample-note", "#law-figure"):
        box = page.locator(part).bounding_box()
        assert box["y"] + box["height"] <= 860, part


def test_every_score_says_what_it_is(shown):
    page = shown
    badges = page.eval_on_selector_all(
        "#benchmarks .card", "(cards) => cards.map((card) => card.querySelector('.badge').innerText)"
    )
    assert sorted(badges) == ["HELD-OUT TEXT"] + len(study_fixture.CARDS) * ["SAMPLE"]
    heads = page.eval_on_selector_all(
        "#results-table th", "(heads) => heads.filter((h) => h.querySelector('.badge')).length"
    )
    assert heads == len(study_fixture.CARDS)


def test_runs_have_short_names_and_keep_their_own(tmp_path, open_page, write_page):
    folder = study_fixture.write_study(tmp_path / "pocket", n_steps=20, failed=False, cell="{}-seed1-0badcafe")
    page = open_page(write_page(folder))
    names = list(study_fixture.SIZES)
    labels = page.eval_on_selector_all("#law-figure .textpoint text", "(all) => all.map((node) => node.textContent)")
    assert labels == names
    heads = page.locator("#results-table tbody th")
    assert heads.all_inner_texts() == names
    assert heads.nth(0).get_attribute("title") == "pocket-xs-seed1-0badcafe"
    assert all(heads.nth(i).bounding_box()["height"] < 60 for i in range(4))
    assert "pocket-xs-seed1-0badcafe" in text_of(page, "#provenance-table")
    for part in ("#verdict", "#facts", "#curves-runs", "#benchmarks", "#examples-list", "#cost-table"):
        assert "0badcafe" not in text_of(page, part)


def test_labels_and_marks_lie_inside_the_law_figure(shown, report, open_page):
    for page in (shown, open_page(report / "index.html", width=390)):
        box = page.locator("#law-figure").bounding_box()
        for label in page.locator("#law-figure .textpoint text").all():
            text_box = label.bounding_box()
            assert box["x"] <= text_box["x"] and text_box["x"] + text_box["width"] <= box["x"] + box["width"]


def test_no_axis_shows_markup_or_goes_below_zero(shown):
    ticks = shown.eval_on_selector_all(".xtick text, .ytick text", "(all) => all.map((node) => node.textContent)")
    assert len(ticks) > 100
    assert not [text for text in ticks if "{" in text or text.startswith("−") or text.startswith("-")]


def test_crosses_are_explained_only_where_there_are_any(shown):
    assert "the paper's models" not in text_of(shown, "#benchmarks .lede")


def test_a_failed_run_shows_its_log(shown):
    text = text_of(shown, "#unfinished")
    assert "pocket-xl/log.txt" in text
    shown.click("#unfinished summary")
    assert "pocket-xl  step 2/500  loss nan\nthe loss is not finite" in text_of(shown, "#unfinished .log")


def test_html_in_data_is_text(hostile, open_page):
    page = open_page(hostile)
    assert page.faults == []
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("document.querySelectorAll('main script, main img, main b').length") == 0
    assert page.title() == "<script>hacked=1< · zeroscale report"
    assert "<img src=x onerror=hacked=1>" in text_of(page, "#results-table")
    assert study_fixture.HOSTILE.strip()[:40] in text_of(page, "#unfinished")
    assert "<script>window.hacked = 1</script>" in page.inner_text("#examples-list")
    labels = page.eval_on_selector_all(
        "#law-figure .textpoint text", "(nodes) => nodes.map((node) => node.textContent)"
    )
    assert [label.strip() for label in labels] == ["<img src=x onerror=hacked=1>", "<b>bold<", "a&lt;b"]


def test_no_width_scrolls_sideways(hostile, open_page):
    page = open_page(hostile, width=390)
    for width in (390, 600, 900, 1280):
        page.set_viewport_size({"width": width, "height": 860})
        # Figures follow a moment later.
        narrow = "[...document.querySelectorAll('.plot')].every((node) => node.scrollWidth <= node.clientWidth)"
        page.wait_for_function(narrow, timeout=120_000)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_dark_follows_the_system_and_the_button_turns_it(shown, report, open_page):
    def colors(page):
        styles = "(nodes) => nodes.map((node) => node.style.stroke + node.style.fill)"
        marks = page.eval_on_selector_all("#law-figure path.js-line, #law-figure path.point", styles)
        return [page.evaluate("getComputedStyle(document.body).backgroundColor"), *marks]

    light = colors(shown)
    page = open_page(report / "index.html", dark=True)
    dark = colors(page)
    assert light[0] == "rgb(255, 255, 255)"
    assert len(light) == 1 + 4 + 5  # band, curve and its extrapolation; prediction and four sizes
    assert all(one != other for one, other in zip(light, dark, strict=True))
    page.click("#theme")
    assert colors(page) == light


def test_curves_change_axis_scale_and_runs(used):
    page = used
    layout = "document.getElementById('curves-figure')._fullLayout"
    shown = "document.querySelectorAll('#curves-figure .scatterlayer .trace').length"
    before = page.evaluate(shown)
    page.click("#curves-controls button:text-is('FLOPs')")
    assert page.evaluate(f"{layout}.xaxis.title.text") == "training FLOPs"
    assert page.evaluate("Math.max(...document.getElementById('curves-figure').data[0].x)") > 1e12
    page.click("#curves-controls [aria-label='x axis'] button:text-is('linear')")
    assert page.evaluate(f"{layout}.xaxis.type") == "linear"
    assert page.evaluate("document.querySelectorAll('#curves-figure .xtick').length") >= 3
    page.click("#curves-runs button >> nth=0")
    assert page.get_attribute("#curves-runs button >> nth=0", "aria-pressed") == "false"
    assert page.evaluate(shown) == before - 3


def test_the_table_sorts_by_keyboard(used):
    page = used
    button = page.locator("#results-table thead button").nth(4)
    button.focus()
    page.keyboard.press("Enter")
    first = "#results-table tbody tr:first-child th"
    assert page.locator("#results-table thead th").nth(4).get_attribute("aria-sort") == "ascending"
    assert text_of(page, first) == "pocket-l"
    page.keyboard.press("Enter")
    assert text_of(page, first) == "pocket-xs"


def test_examples_show_what_each_size_said(used):
    page = used
    page.click("#examples-controls button:text-is('lambada')")
    page.wait_for_function("document.getElementById('examples-list').innerText.includes('gave the word probability')")
    assert page.locator("#examples-list details").count() == 12
    first = text_of(page, "#examples-list details >> nth=0")
    assert all(name in first for name in study_fixture.SIZES)
    assert first.count("✓ right") + first.count("✗ wrong") == 4


def test_names_and_headings_for_a_screen_reader(shown):
    page = shown
    figures = page.eval_on_selector_all(".plot", "(nodes) => nodes.map((node) => node.ariaLabel)")
    assert all(figures) and len(set(figures)) == len(figures)
    assert page.locator("h1").count() == 1
    assert page.eval_on_selector_all("button", "(all) => all.every((b) => b.innerText.trim() || b.ariaLabel)")
    assert page.eval_on_selector_all("table", "(all) => all.every((t) => t.caption.innerText)")
    stops = page.evaluate("document.querySelectorAll('.plot a, .plot button, .plot [tabindex]').length")
    assert stops == 0  # the figures add no tab stops of their own


def test_a_study_of_a_hundred_runs_stays_small(tmp_path, open_page, write_page):
    names = {f"run-{i:03d}": round(20_000 * 1.05**i) for i in range(100)}
    folder = study_fixture.write_study(tmp_path / "many", names, n_steps=1000, fit=False, failed=False, scored=False)
    index = write_page(folder)
    assert (index.parent / "data.js").stat().st_size < 6_000_000
    page = open_page(index)
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
