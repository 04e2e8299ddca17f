"""Every tokenizer that is not GPT-2's kind: transformers makes it of a directory's files, as for everybody else.

For the optional extra `zeroscale[hf]`.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import sha256_json
from zeroscale.data import tokenizer_files as files
from zeroscale.data.tokenizer import Tokenizer, well_formed
from zeroscale.data.tokenizer_parts import BYTE_OF, END_OF_TEXT, splits_as_gpt2

# Raised whenever the same files would give other scores: 2, context and target are encoded as one text.
_VERSION = 2


def load(directory: Path, rows: int) -> "Tokenizer | TransformersTokenizer":
    """The tokenizer of a directory with GPT-2's architecture: our own class where its files ask for nothing more, else
    what transformers makes of them.

    Args:
        rows: of the model's vocabulary.

    Raises:
        ZeroscaleError: there is no tokenizer, or a file is damaged; transformers is needed and not installed.
    """
    plain = Tokenizer.load_plain(directory, rows)
    if isinstance(plain, Tokenizer):
        return plain
    found = load_any(directory, rows, plain)
    if unused := found.unused_parts(directory / files.TOKENIZER):
        print(
            f"zeroscale: {directory}: {files.TOKENIZER}'s {' and '.join(unused)} is not used: transformers goes by "
            f'tokenizer_class, and so do the scores; "PreTrainedTokenizerFast" in {files.CONFIG} uses it',
            file=sys.stderr,
        )
    return found


def load_any(directory: Path, rows: int, why: str = "") -> "TransformersTokenizer":
    """What transformers' AutoTokenizer makes of a directory. Runs no code that lies in it.

    Args:
        rows: of the model's vocabulary.
        why: what our own class lacks, for the message where transformers is not installed.

    Raises:
        ZeroscaleError: a file is damaged, or transformers is not installed or cannot make a tokenizer of them.
    """
    files.check(directory)
    try:
        import transformers
    except ImportError as error:
        raise ZeroscaleError(
            f"{directory}: its tokenizer is not GPT-2's kind ({why or 'another architecture'}); transformers reads it, "
            "which is not installed: pip install 'zeroscale[hf]'"
        ) from error
    transformers.logging.set_verbosity_error()
    where = f"{directory}: transformers {transformers.__version__} cannot load this tokenizer"
    if (directory / files.TOKENIZER).is_file():
        with _library_faults(f"{directory / files.TOKENIZER}: the tokenizers library cannot read it"):
            tokenizers.Tokenizer.from_file(str(directory / files.TOKENIZER))
    with _library_faults(where):
        made = transformers.AutoTokenizer.from_pretrained(
            directory, local_files_only=True, trust_remote_code=False, split_special_tokens=True
        )
    found = TransformersTokenizer(made, str(directory), rows)
    found.check_encodes_alike()
    return found


@contextmanager
def _library_faults(what: str) -> Iterator[None]:
    """Turns whatever a library says of a tokenizer's files into one message: transformers raises a dozen kinds, and
    `tokenizers` bare Exceptions, or the panics of its Rust code, which are no Exceptions."""
    try:
        yield
    except ZeroscaleError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        plain = next(iter(str(error).strip().split("\n")), "") or type(error).__name__
        raise ZeroscaleError(f"{what}: {plain[:300]}") from error


class TransformersTokenizer:
    """A tokenizer of transformers, called as `tokenizer.Tokenizer` is: adds no special token unless asked to, and takes
    none from a text that holds its name.

    Args:
        rows: of the model's vocabulary; None: not known. Ids beyond it may be in the vocabulary but not in a text.

    Raises:
        ZeroscaleError: no token ends a text.
    """

    def __init__(self, tokenizer: Any, where: str, rows: int | None = None) -> None:
        self._tokenizer = tokenizer
        self._where = where
        self._rows = rows
        ids = tokenizer.get_vocab()
        eos = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else ids.get(END_OF_TEXT)
        if eos is None:
            raise ZeroscaleError(
                f'{where}: the tokenizer names no end-of-text token; add "eos_token" to its {files.CONFIG}'
            )
        self.eos: int = eos
        last = max(ids.values(), default=-1) + 1
        self.vocab_size = last if rows is None else min(last, rows)
        self._added = dict(tokenizer.added_tokens_decoder)

    @property
    def start(self) -> int:
        """What stands before a text: the beginning of text (bos) or, where there is no such token, the end of one."""
        bos = self._tokenizer.bos_token_id
        self._check([[start := self.eos if bos is None else bos]])
        return start

    @property
    def splits_before_space(self) -> bool:
        """Unknown, so False: context and target are always encoded as one text."""
        return False

    @property
    def base_size(self) -> int:
        """Ids of the vocabulary itself, without what was added to it: at most as many as a model of its own knows."""
        return max((i for i in self._tokenizer.get_vocab().values() if i not in self._added), default=-1) + 1

    def encode(self, text: str) -> list[int]:
        """Token ids."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` of each text.

        Raises:
            ZeroscaleError: a text holds a token that the model does not know.
        """
        return self._encoded(texts, False)

    def encode_whole(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode_batch`, with the tokens that this tokenizer puts around a text (OPT's </s>, Llama's <s>)."""
        return self._encoded(texts, True)

    def _encoded(self, texts: Sequence[str], special: bool) -> list[list[int]]:
        if not texts:
            return []
        plain = [well_formed(text) for text in texts]
        with _library_faults(f"{self._where}: its tokenizer cannot encode a text"):
            ids: list[list[int]] = self._tokenizer(plain, add_special_tokens=special, verbose=False)["input_ids"]
        self._check(ids)
        return ids

    def _check(self, ids: Iterable[Sequence[int]]) -> None:
        if self._rows is None:
            return
        for one in ids:
            if one and max(one) >= self._rows:
                beyond = next(token for token in one if token >= self._rows)
                raise ZeroscaleError(
                    f"{self._where}: {self._tokenizer.convert_ids_to_tokens(beyond)!r} is token {beyond:,}, and the "
                    f"model's vocabulary has {self._rows:,} (0 to {self._rows - 1:,}); it was added to the tokenizer "
                    "and not to the model"
                )

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids without special tokens, as transformers and lm-evaluation-harness show it."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=True)

    @cached_property
    def fingerprint(self) -> str:
        """Hex sha256 over all that decides how a text is encoded: the vocabulary, the start and the end of a text, and
        of the fast kind all that the `tokenizers` library knows of it."""
        backend = getattr(self._tokenizer, "backend_tokenizer", None)
        return sha256_json(
            {
                "version": _VERSION,
                "class": type(self._tokenizer).__name__,
                "tokens": self._tokenizer.get_vocab(),
                "rules": backend.to_str() if backend else None,
                "bos": self._tokenizer.bos_token_id,
                "eos": self.eos,
            }
        )

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes of the ids, special tokens by name. Of a SentencePiece vocabulary a text's own first space, which
        no text has, is among them."""
        return b"".join(self._pieces[token] for token in ids)

    def token_byte_lengths(self) -> np.ndarray:
        """int64 [vocab_size]: bytes of text behind each id; 0 for special tokens. A SentencePiece text's own first
        space is counted."""
        special = {token for token, added in self._added.items() if added.special}
        lengths = [0 if token in special else len(piece) for token, piece in enumerate(self._pieces)]
        return np.array(lengths, dtype=np.int64)

    @cached_property
    def _pieces(self) -> list[bytes]:
        """What each id stands for: by the letters of a byte-level vocabulary, by the signs of SentencePiece, and of any
        other by what it adds to a text."""
        added = {token: entry.content for token, entry in self._added.items()}
        vocabulary = {token: text for text, token in self._tokenizer.get_vocab().items() if token not in added}
        spell = self._speller(vocabulary)
        pieces = [b""] * self.vocab_size
        for token, text in vocabulary.items():
            if token < self.vocab_size:
                pieces[token] = spell(token, text)
        for token, text in added.items():
            if token < self.vocab_size:
                pieces[token] = text.encode("utf-8")
        return pieces

    def _speller(self, vocabulary: dict[int, str]) -> Callable[[int, str], bytes]:
        decoders = json.dumps(self._rules.get("decoder"))
        plain = decoders == "null" and all(BYTE_OF.keys() >= set(text) for text in vocabulary.values())
        if plain or '"ByteLevel"' in decoders:
            return lambda _, text: b"".join(
                bytes([BYTE_OF[letter]]) if letter in BYTE_OF else letter.encode() for letter in text
            )
        word = next((token for token in vocabulary if self.decode([token]).isalpha()), None)
        if word is None or not any(f'"{kind}"' in decoders for kind in ("WordPiece", "BPEDecoder", "CTC")):
            return lambda _, text: _sentencepiece_bytes(text)
        before = self.decode([word])
        return lambda token, _: self.decode([word, token]).removeprefix(before).encode("utf-8")

    def check_encodes_alike(self) -> None:
        """Refuses merges that are left out at random, a means of training: each encoding would be another.

        Raises:
            ZeroscaleError: it has such a dropout.
        """
        dropout = self._rules.get("model", {}).get("dropout")
        if dropout:
            raise ZeroscaleError(
                f"{self._where}: the tokenizer's model leaves out merges at random (dropout {dropout} in "
                f"{files.TOKENIZER}), so that no score could be had twice; set it to null there, as for every use but "
                "training"
            )

    @cached_property
    def _rules(self) -> dict[str, Any]:
        """What the `tokenizers` library knows beside the vocabulary and its merges; nothing, of a tokenizer in
        Python."""
        backend = getattr(self._tokenizer, "backend_tokenizer", None)
        if not backend:
            return {}
        rules: dict[str, Any] = json.loads(backend.to_str())
        model = rules.get("model") or {}
        return {**rules, "model": {name: model[name] for name in model if name not in ("vocab", "merges")}}

    def unused_parts(self, file: Path) -> list[str]:
        """What a tokenizer.json has beyond GPT-2 and transformers did not take from it, in words."""
        if not file.is_file():
            return []
        read, rules = json.loads(tokenizers.Tokenizer.from_file(str(file)).to_str()), self._rules
        lost = [part for part in ("normalizer", "pre_tokenizer") if read[part] and read[part] != rules.get(part)]
        return [f"{part} {read[part]['type']}" for part in lost if not splits_as_gpt2(read[part])]


def _sentencepiece_bytes(piece: str) -> bytes:
    byte = re.fullmatch(r"<0x([0-9A-F]{2})>", piece)
    return bytes.fromhex(byte[1]) if byte else piece.replace("▁", " ").encode("utf-8")
