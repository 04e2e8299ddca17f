"""Texts are split at a mark wherever it lies, and no character is lost beside it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroscale.config.data import FilesData
from zeroscale.data.sources import marks
from zeroscale.data.sources.sources import documents, items

MARK = "<|endoftext|>"


def split(content: bytes, block: int, mark: str | None = MARK) -> list[bytes]:
    blocks = (content[start : start + block] for start in range(0, len(content), block))
    return [b"".join(text) for text in marks.split(blocks, mark)]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from([MARK, "\n", "\r\n", "a", "<|", "é", "|>", "<|endof"]), max_size=20), st.integers(1, 40)
)
def test_a_mark_may_lie_across_blocks(parts, block):
    content = "".join(parts).encode()
    # By hand: Python's own split, and the line ends beside a mark taken away.
    pieces = content.split(MARK.encode())
    expected = [piece[len(piece) - len(piece.lstrip(b"\r\n")) if n else 0 :] for n, piece in enumerate(pieces)]
    expected = [piece if n == len(pieces) - 1 else piece.rstrip(b"\r\n") for n, piece in enumerate(expected)]
    found = split(content, block)
    assert found == expected or (content == b"" and found in ([], [b""]))
    assert b"".join(split(content, block, None)) == content


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["\n--\n", "\n", "-", "a", "\r\n"]), max_size=20), st.integers(1, 9))
def test_a_mark_of_line_ends_is_found_wherever_blocks_end(parts, block):
    content = "".join(parts).encode()
    assert split(content, block, "\n--\n") == split(content, 1000, "\n--\n") or not content
    assert len(split(content, block, "\n--\n")) == len(content.split(b"\n--\n")) or not content


def test_marks_are_counted_once_wherever_reading_goes_on(tmp_path):
    long = "line\n" * 30_000
    (tmp_path / "a.txt").write_text(f"{MARK}one{MARK}{long}{MARK}{MARK}")
    (tmp_path / "b.jsonl").write_text(json.dumps({"text": f"{MARK}two{MARK}"}) + "\n" + json.dumps({"text": "three"}))
    (tmp_path / "c.txt").write_text("four")
    data = FilesData(kind="files", name="mine", path=str(tmp_path), val_fraction=0.1, split_on=MARK)
    whole = list(items(data))
    assert sum(item.marks for item in whole) == 4 + 2
    for number, item in enumerate(whole):
        assert list(items(data, item.place)) == whole[number + 1 :]


def test_stories_of_one_file_are_those_of_many(tmp_path):
    stories = [f"Once upon a time, {n}.\n\nThe end of {n}." for n in range(200)]
    (tmp_path / "a.txt").write_text(f"\n{MARK}\n".join(stories))
    (tmp_path / "b.jsonl").write_text(json.dumps({"text": f"{stories[0]}{MARK}{stories[1]}{MARK}\n{MARK}"}))
    data = FilesData(kind="files", name="mine", path=str(tmp_path), val_fraction=0.1, split_on=MARK)
    found = list(documents(data))
    assert [document.text for document in found] == [*stories, *stories[:2]]
    assert [found[0].name, found[-1].name] == ["a.txt#1", "b.jsonl:1#2"]
    assert sum(item.texts for item in items(data)) == 202
    plain = FilesData(kind="files", name="mine", path=str(tmp_path / "a.txt"), val_fraction=0.1)
    assert sum(marks.count(document.text)[MARK] for document in documents(plain)) == 199


def test_a_long_text_between_marks_is_cut_and_gone_on_with(tmp_path):
    long = "".join(f"line {n}\n" for n in range(30_000))
    (tmp_path / "a.txt").write_text(f"short{MARK}{long}{MARK}\n{MARK} {MARK}end")
    data = FilesData(kind="files", name="mine", path=str(tmp_path), val_fraction=0.1, split_on=MARK)
    whole = list(items(data))
    texts = [item.documents[0].text for item in whole]
    assert texts[0] == "short" and texts[-1] == "end" and "".join(texts[1:-1]) == long.rstrip("\n")
    assert [item.texts for item in whole] == [1, 1, *[0] * (len(whole) - 3), 1]
    for number, item in enumerate(whole):
        assert list(items(data, item.place)) == whole[number + 1 :]


@pytest.mark.parametrize("mark", marks.MARKS)
def test_every_known_mark_is_counted(mark):
    assert marks.count(f"a {mark} b {mark}")[mark] == 2
    assert marks.count("a < b [c] <p>") == {}
