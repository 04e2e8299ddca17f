"""What is wrong with a corpus' files is known before the work, and what became of each is in index.json."""

import gzip
import json
import os
import re
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from zeroscale.config.data import FilesData
from zeroscale.config.model import BytesTokenizer
from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.corpus import Corpus
from zeroscale.data.corpus_notes import notes
from zeroscale.data.prepare import check, encode
from zeroscale.data.prepare.encode import share_of
from zeroscale.data.prepare.prepare import corpus_directory, prepare

BYTES = BytesTokenizer(kind="bytes")


def data(path: object, **changes) -> FilesData:
    return FilesData(**{"kind": "files", "name": "mine", "path": str(path), "val_fraction": 0.3, **changes})


def rows(path: Path, number: int = 60) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps({"text": f"row number {n}"}) + "\n" for n in range(number)))


@pytest.fixture
def no_tokenising(monkeypatch):
    """Fails where anything is tokenised."""

    def encode_batch(*_):
        raise AssertionError("tokenised")

    monkeypatch.setattr(encode.EncodeJob, "encode", encode_batch)


def empty_files(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    contents = {
        "0.txt": b"",
        "1.txt": b" \n\t\r\n",
        "2.txt": b"\xef\xbb\xbf",
        "3.txt.gz": gzip.compress(b""),
        "4.jsonl": b"\n\n",
        "5.jsonl": b'{"text": " "}\n{"text": ""}\n',
        "6.jsonl.gz": b"",
        "7.parquet": b"",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    parquet.write_table(pyarrow.table({"text": pyarrow.array([], pyarrow.string())}), folder / "8.parquet")


@pytest.mark.parametrize("whole_bytes", [check.WHOLE_BYTES, 0])
def test_empty_files_give_nothing_and_are_counted(whole_bytes, tmp_path, monkeypatch):
    monkeypatch.setattr(check, "WHOLE_BYTES", whole_bytes)
    rows(tmp_path / "with" / "x.jsonl")
    empty_files(tmp_path / "with")
    (tmp_path / "with" / "y.png").write_bytes(b"")
    (tmp_path / "with" / "z.jsonl").symlink_to("x.jsonl")
    rows(tmp_path / "without" / "x.jsonl")
    corpus = prepare(data(tmp_path / "with"), BYTES, tmp_path / "c")
    assert corpus.fingerprint == prepare(data(tmp_path / "without"), BYTES, tmp_path / "c2").fingerprint
    files = corpus.index["files"]
    assert (files["given"], files["read"], files["empty"]["count"]) == (12, 1, 9)
    assert files["left_out"]["names"][0].startswith("y.png (not a kind") and files["repeated"]["names"] == ["z.jsonl"]
    counts = (files["empty"], files["left_out"], files["repeated"])
    assert files["given"] == files["read"] + sum(part["count"] for part in counts) + files["beyond_max_bytes"]
    said = "\n".join(notes(corpus.index))
    assert "empty, no text: 9 files (0.txt, 1.txt, 2.txt, 3.txt.gz, 4.jsonl, …)" in said


@pytest.mark.usefixtures("no_tokenising")
def test_only_empty_files_are_refused_before_the_work(tmp_path):
    empty_files(tmp_path / "text")
    with pytest.raises(ZeroscaleError, match=r"0\.txt and 8 more are empty: no text in them"):
        prepare(data(tmp_path / "text"), BYTES, tmp_path / "corpora" / "c")
    assert [path.name for path in (tmp_path / "corpora").iterdir()] == [".c.lock"]


@pytest.mark.usefixtures("no_tokenising")
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("z.txt", b"text\xff", "not UTF-8 at byte 4"),
        ("z.jsonl", b'{"text": "a"}\n{"text": \n', "line 2: not valid JSON"),
        ("z.txt.gz", gzip.compress(b"some text", mtime=0)[:-5], "breaks off in the middle"),
        ("z.parquet", b"PAR1", "not a Parquet file"),
    ],
)
def test_a_bad_file_at_the_end_is_named_before_the_work(name, content, message, tmp_path):
    rows(tmp_path / "text" / "a.jsonl")
    (tmp_path / "text" / name).write_bytes(content)
    with pytest.raises(ZeroscaleError, match=message):
        prepare(data(tmp_path / "text"), BYTES, tmp_path / "corpora" / "c")
    assert [path.name for path in (tmp_path / "corpora").iterdir()] == [".c.lock"]


@pytest.mark.parametrize("start", [0, 4])
def test_a_tiny_corpus_gets_a_fraction_that_works(start, tmp_path, request):
    lines = (f"{number * 7919 % (start + 900)} of so many words in a line\n" for number in range(30_000))
    (tmp_path / "tiny.txt").write_text("".join(lines))
    small = data(tmp_path / "tiny.txt", val_fraction=1e-9)
    request.getfixturevalue("no_tokenising")
    with pytest.raises(ZeroscaleError, match=r"the validation split is empty: 1\d documents") as caught:
        prepare(small, BYTES, tmp_path / "c")
    request.getfixturevalue("monkeypatch").undo()
    fraction = float(re.search(r"data\.val_fraction=(0\.\d+), which", str(caught.value))[1])
    index = prepare(data(tmp_path / "tiny.txt", val_fraction=fraction), BYTES, tmp_path / "c").index
    assert 1 <= index["splits"]["val"]["documents"] <= 3 and index["splits"]["train"]["documents"] > 5
    with pytest.raises(ZeroscaleError, match="the training split is empty") as caught:
        prepare(data(tmp_path / "tiny.txt", val_fraction=1 - 1e-9), BYTES, tmp_path / "c2")
    fraction = float(re.search(r"data\.val_fraction=(0\.\d+), which", str(caught.value))[1])
    index = prepare(data(tmp_path / "tiny.txt", val_fraction=fraction), BYTES, tmp_path / "c2").index
    assert index["splits"]["train"]["documents"] >= 1


def test_one_document_cannot_be_split_and_two_near_each_other_can(tmp_path):
    (tmp_path / "one.txt").write_text("one short text\n")
    with pytest.raises(ZeroscaleError, match="one document cannot be split"):
        prepare(data(tmp_path / "one.txt"), BYTES, tmp_path / "c")
    (tmp_path / "two").mkdir()
    for name in ("a", "b"):
        (tmp_path / "two" / f"{name}.txt").write_text(name)
    shares = sorted(share_of(name) / 2**64 for name in ("a", "b"))
    with pytest.raises(ZeroscaleError) as caught:
        prepare(data(tmp_path / "two", val_fraction=1e-9), BYTES, tmp_path / "c")
    fraction = float(re.search(r"data\.val_fraction=([\d.]+), which", str(caught.value))[1])
    assert shares[0] < fraction <= shares[1]


def test_fractions_are_found_between_shares_however_near():
    for low, high in ((0, 1 << 62), (1 << 62, (1 << 62) + (1 << 20)), (2**63 - 1000, 2**63), (5, 2**64 - 1)):
        for near_high in (False, True):
            fraction = check._fraction_between(low, high, near_high)
            assert fraction is not None and low < fraction * 2**64 <= high
    assert check._fraction_between(7, 7, False) is None


def test_duplicates_leave_a_fraction_of_what_is_left(tmp_path):
    texts = [f"text {n}" for n in range(9)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts * 3))
    smallest = min(map(share_of, texts)) / 2**64
    settings = {"drop_exact_duplicates": True, "val_fraction": smallest / 2}
    with pytest.raises(ZeroscaleError, match=r"data\.val_fraction=[\d.]+, which puts some"):
        prepare(data(tmp_path / "a.jsonl", **settings), BYTES, tmp_path / "c")


def test_a_fraction_is_given_when_it_is_known_what_duplicates_leave(tmp_path):
    texts = [f"row {n}" for n in range(9)]
    lowest, *_, highest = sorted(texts, key=share_of)
    # The first is kept, and its twin, in another place of the order, is dropped with its share.
    twin = next(f"{lowest}{' ' * n}" for n in range(1, 999) if share_of(f"{lowest}{' ' * n}") < share_of(lowest))
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in (lowest, twin, highest)))
    made = data(tmp_path, drop_exact_duplicates=True, val_fraction=1e-9)
    with pytest.raises(ZeroscaleError, match=r"3 documents .* 1 of them duplicates; .*data\.val_fraction=") as caught:
        prepare(made, BYTES, tmp_path / "c")
    fraction = re.search(r"val_fraction=(0\.\d+), which", str(caught.value))[1]
    corpus = prepare(data(tmp_path, drop_exact_duplicates=True, val_fraction=float(fraction)), BYTES, tmp_path / "c")
    assert [corpus.index["splits"][split]["documents"] for split in ("train", "val")] == [1, 1]


def test_texts_that_are_all_one_are_called_so(tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("the same")
    with pytest.raises(ZeroscaleError, match=r"2 documents .* they are all the same text"):
        prepare(data(tmp_path), BYTES, tmp_path / "c")


def test_files_beyond_max_bytes_are_counted_and_not_read(tmp_path):
    rows(tmp_path / "text" / "a.jsonl")
    (tmp_path / "text" / "b.jsonl").write_text("no JSON")
    files = prepare(data(tmp_path / "text", max_bytes=300), BYTES, tmp_path / "c").index["files"]
    assert (files["given"], files["read"], files["beyond_max_bytes"]) == (2, 1, 1)


class TestMarksAndSurrogates:
    def test_marks_in_texts_are_counted_with_the_remedy(self, tmp_path):
        stories = [f"Story {n}\n" for n in range(40)]
        (tmp_path / "a.txt").write_text("<|endoftext|>".join(stories) * 400)
        with_marks = prepare(data(tmp_path / "a.txt"), BYTES, tmp_path / "c")
        assert with_marks.index["marks"] == {"<|endoftext|>": 39 * 400}
        assert "'data.split_on=<|endoftext|>' splits the texts there" in notes(with_marks.index)[0]
        split = data(tmp_path / "a.txt", split_on="<|endoftext|>")
        assert prepare(split, BYTES, tmp_path / "c2").index["marks"] == {}

    @pytest.mark.parametrize("mark", ["<|endoftext|>", "</s>", "[EOS]", "<｜end▁of▁sentence｜>"])
    def test_one_small_text_full_of_marks_is_refused_with_the_remedy(self, mark, tmp_path):
        (tmp_path / "text").mkdir()
        (tmp_path / "text" / "a.txt").write_text(f"\n{mark}\n".join(f"story {n}" for n in range(40)))
        with pytest.raises(ZeroscaleError, match="one document cannot be split") as caught:
            prepare(data(tmp_path / "text"), BYTES, tmp_path / "c")
        assert f"{mark} stands 39 times in the text: 'data.split_on={mark}' makes" in str(caught.value)
        index = prepare(data(tmp_path / "text", split_on=mark), BYTES, tmp_path / "c").index
        assert index["read"]["texts"] == 40 and index["split_at"] == 39 and notes(index) == []

    def test_a_mark_that_stands_nowhere_is_named(self, tmp_path):
        rows(tmp_path / "a" / "a.jsonl")
        index = prepare(data(tmp_path / "a", split_on="<|endoftxt|>"), BYTES, tmp_path / "c").index
        assert notes(index) == ["data.split_on=<|endoftxt|> stands nowhere in the texts: none of them is split"]

    def test_the_mark_is_part_of_what_a_corpus_is(self, tmp_path):
        plain, split = data("x"), data("x", split_on="</s>")
        assert corpus_directory(tmp_path, plain, BYTES) != corpus_directory(tmp_path, split, BYTES)

    def test_lone_surrogates_are_replaced_with_a_word(self, tmp_path):
        rows(tmp_path / "a.jsonl")
        with open(tmp_path / "a.jsonl", "a") as handle:
            handle.write('{"text": "one \\ud800 two \\udc00, and a pair \\ud83d\\ude00, and \ufffd"}\n')
        corpus = prepare(data(tmp_path / "a.jsonl"), BYTES, tmp_path / "c")
        assert corpus.index["replaced_surrogates"] == 2
        assert notes(corpus.index) == ["2 lone surrogates in texts, which no UTF-8 can hold, have become U+FFFD"]


def test_names_that_are_not_utf8_make_a_corpus(tmp_path):
    rows(tmp_path / "text" / "a.jsonl")
    (tmp_path / "text" / os.fsdecode(b"caf\xe9.txt")).write_text("words of the coffee house")
    prepare(data(tmp_path / "text"), BYTES, tmp_path / "c")
    source = json.loads((tmp_path / "c" / "source.json").read_text(encoding="utf-8"))
    assert [name for name, *_ in source["files"]] == ["a.jsonl", "caf\\xe9.txt"]
    assert prepare(data(tmp_path / "text"), BYTES, tmp_path / "c").n_val_tokens  # and are found unchanged


class TestCorporaOfTheFirstSelection:
    """A corpus whose source.json names no way of choosing files stays valid when files are chosen otherwise today."""

    def old(self, tmp_path: Path, names: list[str]) -> FilesData:
        """A corpus that was read from these names, as the first version recorded it."""
        rows(tmp_path / "text" / "a.jsonl")
        made = data(tmp_path / "text")
        prepare(made, BYTES, tmp_path / "c")
        source = json.loads((tmp_path / "c" / "source.json").read_text())
        del source["selection"]
        stats = {name: (tmp_path / "text" / name).stat() for name in names}
        source["files"] = [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()]
        (tmp_path / "c" / "source.json").write_text(json.dumps(source))
        return made

    def test_what_it_did_not_read_is_no_change(self, tmp_path):
        made = self.old(tmp_path, ["a.jsonl"])
        (tmp_path / "more").mkdir()
        (tmp_path / "more" / "b.txt").write_text("b")
        (tmp_path / "text" / "link").symlink_to("../more")
        for name in ("B.TXT", "c.ndjson", "d.txt.xz"):
            (tmp_path / "text" / name).write_text("x")
        assert isinstance(prepare(made, BYTES, tmp_path / "c"), Corpus)
        (tmp_path / "text" / "new.txt").write_text("new")
        with pytest.raises(ZeroscaleError, match=r"new\.txt is new"):
            prepare(made, BYTES, tmp_path / "c")

    def test_what_it_read_under_two_names_is_no_change(self, tmp_path):
        (tmp_path / "text").mkdir()
        (tmp_path / "text" / "z.jsonl").symlink_to("a.jsonl")
        rows(tmp_path / "text" / "a.jsonl")
        made = self.old(tmp_path, ["a.jsonl", "z.jsonl"])
        assert isinstance(prepare(made, BYTES, tmp_path / "c"), Corpus)
        (tmp_path / "text" / "a.jsonl").write_text('{"text": "other"}')
        with pytest.raises(ZeroscaleError, match=r"a\.jsonl has another size"):
            prepare(made, BYTES, tmp_path / "c")
