"""Cards and their rows that are odd in every way that a file can be: one message that names the file and the place."""

import json
import os
import re
from pathlib import Path

import pytest
import yaml

from zeroscale.core import paths
from zeroscale.core.errors import ZeroscaleError
from zeroscale.eval.cards import registry, rows

SHIPPED = (paths.evals() / "lambada.yaml").read_text(encoding="utf-8")


def refused(path: Path) -> str:
    with pytest.raises(ZeroscaleError) as caught:
        registry.load(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: " + "[" * 100_000, "nested more than 64 levels"),
        ("a: " + "{a: " * 3_000 + "1" + "}" * 3_000, "nested more than 64 levels"),
        ("&a [*a, *a]", r"\*a stands for what it is part of"),
        ("x: &a {y: *a}", r"\*a stands for what it is part of"),
        ("x: *b", r"\*b stands for"),
        ("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
            f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)), "more than 100,000 values"),
        ("- a\n- b\n", "should hold a mapping"),
        ("", "should hold a mapping"),
        ("just text", "should hold a mapping"),
        ("name: a\nname: b\n", "the key 'name' stands there twice"),
        ("1: a\n", "the key 1, which is no text"),
        ("on: a\n", "the key True, which is no text"),
        ("? [a, b]\n: c\n", "line 1|no text"),
        ("name: !!python/object/apply:os.system [ls]\n", "the tag"),
        ("name: !!bool perhaps\n", "the tag"),
        ("name: !!binary '%%'\n", "the tag"),
        ("name: 2026-13-45\n", "month must be in 1..12"),
        ("name: " + "9" * 5_000 + "\n", "digits"),
        ('name: "\\ud800"\n', "invalid Unicode character"),
        ("name: .nan\n", "name is nan"),
        ("name: {a: [1, .inf]}\n", r"name.a\[1\] is inf"),
        ("name: \x01\n", "not valid YAML"),
        ("name: [a\n", "not valid YAML"),
    ],
)  # fmt: skip
def test_yaml_without_end_or_sense_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(text, encoding="utf-8")
    message = refused(path)
    assert re.search(says, message), message
    assert len(message) < 2_000


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    (tmp_path / "folder.yaml").mkdir()
    with open(tmp_path / "huge.yaml", "wb") as file:
        file.truncate(1 << 40)  # a hole: it takes no room
    (tmp_path / "bytes.yaml").write_bytes(b"name: \xff\n")
    says = {"pipe": "is a pipe", "zero": "is a device", "folder": "is a directory", "huge": "more than the 4,194,304",
            "bytes": "not UTF-8", "nowhere": "does not exist"}  # fmt: skip
    for name, words in says.items():
        assert words in refused(tmp_path / f"{name}.yaml")


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf"), "0.5", [0.5], True, {"a": 1}])
@pytest.mark.parametrize(
    "place",
    [("metrics", "acc", "chance"), ("paper", 0, "small"), ("paper", 2, "xl"), ("reproductions", 1, "value")],
)
def test_a_number_of_a_card_is_a_finite_number(tmp_path: Path, place: tuple[str | int, ...], odd: object) -> None:
    content = yaml.safe_load(SHIPPED)
    *outer, last = place
    holder = content
    for key in outer:
        holder = holder[key]
    holder[last] = odd
    path = tmp_path / "lambada.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    message = refused(path)
    assert str(last) in message and str(outer[0]) in message


def test_a_name_that_leaves_no_room_for_a_files_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / f"{'a' * 240}.yaml"
    path.write_text(SHIPPED.replace("name: lambada", f"name: {'a' * 240}"), encoding="utf-8")
    assert "name: string should have at most 150 characters" in refused(path)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b'{"text": "one \\ud83d two"}', r"text holds \\ud83d"),
        (b'{"text": "one two", "\\udc00": 1}', "a key of the whole"),
        (b'{"text": NaN}', "text is nan"),
        (b'{"text": [1e999]}', r"text\[0\] is inf"),
        (b'{"text": ' + b"[" * 200_000, "nested too deeply"),
        (b'{"text": ' + b"[" * 90 + b"]" * 90 + b"}", "nested more than 64"),
        (b'{"text": ' + b"9" * 5_000 + b"}", "too many digits"),
        (b'["text"]', "JSON object"),
        (b"null", "JSON object"),
        (b'{"text": "\xff"}', "not UTF-8"),
        (b'{"text": "a"', "not valid JSON"),
    ],
)
def test_a_row_that_is_none_is_named(tmp_path: Path, line: bytes, says: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(json.dumps({"text": "a whole row"}).encode() + b"\n" + line + b"\n")
    with pytest.raises(ZeroscaleError) as caught:
        list(rows.jsonl([path]))
    assert f"{path}, line 2" in str(caught.value)
    assert re.search(says, str(caught.value)), caught.value
