"""Answers requests: sorted by length, batched by a budget of tokens, the head only where a score is needed.

Requests with the very same context (the ten candidates of a question) compute it once.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from zeroscale.harness import requests as rq
from zeroscale.harness import sentences
from zeroscale.harness.head import Scores, excluded_places, score_states
from zeroscale.model.generate import generate

if TYPE_CHECKING:
    from zeroscale.model.gpt import GPT
    from zeroscale.tokenizer import Tokenizer

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Cost:
    """What answering took so far. `padding`: positions computed for nothing; `saved`: those a shared context spared."""

    seconds: float = 0.0
    tokens: int = 0
    padding: int = 0
    saved: int = 0
    new_tokens: int = 0


@dataclass(frozen=True)
class _Prompt:
    """A generation that is ready to go: the number of its request, the prompt that fits, what did not."""

    index: int
    tokens: tuple[int, ...]
    seed: int
    truncated: int


class Engine:
    """Answers requests for one model and tokenizer; `cost` adds up over the calls."""

    def __init__(self, model: "GPT", tokenizer: "Tokenizer", batch_tokens: int = 8192) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.batch_tokens = batch_tokens
        self.n_positions = model.config.n_positions
        self.device = next(model.parameters()).device
        self.cost = Cost()
        self._newlines: frozenset[int] | None = None

    def run(self, requests: Sequence[rq.Request], progress: Progress | None = None) -> list[rq.Answer]:
        """Answers in the order of the requests, whatever that order is.

        Raises:
            ZeroscaleError: when a log-probability is not finite, which means that the weights are broken.
        """
        started = time.monotonic()
        training = self.model.training
        self.model.eval()
        try:
            with torch.inference_mode():
                answers = self._scores(requests, progress) | self._generations(requests, progress)
        finally:
            self.model.train(training)
            self.cost = replace(self.cost, seconds=self.cost.seconds + time.monotonic() - started)
        return [answers[index] for index in range(len(requests))]

    # Scores

    def _scores(self, requests: Sequence[rq.Request], progress: Progress | None) -> dict[int, rq.Answer]:
        windows: list[rq.Window] = []
        owners: dict[int, tuple[slice, int, int]] = {}
        for index, request in enumerate(requests):
            begin = len(windows)
            if isinstance(request, rq.Continuation):
                window, truncated, unscored = rq.continuation_window(request, self.n_positions)
                windows.append(window)
                owners[index] = (slice(begin, begin + 1), truncated, unscored)
            elif isinstance(request, rq.Rolling):
                windows.extend(rq.rolling_windows(request, self.n_positions))
                owners[index] = (slice(begin, len(windows)), 0, 0)
        scored = self._score_windows(windows, progress)
        answers: dict[int, rq.Answer] = {}
        for index, (where, truncated, unscored) in owners.items():
            if isinstance(requests[index], rq.Rolling):
                parts = [logprobs for logprobs, _, _ in scored[where]]
                answers[index] = rq.Rolled(np.concatenate(parts) if parts else np.zeros(0), len(parts))
            else:
                answers[index] = rq.Scored(*scored[where.start], truncated=truncated, unscored=unscored)
        return answers

    def _score_windows(
        self, windows: list[rq.Window], progress: Progress | None
    ) -> list[tuple[np.ndarray, np.ndarray, bool]]:
        results: list[tuple[np.ndarray, np.ndarray, bool]] = [None] * len(windows)  # type: ignore[list-item]
        contexts: dict[tuple[int, ...], list[int]] = {}
        for index, window in enumerate(windows):
            contexts.setdefault(window.inputs[: window.first + 1], []).append(index)
        shared = [members for members in contexts.values() if len(members) > 1]
        alone = [members[0] for members in contexts.values() if len(members) == 1]
        batches = chain(
            ((batch, self._forward) for batch in self._batches(alone, windows)),
            ((batch, self._forward_shared) for members in shared for batch in self._batches(members, windows)),
        )
        done = 0
        for batch, forward in batches:
            rows = [windows[index] for index in batch]
            logprobs, greedy, filtered = forward(rows)
            begin = 0
            for index, row in zip(batch, rows, strict=True):
                end = begin + len(row.targets)
                # Copies: a view would keep the whole batch's array alive.
                results[index] = (logprobs[begin:end].copy(), greedy[begin:end].copy(), bool(filtered[begin]))
                begin = end
            done += len(batch)
            if progress:
                progress(done, len(windows))
        return results

    def _batches(self, members: list[int], windows: list[rq.Window]) -> Iterator[list[int]]:
        """Which windows go together: longest first, so that too large a budget fails at once."""
        order = sorted(members, key=lambda index: -len(windows[index].inputs))
        while order:
            size = max(1, self.batch_tokens // len(windows[order[0]].inputs))
            yield order[:size]
            order = order[size:]

    def _forward(self, rows: list[rq.Window]) -> Scores:
        """Log-probability, greedy flag and filtered greedy flag of every target of the rows, one after another."""
        width = max(len(row.inputs) for row in rows)
        tokens = torch.zeros((len(rows), width), dtype=torch.long)  # causal: what stands in the padding is not seen
        for index, row in enumerate(rows):
            tokens[index, : len(row.inputs)] = torch.tensor(row.inputs)
        used = sum(len(row.inputs) for row in rows)
        padding = len(rows) * width - used
        self.cost = replace(self.cost, tokens=self.cost.tokens + used, padding=self.cost.padding + padding)
        hidden = self.model.hidden(tokens.to(self.device))
        places = [index * width + row.first + k for index, row in enumerate(rows) for k in range(len(row.targets))]
        picked = hidden.flatten(0, 1)[torch.tensor(places, device=self.device)]
        return self._head(picked, rows)

    def _forward_shared(self, rows: list[rq.Window]) -> Scores:
        """As `_forward`, for rows with one and the same context, which is computed once."""
        shared = rows[0].first + 1
        width = max(len(row.inputs) for row in rows) - shared
        cache = self.model.new_cache(1, shared + width)
        context = torch.tensor([rows[0].inputs[:shared]], device=self.device)
        parts = [self.model.hidden(context, cache)[:, -1:].expand(len(rows), -1, -1)]
        if width:
            tokens = torch.zeros((len(rows), width), dtype=torch.long)
            for index, row in enumerate(rows):
                tokens[index, : len(row.inputs) - shared] = torch.tensor(row.inputs[shared:])
            parts.append(self.model.hidden(tokens.to(self.device), cache.select([0] * len(rows))))
        hidden = torch.cat(parts, dim=1)
        used = shared + sum(len(row.inputs) - shared for row in rows)
        saved = shared * (len(rows) - 1)
        self.cost = replace(
            self.cost,
            tokens=self.cost.tokens + used,
            padding=self.cost.padding + shared + len(rows) * width - used,
            saved=self.cost.saved + saved,
        )
        return self._head(torch.cat([hidden[index, : len(row.targets)] for index, row in enumerate(rows)]), rows)

    def _head(self, picked: Tensor, rows: list[rq.Window]) -> Scores:
        """States [S, d] of all scored positions of the rows, one after another → their scores."""
        targets = torch.tensor([token for row in rows for token in row.targets], device=self.device)
        return score_states(self.model, picked, targets, excluded_places(rows))

    # Generations

    def _generations(self, requests: Sequence[rq.Request], progress: Progress | None) -> dict[int, rq.Answer]:
        groups: dict[tuple[int, rq.Stop, int | None], list[_Prompt]] = {}
        for index, request in enumerate(requests):
            if isinstance(request, rq.Generation):
                tokens, new_tokens, truncated = rq.generation_prompt(request, self.n_positions)
                prompt = _Prompt(index, tokens, request.seed, truncated)
                groups.setdefault((new_tokens, request.stop, request.top_k), []).append(prompt)
        total = sum(len(group) for group in groups.values())
        answers: dict[int, rq.Answer] = {}
        for (new_tokens, stop, top_k), group in groups.items():
            group.sort(key=lambda prompt: -len(prompt.tokens))
            size = max(1, self.batch_tokens // (len(group[0].tokens) + new_tokens))
            rule = self._stop(stop)
            for begin in range(0, len(group), size):
                batch = group[begin : begin + size]
                texts = generate(
                    self.model,
                    [prompt.tokens for prompt in batch],
                    new_tokens,
                    stop=rule,
                    eos=self.tokenizer.eos,
                    temperature=0.0 if top_k is None else 1.0,
                    top_k=top_k,
                    seed=[prompt.seed for prompt in batch],
                    batch_size=size,
                )
                answers |= self._generated(batch, texts)
                if progress:
                    progress(len(answers), total)
        return answers

    def _generated(self, batch: "list[_Prompt]", texts: list[list[int]]) -> dict[int, rq.Answer]:
        answers: dict[int, rq.Answer] = {}
        for prompt, tokens in zip(batch, texts, strict=True):
            answers[prompt.index] = rq.Generated(tuple(tokens), self.tokenizer.decode(tokens), prompt.truncated)
            self.cost = replace(
                self.cost,
                tokens=self.cost.tokens + len(prompt.tokens) + len(tokens),
                new_tokens=self.cost.new_tokens + len(tokens),
            )
        return answers

    def _stop(self, stop: rq.Stop) -> Callable[[list[int]], bool] | None:
        """The rule as a function of the new tokens so far."""
        if stop.kind == "never":
            return None
        if stop.kind == "newline":
            if self._newlines is None:
                ids = range(self.tokenizer.vocab_size)
                self._newlines = frozenset(token for token in ids if "\n" in self.tokenizer.decode([token]))
            newlines = self._newlines
            return lambda tokens: bool(tokens) and tokens[-1] in newlines
        return lambda tokens: sentences.more_than(self.tokenizer.decode(tokens), stop.n)
