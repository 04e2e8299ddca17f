"""Files of every kind hold the same texts, wherever reading begins; broken ones are named."""

import contextlib
import gzip
import json
from pathlib import Path

import pyarrow
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from zeroscale.config.data import FilesData
from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.sources import documents as rows_to_texts
from zeroscale.data.sources import readers
from zeroscale.data.sources.documents import Document, Row
from zeroscale.data.sources.sources import documents, items, left_out

ROWS = [
    {"text": f"text {n} " + "of some words\n" * (n % 7 * 2500), "url": f"https://a{n}.example/{n}"} for n in range(40)
]
TEXT = "".join(row["text"] for row in ROWS)


def data(path: object, **changes) -> FilesData:
    return FilesData(**{"kind": "files", "name": "mine", "path": str(path), "val_fraction": 0.1, **changes})


def packed(name: str, content: bytes) -> bytes:
    """In two compressed streams in a row where it is compressed, as `cat a.gz b.gz` and parallel packers make them."""
    half = len(content) // 2
    if name.endswith(".gz"):
        return gzip.compress(content[:half]) + gzip.compress(content[half:])
    if name.endswith(".zst"):
        pack = zstandard.ZstdCompressor().compress
        return pack(content[:half]) + pack(content[half:])
    return content


def write(directory: Path, name: str) -> Path:
    """A file of the rows, or of their texts one after the other, in the format that its name says."""
    path = directory / name
    if name.endswith(".parquet"):
        parquet.write_table(pyarrow.Table.from_pylist(ROWS), path, row_group_size=7)
    elif ".txt" in name:
        path.write_bytes(packed(name, TEXT.encode()))
    else:
        path.write_bytes(packed(name, "".join(json.dumps(row) + "\n" for row in ROWS).encode()))
    return path


ROW_FILES = ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.json.gz", "a.ndjson.zst", "a.parquet"]
TEXT_FILES = ["a.txt", "a.txt.gz", "a.txt.zst"]


@pytest.mark.parametrize("name", ROW_FILES)
def test_rows_are_the_same_in_every_format(name, tmp_path):
    (tmp_path / "plain").mkdir()
    expected = [document.text for document in documents(data(write(tmp_path / "plain", "a.jsonl")))]
    write(tmp_path, name)
    found = list(documents(data(tmp_path / name)))
    assert [document.text for document in found] == expected and len(expected) > len(ROWS)
    assert [document.text for document in documents(data(tmp_path))][: len(expected)] == expected  # a directory of it
    assert found[-1].name.startswith(f"{name}:40")


@pytest.mark.parametrize("name", TEXT_FILES)
def test_plain_text_is_the_same_packed(name, tmp_path):
    write(tmp_path, name)
    found = [document.text for document in documents(data(tmp_path))]
    assert "".join(found) == TEXT and len(found) > 5


@pytest.mark.parametrize("name", [*ROW_FILES, *TEXT_FILES])
def test_reading_goes_on_from_any_place(name, tmp_path):
    write(tmp_path, name)
    write(tmp_path, f"b-{name}")
    for max_bytes in (None, 1_500_000):
        wanted = data(tmp_path, max_bytes=max_bytes)
        whole = list(items(wanted))
        for number in range(0, len(whole), 7):
            place = json.loads(json.dumps(whole[number].place))
            assert list(items(wanted, place)) == whole[number + 1 :], number
        assert list(items(wanted, whole[-1].place)) == []


@pytest.mark.parametrize("name", [*ROW_FILES, *TEXT_FILES])
def test_progress_ends_at_the_size_of_the_files(name, tmp_path):
    write(tmp_path, name)
    done = [item.done for item in items(data(tmp_path))]
    size = (tmp_path / name).stat().st_size
    assert done == sorted(done) and done[-1] == size
    assert {item.of for item in items(data(tmp_path))} == {size}


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.txt.zst"])
def test_a_compressed_file_that_breaks_off_is_no_shorter_text(name, tmp_path):
    path = write(tmp_path, name)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ZeroscaleError, match=rf"{name}: breaks off in the middle of its compressed data"):
        list(documents(data(path)))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl.gz", b"no gzip", r"a\.jsonl\.gz: cannot be decompressed"),
        ("a.txt.zst", b"no zstandard", r"a\.txt\.zst: cannot be decompressed"),
        ("a.jsonl.gz", gzip.compress(b'{"text": "a"}\n{"body": 1}', mtime=0), r"a\.jsonl\.gz, line 2: no field 'text'"),
        ("a.txt.gz", gzip.compress(b"ab\xff", mtime=0), r"a\.txt\.gz: not UTF-8 at byte 2"),
        ("a.txt.gz", b"", r"a\.txt\.gz is empty"),
        ("a.parquet", b"PAR1 no", r"a\.parquet: not a Parquet file"),
    ],
)
def test_a_bad_file_is_one_message(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ZeroscaleError, match=message) as caught:
        list(documents(data(tmp_path)))
    assert "\n" not in str(caught.value)


def test_parquet_without_the_field_says_what_it_has(tmp_path):
    parquet.write_table(pyarrow.table({"body": ["a"], "n": [1]}), tmp_path / "a.parquet")
    with pytest.raises(ZeroscaleError, match=r"a\.parquet, row 1: no field 'text' \(it has body, n\)"):
        list(documents(data(tmp_path)))
    with pytest.raises(ZeroscaleError, match=r"row 1: the field 'n' should be text, not int"):
        list(documents(data(tmp_path, text_field="n")))


class TestSites:
    @pytest.mark.parametrize(
        ("url", "site"),
        [
            ("https://en.wikipedia.org/wiki/Cat", "wikipedia.org"),
            ("http://WIKIPEDIA.org", "wikipedia.org"),
            ("http://user@de.m.wikipedia.org.:80/x", "wikipedia.org"),
            ("en.wikipedia.org/wiki/Cat", "wikipedia.org"),
            ("https://notwikipedia.org/", None),
            ("https://wikipedia.org.example.com/", None),
            ("https://example.com/?from=wikipedia.org", None),
            ("http://[broken", None),
            ("", None),
            (None, None),
        ],
    )
    def test_the_host_decides(self, url, site):
        assert left_out(url, data("x", url_field="url", leave_out_sites=("wikipedia.org",))) == site
        assert left_out(url, data("x")) is None

    def test_a_row_without_the_field_is_named_and_null_is_no_address(self, tmp_path):
        rows = [{"text": "one", "url": None}, {"text": "two", "url": "http://a.b.wikipedia.org"}, {"text": "three"}]
        (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows[:2])))
        wanted = data(tmp_path, url_field="url", leave_out_sites=("wikipedia.org",))
        assert [document.text for document in documents(wanted)] == ["one"]
        (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
        with pytest.raises(ZeroscaleError, match=r"line 3: no field 'url' \(it has text\).* data\.url_field="):
            list(documents(wanted))
        with pytest.raises(ZeroscaleError, match=r"leave_out_sites needs data\.url_field"):
            list(documents(data(tmp_path, leave_out_sites=("wikipedia.org",))))


class TestJoining:
    LINES = (" \n", " = One = \n", "", " first line\n", " = = Section = = \n", " more\n", " = Two = \n", " end\n")

    def rows(self) -> list[Row]:
        return [Row(line, None, f"r{n}", n, None) for n, line in enumerate(self.LINES, start=1)]

    def test_a_row_that_fits_begins_a_text(self):
        found = list(rows_to_texts.texts(self.rows(), "^ = [^=].* = $"))
        assert [item.documents[0] for item in found] == [
            Document(" = One = \n first line\n = = Section = = \n more\n", "r2"),
            Document(" = Two = \n end\n", "r7"),
        ]
        assert [item.place for item in found] == [6, 8]

    @settings(max_examples=30, deadline=None)
    @given(st.lists(st.sampled_from(["= T =", "line\n", " ", "x"]), max_size=30))
    def test_nothing_is_lost_and_places_lie_between_texts(self, lines):
        rows = [Row(line, None, str(n), n, None) for n, line in enumerate(lines, start=1)]
        found = list(rows_to_texts.texts(rows, "^= "))
        assert "".join(item.documents[0].text for item in found).split() == "".join(lines).split()
        for number, item in enumerate(found):
            assert list(rows_to_texts.texts(rows[item.place :], "^= ")) == found[number + 1 :]

    def test_a_pattern_that_fits_nothing_does_not_gather_everything(self, monkeypatch):
        monkeypatch.setattr(rows_to_texts, "MAX_JOINED_CHARACTERS", 50)
        rows = [Row("ten chars\n", None, str(n), n, None) for n in range(1, 100)]
        found = list(rows_to_texts.texts(rows, "^never$"))
        assert max(len(item.documents[0].text) for item in found) <= 60
        assert "".join(item.documents[0].text for item in found) == "ten chars\n" * 99


class TestOtherContent:
    """What a file is that its name does not say, in one message, and before it is read into memory as one line."""

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("a.txt", gzip.compress(b"text", mtime=0), r"it is compressed by gzip: give its name the ending \.gz"),
            ("a.txt", zstandard.compress(b"text"), r"it is compressed by zstd: give its name the ending \.zst"),
            (
                "a.jsonl",
                gzip.compress(b"text", mtime=0),
                r"line 1: not UTF-8 at byte 1 \(0x8b\); it is compressed by gzip",
            ),
            ("a.txt", "text".encode("utf-16"), r"byte 0 \(0xff\); it is UTF-16: convert it with iconv"),
            ("a.jsonl", "text".encode("utf-16"), r"line 1: not UTF-8 at byte 0 \(0xff\); it is UTF-16"),
            ("a.txt", "text".encode("utf-32"), r"it is UTF-32"),
            ("a.txt", "text".encode("utf-16-le"), r"no text: 4 of its first 8 bytes are 0, as in UTF-16"),
            ("a.jsonl", bytes(10_000), r"no text: 4,096 of its first 4,096 bytes are 0"),
            ("a.json", b'[\n{"text": "a"}\n]', r"line 1: not valid JSON lines: it begins a list; .* jq -c '\.\[\]'"),
            ("a.json", b'{\n"text": "a"\n}', r"line 1: not valid JSON .* jq -c \. of objects over several lines"),
            ("a.jsonl", b'{"text": "a"}\n["b"]', r"line 2: it is a list, not an object"),
            ("a.jsonl", b'{"te\\ud800xt": "a"}', r"no field 'text' \(it has te\\ud800xt\)"),
        ],
    )
    def test_is_named(self, name, content, message, tmp_path):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ZeroscaleError, match=message) as caught:
            list(documents(data(tmp_path / name)))
        str(caught.value).encode()
        assert "\n" not in str(caught.value)

    def test_of_a_parquet_column_is_named_with_its_row(self, tmp_path):
        offsets, letters = b"\0\0\0\0\2\0\0\0\5\0\0\0", b"okay\xff"
        column = pyarrow.StringArray.from_buffers(2, pyarrow.py_buffer(offsets), pyarrow.py_buffer(letters))
        parquet.write_table(pyarrow.table({"text": column}), tmp_path / "a.parquet")
        with pytest.raises(ZeroscaleError, match=r"a\.parquet, row 2: the field 'text' is not UTF-8 at its byte 2"):
            list(documents(data(tmp_path)))

    def test_damaged_parquet_is_one_message(self, tmp_path):
        path = write(tmp_path, "a.parquet")
        whole = path.read_bytes()
        for content in (whole[:-10], whole[:40] + b"\xff" * 40 + whole[80:], whole[:4] + whole[400:]):
            path.write_bytes(content)
            with pytest.raises(ZeroscaleError, match=r"a\.parquet: not a Parquet file that can be read"):
                list(documents(data(tmp_path)))


class TestLineEnds:
    def test_a_carriage_return_ends_no_line(self, tmp_path):
        rows = [{"text": f"a\rb\u2028c\x85d\x0be {n}"} for n in range(3)]
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        for name, content in {"a.jsonl": "\r\n".join(lines), "b.jsonl": "\n".join(lines)}.items():
            (tmp_path / name).write_bytes(content.encode())
        assert [document.text for document in documents(data(tmp_path))] == [row["text"] for row in rows] * 2
        (tmp_path / "c.txt").write_bytes(b"one\rtwo\r\nthree\n\r")
        assert [d.text for d in documents(data(tmp_path / "c.txt"))] == ["one\rtwo\r\nthree\n\r"]

    def test_a_byte_order_mark_is_no_character(self, tmp_path):
        mark = b"\xef\xbb\xbf"
        (tmp_path / "a.jsonl").write_bytes(mark + b'{"text": "a"}\n' + mark + b'{"text": "b"}')
        (tmp_path / "b.txt.gz").write_bytes(gzip.compress(mark + b"c"))
        assert [document.text for document in documents(data(tmp_path))] == ["a", "b", "c"]

    def test_integers_of_any_length_are_no_matter(self, tmp_path):
        (tmp_path / "a.jsonl").write_text('{"n": ' + "1" * 5000 + ', "text": "a"}')
        assert [document.text for document in documents(data(tmp_path))] == ["a"]


@pytest.mark.parametrize("blank", [" \n" * 100_000, "\u3000" * 50_000, "\ufeff", "\ufeff\n", "\u00a0"])
def test_white_space_of_any_length_is_no_text_and_none_is_lost_before_one(blank, tmp_path):
    (tmp_path / "a.txt").write_text(blank, encoding="utf-8")
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(blank.encode()))
    (tmp_path / "c.txt").write_text(blank + "text", encoding="utf-8")
    found = list(documents(data(tmp_path)))
    assert {document.name.partition("#")[0] for document in found} == {"c.txt"}
    assert "".join(document.text for document in found) == (blank + "text").removeprefix("\ufeff")


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_a_line_without_end_is_not_read_into_memory(name, tmp_path, monkeypatch):
    monkeypatch.setattr(readers, "MAX_LINE_BYTES", 1000)
    for length, message in ((900, None), (2000, r"line 2: longer than 1,000 bytes"), (10**6, r"line 2: longer than")):
        content = b'{"text": "a"}\n{"text": "' + b"b" * length + b'"}\n{"text": "c"}\n'
        (tmp_path / name).write_bytes(packed(name, content))
        with pytest.raises(ZeroscaleError, match=message) if message else contextlib.nullcontext():
            assert [len(document.text) for document in documents(data(tmp_path))] == [1, length, 1]
