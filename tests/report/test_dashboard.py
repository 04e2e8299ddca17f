"""The report's folder: whole, the same every time, and free of anything a browser would fetch."""

import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from support import study_fixture

from zeroscale.core.errors import ZeroscaleError
from zeroscale.report import dashboard
from zeroscale.runs.study import Study


def page_of(report: Path) -> dict:
    text = (report / "data.js").read_text(encoding="utf-8")
    return json.loads(text.removeprefix("window.zeroscale = ").removesuffix(";\n"))


def test_the_folder_is_complete(report):
    assert {path.name for path in report.iterdir()} == {
        *("index.html", "style.css", "data.js", "examples", "figures", "tables", "plotly.min.js"),
        *dashboard.SCRIPTS,
    }
    names = {"benchmarks", "law", "loss_over_flops", "loss_over_tokens", "perplexity"}
    made = {path.name for path in (report / "figures").iterdir()}
    assert made == {f"{name}.{kind}" for name in names for kind in ("png", "svg", "pdf")}
    files = {path.relative_to(report).as_posix() for path in report.glob("[ft]*/*")}
    assert set(page_of(report)["static"]) == files
    assert len(list((report / "examples").iterdir())) == len(study_fixture.CARDS)


def test_figures_are_a_column_wide_at_300_dots_per_inch(report):
    header = (report / "figures/law.png").read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", header[16:24]) == (3.25 * 300, 3.2 * 300)


def test_the_same_study_gives_the_same_bytes(study, report, tmp_path):
    def content(folder):
        return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    before, after = content(report), content(dashboard.write(study, out=tmp_path / "report").parent)
    data = Path("data.js")
    pages = [page_of(report), page_of(tmp_path / "report")]
    assert pages[0].pop("links")["results"] == "../results.csv" and pages[1].pop("links")
    assert pages[0] == pages[1] and before.pop(data) and after.pop(data)
    assert before == after


def test_plotly_accepts_every_figure(report):
    """plotly's own schema judges the figures: an attribute or a value that it does not know raises."""
    from plotly import graph_objects

    page = page_of(report)
    panels = [panel["figure"] for card in page["benchmarks"] for panel in card["panels"]]
    assert len(panels) == study_fixture.N_PANELS
    for figure in [page["law"]["figure"], page["paper"]["perplexity"]["figure"], *panels]:
        graph_objects.Figure({"data": figure["data"], "layout": figure["layout"]})


def test_no_page_file_names_a_place_on_the_network(report):
    for name in (*dashboard.ASSETS, *dashboard.SCRIPTS):
        text = (report / name).read_text(encoding="utf-8")
        assert not re.search(r"https?://|fetch\(|XMLHttpRequest|@import|innerHTML|insertAdjacentHTML", text), name


def test_no_text_of_a_run_can_end_a_script(report):
    texts = [path.read_text(encoding="utf-8") for path in [report / "data.js", *(report / "examples").iterdir()]]
    assert not any("<" in text or "\u2028" in text for text in texts)
    escaped = json.dumps(study_fixture.HOSTILE, ensure_ascii=False)[1:-1].replace("<", "\\u003c")
    assert any(escaped.replace(">", "\\u003e").replace("\u2028", "\\u2028") in text for text in texts[1:])


def test_script_survives_what_is_not_a_character():
    assert dashboard.script({"said": "\ud800<"}) == 'window.zeroscale = {"said":"?\\u003c"};\n'


def test_a_missing_ledger_is_written_and_an_old_one_renewed(tmp_path, monkeypatch):
    monkeypatch.setattr("zeroscale.report.figures.matplotlib_files.write", lambda *_: None)
    folder = study_fixture.write_study(tmp_path / "pocket", n_steps=10, scored=False, failed=False)
    dashboard.write(folder)
    ledger = folder / "results.csv"
    assert ledger.is_file()
    ledger.write_text("cell,step\n")
    os.utime(ledger, (1, 1))
    dashboard.write(folder)
    assert "pocket-l" in ledger.read_text()


def test_a_study_with_nothing_to_draw_still_has_a_report(tmp_path):
    study_fixture.write_failed(tmp_path / "pocket/pocket-xl")
    (tmp_path / "pocket/pocket-xl/metrics.jsonl").unlink()
    page = page_of(dashboard.write(tmp_path / "pocket").parent)
    assert page["law"]["figure"] is None and page["curves"] is None
    assert page["unfinished"][0]["run"] == "pocket-xl"


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()])
def test_what_is_no_study_is_one_clear_message(tmp_path, make):
    make(tmp_path / "nothing")
    with pytest.raises(ZeroscaleError, match=r"nothing.*study"):
        dashboard.write(tmp_path / "nothing")


def test_a_failure_leaves_the_earlier_report(tmp_path, monkeypatch):
    folder = study_fixture.write_study(tmp_path / "pocket", n_steps=10, scored=False, failed=False)
    monkeypatch.setattr("zeroscale.report.figures.matplotlib_files.write", lambda *_: None)
    index = dashboard.write(folder)
    before = index.with_name("data.js").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("zeroscale.report.figures.matplotlib_files.write", full)
    with pytest.raises(ZeroscaleError, match="the disk is full"):
        dashboard.write(folder)
    assert index.with_name("data.js").read_bytes() == before
    assert not list(folder.glob(".report*"))


def test_no_heavy_library_is_loaded_for_a_report(tmp_path):
    """Eight seconds from the command to the page leave no room for torch or plotly's own import."""
    study = study_fixture.write_study(tmp_path / "pocket", n_steps=10, scored=False)
    Study(study).write_ledger()  # it is as the runs are: nothing is collected again
    code = "import sys, pathlib; from zeroscale.report.dashboard import write; write(pathlib.Path(sys.argv[1])); "
    code += "print(*(name for name in ('torch', 'plotly', 'pandas', 'scipy', 'lightning') if name in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code, str(study)], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == ""
