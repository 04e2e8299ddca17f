"""One table, written in every format."""

import io

from rich.console import Console

from zeroscale.core.tables import Cell, Column, Table, text_lines, text_widths

SCORES = Table(
    [Column("run"), Column("loss", number=True, note="nats"), Column("verdict")],
    [
        [Cell("small", origin="runs/small"), Cell("3.40", 3.4041, note="3.39 to 3.42", low=3.39, high=3.42), Cell("")],
        [Cell("large | last"), Cell("–"), Cell("inside", badge="SAMPLE")],
    ],
    "Every loss.",
)


def test_text_has_columns_under_each_other_and_numbers_to_the_right():
    assert SCORES.text().splitlines() == [
        *("Every loss.", "run           loss  verdict", "small         3.40", "large | last     –  inside"),
    ]


def test_csv_holds_every_digit_and_the_ends_of_intervals():
    assert SCORES.csv() == "run,loss,loss/low,loss/high,verdict\nsmall,3.4041,3.39,3.42,\nlarge | last,,,,inside\n"


def test_markdown_aligns_numbers_and_names_notes():
    assert SCORES.markdown().splitlines() == [
        *("Every loss.", "", "| run | loss (nats) | verdict |", "|---|---:|---|"),
        *("| small | 3.40 (3.39 to 3.42) |  |", r"| large \| last | – | inside (SAMPLE) |"),
    ]


def test_markdown_of_markup_leaves_links_and_bold():
    table = Table.of_texts(["card", Column("n", number=True)], [["[a](#a)", "**1 | 2**"]])
    assert table.markdown_of_markup() == "| card | n |\n|---|---|\n| [a](#a) | **1 \\| 2** |"


def test_latex_has_intervals_below_their_numbers():
    lines = SCORES.latex().splitlines()
    assert lines[0] == "% Every loss." and r"\begin{tabular}{lrl}" in lines
    assert r" & {\scriptsize [3.39, 3.42]} &  \\" in lines


def test_json_is_what_the_page_reads():
    assert SCORES.json() == {
        "columns": [{"label": "run"}, {"label": "loss", "note": "nats", "number": True}, {"label": "verdict"}],
        "rows": [
            {
                "cells": [
                    {"text": "small", "sort": "small", "origin": "runs/small"},
                    {"text": "3.40", "sort": 3.4041, "note": "3.39 to 3.42", "low": 3.39, "high": 3.42},
                    {"text": ""},
                ]
            },
            {
                "cells": [
                    {"text": "large | last", "sort": "large | last"},
                    {"text": "–", "sort": "–"},
                    {"text": "inside", "sort": "inside", "badge": "SAMPLE"},
                ]
            },
        ],
    }


def test_tables_under_one_head_share_its_widths():
    columns = ["", Column("n", number=True), "note"]
    first = Table.of_texts(columns, [["  acc", "1", "x"]], "lambada")
    second = Table.of_texts(columns, [["  perplexity", "12,345"], ["  f1", "2", "runs on and on"]], "coqa")
    # A row that is shorter may run on over the columns beside it.
    assert text_widths([first, second]) == [12, 1, 14]
    assert text_lines([first, second], [12, 6, 14]) == [
        "                   n  note",
        "lambada",
        "  acc              1  x",
        "coqa",
        "  perplexity  12,345",
        "  f1               2  runs on and on",
    ]


def test_what_does_not_fit_into_a_terminal_follows_below():
    assert SCORES.fitted_text(80) == [
        *("run                   loss  verdict", "------------  ------------  -------"),
        *("small                 3.40", "              3.39 to 3.42", "large | last             –  inside"),
        "                            SAMPLE",
    ]
    narrow = SCORES.fitted_text(30)
    below = narrow.index("") + 1
    assert narrow[0].split() == ["run", "loss"] and narrow[below].split() == ["run", "verdict"]
    assert max(map(len, narrow)) <= 30


def test_brackets_in_a_rich_table_are_text():
    text = io.StringIO()
    Console(file=text, width=40).print(Table.of_texts(["settings"], [["cards=[lambada] [/x]"]]).rich())
    assert "cards=[lambada] [/x]" in text.getvalue()


def test_a_rich_table_has_totals_and_a_caption_where_they_are():
    columns = [Column("run", total="total"), Column("steps", number=True, total="30")]
    text = io.StringIO()
    Console(file=text, width=40).print(Table.of_texts(columns, [["a", "10"], ["b", "20"]], "2 of 2 finished").rich())
    words = [line.split() for line in text.getvalue().splitlines() if line.strip(" ─")]
    assert words == [["run", "steps"], ["a", "10"], ["b", "20"], ["total", "30"], ["2", "of", "2", "finished"]]
