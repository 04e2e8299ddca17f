"""Figures for a paper: three kinds from one style, with text that stays text and glyphs that are there."""

import re
import warnings
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from support import study_fixture

from zeroscale.report.figures import matplotlib_files
from zeroscale.report.views import benchmarks, size_law
from zeroscale.report.views.loss_curves import curves
from zeroscale.report.views.study import read_study

NAMES = {"benchmarks", "law", "loss_over_flops", "loss_over_tokens"}


@pytest.fixture(scope="module")
def drawn(study, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    view = read_study(study)
    with warnings.catch_warnings():
        # matplotlib warns of a glyph that its font lacks: a box would stand in the figure.
        warnings.simplefilter("error")
        written = matplotlib_files.write(
            folder, view, size_law.read_law(view), curves(view.runs), benchmarks.read_cards(view)
        )
    assert sorted(written) == sorted(folder.iterdir())
    return folder


def test_each_figure_is_there_as_png_svg_and_pdf(drawn):
    names = {path.stem for path in drawn.iterdir()}
    assert names >= NAMES
    assert {path.name for path in drawn.iterdir()} == {
        f"{name}.{kind}" for name in names for kind in ("png", "svg", "pdf")
    }


def test_a_pdf_has_embedded_truetype_and_no_date(drawn):
    content = (drawn / "law.pdf").read_bytes()
    assert content.startswith(b"%PDF-") and b"/Type3" not in content and b"/CreationDate" not in content
    assert b"/TrueType" in content or b"/CIDFontType2" in content


def test_an_svg_is_whole_xml_without_a_script_or_a_link(drawn):
    for path in drawn.glob("*.svg"):
        root = ElementTree.parse(path).getroot()
        tags = {element.tag.rpartition("}")[2] for element in root.iter()}
        assert "script" not in tags and "image" not in tags, path
        text = path.read_text(encoding="utf-8")
        assert not re.search(r'href="(?!#)', text), path


def test_the_same_study_gives_the_same_bytes(study, drawn, tmp_path):
    view = read_study(study)
    matplotlib_files.write(tmp_path, view, size_law.read_law(view), curves(view.runs), [])
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (drawn / path.name).read_bytes(), path.name


def test_what_others_published_stands_in_a_panel(study, monkeypatch):
    view = read_study(study)
    panel = next(card for card in benchmarks.read_cards(view) if card.card == "lambada").panels[0]
    rows = [("GPT-2 small", 85_056_000.0, 35.13), ("GPT-2 medium", 302_311_424.0, 15.6)]
    published = [benchmarks.PublishedScore(*row) for row in rows]
    whole = benchmarks.Panel(panel.metric, panel.higher_is_better, None, panel.points, published)
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    assert matplotlib_files._published(axes, whole) == {85_056_000.0, 302_311_424.0}
    (line,) = axes.lines
    assert list(line.get_ydata()) == [35.13, 15.6] and line.get_label() == "published"


def test_a_study_with_many_runs_has_figures_too(tmp_path):
    sizes = {f"m{i:03d}": 10_000 + 1_000 * i for i in range(30)}
    folder = study_fixture.write_study(tmp_path / "many", sizes, n_steps=4, scored=False, failed=False)
    view = read_study(folder)
    written = matplotlib_files.write(tmp_path / "out", view, size_law.read_law(view), curves(view.runs), [])
    assert {path.stem for path in written} >= {"law", "loss_over_tokens"}
