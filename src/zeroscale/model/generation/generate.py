"""Generation: prompts of any lengths, continued together with a key-value cache.

A prompt's tokens do not depend on what else is continued beside it: its random numbers are its own (the logits differ
by fp32 rounding at most, as between any two batch shapes).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, TypedDict, Unpack

import torch
from torch import Tensor

from zeroscale.core.errors import ZeroscaleError
from zeroscale.model.generation.grouping import GenerationBatch, group_prompts
from zeroscale.model.generation.sampling import Sampler, uniform_numbers
from zeroscale.model.protocol import LanguageModel

Stop = Callable[[list[int]], bool]


class NewToken(NamedTuple):
    """One new token: the index of its prompt, its id, and its log-probability (nats) among all tokens, or NaN where
    `logprobs` is off."""

    prompt: int
    token: int
    logprob: float


@dataclass
class GenerationStats:
    """What a generation computed.

    Attributes:
        read: prompt tokens computed.
        saved: prompt tokens not computed, because a shared prefix had been.
        padding: positions of padding.
    """

    read: int = 0
    saved: int = 0
    padding: int = 0

    def add(self, batch: GenerationBatch) -> None:
        self.read += batch.computed_tokens
        self.saved += batch.requested_tokens - batch.computed_tokens
        self.padding += batch.padding


class StreamOptions(TypedDict, total=False):
    """The keyword arguments of `stream`."""

    stop: Stop | None
    eos: int | None
    temperature: float
    top_k: int | None
    top_p: float | None
    seed: int | Sequence[int]
    batch_size: int
    columns: int | None
    vocab_size: int | None
    logprobs: bool
    share: bool
    stats: GenerationStats | None


def generate(
    model: LanguageModel, prompts: Sequence[Sequence[int]], max_new_tokens: int, **options: Unpack[StreamOptions]
) -> list[list[int]]:
    """The new tokens of each prompt, in the order of `prompts`; arguments and errors as `stream`."""
    new_tokens: list[list[int]] = [[] for _ in prompts]
    for prompt, token, _ in stream(model, prompts, max_new_tokens, **options):
        new_tokens[prompt].append(token)
    return new_tokens


def stream(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    *,
    stop: Stop | None = None,
    eos: int | None = None,
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | Sequence[int] = 0,
    batch_size: int = 32,
    columns: int | None = None,
    vocab_size: int | None = None,
    logprobs: bool = False,
    share: bool = True,
    stats: GenerationStats | None = None,
) -> Iterator[NewToken]:
    """Yields each new token of each prompt as soon as it is known.

    A prompt that is too long keeps its last n_positions - max_new_tokens tokens, so that everything fits the context
    window. Several samples of a prompt: repeat it in `prompts`. Dropout is off while this runs.

    Args:
        max_new_tokens: at most so many; fewer than n_positions.
        stop: called with a prompt's new tokens after each; True ends it (the last token is kept).
        eos: this token ends a prompt and is left out.
        temperature: 0 takes the likeliest token; otherwise the logits are divided by it and a token is drawn.
        top_k: draw from the k likeliest tokens (ties with the k-th are all in).
        top_p: draw from the smallest set of likeliest tokens whose probabilities reach p together (Holtzman et al.
            2020, section 3.1), after temperature and top_k.
        seed: prompt i draws from (seed, i); or a seed per prompt, which then alone decides.
        batch_size: prompts at once; where one has ended, another takes its place.
        columns: tokens whose keys and values are held at once (one prompt's, or one group's, in any case): fewer
            prompts run together where they are long. None: as many as `batch_size` prompts need.
        vocab_size: ids from here on are never chosen (some models have more rows than their tokenizer has ids).
        logprobs: yield log-probabilities too.
        share: compute common beginnings of prompts once.
        stats: filled with what was computed.

    Raises:
        ZeroscaleError: an empty prompt, an id outside the vocabulary, or a setting out of range.
    """
    _check(model, prompts, max_new_tokens, temperature, top_k, top_p, batch_size)
    max_prompt_tokens = model.config.n_positions - max_new_tokens
    truncated = [tuple(prompt[-max_prompt_tokens:]) for prompt in prompts]
    seeds = _seeds(seed, len(truncated))
    draws = None if temperature == 0 else uniform_numbers(seeds, max_new_tokens)
    sampler = Sampler(temperature, top_k, top_p, vocab_size)
    new_tokens: list[list[int]] = [[] for _ in truncated]
    for make_batch in group_prompts(model, truncated, max_new_tokens, batch_size, columns, share):
        running = _RunningBatch(model, make_batch(), new_tokens, sampler, draws)
        while running.batch.queue or running.prompts:
            logits = running.admit() if running.batch.should_admit() else running.step()
            ended_rows = []
            for row, new_token in running.sample(logits, logprobs):
                if new_token.token == eos:
                    ended_rows.append(row)
                    continue
                tokens = new_tokens[new_token.prompt]
                tokens.append(new_token.token)
                yield new_token
                if len(tokens) == max_new_tokens or (stop is not None and stop(tokens)):
                    ended_rows.append(row)
            running.remove(ended_rows)
        if stats is not None:
            stats.add(running.batch)
        del running, logits  # frees its memory for the next batch


def _seeds(seed: int | Sequence[int], count: int) -> list[int | tuple[int, int]]:
    if isinstance(seed, int):
        return [(seed, index) for index in range(count)]
    if len(seed) == count:
        return list(seed)
    raise ZeroscaleError(f"{len(seed)} seeds for {count} prompts; give one for each, or a single number")


def _check(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    batch_size: int,
) -> None:
    config = model.config
    faults = []
    if not 1 <= max_new_tokens < config.n_positions:
        faults.append(
            f"max_new_tokens is {max_new_tokens}; with a context of {config.n_positions} and at least one token of the"
            f" prompt it must be from 1 to {config.n_positions - 1}"
        )
    if not 0 <= temperature < float("inf"):
        faults.append(f"temperature is {temperature}; it must be 0 (greedy) or a positive number")
    if top_k is not None and top_k < 1:
        faults.append(f"top_k is {top_k}; it must be at least 1")
    if top_p is not None and not 0 < top_p <= 1:
        faults.append(f"top_p is {top_p}; it must be above 0 and at most 1")
    if batch_size < 1:
        faults.append(f"batch_size is {batch_size}; it must be at least 1")
    for index, prompt in enumerate(prompts):
        if len(prompt) == 0:
            faults.append(f"prompt {index} has no tokens; start it with the end-of-text token")
        elif min(prompt) < 0 or max(prompt) >= config.vocab_size:
            faults.append(f"prompt {index} has a token outside the vocabulary of {config.vocab_size}")
    if faults:
        raise ZeroscaleError("generate: " + "; ".join(faults[:5]))


class _RunningBatch:
    """The rows that generate now, and which prompt each belongs to."""

    def __init__(
        self,
        model: LanguageModel,
        batch: GenerationBatch,
        new_tokens: list[list[int]],
        sampler: Sampler,
        draws: Tensor | None,
    ) -> None:
        """`draws` are uniform numbers [prompts, new tokens]; None: greedy."""
        self.model, self.batch, self.new_tokens, self.sampler, self.draws = model, batch, new_tokens, sampler, draws
        self.prompts: list[int] = []
        """The prompt of each row."""
        self.logit_rows: list[int] = []
        """The rows that the last logits belong to."""

    def admit(self) -> Tensor:
        """Waiting prompts take free rows; the logits [n, V] of what follows each."""
        with self._evaluation_mode():
            members, logits = self.batch.admit()
        self.logit_rows = list(range(len(self.prompts), len(self.prompts) + len(members)))
        self.prompts += members
        return logits

    def step(self) -> Tensor:
        """Feeds every row's last token; the logits [rows, V] of what follows."""
        self.logit_rows = list(range(len(self.prompts)))
        device = next(self.model.parameters()).device
        tokens = torch.tensor([self.new_tokens[prompt][-1] for prompt in self.prompts], device=device)
        with self._evaluation_mode():
            return self.batch.step(tokens)

    @contextmanager
    def _evaluation_mode(self) -> Iterator[None]:
        training = self.model.training
        if training:
            self.model.eval()
        try:
            yield
        finally:
            if training:
                self.model.train()

    def sample(self, logits: Tensor, logprobs: bool) -> list[tuple[int, NewToken]]:
        """(row, its new token) for the rows whose logits [n, V] these are."""
        prompts = [self.prompts[row] for row in self.logit_rows]
        uniform = None
        if self.draws is not None:
            uniform = self.draws[prompts, [len(self.new_tokens[prompt]) for prompt in prompts]]
        tokens = self.sampler(logits, uniform)
        scores = [math.nan] * len(prompts)
        if logprobs:
            wide = logits.float()
            scores = (wide.gather(1, tokens[:, None])[:, 0] - wide.logsumexp(1)).tolist()
        sampled = map(NewToken, prompts, tokens.tolist(), scores)
        return list(zip(self.logit_rows, sampled, strict=True))

    def remove(self, rows: list[int]) -> None:
        if rows:
            self.prompts = [self.prompts[row] for row in self.batch.remove(rows)]
