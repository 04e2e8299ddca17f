"""Any other causal language model that `transformers` knows, behind the surface that the harness scores GPT-2 through.

Pythia, OPT and their like: `transformers` computes, the harness asks. For the optional extra `zeroscale[hf]`.
"""

import copy
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zeroscale.core.errors import ZeroscaleError
from zeroscale.data import hf_tokenizer, tokenizer_files
from zeroscale.data.hf_tokenizer import TransformersTokenizer
from zeroscale.eval.hf.load_model import load_model
from zeroscale.model.hf_config import read_config_json

# What the architectures call their context; the first that a config has.
CONTEXT_NAMES = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "max_sequence_length", "seq_length")


def load(directory: Path) -> tuple["TransformersModel", "TransformersTokenizer"]:
    """The model, in fp32 and evaluation mode, and the tokenizer of a local directory. Runs no code that lies in it.

    Raises:
        ZeroscaleError: transformers is not installed, or cannot make a causal language model of the directory.
    """
    content = read_config_json(directory)
    kind = content.get("model_type")
    try:
        import transformers
    except ImportError as error:
        raise ZeroscaleError(
            f"{directory}: model_type is {kind!r}, not gpt2; other architectures are scored by transformers, which is "
            "not installed: pip install 'zeroscale[hf]'"
        ) from error
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    tokenizer_files.check(directory)  # before the weights take memory
    try:
        model = TransformersModel(load_model(directory, content), str(directory)).eval()
    except ZeroscaleError:
        raise
    except Exception as error:  # a dozen kinds, from a missing file to a missing package
        plain = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ZeroscaleError(
            f"{directory}: transformers {transformers.__version__} cannot load this {kind} model: {plain}"
        ) from error
    return model, hf_tokenizer.load_any(directory, model.config.vocab_size)


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
        probe = torch.arange(8, device=next(model.parameters()).device)[None] % model.config.vocab_size
        with torch.inference_mode():
            self.config = Shape(model(input_ids=probe).logits.shape[-1], n_positions)
            self.split = self._head_is_all(probe)
        self._takes = set(inspect.signature((model.base_model if self.split else model).forward).parameters)

    def _head_is_all(self, probe: Tensor) -> bool:
        """Whether logits are the output head of the body's last states and nothing more (no cap, no scale): then the
        head is computed where a score is needed, and else everywhere.

        Shown by what goes into the head and by what becomes of large noise that comes out of it, not by the logits: a
        cap or a scale leaves small ones as they are, and the zeros of a padding token.
        """
        head = self.model.get_output_embeddings()
        if head is None:
            return False
        given: list[Tensor] = []
        noise = 1e4 * torch.randn(
            (*probe.shape, self.config.vocab_size), generator=torch.Generator().manual_seed(0)
        ).to(probe.device)

        def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            given.append(inputs[0])

        hooks = [head.register_forward_pre_hook(note), head.register_forward_hook(lambda *_: noise)]
        try:
            logits = self.model(input_ids=probe).logits
        finally:
            for hook in hooks:
                hook.remove()
        states = getattr(self.model.base_model(input_ids=probe), "last_hidden_state", None)
        if states is None or len(given) != 1 or not bool(states.any()):
            return False
        return torch.equal(given[0], states) and torch.equal(logits, noise)

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
