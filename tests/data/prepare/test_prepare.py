"""A corpus is built once, whole or not at all, and noticed when its text has changed."""

import dataclasses
import hashlib
import json
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from zeroscale.config.data import FilesData, StdlibData
from zeroscale.config.model import BpeTokenizer
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import sha256_file
from zeroscale.data.corpus import Corpus
from zeroscale.data.prepare.encode import share_of, side_of
from zeroscale.data.prepare.prepare import corpus_directory, prepare
from zeroscale.data.prepare.shards import ShardWriter
from zeroscale.data.sources import sources
from zeroscale.data.sources.sources import documents
from zeroscale.data.tokenizer import Tokenizer

# The name of novels/ at 2,048 tokens of BPE, as the first version gave it.
OLD_NAME = "files-ed207f54"
BYTES = SimpleNamespace(kind="bytes")
BPE = SimpleNamespace(kind="bpe", vocab_size=300)


def split_of(text: str, val_fraction: float) -> str:
    return side_of(share_of(text), val_fraction)


def some_files(directory: Path, number: int = 60, **changes) -> FilesData:
    """Settings of a corpus of small documents, written to `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    for n in range(number):
        lines = [f"document {n} says the thing number {n * k % 17}\n" for k in range(1 + n % 40)]
        (directory / f"{n:03d}.txt").write_text("".join(lines), encoding="utf-8")
    return FilesData(**{"kind": "files", "name": "mine", "path": str(directory), "val_fraction": 0.2, **changes})


def split_documents(corpus: Corpus, split: str) -> list[str]:
    """The texts of a split, decoded from its shards."""
    total = corpus.n_train_tokens if split == "train" else corpus.n_val_tokens
    ids = corpus.read(split, 0, total)
    ends = np.flatnonzero(ids == corpus.tokenizer.eos)
    assert ends[-1] == total - 1
    return [corpus.tokenizer.decode(part[:-1].tolist()) for part in np.split(ids, ends + 1)[:-1]]


@pytest.mark.parametrize("tokenizer", [BYTES, BPE], ids=["bytes", "bpe"])
def test_every_document_is_in_one_split_whole(tokenizer, tmp_path):
    data = some_files(tmp_path / "text")
    corpus = prepare(data, tokenizer, tmp_path / "corpora" / "c")
    corpus.verify()
    expected = [document.text for document in documents(data)]
    train, val = split_documents(corpus, "train"), split_documents(corpus, "val")
    assert val == [text for text in expected if text in set(val)] and 3 <= len(val) <= 25
    assert sorted(train + val) == sorted(expected)
    for split, texts in (("train", train), ("val", val)):
        counts = corpus.index["splits"][split]
        assert counts["documents"] == len(texts)
        assert counts["bytes"] == sum(len(text.encode()) for text in texts)
        assert counts["words"] == sum(len(text.split()) for text in texts)
    assert corpus.n_val_tokens == len(corpus.val_tokens()) == corpus.index["splits"]["val"]["tokens"]


def test_the_split_is_by_content_not_by_position(tmp_path):
    data = some_files(tmp_path / "a")
    before = set(split_documents(prepare(data, BYTES, tmp_path / "c1"), "val"))
    more = some_files(tmp_path / "b")
    (tmp_path / "b" / "000a.txt").write_text("another document in front\n")
    (tmp_path / "b" / "031.txt").rename(tmp_path / "b" / "zzz.txt")
    after = set(split_documents(prepare(more, BYTES, tmp_path / "c2"), "val"))
    assert before == after - {"another document in front\n"}


def test_the_split_is_sha256s():
    # The rule by hand: the first 8 bytes of sha256, as a share of 2^64.
    for text in ("a", "b", "é", ""):
        share = int(hashlib.sha256(text.encode()).hexdigest()[:16], 16) / 2**64
        assert split_of(text, share + 1e-6) == "val" and split_of(text, share - 1e-6) == "train"


def test_bpe_learns_from_training_documents_only(tmp_path):
    data = some_files(tmp_path / "text")
    train = [d.text for d in documents(data) if split_of(d.text, data.val_fraction) == "train"]
    corpus = prepare(data, BPE, tmp_path / "c")
    assert corpus.tokenizer.fingerprint == Tokenizer.train_bpe(train, 300).fingerprint


def test_the_fingerprint_is_of_the_tokens(tmp_path):
    data = some_files(tmp_path / "text")
    first = prepare(data, BPE, tmp_path / "c1").fingerprint
    assert prepare(data, BPE, tmp_path / "c2").fingerprint == first
    assert prepare(data, BYTES, tmp_path / "c3").fingerprint != first
    (tmp_path / "text" / "007.txt").write_text("other words\n")
    assert prepare(data, BPE, tmp_path / "c4").fingerprint != first


def test_shards_roll_over_and_carry_their_hashes(tmp_path):
    with ShardWriter(tmp_path, "train", np.dtype("<u2"), shard_tokens=10) as writer:
        for part in np.split(np.arange(25), [3, 4, 17]):
            writer.add(part)
        shards = writer.close()
    assert [shard["tokens"] for shard in shards] == [10, 10, 5]
    joined = np.concatenate([np.fromfile(tmp_path / shard["file"], dtype="<u2") for shard in shards])
    assert np.array_equal(joined, np.arange(25))
    assert [shard["sha256"] for shard in shards] == [sha256_file(tmp_path / shard["file"]) for shard in shards]


def test_progress_tells_stages_and_bytes(tmp_path):
    told = []
    data = some_files(tmp_path / "text")
    prepare(data, BPE, tmp_path / "c", lambda *progress: told.append(progress))
    size = sum(file.stat().st_size for file in (tmp_path / "text").iterdir())
    assert [stage for _, _, stage in told] == sorted((stage for _, _, stage in told), reverse=True)
    assert {stage for _, _, stage in told} == {"training the tokenizer", "tokenising"}
    assert told[-1] == (size, size, "tokenising")


def test_every_document_is_counted_somewhere(tmp_path):
    texts = [f"text number {n} " + " ".join(f"w{n * k % 101}" for k in range(80)) for n in range(90)]
    near = [f"{text} and more" for text in texts[:30]]
    exact = [f"  {text}\n" for text in texts[:20]]
    rows = [{"text": text, "url": f"http://x.org/{n}"} for n, text in enumerate([*texts, *exact, *near])]
    rows[40]["url"], rows[41]["url"], rows[42]["url"] = "http://en.wikipedia.org", "https://b.example/", None
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = FilesData(
        kind="files",
        name="mine",
        path=str(tmp_path / "rows.jsonl"),
        val_fraction=0.3,
        url_field="url",
        leave_out_sites=("wikipedia.org", "b.example"),
        drop_exact_duplicates=True,
        near_duplicate_threshold=0.6,
    )
    corpus = prepare(data, BYTES, tmp_path / "c")
    index = corpus.index
    assert index["read"] == {"texts": 140, "documents": 140, "bytes": sum(len(row["text"]) for row in rows)}
    size = len(texts[40])
    assert index["left_out"]["wikipedia.org"] == {"texts": 1, "documents": 1, "bytes": size}
    assert index["left_out"]["b.example"]["texts"] == 1 and index["without_url"] == 1
    splits = index["splits"]
    assert sum(split["exact_duplicates"] for split in splits.values()) == 20
    assert sum(split["near_duplicates"] for split in splits.values()) == 30
    assert sum(split["documents"] for split in splits.values()) == 140 - 2 - 20 - 30
    # Of each group the first stays, and in its order.
    kept = [text for text in texts if text not in (texts[40], texts[41])]
    for split in ("train", "val"):
        assert split_documents(corpus, split) == [text for text in kept if split_of(text, 0.3) == split]


def test_a_split_that_is_emptied_says_by_what(tmp_path):
    rows = [{"text": f"text {n}", "url": "http://wikipedia.org"} for n in range(50)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = FilesData(
        kind="files",
        name="mine",
        path=str(tmp_path / "rows.jsonl"),
        val_fraction=0.3,
        url_field="url",
        leave_out_sites=("wikipedia.org",),
    )
    with pytest.raises(ZeroscaleError, match=r"training split is empty: 50 documents .*, 50 of them left out by their"):
        prepare(data, BYTES, tmp_path / "c")
    with pytest.raises(ZeroscaleError, match=r"validation split is empty: 60 documents .* at data\.val_fraction=1e-09"):
        prepare(some_files(tmp_path / "text", val_fraction=1e-9), BYTES, tmp_path / "c2")


class TestNames:
    def test_derive_from_what_decides_the_tokens(self, tmp_path):
        data = some_files(tmp_path / "text")
        path = corpus_directory(tmp_path, data, BPE)
        assert path.parent == tmp_path and path.name.startswith("mine-") and len(path.name) == 13
        for changed in (
            {"val_fraction": 0.1},
            {"max_bytes": 9},
            {"path": "x"},
            {"text_field": "b"},
            {"name": "n"},
            {"document_start": "^x"},
            {"leave_out_sites": ("a.b",)},
            {"drop_exact_duplicates": True},
            {"near_duplicate_threshold": 0.8},
        ):
            assert corpus_directory(tmp_path, dataclasses.replace(data, **changed), BPE) != path
        for other in (BYTES, SimpleNamespace(kind="bpe", vocab_size=301)):
            assert corpus_directory(tmp_path, data, other) != path
        assert corpus_directory(tmp_path, data, SimpleNamespace(kind="bpe", vocab_size=300)) == path

    def test_are_what_they_were_before_there_was_more_to_ask_for(self):
        # Written down when corpora had fewer settings: another name means that every corpus is prepared again.
        novels = FilesData(kind="files", name="files", path="novels", val_fraction=0.02)
        assert corpus_directory(Path(), novels, SimpleNamespace(kind="bpe", vocab_size=2048)).name == OLD_NAME

    def test_where_gpt2s_files_are_does_not_matter(self, tmp_path):
        data = some_files(tmp_path / "text")
        places = [SimpleNamespace(kind="gpt2", path=path, revision=None) for path in ("a", "b/c")]
        assert len({corpus_directory(tmp_path, data, place) for place in places}) == 1

    def test_bad_names_are_refused(self, tmp_path):
        for name in ("a/b", "..", "", "a b", ".hidden"):
            with pytest.raises(ZeroscaleError, match=r"data\.name="):
                corpus_directory(tmp_path, SimpleNamespace(name=name), BPE)

    def test_real_settings_fit(self, tmp_path):
        data = StdlibData(kind="stdlib", name="stdlib", val_fraction=0.1, max_bytes=400_000)
        tokenizer = BpeTokenizer(kind="bpe", vocab_size=500)
        corpus = prepare(data, tokenizer, corpus_directory(tmp_path, data, tokenizer))
        assert corpus.tokenizer.vocab_size == 500
        assert 390_000 < sum(split["bytes"] for split in corpus.index["splits"].values()) <= 400_000


class TestReuse:
    def test_nothing_is_built_twice(self, tmp_path):
        data = some_files(tmp_path / "text")
        first = prepare(data, BPE, tmp_path / "c")
        told = []
        again = prepare(data, BPE, tmp_path / "c", lambda *progress: told.append(progress))
        assert again.fingerprint == first.fingerprint and not told

    def test_changed_files_are_refused(self, tmp_path):
        data = some_files(tmp_path / "text")
        prepare(data, BYTES, tmp_path / "c")
        (tmp_path / "text" / "005.txt").write_text("changed\n")
        with pytest.raises(
            ZeroscaleError, match=r"changed since \(005\.txt has another size\).* delete that directory or give"
        ):
            prepare(data, BYTES, tmp_path / "c")
        some_files(tmp_path / "text")  # restored: other times, the same content
        prepare(data, BYTES, tmp_path / "c")
        (tmp_path / "text" / "new.txt").write_text("new\n")
        with pytest.raises(ZeroscaleError, match=r"new\.txt is new"):
            prepare(data, BYTES, tmp_path / "c")

    def test_a_corpus_outlives_its_text(self, tmp_path):
        data = some_files(tmp_path / "text")
        first = prepare(data, BYTES, tmp_path / "c")
        (tmp_path / "text").rename(tmp_path / "elsewhere")
        assert prepare(data, BYTES, tmp_path / "c").fingerprint == first.fingerprint

    def test_other_settings_are_refused(self, tmp_path):
        prepare(some_files(tmp_path / "text"), BYTES, tmp_path / "c")
        with pytest.raises(ZeroscaleError, match=r"data\.val_fraction is 0\.2 there and 0\.3 in yours"):
            prepare(some_files(tmp_path / "text", val_fraction=0.3), BYTES, tmp_path / "c")

    def test_a_damaged_corpus_is_refused(self, tmp_path):
        data = some_files(tmp_path / "text")
        prepare(data, BYTES, tmp_path / "c")
        (tmp_path / "c" / "val-00000.bin").write_bytes(b"")
        with pytest.raises(ZeroscaleError, match=r"val-00000\.bin has 0 bytes, not .* prepare it again"):
            prepare(data, BYTES, tmp_path / "c")

    def test_a_shard_written_over_is_found_and_a_whole_one_is_read_once(self, tmp_path, monkeypatch):
        data = some_files(tmp_path / "text")
        prepare(data, BYTES, tmp_path / "c")
        read = []
        verify = Corpus.verify
        monkeypatch.setattr(Corpus, "verify", lambda corpus: (read.append(1), verify(corpus)))
        for _ in range(3):
            prepare(data, BYTES, tmp_path / "c")
        assert len(read) == 1
        shard = tmp_path / "c" / "train-00000.bin"
        content = shard.read_bytes()
        shard.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
        for _ in range(2):
            with pytest.raises(ZeroscaleError, match=r"train-00000\.bin has changed since it was written"):
                prepare(data, BYTES, tmp_path / "c")
        shard.write_bytes(content)
        prepare(data, BYTES, tmp_path / "c")

    def test_a_directory_of_something_else_is_left_alone(self, tmp_path):
        data = some_files(tmp_path / "text")
        with pytest.raises(ZeroscaleError, match="not a prepared corpus"):
            prepare(data, BYTES, tmp_path / "text")
        assert len(list((tmp_path / "text").iterdir())) == 60


class TestFaults:
    @pytest.mark.parametrize("tokenizer", [BYTES, BPE], ids=["bytes", "bpe"])
    @pytest.mark.parametrize(("val_fraction", "name"), [(1e-9, "validation"), (1 - 1e-9, "training")])
    def test_an_empty_split_is_named(self, val_fraction, name, tokenizer, tmp_path):
        data = some_files(tmp_path / "text", val_fraction=val_fraction)
        with pytest.raises(ZeroscaleError, match=rf"data=mine: the {name} split is empty: 60 documents"):
            prepare(data, tokenizer, tmp_path / "corpora" / "c")
        assert [file.name for file in (tmp_path / "corpora").iterdir()] == [".c.lock"]

    def test_a_bad_file_leaves_nothing(self, tmp_path):
        data = some_files(tmp_path / "text")
        (tmp_path / "text" / "050.txt").write_bytes(b"abc\xff")
        with pytest.raises(ZeroscaleError, match=r"050\.txt: not UTF-8 at byte 3"):
            prepare(data, BYTES, tmp_path / "corpora" / "c")
        assert [file.name for file in (tmp_path / "corpora").iterdir()] == [".c.lock"]

    def test_files_that_change_while_they_are_read_are_noticed(self, tmp_path):
        data = some_files(tmp_path / "text")

        def meddle(done, total, stage):
            if stage == "tokenising":
                (tmp_path / "text" / "000.txt").write_text("still being written")

        with pytest.raises(ZeroscaleError, match="changed while they were read"):
            prepare(data, BYTES, tmp_path / "c", meddle)
        assert not (tmp_path / "c").exists() and not (tmp_path / ".c.part").exists()


@pytest.mark.slow
def test_the_pocket_corpus_is_ready_within_its_budget(tmp_path):
    data = StdlibData(kind="stdlib", name="stdlib", val_fraction=0.05)
    start = time.process_time()
    corpus = prepare(data, SimpleNamespace(kind="bpe", vocab_size=2048), tmp_path / "c")
    # 12 seconds on two cores, counted so that a busy machine does not matter.
    assert time.process_time() - start < 24
    assert corpus.n_train_tokens > 2_500_000 and corpus.n_val_tokens > 50_000
    assert sources.python_version() == json.loads((tmp_path / "c" / "source.json").read_text())["python"]
