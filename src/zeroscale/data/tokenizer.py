"""GPT-2's byte-level BPE, BPE trained on a corpus, and plain bytes: one class over the `tokenizers` library.

All three share GPT-2's alphabet (one printable character per byte value), its pre-tokenising pattern and one special
token, `<|endoftext|>`. A vocabulary and a list of merges are all there is; the fingerprint covers both.
"""

import builtins
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from zeroscale.core import hub
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import sha256_json, write_json, write_text
from zeroscale.core.machine import check_threads, cpu_cores
from zeroscale.core.paths import expand_home
from zeroscale.data import tokenizer_files, tokenizer_parts
from zeroscale.data.tokenizer_parts import BYTE_OF, END_OF_TEXT

# `Tokenizer.fingerprint` of OpenAI's released encoder.json and vocab.bpe (sha256 19613966… and 1ce16647…).
GPT2_FINGERPRINT = "7bb0d56a91a07f0af99787cc8280ba27cf729235e124e0dbbe54887148cdc352"
GPT2_VOCAB_SIZE = 50257
# Longer texts are encoded block by block, so that memory stays flat and all cores work.
BLOCK_CHARACTERS = 1 << 20
# Places where the pattern has a token's edge whatever stands around them: its matches hold whitespace only at their
# front or are whitespace altogether, look to the right only past whitespace, and never mix letters with digits.
_TOKEN_EDGE = re.compile(r"(?<=\S)(?=[ \n])|(?<=[A-Za-z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])")


_CHARACTER_OF = {value: character for character, value in BYTE_OF.items()}


def well_formed(text: str) -> str:
    """The rule for surrogates, which no UTF-8 can hold: a high and a low one in a row become the character they mean,
    a lone one becomes U+FFFD. That is tiktoken's rule too. Every other text comes back as it is."""
    try:
        text.encode("utf-8")
        return text
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class Tokenizer:
    """Text to token ids and back.

    Lossless on every text without surrogates (see `well_formed`). Time is linear in the text and memory flat beside
    its ids, except for a single word of many megabytes, which cannot be encoded in blocks: 10 MB of one letter, of
    random letters or of spaces take 3 to 6 seconds and 0.7 to 1.4 GB.
    """

    def __init__(self, vocabulary: dict[str, int], merges: Sequence[tuple[str, str]], where: str = "this tokenizer"):
        """Args:
            vocabulary: token to id, tokens in GPT-2's byte alphabet; ids 0 … n-1 without a gap; holds `<|endoftext|>`.
            merges: pairs in order of rank.
            where: named in the error.

        Raises:
            ZeroscaleError: when it is no byte-level BPE, an empty one included.
        """
        if fault := tokenizer_parts.fault(vocabulary, merges):
            raise ZeroscaleError(f"{where}: not a byte-level BPE tokenizer ({len(vocabulary):,} tokens): {fault}")
        self._tokens = sorted(vocabulary, key=vocabulary.__getitem__)
        self._merges = [(left, right) for left, right in merges]
        self._bytes: list[builtins.bytes] = [
            bytes(BYTE_OF[c] for c in token) if token != END_OF_TEXT else b"" for token in self._tokens
        ]
        self._is_plain_bytes = not self._merges and self._bytes[:256] == [bytes([value]) for value in range(256)]
        self._bpe = tokenizers.Tokenizer(models.BPE(vocab=dict(vocabulary), merges=self._merges))
        # `<|endoftext|>` is no special token in here, so that text which contains it can never mean it.
        self._bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        self._bpe.decoder = decoders.ByteLevel()
        self.vocab_size = len(self._tokens)
        self.eos: int = vocabulary[END_OF_TEXT]

    def __reduce__(self) -> tuple[type["Tokenizer"], tuple[dict[str, int], list[tuple[str, str]]]]:
        return Tokenizer, ({token: i for i, token in enumerate(self._tokens)}, self._merges)

    @classmethod
    def bytes(cls) -> "Tokenizer":
        """One id for each byte value (the value itself), 256 for `<|endoftext|>`."""
        return cls({**{_CHARACTER_OF[value]: value for value in range(256)}, END_OF_TEXT: 256}, [])

    @classmethod
    def train_bpe(cls, texts: Iterable[str], vocab_size: int) -> "Tokenizer":
        """Learns byte-level BPE: 256 bytes, merges of pairs seen at least twice, `<|endoftext|>` last.

        The result depends on the counts of words in `texts` only: not on their order, a seed, or the number of threads.

        Raises:
            ZeroscaleError: when `vocab_size` is below 257 or above what the texts can give.
        """
        if vocab_size < 257:
            raise ZeroscaleError(
                f"tokenizer.vocab_size={vocab_size}: byte-level BPE needs 257 at least (256 + {END_OF_TEXT})"
            )
        check_threads(cpu_cores())  # the library ends the process where one is refused
        learner = tokenizers.Tokenizer(models.BPE())
        learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size - 1, min_frequency=2, initial_alphabet=alphabet, show_progress=False
        )
        learner.train_from_iterator(map(well_formed, texts), trainer)
        model = json.loads(learner.to_str())["model"]
        if len(model["vocab"]) + 1 < vocab_size:
            raise ZeroscaleError(
                f"tokenizer.vocab_size={vocab_size}: this corpus is too small for it, its repeated pairs give a"
                f" vocabulary of {len(model['vocab']) + 1} at most; ask for that or less, or use tokenizer=bytes"
            )
        pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"])
        merges = [(left, right) for left, right in pairs]
        return cls({**model["vocab"], END_OF_TEXT: len(model["vocab"])}, merges)

    @classmethod
    def load(cls, directory: Path | str) -> "Tokenizer":
        """Reads vocab.json + merges.txt, encoder.json + vocab.bpe, or tokenizer.json, the first that is there.

        Raises:
            ZeroscaleError: when none is, one is broken or empty, or a saved tokenizer is not what was saved.
        """
        directory = Path(directory)
        return cls(*tokenizer_parts.read_vocabulary(directory), where=str(directory))._as_saved(directory)

    @classmethod
    def load_plain(cls, directory: Path | str, rows: int | None = None) -> "Tokenizer | str":
        """`load`, where the files ask for nothing more than GPT-2's tokenizer does; else what more that is, in words.

        Args:
            rows: of the model's vocabulary. Tokens beyond it that no text gives ([PAD], say) are left out.

        Raises:
            ZeroscaleError: when no tokenizer is there, or a file is damaged.
        """
        directory = Path(directory)
        parts = tokenizer_parts.read(directory, rows)
        if parts.more:
            return "; ".join(parts.more[:3])
        if fault := tokenizer_parts.fault(parts.vocabulary, parts.merges):
            return fault
        found = cls(parts.vocabulary, parts.merges, str(directory))
        saved = tokenizer_files.read_stamp(directory)
        before = {token: i for token, i in parts.vocabulary.items() if saved and i < saved[1]}
        # Tokens may have been added since it was saved.
        if END_OF_TEXT in before and len(before) < found.vocab_size:
            cls(before, parts.merges, str(directory))._as_saved(directory)
            return found
        return found._as_saved(directory)

    def _as_saved(self, directory: Path) -> "Tokenizer":
        """Itself, unless the directory's stamp says that another was saved there."""
        saved = tokenizer_files.read_stamp(directory)
        if saved and saved[0] != self.fingerprint:
            stamp = tokenizer_files.STAMP
            raise ZeroscaleError(f"{directory}: the tokenizer's files are not those that were saved (see {stamp})")
        return self

    @classmethod
    def gpt2(cls, path: str, revision: str | None = None) -> "Tokenizer":
        """GPT-2's own tokenizer from a directory or from the hub, refused when it is not exactly that.

        Args:
            path: a directory as `load` reads, or a hub name such as openai-community/gpt2.
            revision: of the hub's repository.
        """
        directory = Path(expand_home(path))
        if not directory.is_dir():
            if not hub.is_repo_name(path):
                raise ZeroscaleError(f"tokenizer.path={path}: there is no such directory, and it is no hub name either")
            directory = hub.snapshot(path, revision, only=("vocab.json", "merges.txt")).directory
        tokenizer = cls.load_plain(directory)
        if isinstance(tokenizer, str):
            raise ZeroscaleError(f"{directory}: not GPT-2's tokenizer: {tokenizer}")
        if tokenizer.vocab_size != GPT2_VOCAB_SIZE or tokenizer.fingerprint != GPT2_FINGERPRINT:
            raise ZeroscaleError(
                f"{directory}: not GPT-2's tokenizer: {tokenizer.vocab_size:,} tokens (GPT-2 has {GPT2_VOCAB_SIZE:,}),"
                f" fingerprint {tokenizer.fingerprint[:12]} (GPT-2's is {GPT2_FINGERPRINT[:12]})"
            )
        return tokenizer

    @cached_property
    def fingerprint(self) -> str:
        """Hex sha256 over the tokens in order of id, the merges and the special token."""
        content = {"tokens": self._tokens, "merges": self._merges, "specials": {END_OF_TEXT: self.eos}}
        return sha256_json(content)

    @property
    def start(self) -> int:
        """What stands before a text: `<|endoftext|>`, as between the documents of a corpus."""
        return self.eos

    @property
    def splits_before_space(self) -> bool:
        """Whether no token reaches from what is no white space to a space or a `\n` after it: so the pattern has it."""
        return True

    @property
    def base_size(self) -> int:
        """Ids of the vocabulary: all that a model needs to know."""
        return self.vocab_size

    def encode_whole(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode_batch`: this tokenizer puts no token of its own around a text."""
        return self.encode_batch(texts)

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        """Token ids. `<|endoftext|>` in the text is ordinary text unless `allow_special`."""
        return self.encode_batch([text], allow_special=allow_special)[0]

    def encode_batch(self, texts: Sequence[str], *, allow_special: bool = False) -> list[list[int]]:
        """`encode` of each text, on all cores."""
        if allow_special:
            return [self._encode_special(text) for text in texts]
        texts = [well_formed(text) for text in texts]
        if self._is_plain_bytes:
            return [list(text.encode("utf-8")) for text in texts]
        if all(len(text) <= BLOCK_CHARACTERS for text in texts):
            return [encoding.ids for encoding in self._bpe.encode_batch_fast(texts, add_special_tokens=False)]
        return [self._encode_blocks(text) for text in texts]

    def _encode_special(self, text: str) -> list[int]:
        first, *others = self.encode_batch(text.split(END_OF_TEXT))
        for part in others:
            first.append(self.eos)
            first.extend(part)
        return first

    def _encode_blocks(self, text: str) -> list[int]:
        ids: list[int] = []
        blocks = _blocks(text, BLOCK_CHARACTERS)
        while group := list(islice(blocks, 4)):
            for encoding in self._bpe.encode_batch_fast(group, add_special_tokens=False):
                ids.extend(encoding.ids)
        return ids

    def decode_bytes(self, ids: Iterable[int]) -> "builtins.bytes":
        """The bytes that the ids stand for; `<|endoftext|>` as its name. An id outside the vocabulary is an error."""
        parts = []
        for token in ids:
            if not 0 <= token < self.vocab_size:
                raise ZeroscaleError(f"token {token} is outside the vocabulary of {self.vocab_size:,}")
            parts.append(self._bytes[token] if token != self.eos else END_OF_TEXT.encode())
        return b"".join(parts)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids. Bytes that are no UTF-8 (half a character, say) become U+FFFD."""
        return self.decode_bytes(ids).decode("utf-8", "replace")

    def token_byte_lengths(self) -> np.ndarray:
        """int64 [vocab_size]: how many bytes of text each id stands for; 0 for `<|endoftext|>`."""
        return np.array([len(token) for token in self._bytes], dtype=np.int64)

    def save(self, directory: Path | str) -> None:
        """Writes what `load` and transformers' `GPT2TokenizerFast.from_pretrained` read."""
        directory = Path(directory)
        exported = tokenizers.Tokenizer.from_str(self._bpe.to_str())
        exported.add_special_tokens([tokenizers.AddedToken(END_OF_TEXT, special=True, normalized=False)])
        specials = {name: END_OF_TEXT for name in ("bos_token", "eos_token", "unk_token")}
        write_json(directory / "vocab.json", {token: i for i, token in enumerate(self._tokens)})
        write_text(directory / "merges.txt", "\n".join(["#version: 0.2", *map(" ".join, self._merges)]) + "\n")
        write_text(directory / "tokenizer.json", exported.to_str(pretty=True) + "\n")
        write_json(directory / "special_tokens_map.json", specials)
        config = {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": False, "clean_up_tokenization_spaces": False}
        write_json(directory / "tokenizer_config.json", {**config, **specials})
        write_json(directory / tokenizer_files.STAMP, {"fingerprint": self.fingerprint, "vocab_size": self.vocab_size})


def _blocks(text: str, size: int) -> Iterator[str]:
    """Cuts a text after at least `size` characters, only where the pattern has an edge anyway."""
    start = 0
    while start < len(text):
        edge = _TOKEN_EDGE.search(text, start + size)
        end = edge.start() if edge else len(text)
        yield text[start:end]
        start = end
