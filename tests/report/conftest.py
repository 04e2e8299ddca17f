"""The made-up studies and their reports, written once; a real browser, where there is one."""

import shutil
from pathlib import Path

import pytest
from support import law_fixture, study_fixture
from support.made_study import disk  # noqa: F401
from support.once import once

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Nothing but the page may speak: no update check, no first-run page, no GPU.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]


def _pocket(folder: Path) -> None:
    from zeroscale.report.dashboard import write

    write(study_fixture.write_study(folder / "pocket"))


def _isoflop(folder: Path) -> None:
    from zeroscale.report.dashboard import write
    from zeroscale.scaling import Options, fit_study

    study = law_fixture.write_study(folder / "isoflop")
    fit_study(study, options=Options(law=("auto",), bootstrap=200))
    write(study)


@pytest.fixture(scope="session")
def study(tmp_path_factory) -> Path:
    """Four sizes along a known law and a failed run, scored on samples; with its report. Not to be changed."""
    return once(tmp_path_factory, "report-pocket", _pocket) / "pocket"


@pytest.fixture(scope="session")
def report(study) -> Path:
    """The report's folder."""
    return study / "report"


@pytest.fixture(scope="session")
def isoflop(tmp_path_factory) -> Path:
    """The made-up isoFLOP study, fitted by every law that its runs carry; with its report. Not to be changed."""
    return once(tmp_path_factory, "report-isoflop", _isoflop) / "isoflop"


@pytest.fixture(scope="session")
def write_page():
    """`dashboard.write` without the static figures and tables, which take seconds: for tests of the page alone."""
    from zeroscale.report import dashboard

    def write(*studies, **options):
        with pytest.MonkeyPatch.context() as patch:
            for module in ("figures.matplotlib_files", "tables.table_files"):
                patch.setattr(f"zeroscale.report.{module}.write", lambda *_: [])
            return dashboard.write(*studies, **options)

    return write


@pytest.fixture(scope="session")
def browser():
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install zeroscale[test]"
    )
    executable = next((path for path in map(shutil.which, BROWSERS) if path), None)
    with sync_api.sync_playwright() as playwright:
        try:
            running = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        except sync_api.Error as error:
            pytest.skip(f"no browser: install chromium ({str(error).splitlines()[0]})")
        yield running
        running.close()


@pytest.fixture(scope="module")
def open_page(browser):
    """`open_page(path, width=, dark=)` → the page with every figure drawn; it lists its `faults` and `requests`."""
    contexts = []

    def opened(index: Path, width: int = 1280, dark: bool = False):
        context = browser.new_context(
            viewport={"width": width, "height": 860}, color_scheme="dark" if dark else "light"
        )
        contexts.append(context)
        page = context.new_page()
        page.faults, page.requests = [], []
        page.on("console", lambda message: page.faults.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.on("request", lambda request: page.requests.append(request.url))
        page.goto(index.as_uri())
        drawn = "[...document.querySelectorAll('.plot')].every((node) => node.dataset.drawn)"
        listed = "(!document.getElementById('examples') || document.querySelector('.counted'))"
        page.wait_for_function(f"document.querySelectorAll('.plot').length && {drawn} && {listed}", timeout=120_000)
        return page

    yield opened
    for context in contexts:
        context.close()
