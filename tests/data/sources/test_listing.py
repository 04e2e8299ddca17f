"""What a path names: every kind of file under every spelling, each real file once, the rest by name and reason."""

import bz2
import gzip
import json
import lzma
import os
import socket
import subprocess
from pathlib import Path

import pyarrow
import pytest
import zstandard
from pyarrow import parquet

from zeroscale.config.data import FilesData
from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.sources.listing import list_paths
from zeroscale.data.sources.sources import documents

ROWS = "".join(json.dumps({"text": f"row {n}"}) + "\n" for n in range(3)).encode()
PACKERS = {
    "": lambda content: content,
    ".gz": gzip.compress,
    ".zst": zstandard.compress,
    ".xz": lzma.compress,
    ".lzma": lambda content: lzma.compress(content, lzma.FORMAT_ALONE),
    ".bz2": bz2.compress,
}


def texts(path: object, **changes) -> list[str]:
    data = FilesData(**{"kind": "files", "name": "mine", "path": str(path), "val_fraction": 0.1, **changes})
    return [document.text for document in documents(data)]


def spellings(suffix: str) -> list[str]:
    return [suffix, suffix.upper(), suffix.title()]


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize(
    "kind", [".jsonl", ".ndjson", ".json", ".jsonlines", ".jl", ".txt", ".text", ".md", ".rst", ".py"]
)
def test_every_kind_is_read_alike_by_name_in_a_directory_and_by_a_glob(kind, packing, tmp_path):
    for number, suffix in enumerate(spellings(kind + packing)):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / f"x{suffix}").write_bytes(PACKERS[packing](ROWS))
        expected = ["row 0", "row 1", "row 2"] if "j" in kind else [ROWS.decode()]
        for path in (folder, folder / f"x{suffix}", folder / "x*"):
            assert texts(path) == expected, path


@pytest.mark.parametrize("name", ["x.parquet", "X.PARQUET"])
def test_parquet_is_read_under_either_case(name, tmp_path):
    parquet.write_table(pyarrow.table({"text": ["a", "b"]}), tmp_path / name)
    assert texts(tmp_path) == texts(tmp_path / name) == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("x.zip", "an archive"),
        ("x.TAR.gz", "an archive"),
        ("x.tgz", "an archive"),
        ("x.7z", "an archive"),
        ("x.txt.lz4", "compressed in a way that is not read"),
        ("x.txt.Z", "compressed in a way that is not read"),
        ("x.txt.gz.gz", "compressed twice"),
        ("x.parquet.gz", "Parquet that is compressed once more"),
        ("x.pdf", "not a kind of file that is read"),
        ("x.arrow", "not a kind of file that is read"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name_and_left_out_by_name(name, reason, tmp_path):
    (tmp_path / name).write_bytes(b"text that would pass for plain text")
    with pytest.raises(ZeroscaleError, match=reason):
        texts(tmp_path / name)
    with pytest.raises(ZeroscaleError, match=f"that can be read; {name}: {reason}"):
        texts(tmp_path / "x*")
    (tmp_path / "a.txt").write_text("text")
    for path in (tmp_path, tmp_path / "*"):
        listing = list_paths(str(path))
        assert [file for file, _ in listing.files] == ["a.txt"]
        assert list(listing.left_out) == [name] and reason in listing.left_out[name]


def test_a_directory_names_what_it_leaves_out(tmp_path):
    (tmp_path / ".git").mkdir()
    for name in ("a.txt", "b.csv", "noname", ".hidden.txt", ".git/x.txt", "c.png", "empty.json"):
        (tmp_path / name).write_text("" if name == "empty.json" else "x")
    (tmp_path / "about.json").write_text('{\n "licence": "MIT"\n}')
    (tmp_path / "list.json").write_text("[1, 2]")
    listing = list_paths(str(tmp_path))
    assert [name for name, _ in listing.files] == ["a.txt", "empty.json"]
    assert set(listing.left_out) == {".git", ".hidden.txt", "about.json", "b.csv", "c.png", "list.json", "noname"}
    assert listing.left_out[".git"] == "hidden" and "not JSON lines" in listing.left_out["about.json"]
    named = list_paths(str(tmp_path / "*"))
    assert [name for name, _ in named.files] == ["a.txt", "b.csv", "empty.json", "noname"]
    assert named.as_text == ["b.csv", "noname"]  # read, since they were named; and said


def test_a_corpus_does_not_read_corpora_that_were_prepared(tmp_path):
    (tmp_path / "outputs" / "c" / "tokenizer").mkdir(parents=True)
    for name in ("index.json", "source.json", "train-names.txt", "tokenizer/merges.txt"):
        (tmp_path / "outputs" / "c" / name).write_text("{}")
    (tmp_path / "a.txt").write_text("a")
    assert texts(tmp_path) == texts(tmp_path / "**") == ["a"]
    assert list_paths(str(tmp_path)).left_out == {"outputs/c": "a prepared corpus"}
    with pytest.raises(ZeroscaleError, match="a prepared corpus; give the text that it was made of"):
        texts(tmp_path / "outputs" / "c")


def linked_folder(root: Path) -> Path:
    """Two real files, one of them in a folder elsewhere, under nine names."""
    (root / "elsewhere").mkdir()
    (root / "elsewhere" / "b.txt").write_text("b")
    folder = root / "d"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a.txt").write_text("a")
    (folder / "link").symlink_to("../elsewhere")
    (folder / "again").symlink_to("../elsewhere")
    (folder / "loop").symlink_to(".")
    (folder / "0.txt").symlink_to("sub/a.txt")
    (folder / "sub" / "up").symlink_to("..")
    os.link(folder / "sub" / "a.txt", folder / "sub" / "hard.txt")
    return folder


@pytest.mark.parametrize("pattern", ["", "**/*.txt", "**", "*/**/*.txt"])
def test_each_real_file_is_read_once_through_links_and_globs(pattern, tmp_path):
    folder = linked_folder(tmp_path)
    # GNU find is the reference: it follows links and stops at loops. Each real file is an inode.
    found = subprocess.run(["find", "-L", folder, "-name", "*.txt", "-printf", "%i\n"], capture_output=True, text=True)
    assert len(set(found.stdout.split())) == 2
    assert sorted(texts(folder / pattern if pattern else folder)) == ["a", "b"]
    listing = list_paths(str(folder / pattern))
    assert "sub/a.txt" in {name for name, _ in listing.files}  # the name without a link is the one that is kept
    assert listing.repeated and not listing.left_out


def test_links_to_nothing_are_named(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "picture.png").symlink_to("nowhere")
    (tmp_path / "self").symlink_to("self")
    assert list_paths(str(tmp_path)).left_out == dict.fromkeys(["picture.png", "self"], "a link to nothing")
    (tmp_path / "b.txt").symlink_to("nowhere")
    for path in (tmp_path, tmp_path / "*.txt", tmp_path / "b.txt"):
        with pytest.raises(ZeroscaleError, match=r"b\.txt cannot be read: No such file .*a link to nothing"):
            list_paths(str(path))


@pytest.mark.parametrize("name", ["x", "x.jsonl.1", "x.log.gz"])
def test_json_lines_without_their_suffix_are_no_plain_text(name, tmp_path):
    content = b'{"text": "row 1"}\n{"text": "row 2"}\n'
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    for path in (tmp_path / name, tmp_path / "x*"):
        with pytest.raises(ZeroscaleError, match=r"its first line is a JSON object: .* \.jsonl"):
            texts(path)
    (tmp_path / name).write_bytes(b"")
    (tmp_path / "y.tex").write_text("{braces} of another kind\n{\n")
    assert texts(tmp_path / "*") == ["{braces} of another kind\n{\n"]


def test_a_folder_may_bear_the_signs_of_a_glob(tmp_path):
    (tmp_path / "[1]").mkdir()
    (tmp_path / "[1]" / "a.txt").write_text("bracket")
    assert texts(tmp_path / "[1]" / "*.txt") == ["bracket"]
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "a.txt").write_text("one")
    assert texts(tmp_path / "[1]" / "*.txt") == ["one"]
    assert texts(tmp_path / "[[]1]" / "*.txt") == ["bracket"]


def test_names_that_differ_in_case_are_two_files(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "A.TXT").write_text("A")
    assert texts(tmp_path) == ["A", "a"]


def test_what_is_no_file_is_never_opened(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("a")
    os.mkfifo(tmp_path / "fifo.txt")
    (tmp_path / "zero.txt").symlink_to("/dev/zero")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket.txt")
        for path in (tmp_path, tmp_path / "*.txt"):
            listing = list_paths(str(path))
            assert [name for name, _ in listing.files] == ["a.txt"]
            assert listing.left_out == {"fifo.txt": "a FIFO", "socket.txt": "a socket", "zero.txt": "a device"}
        for name, words in (("fifo.txt", "a FIFO"), ("socket.txt", "a socket"), ("zero.txt", "a device")):
            with pytest.raises(ZeroscaleError, match=f"{name}: {words}, not a file"):
                list_paths(str(tmp_path / name))


def test_a_glob_is_pythons_but_for_links(tmp_path):
    for name in ("a/b/sub/x.txt", "a/sub/y.txt", "a/.hidden/z.txt", ".h.txt", "q[1].txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    for pattern in ("**/sub/*.txt", "**/*.txt", "a/*/sub/?.txt", "**/.hidden/*", "[a-z]/**/*.txt", "*[[]1].txt", ".*"):
        expected = {str(file.relative_to(tmp_path)) for file in map(Path, _glob(tmp_path, pattern)) if file.is_file()}
        listing = list_paths(str(tmp_path / pattern))
        assert {str(path.relative_to(tmp_path)) for _, path in listing.files} == expected, pattern
    assert texts(tmp_path / "q[1].txt") == ["q[1].txt"]  # a file of that very name


def _glob(root: Path, pattern: str) -> list[str]:
    import glob

    return glob.glob(str(root / pattern), recursive=True)


def test_a_name_that_is_not_utf8_is_escaped(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_text("a")
    assert [name for name, _ in list_paths(str(tmp_path)).files] == ["caf\\xe9.txt"]
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_bytes(b"\xff")
    with pytest.raises(ZeroscaleError, match=r"caf\\xe9\.txt: not UTF-8 at byte 0") as caught:
        texts(tmp_path)
    str(caught.value).encode()


def test_a_glob_may_begin_here_or_nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("a")
    assert texts("*.txt") == texts("**/*.txt") == ["a"]
    for pattern in ("nowhere/*.txt", "nowhere/**", "*.md"):
        with pytest.raises(ZeroscaleError, match="no file fits this glob"):
            texts(pattern)


def test_a_path_that_no_system_takes_is_one_message():
    for path in ("a" * 5000, "a/" * 5000, "nowhere\0"):
        with pytest.raises(ZeroscaleError, match="there is no such file or directory"):
            list_paths(path)
