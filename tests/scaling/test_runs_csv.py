"""CSVs of runs: what is wrong is named by row and column, all of it at once."""

import math
import re

import pytest

from zeroscale.core.errors import ZeroscaleError
from zeroscale.runs.study import Study
from zeroscale.scaling import Options, fit_study, runs_csv

GOOD = "params,tokens,loss\n1000000,2e7,4.5\n3000000,2e7,4.1\n"


def read(tmp_path, text):
    path = tmp_path / "runs.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return runs_csv.read(path).frame


def test_numbers_and_rows_are_read(tmp_path):
    frame = read(tmp_path, "\ufeff params , tokens,loss,seed,note\n\n1e6,2e7,4.5,0,first\n1e6,2e7,4.6,1,again\n")
    assert list(frame["row"]) == [3, 4]
    assert list(frame["params"]) == [1e6, 1e6]
    assert list(frame["loss"]) == [4.5, 4.6]
    assert list(frame["seed"]) == [0, 1]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("0,2e7,4.1", "row 3, params is 0: it must be a finite number above zero"),
        ("3e6,-2e7,4.1", "row 3, tokens is -2e7"),
        ("3e6,2e7,nan", "row 3, loss is nan"),
        ("3e6,2e7,inf", "row 3, loss is inf"),
        ("3e6,2e7,", "row 3, loss is empty"),
        ("3M,2e7,4.1", "row 3, params is '3M', not a number: write 3000000"),
        ("3e6,'1.4 B',4.1", "row 3, tokens is \"'1.4 B'\", not a number"),
        ("3e6,1.4 B,4.1", "row 3, tokens is '1.4 B', not a number: write 1400000000"),
        ("1e6,2e7,4.4", "row 3 repeats row 2: the same params, tokens.*add a column seed"),
        ("3e6,2e7", "row 3: 2 values under 3 columns"),
    ],
)
def test_a_bad_row_is_named(tmp_path, row, says):
    with pytest.raises(ZeroscaleError, match=says):
        read(tmp_path, f"params,tokens,loss\n1000000,2e7,4.5\n{row}\n")


def test_all_faults_come_in_one_message(tmp_path):
    with pytest.raises(ZeroscaleError) as caught:
        read(tmp_path, GOOD + "0,0,0\n" + "x,y,z\n" * 5)
    message = str(caught.value)
    assert "row 4, params is 0" in message
    assert "row 5, tokens is 'y'" in message
    assert "and 8 more" in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("params,tokens,loss\n", "a header and no runs"),
        ("C,N,D,loss\n1,2,3,4\n", "no column params and no tokens; it has C, N, D, loss"),
        ("params,tokens,loss\n124,2.5,4.5\n355,2.5,4.1\n", "looks like millions"),
        (b"params,tokens,loss\n\xff\xfe,1,2\n", "not UTF-8"),
        ("params,tokens,loss,seed\n1e6,2e7,4.5,a\n", "row 2, seed is 'a'"),
        (
            "params,tokens,loss,seed\n1e6,2e7,4.5,1\n1e6,2e7,4.5,1\n",
            "row 3 repeats row 2: the same params, tokens, seed",
        ),
    ],
)
def test_a_bad_file_is_told_apart(tmp_path, text, says):
    with pytest.raises(ZeroscaleError, match=says):
        read(tmp_path, text)


def test_a_spoilt_results_csv_is_named_too(tmp_path, make_study):
    path = Study(make_study(xs=5.0, s=4.6)).write_ledger()
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[1]]) + "\n")
    with pytest.raises(ZeroscaleError, match="row 6 repeats row 2: the same cell, step"):
        runs_csv.read(path)
    path.write_text("\n".join([lines[0], lines[1].replace(",524288,", ",0,")]) + "\n")
    with pytest.raises(ZeroscaleError, match="row 2, tokens is 0"):
        runs_csv.read(path)


# A grid of three sizes and three token counts; row 5 is spoilt in one cell.
GRID = [(n, d) for n in (10, 40, 160) for d in (5, 20, 80)]
HEADER = "params,tokens,loss,flops,arc/acc"
LINES = [
    f"{n:g},{d:g},{1.69 + 406.4 / n**0.34 + 410.7 / d**0.28:.6f},{6 * n * d:g},0.{i}"
    for i, (n, d) in enumerate((n, d) for n in (1e7, 1e8, 1e9) for d in (1e9, 1e10, 1e11))
]


def spoilt(tmp_path, column, text, row=5):
    lines = [HEADER, *LINES]
    cells = lines[row - 1].split(",")
    cells[HEADER.split(",").index(column)] = text
    lines[row - 1] = ",".join(cells)
    path = tmp_path / "runs.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


NO_NUMBERS = ["nan", "NaN", "inf", "-inf", "1e999", "", "-", "--", "NA", "N/A", "#N/A", "#DIV/0!", "null", "diverged"]


@pytest.mark.parametrize("text", [*NO_NUMBERS, "0", "-3", "2,9", "2.9 nats", "70M"])
@pytest.mark.parametrize("column", ["params", "tokens", "loss"])
def test_a_bad_row_is_refused_with_the_remedy_that_works(tmp_path, column, text):
    cell = f'"{text}"' if "," in text else text
    path = spoilt(tmp_path, column, cell)
    with pytest.raises(ZeroscaleError) as caught:
        runs_csv.read_csv(path)
    message = str(caught.value)
    assert f"row 5, {column} is" in message
    (names,) = re.findall(r"leave_out=\[(.*)\]", message)
    rows = runs_csv.read_csv(path, Options(leave_out=tuple(name.strip("' ") for name in names.split(","))))
    assert list(rows.frame["row"]) == [2, 3, 4, 6, 7, 8, 9, 10]
    assert [(run.cell, run.rule) for run in rows.left_out] == [("row 5", "left out by leave_out")]


@pytest.mark.parametrize("text", [*NO_NUMBERS, "0", "-3", "7.5"])
def test_keep_takes_out_a_row_before_its_value_is_refused(tmp_path, text):
    rows = runs_csv.read_csv(spoilt(tmp_path, "loss", text), Options(keep={"loss": (0.5, 5.0)}))
    assert list(rows.frame["row"]) == [2, 3, 4, 6, 7, 8, 9, 10]
    assert [run.cell for run in rows.left_out] == ["row 5"]
    assert "keep.loss" in rows.left_out[0].rule


def test_a_number_that_is_written_otherwise_is_not_left_out_by_keep(tmp_path):
    with pytest.raises(ZeroscaleError, match="row 5, loss is '2,9', not a number: write 2\\.9"):
        runs_csv.read_csv(spoilt(tmp_path, "loss", '"2,9"'), Options(keep={"loss": (0.5, 5.0)}))


@pytest.mark.parametrize("text", NO_NUMBERS)
@pytest.mark.parametrize(("column", "law"), [("flops", "chinchilla"), ("flops", "power"), ("arc/acc", "chinchilla")])
def test_a_cell_without_a_number_is_empty_where_no_law_uses_its_column(tmp_path, column, law, text):
    frame = runs_csv.read_csv(spoilt(tmp_path, column, text), Options(law=(law,))).frame
    assert len(frame) == 9
    assert math.isnan(frame[column][3])
    assert not frame[column].drop(3).isna().any()


def test_a_column_of_text_with_a_slash_is_no_score(tmp_path):
    path = spoilt(tmp_path, "arc/acc", "see 2 notes")
    assert len(runs_csv.read_csv(path, Options(law=("vpnls",))).frame) == 9
    with pytest.raises(ZeroscaleError, match="row 5, arc/acc is 'see 2 notes', not a number"):
        runs_csv.read_csv(path, Options(law=("benchmarks",)))


@pytest.mark.parametrize("text", ["0", "-7e18", "7e18 FLOPs"])
def test_flops_that_are_wrong_are_refused_whatever_law_is_fitted(tmp_path, text):
    path = spoilt(tmp_path, "flops", text)
    with pytest.raises(ZeroscaleError, match="row 5, flops is"):
        runs_csv.read_csv(path, Options(law=("chinchilla",)))
    assert len(runs_csv.read_csv(path, Options(leave_out=("row 5",))).frame) == 8


def test_a_repeated_row_and_one_in_millions_can_be_left_out(tmp_path):
    for line, says in ((LINES[2], "row 11 repeats row 4"), ("124,2.5e9,3.1,1e19,0.2", "row 11, params is 124")):
        path = tmp_path / "runs.csv"
        path.write_text("\n".join([HEADER, *LINES, line]) + "\n")
        with pytest.raises(ZeroscaleError, match=says) as caught:
            runs_csv.read_csv(path)
        assert "leave_out=['row 11']" in str(caught.value)
        rows = runs_csv.read_csv(path, Options(leave_out=("row 11",)))
        assert len(rows.frame) == 9
        assert [run.cell for run in rows.left_out] == ["row 11"]
    assert len(runs_csv.read_csv(path, Options(keep={"params": (1e6, None)})).frame) == 9


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("params;tokens;loss\n1e6;2e7;4,5\n", "separates its columns by semicolons"),
        ("params\ttokens\tloss\n1e6\t2e7\t4.5\n", "separates its columns by tabs"),
        ("Params,Tokens,Loss\n1e6,2e7,4.5\n", "columns.params=Params columns.tokens=Tokens columns.loss=Loss"),
        ("params,tokens,loss,loss\n1e6,2e7,4.5,4.5\n", "the column loss twice"),
        ("params,tokens,loss,a/b,a/b\n1e6,2e7,4.5,1,2\n", "the column a/b twice"),
        ("params,tokens,loss\n" + "9" * 200_000 + ",2e7,4.5\n", "row 2.*field larger than field limit"),
        ("params,tokens,loss\n1e6,2e7,4.5\n3e6,2e7,4\x001\n", "row 3, loss is '4.*not a number"),
        ('params,tokens,loss,n\n1e6,2e7,4.5,a\n3e6,2e7,4.1,"b\n4e6,2e7,4.0,c\n', "row 4, |row 4: 4 values|loss"),
        ("params,tokens,loss\n1e6,2e7,4.5,\n", "row 2: 4 values under 3 columns"),
        ("cell,step,params_non_embedding\na,1,1e6\n", "no status and no params and no"),
    ],
)
def test_an_odd_file_is_told_what_it_is(tmp_path, text, says):
    try:
        frame = read(tmp_path, text)
    except ZeroscaleError as error:
        assert re.search(says, str(error)), error
        assert len(str(error)) < 1000
    else:
        # A quotation mark that is never closed takes the rest of the file for the note of row 3.
        assert '"b' in text
        assert len(frame) == 2


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_blank_lines_and_a_mark_at_the_beginning_change_nothing(tmp_path, end):
    text = "\ufeff\n\n" + HEADER + "\n" + "\n\n".join(LINES) + "\n\n"
    frame = read(tmp_path, text.replace("\n", end))
    assert len(frame) == 9
    assert list(frame["params"])[:4] == [1e7, 1e7, 1e7, 1e8]


def test_a_fit_without_the_bad_row_is_the_fit_of_the_others(tmp_path):
    from zeroscale.scaling import fit_study

    path = spoilt(tmp_path, "loss", "nan")
    options = Options(law=("vpnls",), bootstrap=0, leave_out=("row 5",))
    law = fit_study(path, tmp_path / "fit.json", options=options)
    assert law["laws"]["vpnls"]["n_points"] == 8
    assert law["left_out"] == [{"cell": "row 5", "steps": [], "rule": "left out by leave_out"}]
    values = {name: law["laws"]["vpnls"]["parameters"][name]["value"] for name in ("E", "A", "B", "alpha", "beta")}
    made = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
    assert values == {name: pytest.approx(value, rel=1e-2) for name, value in made.items()}


def test_a_ledger_without_a_good_loss_leaves_its_run_out(tmp_path, make_study):
    from zeroscale.scaling.run_selection import select_runs

    path = Study(make_study(xs=5.0, s=4.6, m=4.2)).write_ledger()
    header, *lines = path.read_text().splitlines()
    last = max(i for i, line in enumerate(lines) if line.startswith(lines[0].split(",")[0]))
    at = header.split(",").index("val/loss")
    for text, rule in (("nan", "no val/loss at its last"), ("NA", "no val/loss"), ("inf", "is inf"), ("-1", "is -1")):
        cells = lines[last].split(",")
        cells[at] = text
        path.write_text("\n".join([header, *lines[:last], ",".join(cells), *lines[last + 1 :]]) + "\n")
        runs, left_out = select_runs(runs_csv.read_csv(path).frame, "non_embedding")
        assert len(runs) == 2
        assert any(rule in run.rule and run.cell == cells[0] for run in left_out), left_out


def test_flops_of_some_runs_alone_are_said_to_be_counted_for_none(tmp_path):
    rows = [(n * 1e6, d * 1e8, 1.69 + 406.4 / (n * 1e6) ** 0.34 + 410.7 / (d * 1e8) ** 0.28) for n, d in GRID]
    lines = [f"{n},{d},{loss},{7 * n * d if row else ''}" for row, (n, d, loss) in enumerate(rows)]
    path = tmp_path / "runs.csv"
    path.write_text("\n".join(["params,tokens,loss,flops", *lines]) + "\n")
    options = {"law": ("kaplan",), "bootstrap": 100}
    warnings = fit_study(path, tmp_path / "a.json", options=Options(**options))["laws"]["kaplan"]["warnings"]
    assert any("6 N D for all 9 runs: row 2 has no FLOPs" in warning for warning in warnings)
    asked = fit_study(path, tmp_path / "b.json", options=Options(**options, flops="6nd"))
    assert not any("6 N D for all" in warning for warning in asked["laws"]["kaplan"]["warnings"])
