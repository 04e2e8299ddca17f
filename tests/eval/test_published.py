"""Our scores beside the paper's: which numbers stand there, and where none may."""

import dataclasses
import math

import pytest

from zeroscale.eval import published, score_table
from zeroscale.eval.cards import registry as cards
from zeroscale.eval.results import Key, Result, Score

# Radford et al. 2019, table 2: layers and width of the four models.
SHAPES = {"small": (12, 768), "medium": (24, 1024), "large": (36, 1280), "xl": (48, 1600)}
LAMBADA = {one.name: one for one in cards.resolve(["lambada"])}


def result(params: int | None = 85_056_000, **changes) -> Result:
    key = Key("lambada", "paper", "files", "c", "d", "w", "t", None, 0, 0, 1000)
    names = {name: value for name, value in changes.items() if name in Key.__dataclass_fields__}
    rest = {name: value for name, value in changes.items() if name not in names}
    metrics = {
        "perplexity": Score(40.0, 38.0, 42.0, 5153, 5153, False, None),
        "acc": Score(0.33, 0.32, 0.34, 5153, 5153, True, 0.0),
        "acc_last_token": Score(None, None, None, 5153, 5153, True, 0.0),
    }
    defaults = {"metrics": metrics, "n": 5153, "unit": "passages", "family": "cloze_word", "is_benchmark": True}
    return Result(key=dataclasses.replace(key, **names), params_non_embedding=params, **{**defaults, **rest})


def rows(*results: Result, label: str = "mine") -> list[published.Row]:
    return published.rows(label, results, LAMBADA)


def test_the_papers_sizes_are_those_of_its_shapes() -> None:
    for size, (layers, width) in SHAPES.items():
        assert published.SIZES[size] == layers * (12 * width**2 + 13 * width) + 2 * width


@pytest.mark.parametrize(
    ("params", "size"), [(1, "small"), (85_056_000, "small"), (170e6, "medium"), (1.0e9, "large"), (1.1e9, "xl")]
)
def test_the_nearest_size_is_nearest_by_ratio(params: float, size: str) -> None:
    assert published.nearest(int(params), published.SIZES) == size


def test_a_score_stands_beside_the_papers_and_others_at_its_size() -> None:
    perplexity, acc, last = rows(result())
    assert (perplexity.paper.value, perplexity.paper.size) == (35.13, "small")
    assert perplexity.difference == pytest.approx(4.87)
    assert [one.value for one in perplexity.others] == [40.055]
    # Of plain accuracy the paper tells the largest model's only: it is named.
    assert (acc.paper.value, acc.paper.size) == (0.5266, "xl")
    assert last.paper is None and last.difference is None
    (xl, *_) = rows(result(params=published.SIZES["xl"]))
    assert (xl.paper.value, [one.value for one in xl.others]) == (8.63, [10.634])


NOT_THE_BENCHMARK = [
    {"source": "sample"},
    {"limit": 20},
    {"data": "part: 3 of 5,153 passages"},
    {"data": "other data: their sha256 differs"},
    {"subset": {"suite": "quick", "examples": 200, "seed": 0}},
]


@pytest.mark.parametrize("changes", NOT_THE_BENCHMARK)
def test_what_is_not_the_benchmark_is_marked_everywhere_and_stands_beside_nothing(changes: dict) -> None:
    marked = rows(result(**changes))
    assert all(row.mark and row.paper is None and row.difference is None and not row.others for row in marked)
    text, markdown = score_table.as_text(marked), score_table.as_markdown(marked)
    for written in (text, markdown, score_table.as_csv(marked)):
        assert marked[0].mark.split()[0].rstrip(":,") in written
        assert "35.13" not in written and "0.5266" not in written
    word = marked[0].mark.split()[0].rstrip(":,")
    assert all(word in line for line in text.splitlines() if line.startswith("  acc"))


def test_another_protocol_shows_the_papers_number_and_no_difference() -> None:
    perplexity = rows(result(protocol="lm-eval"))[0]
    assert perplexity.paper.value == 35.13 and perplexity.difference is None


def test_a_card_of_ones_own_and_a_model_of_unknown_size_stand_alone() -> None:
    assert published.rows("mine", [result()], {})[0].paper is None
    assert rows(result(params=None))[0].paper is None
    assert "mine" in score_table.as_text(rows(result(params=None)))


def test_a_baseline_without_a_model_stands_beside_the_papers_own_baseline() -> None:
    summaries = {one.name: one for one in cards.resolve(["cnn_dailymail"])}
    lede = {"lede_3_rouge1": Score(40.0, 39.0, 41.0, 11490, 11490, True, None)}
    (row,) = published.rows("mine", [result(card="cnn_dailymail", metrics=lede)], summaries)
    assert (row.paper.value, row.paper.size) == (40.38, "")
    assert [(one.value, one.size) for one in row.others] == [(40.34, "")]
    (line,) = [line for line in score_table.as_text([row]).splitlines() if line.startswith("  lede_3_rouge1 ")]
    assert " ".join(line.split()) == "lede_3_rouge1 40 39 to 41 40.38 (no model) -0.38 40.34 (no model)"
    assert "Others, cnn_dailymail lede_3_rouge1 40.34 (no model): lead-3 of See et al. 2017" in score_table.as_text(
        [row]
    )
    assert "40.34 (no model; lead-3 of See et al. 2017" in score_table.as_csv([row])


def test_counts_stand_beside_the_score_where_there_are_any() -> None:
    counted = result(truncated=12, truncated_tokens=345, left_out=5)
    for written in (score_table.as_text(rows(counted)), score_table.as_markdown(rows(counted))):
        assert "12 cut to fit the context (by 345 tokens)" in written and "5 left out" in written
    assert "cut to fit" not in score_table.as_text(rows(result())) and "left out" not in score_table.as_text(
        rows(result())
    )


def test_the_table_is_readable_at_100_columns() -> None:
    long = "a-run-with-a-long-name-and-a-seed0-0123abcd, step 1,048,576"
    huge = {"perplexity": Score(6.111e8, 5.139e-8, 7.191e18, 5153, 5153, False, None)}
    many = [*rows(result(), label=long), *rows(result(metrics=huge), result(limit=7), label="other")]
    lines = score_table.as_text(many).splitlines()
    assert max(map(len, lines)) <= 100
    heads = [line for line in lines if "the paper's  " in line]
    assert len(heads) == 2
    end = heads[0].index("ours") + 4
    assert all(
        line[end - 1] != " " and line[end : end + 2] in ("  ", "") for line in lines if line.startswith("  perp")
    )


def test_the_files_hold_the_same_rows(tmp_path) -> None:
    import csv
    import json

    both = rows(result(), result(limit=3))
    paths = score_table.write(tmp_path, both)
    assert [path.name for path in paths] == ["scores.json", "scores.csv", "scores.md"]
    content = json.loads(paths[0].read_text())["rows"]
    with open(paths[1], newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(content) == len(lines) == 6
    for plain, line in zip(content, lines, strict=True):
        assert line["metric"] == plain["metric"] and line["mark"] == plain["mark"]
        assert (float(line["value"]) if line["value"] else None) == plain["value"]
        assert (float(line["paper"]) if line["paper"] else None) == (plain["paper"] or {}).get("value")
    assert math.isclose(float(lines[0]["difference"]), 40.0 - 35.13)
    assert (
        lines[0]["others"]
        == "40.055 (small; lm-evaluation-harness, lambada_openai; EleutherAI/lm-evaluation-harness#2159)"
    )
    assert paths[2].read_text().count("\n| mine |") == 6
