import itertools
import json
import re

import pytest

from zeroscale.core import jsonl
from zeroscale.core.errors import ZeroscaleError


def test_a_resumed_record_holds_each_step_once(tmp_path):
    path = tmp_path / "metrics.jsonl"
    first = jsonl.JsonlWriter(path)
    for step in (1, 2, 3, 4):
        first.add({"step": step})
    first.close()
    with open(path, "a") as file:
        file.write('{"step": 5, "train')
    assert [row["step"] for row in jsonl.truncate_after(path, 2)] == [1, 2]
    second = jsonl.JsonlWriter(path)
    second.add({"step": 3})
    second.sync()
    second.close()
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2, 3]


def test_nothing_to_cut_back_makes_no_file(tmp_path):
    assert jsonl.truncate_after(tmp_path / "metrics.jsonl", 0) == [] and not list(tmp_path.iterdir())


WHOLE = b'{"step": 1}\n{"step": 2}\n'
TORN = [b'{"step": 3, "train/lo', b'{"step": 3, "train/lo"', b"\0" * 40, b"4"]
DAMAGED = [
    b'{"step": 3, "train/lo\n',
    b"\0" * 40 + b"\n",
    b"4\n",
    b'["step"]\n',
    b'{"loss": 3.5}\n',
    b'{"step": "3"}\n',
]


def damaged(path, line: bytes):
    """A file whose third line of four is damaged."""
    path.write_bytes(WHOLE + line + b'{"step": 4}\n')
    return pytest.raises(ZeroscaleError, match=rf"{re.escape(str(path))}, line 3, is damaged: .*Restore the file")


def follow(path):
    return list(jsonl.JsonlReader(path, "step").follow())


READERS = [lambda path: jsonl.read(path, "step"), lambda path: jsonl.tail(path, "step"), follow]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("rest", TORN)
def test_a_torn_last_line_is_passed_over(tmp_path, reader, rest):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(WHOLE + rest)
    assert reader(path) == [{"step": 1}, {"step": 2}]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("line", DAMAGED)
def test_any_other_damage_is_named_by_file_and_line(tmp_path, reader, line):
    path = tmp_path / "metrics.jsonl"
    with damaged(path, line):
        reader(path)


@pytest.mark.parametrize("line", DAMAGED)
def test_a_damaged_file_is_not_written_anew(tmp_path, line):
    path = tmp_path / "metrics.jsonl"
    with damaged(path, line):
        jsonl.truncate_after(path, 2)
    assert path.read_bytes() == WHOLE + line + b'{"step": 4}\n'
    # The last line, too, if it has its line feed: no kill leaves that behind.
    path.write_bytes(WHOLE + line)
    with pytest.raises(ZeroscaleError, match="line 3"):
        jsonl.truncate_after(path, 2)
    assert path.read_bytes() == WHOLE + line


@pytest.mark.parametrize("reader", READERS)
def test_what_is_not_there_has_no_lines(tmp_path, reader):
    assert reader(tmp_path / "metrics.jsonl") == []


def test_the_tail_of_a_long_file_begins_with_a_whole_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    rows = [{"step": step, "x" * 90: 1.5} for step in range(2000)]
    jsonl.write(path, rows)
    tail = jsonl.tail(path, "step")
    assert tail == rows[-len(tail) :] and 400 < len(tail) < 2000
    path.write_bytes(path.read_bytes().replace(b'"step": 1990,', b'"step": 1990 '))
    with pytest.raises(ZeroscaleError, match="line 1991"):
        jsonl.tail(path, "step")


def test_what_is_appended_is_followed_line_by_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    reader = jsonl.JsonlReader(path, "step")
    assert list(reader.follow()) == []
    path.write_bytes(WHOLE + b'{"step"')
    assert list(reader.follow()) == [{"step": 1}, {"step": 2}]
    with open(path, "ab") as file:
        file.write(b': 3}\n{"step": 4}\n')
    assert list(reader.follow()) == [{"step": 3}, {"step": 4}]
    with open(path, "ab") as file:
        file.write(b"{\n")
    with pytest.raises(ZeroscaleError, match="line 5"):
        list(reader.follow())


def test_the_last_rows_and_the_last_that_holds_a_key(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(
        "".join(
            f'{{"step": {i}{", " + chr(34) + "val/loss" + chr(34) + ": 1.5" if i % 7 == 0 else ""}}}\n'
            for i in range(1, 31)
        )
    )
    assert [row["step"] for row in jsonl.tail(path, "step", 3, "val/loss")] == [28, 29, 30]
    assert [row["step"] for row in jsonl.tail(path, "step", 2, "val/loss")] == [28, 29, 30]
    assert [row["step"] for row in jsonl.tail(path, "step", 1, "val/loss")] == [28, 30]
    assert [row["step"] for row in jsonl.tail(path, "step", 1, "mfu")] == [30]
    assert len(jsonl.tail(path, "step", 100, "mfu")) == 30


LINES = ['{"step": 1}', '{"step": 2, "a": NaN}', '{"step": 3, "a": 1e999}', '{"step": 4, "a": 1' + "0" * 400 + "}"]
LINES += [
    '{"step": 5},{"step": 6}',
    '{"step": 7',
    '"a": 2}',
    '{"a}',
    '{b": 1}',
    '{"step": 8, "a": [{}',
    "{}]}",
    "",
    " ",
    "1",
]
LINES += [
    '{"step": 9, "a": 9223372036854775808}',
    '{"step": true}',
    '{"step": -1}',
    '{"step": 10, "a": "x"}',
    '{"step": 11, "a": 1e300}',
]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_file_read_at_once_is_what_it_is_line_by_line(tmp_path, count):
    path = tmp_path / "metrics.jsonl"
    for lines in itertools.product(LINES, repeat=count):
        content = ("\n".join(lines) + "\n").encode()
        found = jsonl._rows_at_once(content, "step")
        if found is not None:
            assert repr(found) == repr(list(jsonl._rows(content, path, "step", 1))), lines
