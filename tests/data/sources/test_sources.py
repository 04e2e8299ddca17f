"""What the sources give, and what they say about bad input."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from zeroscale.config.data import FilesData, StdlibData
from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.sources import sources
from zeroscale.data.sources.documents import MAX_DOCUMENT_BYTES, Document, pieces
from zeroscale.data.sources.sources import content_hash, describe, documents


def stdlib(**changes) -> StdlibData:
    return StdlibData(**{"kind": "stdlib", "name": "stdlib", "val_fraction": 0.05, **changes})


def files(path: object, **changes) -> FilesData:
    return FilesData(**{"kind": "files", "name": "mine", "path": str(path), "val_fraction": 0.1, **changes})


def texts(data: FilesData | StdlibData) -> list[str]:
    return [document.text for document in documents(data)]


class TestStdlib:
    def test_is_about_eleven_megabytes_of_library_and_help(self):
        found = list(documents(stdlib()))
        names = {document.name.partition("#")[0] for document in found}
        assert {"argparse.py", "asyncio/base_events.py", "help/lambda"} <= names
        assert 8e6 < sum(len(document.text) for document in found) < 16e6
        assert not any("/test/" in f"/{name}" or "site-packages" in name or "idle_test" in name for name in names)
        assert "pydoc_data/topics.py" not in names

    def test_is_the_same_in_another_process(self):
        code = (
            "import hashlib; from zeroscale.config.data import StdlibData as N\n"
            "from zeroscale.data.sources.sources import documents\n"
            "d = N(kind='stdlib', name='s', val_fraction=0.1, max_bytes=2_000_000)\n"
            "print(hashlib.sha256(repr(list(documents(d))).encode()).hexdigest())"
        )
        environments = [{**os.environ, "PYTHONHASHSEED": seed} for seed in ("1", "2")]
        said = {subprocess.check_output([sys.executable, "-c", code], env=one) for one in environments}
        assert len(said) == 1

    def test_description_names_the_python(self):
        assert describe(stdlib())["python"].endswith(sys.version.split()[0])
        assert len(content_hash(stdlib())) == 64

    def test_a_library_without_sources_is_named(self, monkeypatch, tmp_path):
        monkeypatch.setattr(sources.sysconfig, "get_paths", lambda: {"stdlib": str(tmp_path)})
        with pytest.raises(ZeroscaleError, match="library has no sources in"):
            texts(stdlib())


class TestFiles:
    def test_a_directory_is_read_in_order_of_names(self, tmp_path):
        (tmp_path / "b").mkdir()
        for name in ("z.txt", "b/a.md", "b.py", "a.rst", ".hidden.txt", "picture.png"):
            (tmp_path / name).write_text(f"text of {name}\r\n", encoding="utf-8", newline="")
        (tmp_path / ".git").mkdir()
        (tmp_path / ".git" / "x.txt").write_text("no")
        assert [d.name for d in documents(files(tmp_path))] == ["a.rst#1", "b.py#1", "b/a.md#1", "z.txt#1"]
        assert texts(files(tmp_path))[0] == "text of a.rst\r\n"  # line ends as they are

    def test_a_glob_takes_any_name_and_one_file_is_enough(self, tmp_path):
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub" / "wiki.tokens").write_text("\ufeffone")
        (tmp_path / "other.text").write_text("two")
        assert list(documents(files(tmp_path / "**" / "*.tokens"))) == [Document("one", "sub/wiki.tokens#1")]
        assert list(documents(files(tmp_path / "other.text"))) == [Document("two", "other.text#1")]

    def test_json_lines_by_field(self, tmp_path):
        rows = [{"body": "one"}, {"body": "  "}, {"body": "two \ud83d lone", "more": 1}]
        (tmp_path / "rows.jsonl").write_text("\n\n".join(map(json.dumps, rows)))
        found = list(documents(files(tmp_path, text_field="body")))
        assert found == [Document("one", "rows.jsonl:1"), Document("two \ufffd lone", "rows.jsonl:5")]

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("a.txt", b"", r"a\.txt is empty"),
            ("a.txt", b" \n\n", r"a\.txt is empty"),
            ("a.jsonl", b"\n", r"a\.jsonl is empty"),
            ("a.txt", b"abc\xff\xfe", r"a\.txt: not UTF-8 at byte 3 \(0xff\)"),
            ("a.txt", b"line\n" * 300_000 + b"\xe9", r"a\.txt: not UTF-8 at byte 1500000 \(0xe9\)"),
            ("a.txt", "né".encode("utf-16"), r"a\.txt: not UTF-8 at byte 0"),
            ("a.jsonl", b'{"text": "a"}\n{"text": "\xff"}', r"a\.jsonl, line 2: not UTF-8 at byte 24"),
            ("a.jsonl", b'{"text": "a"}\n{"text": ', r"a\.jsonl, line 2: not valid JSON"),
            ("a.jsonl", b'{"text": "a"}\n\n{"body": "a"}', r"a\.jsonl, line 3: no field 'text' \(it has body\)"),
            ("a.jsonl", b'"text"', r"a\.jsonl, line 1: no field 'text' \(it is a str\)"),
            ("a.jsonl", b'{"text": 7}', r"a\.jsonl, line 1: the field 'text' should be text, not int"),
            ("a.jsonl", b"[" * 100_000, r"a\.jsonl, line 1: not valid JSON"),
        ],
    )
    def test_a_bad_file_is_one_message_that_names_file_and_place(self, name, content, message, tmp_path):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ZeroscaleError, match=message) as caught:
            texts(files(tmp_path))
        assert "\n" not in str(caught.value)

    def test_a_path_without_files_is_named(self, tmp_path):
        for path, message in [
            (tmp_path / "nowhere", "there is no such file or directory"),
            (tmp_path, r"no \.txt \.text .* file in this directory"),
            (tmp_path / "*.txt", "no file fits this glob"),
        ]:
            with pytest.raises(ZeroscaleError, match=message):
                texts(files(path))

    @pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
    def test_an_unreadable_file_is_named(self, tmp_path):
        (tmp_path / "a.txt").write_text("x")
        (tmp_path / "a.txt").chmod(0)
        with pytest.raises(ZeroscaleError, match=r"a\.txt cannot be read: Permission denied"):
            texts(files(tmp_path))

    def test_a_broken_link_is_named(self, tmp_path):
        (tmp_path / "a.txt").symlink_to(tmp_path / "gone")
        for ask in (texts, describe, content_hash):
            with pytest.raises(ZeroscaleError, match=r"a\.txt cannot be read: No such file"):
                ask(files(tmp_path))

    def test_max_bytes_cuts_the_corpus_short(self, tmp_path):
        (tmp_path / "a.txt").write_text("a" * 50)
        (tmp_path / "b.txt").write_text("é" * 50)
        assert texts(files(tmp_path, max_bytes=50)) == ["a" * 50]
        assert texts(files(tmp_path, max_bytes=61)) == ["a" * 50, "é" * 5]
        assert texts(files(tmp_path, max_bytes=10**6)) == ["a" * 50, "é" * 50]


class TestPieces:
    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(st.tuples(st.sampled_from(["word ", "é", "\n", "🤖", "x", " "]), st.integers(1, 60_000)), max_size=5),
        st.integers(1, 200_000),
    )
    @example([("🤖", 50_000)], 7)
    @example([("x", MAX_DOCUMENT_BYTES + 1)], 4096)
    def test_are_short_enough_and_joined_are_the_text(self, runs, block):
        content = "".join(text * count for text, count in runs).encode()
        found = list(pieces(content[i : i + block] for i in range(0, len(content), block)))
        assert b"".join(found) == content
        assert all(0 < len(piece) <= MAX_DOCUMENT_BYTES for piece in found)
        assert "".join(piece.decode("utf-8") for piece in found).encode() == content  # no character is cut
        assert found == list(pieces([content]))  # however the text is read

    def test_end_at_a_line_else_before_a_word(self):
        lines = ("x" * 99 + "\n") * 2000
        assert all(piece.endswith(b"\n") for piece in pieces([lines.encode()]))
        words = "word and " * 20_000
        first, *others = pieces([words.encode()])
        assert all(piece.startswith(b" ") for piece in others) and not first.endswith(b" ")

    def test_long_documents_of_every_kind_are_cut(self, tmp_path):
        long = "".join(f"line {n}\n" for n in range(20_000))
        (tmp_path / "a.txt").write_text(long)
        (tmp_path / "b.jsonl").write_text(json.dumps({"text": long}))
        found = list(documents(files(tmp_path)))
        half = len(found) // 2
        assert [d.name for d in found[:2]] == ["a.txt#1", "a.txt#2"] and found[half].name == "b.jsonl:1#1"
        assert "".join(d.text for d in found[:half]) == "".join(d.text for d in found[half:]) == long


def hub_documents(environment: dict[str, str], cache: Path, **settings) -> tuple[object, float]:
    """The documents of a hub dataset, or the error's message, asked in a process of its own."""
    plain = {"kind": "hub", "name": "h", "dataset": "nobody/nothing", "split": "train", "val_fraction": 0.1}
    code = f"""
import json
from zeroscale.data.sources.sources import documents
from zeroscale.config.data import HubData
from zeroscale.core.errors import ZeroscaleError
try:
    print(json.dumps(list(documents(HubData(**{ {**plain, **settings}!r})))))
except ZeroscaleError as error:
    print(json.dumps(str(error)))
"""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code],
        text=True,
        capture_output=True,
        check=True,
        timeout=300,
        env={**inherited, "HF_HOME": str(cache), "HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "*", **environment},
    )
    return json.loads(done.stdout.splitlines()[-1]), time.monotonic() - start


class TestHub:
    @pytest.mark.parametrize("streaming", [True, False])
    @pytest.mark.parametrize(
        ("environment", "message"),
        [
            ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set, so only what is in the local cache is found"),
            ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "http://127.0.0.1:9 does not answer"),
        ],
    )
    def test_without_the_hub_the_message_comes_within_seconds(self, environment, message, streaming, tmp_path):
        said, seconds = hub_documents(environment, tmp_path, streaming=streaming)
        assert "nobody/nothing" in said and message in said and "\n" not in said
        assert seconds < 20

    @pytest.mark.parametrize("streaming", [True, False])
    def test_rows_are_read_by_datasets(self, streaming, tmp_path):
        (tmp_path / "set").mkdir()
        rows = [{"text": "one"}, {"text": ""}, {"text": "three"}, {"text": "four"}]
        (tmp_path / "set" / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
        ask = {"dataset": str(tmp_path / "set"), "streaming": streaming}
        found, _ = hub_documents({"HF_HUB_OFFLINE": "1"}, tmp_path / "cache", **ask, max_documents=3)
        assert found == [["one", "0"], ["three", "2"]]

    def test_a_missing_field_or_split_is_named(self, tmp_path):
        (tmp_path / "set").mkdir()
        (tmp_path / "set" / "train.jsonl").write_text('{"text": "one"}')
        ask = {"dataset": str(tmp_path / "set")}
        said, _ = hub_documents({"HF_HUB_OFFLINE": "1"}, tmp_path / "cache", **ask, text_field="body")
        assert "row 0: no field 'body' (it has text)" in said
        said, _ = hub_documents({"HF_HUB_OFFLINE": "1"}, tmp_path / "cache", **ask, split="nosuch")
        assert "Bad split: nosuch. Available splits: " in said
