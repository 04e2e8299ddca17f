"""Any other causal language model that `transformers` knows, behind the surface that the harness scores GPT-2 through.

Pythia, OPT and their like: `transformers` computes, the harness asks. For the optional extra `zeroscale[hf]`.
"""

import copy
import inspect
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import pre_tokenizers
from torch import Tensor, nn

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_json, sha256_json
from zeroscale.data.tokenizer import well_formed
from zeroscale.runs import layout

# What the architectures call their context; the first that a config has.
CONTEXT_NAMES = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "max_sequence_length", "seq_length")


def load(directory: Path) -> tuple["TransformersModel", "TransformersTokenizer"]:
    """The model, in fp32 and evaluation mode, and the tokenizer of a local directory. Runs no code that lies in it.

    Raises:
        ZeroscaleError: transformers is not installed, or cannot make a causal language model of the directory.
    """
    kind = read_json(directory / layout.HF_CONFIG).get("model_type")
    try:
        import transformers
    except ImportError as error:
        raise ZeroscaleError(
            f"{directory}: model_type is {kind!r}, not gpt2; other architectures are scored by transformers, which is "
            "not installed: pip install 'zeroscale[hf]'"
        ) from error
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        model = transformers.AutoModelForCausalLM.from_pretrained(directory, local_files_only=True)
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            directory, local_files_only=True, split_special_tokens=True
        )
    except Exception as error:  # a dozen kinds, from a missing file to a missing package
        plain = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ZeroscaleError(
            f"{directory}: transformers {transformers.__version__} cannot load this {kind} model: {plain}"
        ) from error
    model = model.float()
    adapted = TransformersModel(model.eval(), str(directory)).eval()
    return adapted, TransformersTokenizer(tokenizer, str(directory))


@dataclass(frozen=True)
class Shape:
    """What the harness asks of a config."""

    vocab_size: int
    """Columns of the logits: where a model pads its vocabulary, the padding has its share of the probability."""
    n_positions: int


class Cache:
    """transformers' own cache behind the surface of `model.cache.KVCache`: rows end together, padding on the left."""

    def __init__(self, starts: Sequence[int]) -> None:
        self.past: Any = None
        self.length = 0
        self.starts = list(starts)

    def arguments(self, time: int, device: torch.device) -> dict[str, Any]:
        """What transformers wants beside the next `time` columns of tokens."""
        columns = torch.arange(self.length + time, device=device)
        starts = torch.tensor(self.starts, device=device)[:, None]
        return {
            "attention_mask": (columns >= starts).long(),
            "position_ids": (columns[self.length :] - starts).clamp(min=0),
            "past_key_values": self.past,
            "use_cache": True,
        }

    def drop(self, rows: Sequence[int]) -> list[int]:
        """Takes rows out; returns the former numbers of those that stay."""
        remaining = [row for row in range(len(self.starts)) if row not in set(rows)]
        self._keep(remaining)
        return remaining

    def select(self, rows: Sequence[int]) -> "Cache":
        """A new cache whose row i is a copy of this one's `rows[i]`."""
        chosen = copy.deepcopy(self)
        chosen._keep(list(rows))
        return chosen

    def _keep(self, rows: list[int]) -> None:
        self.past.batch_select_indices(torch.tensor(rows))
        self.starts = [self.starts[row] for row in rows]


class TransformersModel(nn.Module):
    """A causal language model of transformers, called as `model.GPT` is."""

    def __init__(self, model: Any, where: str) -> None:
        super().__init__()
        self.model = model
        n_positions = next((n for name in CONTEXT_NAMES if (n := getattr(model.config, name, None))), None)
        if n_positions is None:
            raise ZeroscaleError(
                f"{where}: config.json says nowhere how long the context is (looked for {', '.join(CONTEXT_NAMES)}); "
                'add "max_position_embeddings" to it'
            )
        probe = torch.zeros((1, 2), dtype=torch.long, device=next(model.parameters()).device)
        with torch.inference_mode():
            logits = model(input_ids=probe).logits
            self.config = Shape(logits.shape[-1], n_positions)
            self.split = self._head_is_all(probe, logits)
        self._takes = set(inspect.signature((model.base_model if self.split else model).forward).parameters)

    def _head_is_all(self, probe: Tensor, logits: Tensor) -> bool:
        """Whether logits are the output head of the body's last states and nothing more (no cap, no scale): then the
        head is computed where a score is needed, and else everywhere."""
        head = self.model.get_output_embeddings()
        states = getattr(self.model.base_model(input_ids=probe), "last_hidden_state", None)
        if head is None or states is None or states.shape[-1] != head.weight.shape[-1]:
            return False
        return torch.equal(head(states), logits)

    def new_cache(self, batch: int, max_length: int, starts: Sequence[int] | None = None) -> Cache:
        """An empty cache for `batch` rows; it grows as needed."""
        return Cache(starts if starts is not None else [0] * batch)

    def hidden(self, tokens: Tensor, cache: Cache | None = None) -> Tensor:
        """Ids [B, T] → what `logits` takes: the last states, or the logits themselves."""
        extra = {"use_cache": False} if cache is None else cache.arguments(tokens.shape[1], tokens.device)
        extra = {name: value for name, value in extra.items() if name in self._takes}
        output = (self.model.base_model if self.split else self.model)(input_ids=tokens, **extra)
        if cache is not None:
            cache.past = getattr(output, "past_key_values", None)
            if not hasattr(cache.past, "batch_select_indices"):
                raise ZeroscaleError(
                    f"{self.model.config.model_type} models keep no keys and values of what they have read: cards "
                    "that generate or compare endings cannot be scored with them"
                )
            cache.length += tokens.shape[1]
        return output.last_hidden_state if self.split else output.logits

    def logits(self, hidden: Tensor) -> Tensor:
        """What `hidden` gave, [..., d] → logits [..., V]."""
        return self.model.get_output_embeddings()(hidden) if self.split else hidden

    def forward(self, tokens: Tensor) -> Tensor:
        """Ids [B, T] → logits [B, T, V]."""
        return self.logits(self.hidden(tokens))


class TransformersTokenizer:
    """A tokenizer of transformers, called as `tokenizer.Tokenizer` is: adds no special token, and takes none from a
    text that holds its name."""

    def __init__(self, tokenizer: Any, where: str) -> None:
        if tokenizer.eos_token_id is None:
            raise ZeroscaleError(f"{where}: the tokenizer names no end-of-text token (eos_token)")
        self._tokenizer = tokenizer
        self.eos: int = tokenizer.eos_token_id
        self.vocab_size = len(tokenizer)

    def encode(self, text: str) -> list[int]:
        """Token ids."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` of each text."""
        if not texts:
            return []
        plain = [well_formed(text) for text in texts]
        return self._tokenizer(plain, add_special_tokens=False, verbose=False)["input_ids"]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids, special tokens by name."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)

    @cached_property
    def fingerprint(self) -> str:
        """Hex sha256 over the vocabulary and, of the fast kind, all that the `tokenizers` library knows of it."""
        backend = getattr(self._tokenizer, "backend_tokenizer", None)
        return sha256_json({"tokens": self._tokenizer.get_vocab(), "rules": backend.to_str() if backend else None})

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes of the ids, special tokens by name. Of a SentencePiece vocabulary a text's own first space, which
        no text has, is among them."""
        return b"".join(self._pieces[token] for token in ids)

    def token_byte_lengths(self) -> np.ndarray:
        """int64 [vocab_size]: bytes of text behind each id; 0 for special tokens. A SentencePiece text's own first
        space is counted."""
        special = {token for token, added in self._tokenizer.added_tokens_decoder.items() if added.special}
        lengths = [0 if token in special else len(piece) for token, piece in enumerate(self._pieces)]
        return np.array(lengths, dtype=np.int64)

    @cached_property
    def _pieces(self) -> list[bytes]:
        """What each id stands for, of byte-level and SentencePiece vocabularies."""
        added = {token: entry.content for token, entry in self._tokenizer.added_tokens_decoder.items()}
        vocabulary = {token: text for text, token in self._tokenizer.get_vocab().items() if token not in added}
        letters = _bytes_by_letter()
        byte_level = all(letters.keys() >= set(text) for text in vocabulary.values())
        pieces = [b""] * self.vocab_size
        for token, text in vocabulary.items():
            pieces[token] = bytes(letters[letter] for letter in text) if byte_level else _sentencepiece_bytes(text)
        for token, text in added.items():
            pieces[token] = text.encode("utf-8")
        return pieces


def _bytes_by_letter() -> dict[str, int]:
    """GPT-2's alphabet: a printable letter for each byte; those that print nothing stand from U+0100 on, in order."""
    letters = set(pre_tokenizers.ByteLevel.alphabet())
    plain = {letter: ord(letter) for letter in letters if ord(letter) < 0x100}
    others = sorted(set(range(256)) - set(plain.values()))
    return plain | {chr(0x100 + place): byte for place, byte in enumerate(others)}


def _sentencepiece_bytes(piece: str) -> bytes:
    byte = re.fullmatch(r"<0x([0-9A-F]{2})>", piece)
    return bytes.fromhex(byte[1]) if byte else piece.replace("▁", " ").encode("utf-8")
