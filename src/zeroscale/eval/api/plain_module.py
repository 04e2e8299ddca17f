"""Any `torch.nn.Module` that maps token ids to logits, behind the methods that the engine asks a model for."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zeroscale.core.errors import ZeroscaleError
from zeroscale.eval.hf_adapter import CONTEXT_NAMES, Shape


class TokenHistory:
    """In place of a cache of keys and values: the tokens read so far, [B, length]. Rows end together; row b begins at
    column `starts[b]`, and what stands before is padding."""

    def __init__(self, starts: Sequence[int], tokens: Tensor | None = None) -> None:
        self.starts = list(starts)
        self.tokens = tokens

    @property
    def length(self) -> int:
        return 0 if self.tokens is None else self.tokens.shape[1]

    def append(self, tokens: Tensor) -> Tensor:
        """Adds columns [B, T]; returns all of them."""
        self.tokens = tokens if self.tokens is None else torch.cat([self.tokens, tokens], dim=1)
        return self.tokens

    def drop(self, rows: Sequence[int]) -> list[int]:
        """Removes rows; returns the former numbers of the rows that stay."""
        remaining = [row for row in range(len(self.starts)) if row not in set(rows)]
        chosen = self.select(remaining)
        self.starts, self.tokens = chosen.starts, chosen.tokens
        return remaining

    def select(self, rows: Sequence[int]) -> "TokenHistory":
        """A new history whose row i is a copy of this one's `rows[i]`."""
        tokens = None if self.tokens is None else self.tokens[list(rows)]
        return TokenHistory([self.starts[row] for row in rows], tokens)


class PlainModule(nn.Module):
    """A causal language model with `forward(ids [B, T]) -> logits [B, T, V]`, called as `model.gpt.GPT` is.

    It keeps no keys and values, so generated text costs a whole pass for each token.

    Args:
        n_positions: the longest input that the module takes; None: read from `module.config`.

    Raises:
        ZeroscaleError: the context length is unknown, or the module returns no logits of the shape [B, T, V].
    """

    def __init__(self, module: nn.Module, n_positions: int | None = None) -> None:
        super().__init__()
        self.module = module
        config = getattr(module, "config", None)
        known = (value for name in CONTEXT_NAMES if isinstance(value := getattr(config, name, None), int))
        n_positions = n_positions or next(known, None)
        if n_positions is None:
            raise ZeroscaleError(
                f"{type(module).__name__} does not say how long its context is: give n_positions=…, the longest input "
                "that it takes, in tokens"
            )
        training = module.training
        with torch.inference_mode():
            logits = self.module.eval()(torch.zeros((1, 2), dtype=torch.long, device=_device(module)))
        module.train(training)
        logits = getattr(logits, "logits", logits)
        if not isinstance(logits, Tensor) or logits.dim() != 3 or logits.shape[:2] != (1, 2):
            shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise ZeroscaleError(
                f"{type(module).__name__} must map token ids [B, T] to logits [B, T, V] of every position; for ids of "
                f"shape (1, 2) it returned {shape}"
            )
        self.config = Shape(logits.shape[-1], n_positions)

    def new_cache(self, batch: int, max_length: int, starts: Sequence[int] | None = None) -> TokenHistory:
        """An empty history for `batch` rows."""
        return TokenHistory(starts if starts is not None else [0] * batch)

    def hidden(self, tokens: Tensor, cache: TokenHistory | None = None) -> Tensor:
        """Ids [B, T] → logits [B, T, V]; with a history, of the tokens after it. Logits of padding are zero."""
        if cache is None:
            return self._logits(tokens)
        history, new = cache.append(tokens), tokens.shape[1]
        output: Tensor | None = None
        for start in sorted(set(cache.starts)):
            rows = [row for row, begin in enumerate(cache.starts) if begin == start]
            logits = self._logits(history[rows, start:])[:, -new:]
            if output is None:
                output = logits.new_zeros((len(cache.starts), new, logits.shape[-1]))
            output[rows, new - logits.shape[1] :] = logits
        assert output is not None
        return output

    def logits(self, hidden: Tensor) -> Tensor:
        """What `hidden` returned: it holds the logits already."""
        return hidden

    def forward(self, tokens: Tensor) -> Tensor:
        """Ids [B, T] → logits [B, T, V]."""
        return self._logits(tokens)

    def _logits(self, tokens: Tensor) -> Tensor:
        output = self.module(tokens)
        logits: Tensor = getattr(output, "logits", output)
        return logits


def _device(module: nn.Module) -> torch.device:
    return next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
