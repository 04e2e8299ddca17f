"""A corpus as text: the same words from files and from the shards that were made of them."""

import json
from types import SimpleNamespace

import pytest

from zeroscale.config.data import FilesData
from zeroscale.core.errors import ZeroscaleError
from zeroscale.data import corpus_texts
from zeroscale.data.corpus_texts import open_texts
from zeroscale.data.prepare.prepare import prepare

BYTES = SimpleNamespace(kind="bytes")
BPE = SimpleNamespace(kind="bpe", vocab_size=300)


def joined(texts) -> list[str]:
    """Whole texts from the pieces."""
    whole: list[str] = []
    for piece in texts.pieces():
        if piece.continues:
            whole[-1] += piece.text
        else:
            whole.append(piece.text)
    return whole


@pytest.fixture
def folder(tmp_path):
    """A long file that is read in pieces, one with letters of several bytes, and rows."""
    root = tmp_path / "texts"
    root.mkdir()
    (root / "a.txt").write_text("".join(f"line {n} of a long é text\n" for n in range(9000)), encoding="utf-8")
    (root / "b.txt").write_text("Straße, улица, 通り\n" * 20, encoding="utf-8")
    rows = [{"text": f"row {n} says {n * n}", "body": "x"} for n in range(50)]
    (root / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root


def test_files_are_whole_texts_and_rows_texts_of_their_own(folder):
    texts = open_texts(str(folder))
    whole = joined(texts)
    assert whole[0] == (folder / "a.txt").read_text() and whole[1] == (folder / "b.txt").read_text()
    assert whole[2:] == [f"row {n} says {n * n}" for n in range(50)]
    assert texts.kind == "files" and texts.about["files"] == 3
    assert texts.about["bytes"] == sum(path.stat().st_size for path in folder.iterdir())
    assert joined(open_texts(str(folder / "*.jsonl"), text_field="body")) == ["x"] * 50


@pytest.mark.parametrize("tokenizer", [BYTES, BPE], ids=["bytes", "bpe"])
def test_shards_give_back_the_documents_they_were_made_of(tokenizer, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(corpus_texts, "_TOKENS", 1000)
    data = FilesData(kind="files", name="mine", path=str(folder), val_fraction=0.3)
    corpus = prepare(data, tokenizer, tmp_path / "corpus")
    from zeroscale.data.sources import sources

    expected = sorted(document.text for document in sources.documents(data))
    texts = open_texts(str(corpus.directory), split="all")
    assert sorted(joined(texts)) == expected
    assert texts.kind == "prepared" and texts.about["documents"] == len(expected)
    train, val = (joined(open_texts(str(corpus.directory), split=split)) for split in ("train", "val"))
    assert sorted(train + val) == expected and len(val) == corpus.index["splits"]["val"]["documents"]
    # Parts end where words do.
    for piece in texts.pieces():
        assert not piece.continues or piece.text[0] in " \n"


def test_a_change_is_seen_by_times_first_and_by_content_for_sure(folder):
    before = open_texts(str(folder))
    version, content = before.version, before.content()
    (folder / "b.txt").touch()
    again = open_texts(str(folder))
    assert again.version != version and again.content() == content
    (folder / "b.txt").write_text("other")
    assert open_texts(str(folder)).content() != content


def test_a_corpus_that_is_gone_or_empty_is_told_in_the_settings_words(folder, tmp_path):
    with pytest.raises(ZeroscaleError, match=r"^corpus=nowhere: there is no such file or directory"):
        open_texts("nowhere")
    with pytest.raises(ZeroscaleError, match=r"^corpus=\*\.nothing: no file fits"):
        open_texts("*.nothing")
    with pytest.raises(ZeroscaleError, match="name the text's field with text_field="):
        list(open_texts(str(folder / "c.jsonl"), text_field="content").pieces())
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.txt").touch()
    with pytest.raises(ZeroscaleError, match=r"a\.txt is empty: no text in it; take it out, or narrow corpus"):
        list(open_texts(str(tmp_path / "empty")).pieces())


def test_files_that_are_not_read_are_counted(folder):
    assert "files_not_read" not in open_texts(str(folder)).about
    (folder / "d.docx").write_text("x")
    assert open_texts(str(folder)).about["files_not_read"] == 1
