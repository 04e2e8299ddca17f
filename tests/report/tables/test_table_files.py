"""The report's tables as CSV, Markdown and LaTeX say what the page's tables say."""

import csv
import io
import re
import shutil
import subprocess

import pytest
from support import study_fixture

from zeroscale.core import latex
from zeroscale.core.tables import Cell, Column, Table
from zeroscale.report.tables import paper_tables, table_files
from zeroscale.report.views import benchmarks
from zeroscale.report.views.study import read_study


@pytest.fixture(scope="module")
def view(study):
    return read_study(study)


@pytest.fixture(scope="module")
def cards(view):
    return benchmarks.read_cards(view)


@pytest.fixture(scope="module")
def every(view, cards):
    return table_files.every(view, cards)


def test_each_table_is_written_three_times_and_the_same_each_time(view, cards, tmp_path):
    paths = table_files.write(tmp_path / "a", view, cards)
    names = {"results", "benchmarks", "law", "cost", "provenance"}
    assert {path.name for path in paths} == {f"{name}.{kind}" for name in names for kind in ("csv", "md", "tex")}
    again = table_files.write(tmp_path / "b", view, cards)
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]


def test_csv_has_every_digit_and_the_interval_in_columns_of_its_own(view, every):
    rows = list(csv.DictReader(io.StringIO(every["results"].csv())))
    run = next(run for run in view.runs if run.done)
    row = next(row for row in rows if row["run"] == run.label)
    assert float(row["validation loss"]) == run.row["val/loss"]
    assert float(row["parameters"]) == run.params
    point = next(result for result in run.results[run.row["step"]] if result.card == "wsc273").content["metrics"]["acc"]
    assert float(row["wsc273"]) == point["value"]
    assert (float(row["wsc273/low"]), float(row["wsc273/high"])) == (point["low"], point["high"])
    assert len(rows) == 4  # the failed run has no checkpoint, and no row


def test_markdown_has_as_many_cells_in_each_line(every):
    for name, table in every.items():
        lines = table.markdown().splitlines()
        bars = [len(re.findall(r"(?<!\\)\|", line)) for line in lines if line.startswith("|")]
        assert set(bars) == {len(table.columns) + 1} and len(bars) == len(table.rows) + 2, name


def test_latex_has_booktabs_rules_and_as_many_cells_in_each_line(every):
    for name, table in every.items():
        text = table.latex()
        for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\begin{tabular}", r"\end{tabular}"):
            assert text.count(rule) == 1, (name, rule)
        for line in text.splitlines():
            if line.endswith(r"\\"):
                assert len(re.findall(r"(?<!\\)&", line)) == len(table.columns) - 1, (name, line)
        assert balanced(text), name


def balanced(text: str) -> bool:
    bare = re.sub(r"\\[\\{}$&%#_]", "", "\n".join(line for line in text.splitlines() if not line.startswith("%")))
    return bare.count("{") == bare.count("}") and bare.count("$") % 2 == 0


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("100 % of a_b & c#d", r"100 \% of a\_b \& c\#d"),
        ("2 × 10^{−5}", r"2 $\times$ 10\textsuperscript{$-$5}"),
        ("a ∝ C^{a}", r"a $\propto$ C\textsuperscript{a}"),
        (r"\input{/etc/passwd} $x$", r"\textbackslash{}input\{/etc/passwd\} \$x\$"),
        ("1.2\u00a0M ~ ^", r"1.2~M \textasciitilde{} \textasciicircum{}"),
        ("two\n\nlines", "two lines"),
    ],
)
def test_text_is_set_letter_by_letter(text, escaped):
    assert latex.escape(text) == escaped


def test_a_hostile_name_is_text_in_every_kind(tmp_path):
    hostile = r"\input{x} | <script> & % $ # ` * "
    table = Table([Column("run"), Column("n", number=True)], [[Cell(hostile), Cell("3", 3)]])
    assert next(csv.reader(io.StringIO(table.csv().split("\n", 1)[1]))) == [hostile, "3"]
    assert "<script>" not in table.markdown() and r"\|" in table.markdown()
    assert r"\input" not in table.latex() and balanced(table.latex())


def test_the_papers_models_stand_beside_whole_benchmarks_only(view, cards):
    table = paper_tables.beside_paper(view, cards)
    labels = [column.label for column in table.columns]
    assert labels[:2] == ["benchmark", "metric"] and labels[2:6] == ["pocket-xs", "pocket-s", "pocket-m", "pocket-l"]
    assert len(labels) == 6  # samples only: nothing of the paper's belongs beside them
    card = next(card for card in cards if card.card == "lambada")
    panel = card.panels[0]
    real = benchmarks.Panel(
        panel.metric, panel.higher_is_better, None, panel.points, [("GPT-2 small", 85_056_000.0, 35.13)]
    )
    whole = benchmarks.Card(card.key, card.card, "paper", "benchmark", card.n, [real], [], [], [()])
    (row,) = paper_tables.beside_paper(view, [whole]).rows
    assert row[-1].text == "35.13" and len(row) == 7


def test_latex_typesets_them(every, tmp_path):
    compiler = shutil.which("pdflatex")
    if compiler is None:
        pytest.skip("no pdflatex: install texlive-latex-base to see the tables set")
    body = "\n\n".join(table.latex() for table in every.values())
    (tmp_path / "t.tex").write_text(
        r"\documentclass{article}\usepackage[utf8]{inputenc}\usepackage{booktabs}\begin{document}"
        + body
        + r"\end{document}"
    )
    result = subprocess.run([compiler, "-interaction=nonstopmode", "t.tex"], cwd=tmp_path, capture_output=True)
    assert result.returncode == 0, result.stdout.decode("utf-8", "replace")[-2000:]


def test_a_study_without_scores_has_the_tables_that_it_can_fill(tmp_path):
    folder = study_fixture.write_study(tmp_path / "bare", n_steps=4, scored=False, failed=False, fit=False)
    view = read_study(folder)
    assert set(table_files.every(view, benchmarks.read_cards(view))) >= {"results", "cost", "provenance"}
