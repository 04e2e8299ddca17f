"""The made-up study and its report, written once; a real browser, where there is one."""

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

# Under importlib mode a test's folder is not on the path; the fixture is a module beside this file.
_spec = importlib.util.spec_from_file_location("study_fixture", Path(__file__).with_name("study_fixture.py"))
study_fixture = importlib.util.module_from_spec(_spec)
sys.modules["study_fixture"] = study_fixture
_spec.loader.exec_module(study_fixture)

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Nothing but the page may speak: no update check, no first-run page, no GPU.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="session")
def study(tmp_path_factory) -> Path:
    return study_fixture.write_study(tmp_path_factory.mktemp("outputs") / "pocket")


@pytest.fixture(scope="session")
def report(study) -> Path:
    """The report's folder."""
    from zeroscale.report.dashboard import write

    return write(study).parent


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
        page.wait_for_function(f"document.querySelectorAll('.plot').length && {drawn}", timeout=30_000)
        return page

    yield opened
    for context in contexts:
        context.close()
