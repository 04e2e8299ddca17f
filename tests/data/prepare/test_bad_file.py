"""What was tokenised before a bad file is kept: when the file is mended or taken out, only the rest is tokenised."""

import json
import random
from pathlib import Path

import pytest

from zeroscale.config.data import FilesData
from zeroscale.config.model import BpeTokenizer, BytesTokenizer
from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.prepare import check, encode, output, pipeline
from zeroscale.data.prepare.prepare import prepare

BYTES = BytesTokenizer(kind="bytes")
BPE = BpeTokenizer(kind="bpe", vocab_size=300)
DUPLICATES = {"drop_exact_duplicates": True, "near_duplicate_threshold": 0.7, "near_duplicate_permutations": 32}


@pytest.fixture(autouse=True)
def small_steps(monkeypatch):
    """As for a corpus of many gigabytes: files are not read to their end at first, and are many batches long."""
    monkeypatch.setattr(check, "WHOLE_BYTES", 0)
    monkeypatch.setattr(output, "BATCH_BYTES", 2000)
    monkeypatch.setattr(pipeline, "BPE_BYTES", 4000)


def files(folder: Path, **changes) -> FilesData:
    """Five files of some batches each; texts of one stand in others, too."""
    folder.mkdir()
    draw = random.Random(0)
    texts = [" ".join(f"w{draw.randrange(300)}" for _ in range(40)) for _ in range(200)]
    texts += texts[::5] + [f"{text} and more" for text in texts[1::7]]
    draw.shuffle(texts)
    for number in range(5):
        lines = [json.dumps({"text": text}) + "\n" for text in texts[number::5]]
        (folder / f"{number}.jsonl").write_text("".join(lines))
    return FilesData(**{"kind": "files", "name": "mine", "path": str(folder), "val_fraction": 0.2, **changes})


def contents(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and path.name != "source.json"
    }


@pytest.fixture
def tokenised(monkeypatch):
    """The texts that are tokenised."""
    texts: list[str] = []
    real = encode.EncodeJob.encode

    def counted(job, batch):
        texts.extend(batch)
        return real(job, batch)

    monkeypatch.setattr(encode.EncodeJob, "encode", counted)
    return texts


@pytest.mark.parametrize(("tokenizer", "settings"), [(BYTES, {}), (BPE, DUPLICATES)], ids=["all", "bpe, no duplicates"])
@pytest.mark.parametrize("remedy", ["mended", "mended and longer", "taken out", "mended, and one more behind it"])
def test_after_a_bad_file_only_the_rest_is_tokenised(remedy, settings, tokenizer, tmp_path, tokenised):
    data = files(tmp_path / "text", **settings)
    bad = tmp_path / "text" / "3.jsonl"
    good = bad.read_text()
    bad.write_text(good[: 3 * len(good) // 4] + '"\n{no JSON\n')
    directory = tmp_path / "corpora" / "c"
    with pytest.raises(ZeroscaleError, match=r"3\.jsonl, line \d+: .* What is prepared already stays: "):
        prepare(data, tokenizer, directory)
    assert not directory.exists() and (tmp_path / "corpora" / ".c.part").is_dir()
    with pytest.raises(ZeroscaleError, match=r"3\.jsonl, line"):
        prepare(data, tokenizer, directory)  # nothing is lost by trying again
    if remedy == "taken out":
        bad.unlink()
    else:
        bad.write_text(good + '{"text": "one more"}\n' * ("longer" in remedy))
    if "behind" in remedy:
        (tmp_path / "text" / "9.jsonl").write_text('{"text": "another file"}\n')
    tokenised.clear()
    prepare(data, tokenizer, directory).verify()
    again = list(tokenised)
    lines = "".join((tmp_path / "text" / f"{number}.jsonl").read_text() for number in range(3)).splitlines()
    before = [json.loads(line)["text"] for line in lines]
    # At most the batch in which the bad file began lies before it.
    assert sum(len(text) for text in again if text in set(before)) < 0.4 * sum(map(len, before))
    tokenised.clear()
    prepare(data, tokenizer, tmp_path / "fresh")
    assert len(again) < 0.7 * len(tokenised)
    assert contents(directory) == contents(tmp_path / "fresh")


def test_another_change_before_the_bad_file_begins_anew(tmp_path):
    data = files(tmp_path / "text")
    bad = tmp_path / "text" / "3.jsonl"
    good = bad.read_text()
    bad.write_text(good + "{\n")
    with pytest.raises(ZeroscaleError, match=r"3\.jsonl"):
        prepare(data, BYTES, tmp_path / "c")
    bad.write_text(good)
    (tmp_path / "text" / "0.jsonl").write_text('{"text": "another beginning"}\n' * 200)
    prepare(data, BYTES, tmp_path / "c")
    prepare(data, BYTES, tmp_path / "fresh")
    assert contents(tmp_path / "c") == contents(tmp_path / "fresh")


def test_a_vocabulary_learnt_of_the_bad_file_is_learnt_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "BPE_BYTES", 1 << 30)
    data = files(tmp_path / "text")
    directory = tmp_path / "corpora" / "c"

    def stop(done, total, stage):
        if stage == "tokenising" and done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(data, BPE, directory, stop)
    with open(tmp_path / "text" / "4.jsonl", "a") as handle:
        handle.write('{"text": "zzzz zzzz zzzz zzzz"}\n' * 50)
    prepare(data, BPE, directory)
    prepare(data, BPE, tmp_path / "fresh")
    assert contents(directory) == contents(tmp_path / "fresh")


def test_a_rollback_across_shards_leaves_no_shard_behind(tmp_path, monkeypatch):
    from zeroscale.data.prepare import shards

    real = shards.ShardWriter.__init__
    monkeypatch.setattr(
        shards.ShardWriter,
        "__init__",
        lambda self, *args, **kwargs: real(self, *args, **{**kwargs, "shard_tokens": 1500}),
    )
    data = files(tmp_path / "text")
    bad = tmp_path / "text" / "3.jsonl"
    good = bad.read_text()
    bad.write_text(good * 3 + "{\n")
    with pytest.raises(ZeroscaleError, match=r"3\.jsonl"):
        prepare(data, BYTES, tmp_path / "corpora" / "c")
    bad.write_text('{"text": "short"}\n')
    (tmp_path / "text" / "4.jsonl").unlink()
    prepare(data, BYTES, tmp_path / "corpora" / "c")
    prepare(data, BYTES, tmp_path / "fresh")
    assert contents(tmp_path / "corpora" / "c") == contents(tmp_path / "fresh")
