"""The order of training data: a pure function of (seed, step) that visits everything once an epoch."""

import json
import time
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import write_json
from zeroscale.data.corpus import FORMAT, Corpus
from zeroscale.data.prepare.shards import ShardWriter
from zeroscale.data.stream import TokenStream, permute
from zeroscale.data.tokenizer import Tokenizer

# permute(0 … 7) of 1,000 at seed 0, epoch 0.
GOLDEN = [62, 798, 737, 194, 272, 225, 694, 482]


def write_corpus(directory: Path, train: np.ndarray, val: np.ndarray, dtype: str = "<u2", shard_tokens=1000) -> Corpus:
    """A corpus of given ids, as prepare() lays it out."""
    directory.mkdir(parents=True, exist_ok=True)
    splits = {}
    for split, ids in (("train", train), ("val", val)):
        with ShardWriter(directory, split, np.dtype(dtype), shard_tokens) as writer:
            for start in range(0, len(ids), 300):
                writer.add(ids[start : start + 300])
            splits[split] = {"shards": writer.close()}
    Tokenizer.bytes().save(directory / "tokenizer")
    tokenizer = {"fingerprint": Tokenizer.bytes().fingerprint}
    index = {"format": FORMAT, "dtype": dtype, "splits": splits, "fingerprint": "f", "tokenizer": tokenizer}
    write_json(directory / "index.json", index)
    return Corpus.open(directory)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    """Token i of the training split is i, so that a batch shows where it is from; shards of 1,000."""
    return write_corpus(tmp_path_factory.mktemp("corpus"), np.arange(4321), np.arange(50_000, 51_234))


def counted(n_train_tokens: int) -> SimpleNamespace:
    """A corpus of a given length whose token i is i."""
    return SimpleNamespace(n_train_tokens=n_train_tokens, directory="made")


class TestPermutation:
    @settings(max_examples=200, deadline=None)
    @given(st.integers(1, 3000), st.integers(0, 2**31 - 1), st.integers(0, 5))
    def test_is_one_for_every_size(self, size, seed, epoch):
        assert np.array_equal(np.sort(permute(np.arange(size), size, seed, epoch)), np.arange(size))

    @settings(max_examples=50, deadline=None)
    @given(st.integers(2, 10**12), st.data())
    def test_positions_do_not_depend_on_what_else_is_asked(self, size, data):
        positions = np.array(data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=20)))
        together = permute(positions, size, 7, 0)
        assert together.tolist() == [int(permute(np.array([p]), size, 7, 0)[0]) for p in positions]
        assert ((together >= 0) & (together < size)).all()

    def test_is_what_it_always_was(self):
        # Written down when the function was written: another value means that every seed has changed its meaning.
        assert permute(np.arange(8), 1000, 0, 0).tolist() == GOLDEN
        assert permute(np.arange(8), 1000, 0, 1).tolist() != GOLDEN
        assert permute(np.arange(8), 1000, 1, 0).tolist() != GOLDEN

    @pytest.mark.parametrize("size", [1000, 4097, 100_000])
    def test_looks_random(self, size):
        # Spearman's rank correlation of place and value, and of neighbours: N(0, 1/size) for a random permutation.
        places = np.arange(size)
        for seed in range(20):
            order = permute(places, size, seed, 0)
            for first, second in ((places, order), (order[:-1], order[1:])):
                assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(size)

    def test_first_place_is_uniform_over_seeds(self):
        # Chi-squared with 9 degrees of freedom: below 27.9 with probability 0.999.
        firsts = [int(permute(np.array([0]), 10, seed, 0)[0]) for seed in range(2000)]
        counts = np.bincount(firsts, minlength=10)
        assert ((counts - 200) ** 2 / 200).sum() < 27.9


class TestStream:
    @settings(max_examples=100, deadline=None)
    @given(st.integers(1, 9), st.integers(1, 8), st.integers(0, 300), st.integers(0, 99))
    def test_an_epoch_visits_every_window_once(self, context, rows, more, seed):
        stream = TokenStream(counted(rows * context + 1 + more), seed, context, rows * context)
        steps = -(-2 * stream.n_windows // stream.rows)
        seen = np.concatenate([stream.windows_at(step) for step in range(steps)])
        for epoch in range(2):
            order = seen[epoch * stream.n_windows : (epoch + 1) * stream.n_windows]
            assert np.array_equal(np.sort(order), np.arange(stream.n_windows))
        # Every token that fits into whole windows is predicted exactly once an epoch.
        assert stream.n_windows == (rows * context + more) // context

    def test_targets_are_the_tokens_after_the_inputs(self, corpus):
        stream = TokenStream(corpus, seed=3, context=16, batch_tokens=128)
        for step in (0, 5, 77):
            inputs, targets = stream.batch_at(step)
            assert inputs.shape == targets.shape == (8, 16) and inputs.dtype == targets.dtype == np.int64
            assert np.array_equal(inputs[:, 0], stream.windows_at(step) * 16)
            assert np.array_equal(inputs + 1, targets)  # across the shards' edges, too

    def test_a_batch_depends_on_seed_and_step_alone(self, corpus):
        stream, again = (TokenStream(corpus, 3, 16, 128) for _ in range(2))
        expected = [stream.batch_at(step)[0] for step in range(10)]
        for step in (9, 2, 7, 2):
            assert np.array_equal(again.batch_at(step)[0], expected[step])
        assert not np.array_equal(TokenStream(corpus, 4, 16, 128).batch_at(0)[0], expected[0])

    def test_the_order_of_windows_does_not_depend_on_the_batch(self, corpus):
        small, large = TokenStream(corpus, 3, 16, 64), TokenStream(corpus, 3, 16, 256)
        parts = [small.windows_at(step) for step in range(8)]
        assert np.array_equal(np.concatenate(parts), np.concatenate([large.windows_at(0), large.windows_at(1)]))

    def test_epochs_are_counted_and_ordered_differently(self, corpus):
        stream = TokenStream(corpus, 3, 16, 16 * 27)
        assert stream.n_windows == 270
        assert [stream.epoch_at(step) for step in (0, 9, 10, 19, 20)] == [0, 0, 1, 1, 2]
        assert not np.array_equal(stream.windows_at(0), stream.windows_at(10))

    def test_a_batch_far_into_a_large_corpus_is_found_at_once(self):
        stream = TokenStream(counted(10**10), seed=0, context=1024, batch_tokens=512 * 1024)
        stream.windows_at(0)
        tracemalloc.start()
        windows = stream.windows_at(10**6)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        times = []
        for step in range(10**6, 10**6 + 20):
            start = time.perf_counter()
            stream.windows_at(step)
            times.append(time.perf_counter() - start)
        assert min(times) < 0.1 and peak < 10e6
        assert windows.shape == (512,) and windows.max() < 10**10 // 1024

    def test_reads_a_corpus_of_ten_thousand_million_tokens(self, tmp_path):
        # Holes instead of data: 100 sparse shards, 20 GB in name only.
        shards = []
        for number in range(100):
            name = f"train-{number:05d}.bin"
            with open(tmp_path / name, "wb") as handle:
                handle.truncate(200_000_000)
            shards.append({"file": name, "tokens": 100_000_000, "bytes": 200_000_000, "sha256": ""})
        with open(tmp_path / shards[-1]["file"], "r+b") as handle:
            handle.seek(-2, 2)
            handle.write(b"\x07\x00")
        splits = {"train": {"shards": shards}, "val": {"shards": []}}
        write_json(tmp_path / "index.json", {"format": FORMAT, "dtype": "<u2", "splits": splits})
        corpus = Corpus.open(tmp_path)
        assert corpus.n_train_tokens == 10**10
        assert corpus.read("train", 10**10 - 2, 2).tolist() == [0, 7]
        assert TokenStream(corpus, 0, 1024, 8 * 1024).batch_at(10**6)[0].shape == (8, 1024)

    def test_a_corpus_shorter_than_a_batch_is_refused(self, corpus):
        with pytest.raises(ZeroscaleError, match=r"4,321 training tokens are 270 windows of 16, fewer than the 271"):
            TokenStream(corpus, 0, 16, 16 * 271)
        TokenStream(corpus, 0, 16, 16 * 270)

    @pytest.mark.parametrize(("context", "batch_tokens"), [(16, 100), (16, 8), (16, 0), (0, 16)])
    def test_batches_are_whole_windows(self, corpus, context, batch_tokens):
        with pytest.raises(ZeroscaleError, match="cannot be made of whole windows"):
            TokenStream(corpus, 0, context, batch_tokens)


class TestCorpus:
    def test_validation_is_one_stream(self, corpus):
        assert np.array_equal(corpus.val_tokens(), np.arange(50_000, 51_234))
        assert np.array_equal(corpus.val_tokens(limit=1010), np.arange(50_000, 51_010))
        assert len(corpus.val_tokens(limit=10**9)) == corpus.n_val_tokens == 1234

    def test_large_vocabularies_take_four_bytes(self, tmp_path):
        ids = np.arange(70_000, 72_500)
        corpus = write_corpus(tmp_path, ids, ids[:10], dtype="<u4")
        assert np.array_equal(corpus.read("train", 0, 2500), ids)

    def test_reading_beyond_the_end_is_refused(self, corpus):
        for start, length in ((4320, 2), (-1, 1)):
            with pytest.raises(ZeroscaleError, match="of train, which has 4321"):
                corpus.read("train", start, length)

    def test_a_token_beyond_the_vocabulary_is_named(self, tmp_path):
        corpus = write_corpus(tmp_path, np.arange(2500), np.arange(10))
        index = json.loads((tmp_path / "index.json").read_text())
        index["tokenizer"]["vocab_size"] = 1700
        write_json(tmp_path / "index.json", index)
        corpus = Corpus.open(tmp_path)
        assert corpus.read("train", 0, 1700)[-1] == 1699
        with pytest.raises(
            ZeroscaleError, match=r"token number 1,700 of train is 1700, beyond the vocabulary of 1,700"
        ):
            corpus.read("train", 1690, 20)
        with pytest.raises(ZeroscaleError, match="beyond the vocabulary"):
            for step in range(20):
                TokenStream(corpus, 0, 16, 128).batch_at(step)

    def test_a_missing_or_truncated_shard_is_named(self, tmp_path):
        write_corpus(tmp_path, np.arange(2500), np.arange(10))
        shard = tmp_path / "train-00001.bin"
        content = shard.read_bytes()
        shard.write_bytes(content[:-2])
        with pytest.raises(ZeroscaleError, match=r"train-00001\.bin has 1,998 bytes, not 2,000: the corpus is damaged"):
            Corpus.open(tmp_path)
        shard.unlink()
        with pytest.raises(ZeroscaleError, match=r"train-00001\.bin is missing"):
            Corpus.open(tmp_path)

    def test_verify_finds_a_changed_byte_and_a_changed_tokenizer(self, tmp_path):
        corpus = write_corpus(tmp_path, np.arange(2500), np.arange(10))
        corpus.verify()
        shard = tmp_path / "train-00001.bin"
        content = bytearray(shard.read_bytes())
        shard.write_bytes(bytes([content[0] ^ 1]) + content[1:])
        with pytest.raises(ZeroscaleError, match=r"train-00001\.bin has changed since it was written"):
            Corpus.open(tmp_path).verify()
        shard.write_bytes(content)
        Tokenizer.train_bpe(["abab"], 258).save(tmp_path / "tokenizer")
        with pytest.raises(ZeroscaleError, match="its tokenizer is not the one"):
            Corpus.open(tmp_path).verify()

    @pytest.mark.parametrize("index", [{"format": 99}, {}, [], None])
    def test_what_is_no_corpus_is_refused(self, index, tmp_path):
        if index is not None:
            (tmp_path / "index.json").write_text(json.dumps(index))
        with pytest.raises(
            ZeroscaleError, match="not a prepared corpus" if index is None else "corpus format|a JSON object"
        ):
            Corpus.open(tmp_path)


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (("splits",), [], r"splits is \[\], not an object"),
        (("splits", "val"), 1, "splits.val is 1, not an object"),
        (("splits", "val", "shards", 0, "tokens"), "x", r"splits.val.shards\[0\].tokens is 'x', not an integer"),
        (("splits", "val", "shards", 0, "file"), 3, "file is 3, not a text"),
        (("splits", "val", "shards", 0, "bytes"), float("nan"), "bytes is nan, which is no finite number"),
        (("dtype",), "zz", "'zz' not understood"),
        (("tokenizer",), 3, "tokenizer is 3, not an object"),
        (("fingerprint",), None, "fingerprint is None, not a text"),
    ],
)
def test_a_damaged_index_is_named_with_its_key(tmp_path, place, value, says):
    write_corpus(tmp_path, np.arange(500) % 257, np.arange(100) % 257)
    content = json.loads((tmp_path / "index.json").read_text())
    holder = content
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    (tmp_path / "index.json").write_text(json.dumps(content))
    with pytest.raises(ZeroscaleError, match=says) as caught:
        Corpus.open(tmp_path)
    assert str(tmp_path / "index.json") in str(caught.value)
