"""CSVs of runs: what is wrong is named by row and column, all of it at once."""

import pytest

from zeroscale.core.errors import ZeroscaleError
from zeroscale.runs.study import Study
from zeroscale.scaling import runs_csv

GOOD = "params,tokens,loss\n1000000,2e7,4.5\n3000000,2e7,4.1\n"


def read(tmp_path, text):
    path = tmp_path / "runs.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return runs_csv.read(path)


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
