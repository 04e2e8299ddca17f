"""The tokenizer beside tiktoken and transformers, which nobody here wrote."""

import json
import os
import pickle
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.hub_server import Repository

from zeroscale.core.errors import ZeroscaleError
from zeroscale.data import tokenizer as module
from zeroscale.data.tokenizer import END_OF_TEXT, GPT2_VOCAB_SIZE, Tokenizer

DATA = os.environ.get("ZEROSCALE_DATA")
GPT2_FILES = Path(DATA or "") / "gpt2_tokenizer"
needs_gpt2 = pytest.mark.skipif(not DATA, reason="ZEROSCALE_DATA is not set: no GPT-2 vocabulary to test with")

SPACES = ["  ", "\n\n", "\t", "\r\n", "\x00", "\x1c", "\x85", "\xa0", "\u2028", "\u3000", " a", "a "]
ENGLISH = ["'s", "'S", "'ll", "don't", END_OF_TEXT, "<|", "123"]
OTHERS = ["½", "é", "e\u0301", "ſ", "🤖", "👩\u200d👩\u200d👧", "你好", "\ufeff", "\ufffd", "\U0010ffff"]
# Any text that UTF-8 can hold, with the places where tokenizers differ drawn more often than chance would.
TRICKY = st.sampled_from([*SPACES, *ENGLISH, *OTHERS])
ANY_TEXT = st.lists(st.one_of(TRICKY, st.text(max_size=8)), max_size=12).map("".join)
WITH_SURROGATES = st.text(alphabet=st.characters(exclude_categories=()), max_size=20)

SAMPLE = [f"def name_{n % 7}(value):\n    return value + {n % 13}  # the value, and more\n" for n in range(400)]


@pytest.fixture(scope="module")
def gpt2() -> Tokenizer:
    return Tokenizer.gpt2(str(GPT2_FILES))


@pytest.fixture(scope="module")
def tiktoken_gpt2():
    tiktoken = pytest.importorskip("tiktoken")
    from tiktoken.load import data_gym_to_mergeable_bpe_ranks
    from tiktoken_ext.openai_public import r50k_pat_str

    ranks = data_gym_to_mergeable_bpe_ranks(str(GPT2_FILES / "vocab.bpe"), str(GPT2_FILES / "encoder.json"))
    specials = {END_OF_TEXT: 50256}
    return tiktoken.Encoding("gpt2-local", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens=specials)


@pytest.fixture(scope="module")
def transformers_gpt2(gpt2, tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    directory = tmp_path_factory.mktemp("gpt2")
    gpt2.save(directory)
    return transformers.GPT2TokenizerFast.from_pretrained(str(directory))


@pytest.fixture(scope="module")
def trained() -> Tokenizer:
    return Tokenizer.train_bpe(SAMPLE, 300)


@needs_gpt2
class TestGpt2:
    def test_has_the_released_vocabulary(self, gpt2):
        assert (gpt2.vocab_size, gpt2.eos) == (GPT2_VOCAB_SIZE, 50256)
        # "Hello world" and " ," by the published encoder.json.
        assert gpt2.encode("Hello world") == [15496, 995]

    @settings(max_examples=300, deadline=None)
    @given(ANY_TEXT)
    @example("\n \n  a\t b  ")
    def test_equals_tiktoken_and_is_lossless(self, gpt2, tiktoken_gpt2, text):
        ids = gpt2.encode(text)
        assert ids == tiktoken_gpt2.encode_ordinary(text)
        assert gpt2.decode(ids) == text

    @settings(max_examples=150, deadline=None)
    @given(ANY_TEXT)
    def test_equals_transformers_special_tokens_included(self, gpt2, transformers_gpt2, text):
        # transformers takes the special token's name in a text for the token.
        assert gpt2.encode(text, allow_special=True) == transformers_gpt2.encode(text)

    @settings(max_examples=150, deadline=None)
    @given(WITH_SURROGATES)
    @example("\ud83d\ude00")
    @example("a\udc00\ud800b")
    def test_treats_surrogates_as_tiktoken_does(self, gpt2, tiktoken_gpt2, text):
        assert gpt2.encode(text) == tiktoken_gpt2.encode_ordinary(text)

    @pytest.mark.parametrize("end", [0x3400, pytest.param(0x110000, marks=pytest.mark.slow)])
    def test_every_character_equals_tiktoken_beside_letters_digits_and_spaces(self, gpt2, tiktoken_gpt2, end):
        characters = [chr(code) for code in range(end) if not 0xD800 <= code < 0xE000]
        for start in range(0, len(characters), 1 << 14):
            text = "".join(f"a{c}a1{c}1 {c} !{c}" for c in characters[start : start + (1 << 14)])
            assert gpt2.encode(text) == tiktoken_gpt2.encode_ordinary(text)

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.integers(0, GPT2_VOCAB_SIZE - 1), max_size=12))
    def test_decodes_any_ids_as_tiktoken_does(self, gpt2, tiktoken_gpt2, ids):
        assert gpt2.decode(ids) == tiktoken_gpt2.decode(ids)
        assert gpt2.decode_bytes(ids) == tiktoken_gpt2.decode_bytes(ids)

    def test_byte_lengths_are_tiktokens(self, gpt2, tiktoken_gpt2):
        lengths = gpt2.token_byte_lengths()
        assert lengths.shape == (GPT2_VOCAB_SIZE,) and lengths[gpt2.eos] == 0
        expected = [len(tiktoken_gpt2.decode_single_token_bytes(i)) for i in range(GPT2_VOCAB_SIZE - 1)]
        assert lengths[:-1].tolist() == expected

    def test_real_prose_equals_tiktoken_across_blocks(self, gpt2, tiktoken_gpt2, monkeypatch):
        novel = next((Path(DATA) / "corpora" / "english_novels").glob("Cbronte_Jane*")).read_text(encoding="utf-8")
        monkeypatch.setattr(module, "BLOCK_CHARACTERS", 10_000)
        assert gpt2.encode(novel) == tiktoken_gpt2.encode_ordinary(novel)

    @settings(max_examples=150, deadline=None)
    @given(ANY_TEXT)
    def test_blocks_change_nothing(self, gpt2, text):
        joined = [i for block in module._blocks(text, 1) for i in gpt2.encode(block)]
        assert joined == gpt2.encode(text)

    def test_refuses_another_vocabulary(self, trained, tmp_path):
        trained.save(tmp_path)
        with pytest.raises(ZeroscaleError, match=r"not GPT-2's tokenizer: 300 tokens \(GPT-2 has 50,257\)"):
            Tokenizer.gpt2(str(tmp_path))

    def test_refuses_a_vocabulary_of_the_right_size_with_two_ids_exchanged(self, tmp_path):
        vocabulary = json.loads((GPT2_FILES / "encoder.json").read_text(encoding="utf-8"))
        vocabulary["Ġworld"], vocabulary["Ġthe"] = vocabulary["Ġthe"], vocabulary["Ġworld"]
        (tmp_path / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
        (tmp_path / "merges.txt").write_bytes((GPT2_FILES / "vocab.bpe").read_bytes())
        with pytest.raises(ZeroscaleError, match="fingerprint"):
            Tokenizer.gpt2(str(tmp_path))

    @pytest.mark.parametrize("size", [1_000_000, pytest.param(10_000_000, marks=pytest.mark.slow)])
    @pytest.mark.parametrize("alphabet", ["a", "abcdefghijklmnopqrstuvwxyz", " ", "ab1!", "的一是不了人"])
    def test_a_line_without_spaces_takes_linear_time(self, gpt2, size, alphabet):
        text = "".join(random.Random(0).choices(alphabet, k=size))
        start = time.process_time()  # its own: however busy the machine is
        ids = gpt2.encode(text)
        # 0.2 to 1.5 s per million characters where this was written; a quadratic merge would take hours.
        assert time.process_time() - start < size / 20_000
        assert gpt2.decode(ids) == text


@pytest.mark.parametrize("kind", ["bytes", "trained"])
@settings(max_examples=100, deadline=None)
@given(text=ANY_TEXT)
def test_is_lossless(kind, trained, text):
    tokenizer = Tokenizer.bytes() if kind == "bytes" else trained
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.token_byte_lengths()[ids].sum() == len(text.encode("utf-8"))
    assert tokenizer.encode_batch([text, "", text]) == [ids, [], ids]


def test_bytes_are_their_own_ids():
    tokenizer = Tokenizer.bytes()
    assert tokenizer.encode("aé\n") == list("aé\n".encode())
    assert (tokenizer.vocab_size, tokenizer.eos) == (257, 256)
    assert tokenizer.token_byte_lengths().tolist() == [1] * 256 + [0]


def test_the_special_tokens_name_is_ordinary_text_unless_allowed(trained):
    text = f"one{END_OF_TEXT}two"
    assert trained.eos not in trained.encode(text)
    assert trained.encode(text, allow_special=True) == [*trained.encode("one"), trained.eos, *trained.encode("two")]
    assert trained.decode(trained.encode(text, allow_special=True)) == text


def test_training_depends_on_neither_order_nor_threads(trained):
    code = (
        "import json, sys; from zeroscale.data.tokenizer import Tokenizer;"
        "print(Tokenizer.train_bpe(json.load(sys.stdin), 300).fingerprint)"
    )
    texts = json.dumps(SAMPLE[::-1])
    for threads in ("1", "3"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            input=texts,
            text=True,
            capture_output=True,
            check=True,
            env={**os.environ, "RAYON_NUM_THREADS": threads},
        )
        assert done.stdout.strip() == trained.fingerprint


def test_training_gives_the_vocabulary_asked_for_in_gpt2s_order(trained):
    assert (trained.vocab_size, trained.eos) == (300, 299)
    assert trained.encode("!") == [0]  # GPT-2's first byte
    assert sum(map(len, trained.encode_batch(SAMPLE))) < 0.5 * sum(map(len, SAMPLE))


def test_training_says_when_the_corpus_is_too_small():
    with pytest.raises(ZeroscaleError, match=r"vocab_size=5000: this corpus is too small .* at most"):
        Tokenizer.train_bpe(["a few words, a few words"], 5000)
    with pytest.raises(ZeroscaleError, match="needs 257 at least"):
        Tokenizer.train_bpe(SAMPLE, 256)


@pytest.mark.parametrize("kind", ["bytes", "trained"])
def test_saved_files_load_here_and_in_transformers(kind, trained, tmp_path):
    transformers = pytest.importorskip("transformers")
    tokenizer = Tokenizer.bytes() if kind == "bytes" else trained
    tokenizer.save(tmp_path)
    again = Tokenizer.load(tmp_path)
    assert again.fingerprint == tokenizer.fingerprint
    theirs = transformers.GPT2TokenizerFast.from_pretrained(str(tmp_path))
    text = f"def name_3(value):\n\treturn 'naïve' {END_OF_TEXT} 🤖"
    assert theirs.encode(text) == again.encode(text, allow_special=True) == tokenizer.encode(text, allow_special=True)
    assert theirs.eos_token_id == again.eos
    assert theirs.decode(theirs.encode(text)) == text


@pytest.mark.parametrize("kept", ["vocab.json merges.txt", "tokenizer.json"])
def test_either_layout_is_enough(kept, trained, tmp_path):
    trained.save(tmp_path)
    for file in tmp_path.iterdir():
        if file.name not in kept.split():
            file.unlink()
    assert Tokenizer.load(tmp_path).fingerprint == trained.fingerprint


def test_survives_pickling(trained):
    again = pickle.loads(pickle.dumps(trained))
    text = f"name_3 {END_OF_TEXT}"
    assert again.encode(text) == trained.encode(text) and again.fingerprint == trained.fingerprint


def test_fingerprint_tells_tokenizers_apart(trained):
    others = [
        Tokenizer.bytes(),
        Tokenizer.train_bpe(SAMPLE, 301),
        Tokenizer.train_bpe([text.upper() for text in SAMPLE], 300),
    ]
    assert len({trained.fingerprint, *(other.fingerprint for other in others)}) == 4


def test_ids_outside_the_vocabulary_are_refused(trained):
    for token in (300, -1, np.int64(1000)):
        with pytest.raises(ZeroscaleError, match="outside the vocabulary of 300"):
            trained.decode([token])


def write_layout(directory: Path, vocabulary: object, merges: str) -> None:
    (directory / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (directory / "merges.txt").write_text(merges, encoding="utf-8")


ALPHABET = {character: i for i, character in enumerate(module.BYTE_OF)}


@pytest.mark.parametrize(
    ("vocabulary", "merges", "message"),
    [
        ({}, "", "256 of the 256 bytes"),
        ({END_OF_TEXT: 0}, "#version: 0.2\n", "256 of the 256 bytes"),
        (ALPHABET, "", r"there is no <\|endoftext\|>"),
        ({**ALPHABET, END_OF_TEXT: 300}, "", "ids are not 0, 1, 2"),
        ({**ALPHABET, "ab": 256, END_OF_TEXT: 257}, "", "no merges"),
        ({**ALPHABET, END_OF_TEXT: 256}, "a b\n", "'a b' has no token"),
        ({**ALPHABET, "한": 256, END_OF_TEXT: 257}, "a b\n", "'한' is neither"),
        ({**ALPHABET, END_OF_TEXT: 256}, "a b c\n", "merge 1 should be two tokens"),
        ([1, 2], "a b\n", "token to id"),
    ],
)
def test_what_is_no_tokenizer_is_refused(vocabulary, merges, message, tmp_path):
    write_layout(tmp_path, vocabulary, merges)
    with pytest.raises(ZeroscaleError, match=message) as caught:
        Tokenizer.load(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_transformers_empty_tokenizer_is_refused(tmp_path):
    transformers = pytest.importorskip("transformers")
    # What from_pretrained("gpt2") gives offline, without a word.
    transformers.GPT2TokenizerFast().save_pretrained(str(tmp_path))
    with pytest.raises(ZeroscaleError, match="not a byte-level BPE"):
        Tokenizer.load(tmp_path)


def test_a_missing_or_changed_tokenizer_is_named(trained, tmp_path):
    with pytest.raises(ZeroscaleError, match="no such directory"):
        Tokenizer.load(tmp_path / "nowhere")
    with pytest.raises(ZeroscaleError, match=r"no tokenizer in here; it should hold vocab\.json"):
        Tokenizer.load(tmp_path)
    trained.save(tmp_path)
    lines = (tmp_path / "merges.txt").read_text(encoding="utf-8").split("\n")
    (tmp_path / "merges.txt").write_text("\n".join([lines[0], lines[2], lines[1], *lines[3:]]), encoding="utf-8")
    with pytest.raises(ZeroscaleError, match="not those that were saved"):
        Tokenizer.load(tmp_path)


def ask_hub(environment: dict[str, str], cache: Path, revision: str | None = None) -> tuple[str, float]:
    """What Tokenizer.gpt2 of a hub name says in a process of its own, and how long it takes."""
    code = f"""
from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.tokenizer import Tokenizer
try:
    print(Tokenizer.gpt2("openai-community/gpt2", {revision!r}).vocab_size)
except ZeroscaleError as error:
    print(error)
"""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "TRANSFORMERS_"))}
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code],
        text=True,
        capture_output=True,
        check=True,
        timeout=300,
        env={**inherited, "HF_HOME": str(cache), "HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "*", **environment},
    )
    return done.stdout.strip(), time.monotonic() - start


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set"),
        ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "http://127.0.0.1:9 does not answer"),
    ],
)
def test_without_the_hub_the_message_comes_within_seconds(environment, message, tmp_path):
    said, seconds = ask_hub(environment, tmp_path)
    assert message in said and "Offline, put vocab.json and merges.txt into a directory" in said
    assert seconds < 20


def gpt2_repository() -> Repository:
    merges = (GPT2_FILES / "vocab.bpe").read_bytes()
    return Repository({"vocab.json": (GPT2_FILES / "encoder.json").read_bytes(), "merges.txt": merges})


@needs_gpt2
def test_downloads_from_a_hub_once_and_is_found_offline_then(hub, tmp_path):
    hub.repositories["openai-community/gpt2"] = gpt2_repository()
    assert ask_hub(hub.client(tmp_path), tmp_path)[0] == "50257"
    assert ask_hub({"HF_HUB_OFFLINE": "1"}, tmp_path)[0] == "50257"


def test_an_unknown_repository_revision_or_file_is_named(hub, tmp_path):
    assert "has no such repository, or it is private" in ask_hub(hub.client(tmp_path), tmp_path)[0]
    hub.repositories["openai-community/gpt2"] = Repository({"vocab.json": b"{}"})
    assert "has no revision nosuch" in ask_hub(hub.client(tmp_path), tmp_path, "nosuch")[0]
    assert "has no merges.txt" in ask_hub(hub.client(tmp_path), tmp_path)[0]


def test_a_path_that_is_neither_directory_nor_hub_name_is_refused():
    for path in ("/no/such/place", "./nowhere", "a b"):
        with pytest.raises(ZeroscaleError, match="no such directory, and it is no hub name"):
            Tokenizer.gpt2(path)
