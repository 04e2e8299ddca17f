"""Text out: prompts of any lengths, continued together with a key-value cache.

What a prompt gets does not depend on what else is continued beside it: its random numbers are its own (the logits
differ by fp32 rounding at most, as between any two batch shapes).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from zeroscale.core.errors import ZeroscaleError
from zeroscale.model.generation.grouping import AnySlots, group_prompts
from zeroscale.model.generation.sampling import Sampler, uniform_numbers
from zeroscale.model.gpt import GPT

Stop = Callable[[list[int]], bool]


class New(NamedTuple):
    """One new token: the number of its prompt, its id, and its log-probability (nats) among all tokens, or NaN where
    that was not asked for."""

    prompt: int
    token: int
    logprob: float


@dataclass
class GenerationStats:
    """What a generation took: prompt tokens computed, those that shared beginnings spared, positions of padding."""

    read: int = 0
    saved: int = 0
    padding: int = 0

    def add(self, slots: AnySlots) -> None:
        self.read += slots.read
        self.saved += slots.asked - slots.read
        self.padding += slots.padding


def generate(model: GPT, prompts: Sequence[Sequence[int]], max_new_tokens: int, **options: Any) -> list[list[int]]:
    """The new tokens of each prompt, in the order of `prompts`; arguments and errors as `stream`."""
    new: list[list[int]] = [[] for _ in prompts]
    for prompt, token, _ in stream(model, prompts, max_new_tokens, **options):
        new[prompt].append(token)
    return new


def stream(
    model: GPT,
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
    spent: GenerationStats | None = None,
) -> Iterator[New]:
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
        batch_size: prompts at once; where one has ended, another enters.
        columns: tokens whose keys and values are held at once (one prompt's, or one family's, in any case): fewer
            prompts run together where they are long. None: as many as `batch_size` prompts need.
        vocab_size: ids from here on are never chosen (some models have more rows than their tokenizer has ids).
        logprobs: yield log-probabilities too.
        share: compute common beginnings of prompts once.
        spent: is filled with what it took.

    Raises:
        ZeroscaleError: an empty prompt, an id outside the vocabulary, or a setting out of range.
    """
    _check(model, prompts, max_new_tokens, temperature, top_k, top_p, batch_size)
    room = model.config.n_positions - max_new_tokens
    kept = [tuple(prompt[-room:]) for prompt in prompts]
    seeds = _seeds(seed, len(kept))
    draws = None if temperature == 0 else uniform_numbers(seeds, max_new_tokens)
    pick = Sampler(temperature, top_k, top_p, vocab_size)
    new: list[list[int]] = [[] for _ in kept]
    for slots in group_prompts(model, kept, max_new_tokens, batch_size, columns, share):
        running = _Running(model, slots(), new, pick, draws)
        while running.slots.queue or running.prompts:
            logits = running.enter() if running.slots.should_enter() else running.step()
            ended = []
            for row, one in running.choose(logits, logprobs):
                if one.token == eos:
                    ended.append(row)
                    continue
                tokens = new[one.prompt]
                tokens.append(one.token)
                yield one
                if len(tokens) == max_new_tokens or (stop is not None and stop(tokens)):
                    ended.append(row)
            running.leave(ended)
        if spent is not None:
            spent.add(running.slots)
        del running, logits  # its memory is the next group's


def _seeds(seed: int | Sequence[int], count: int) -> list[int | tuple[int, int]]:
    if isinstance(seed, int):
        return [(seed, index) for index in range(count)]
    if len(seed) == count:
        return list(seed)
    raise ZeroscaleError(f"{len(seed)} seeds for {count} prompts; give one for each, or a single number")


def _check(
    model: GPT,
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


class _Running:
    """The rows that are being continued."""

    def __init__(self, model: GPT, slots: AnySlots, new: list[list[int]], pick: Sampler, draws: Tensor | None) -> None:
        self.model, self.slots, self.new, self.pick, self.draws = model, slots, new, pick, draws
        self.prompts: list[int] = []
        """The prompt of each row."""
        self.entered: list[int] = []
        """The rows whose logits come next."""

    def enter(self) -> Tensor:
        """Waiting prompts take free rows; the logits of what follows each."""
        members, logits = self._evaluating(self.slots.enter)
        self.entered = list(range(len(self.prompts), len(self.prompts) + len(members)))
        self.prompts += members
        return logits

    def step(self) -> Tensor:
        """Feeds every row's last token; the logits of what follows."""
        self.entered = list(range(len(self.prompts)))
        device = next(self.model.parameters()).device
        tokens = torch.tensor([self.new[prompt][-1] for prompt in self.prompts], device=device)
        return self._evaluating(self.slots.step, tokens)

    def _evaluating(self, work: Callable[..., Any], *arguments: Any) -> Any:
        if not self.model.training:
            return work(*arguments)
        self.model.eval()
        try:
            return work(*arguments)
        finally:
            self.model.train()

    def choose(self, logits: Tensor, logprobs: bool) -> list[tuple[int, New]]:
        """(row, its new token) for the rows whose logits [n, V] these are."""
        prompts = [self.prompts[row] for row in self.entered]
        uniform = None
        if self.draws is not None:
            uniform = self.draws[prompts, [len(self.new[prompt]) for prompt in prompts]]
        tokens = self.pick(logits, uniform)
        scores = [math.nan] * len(prompts)
        if logprobs:
            wide = logits.float()
            scores = (wide.gather(1, tokens[:, None])[:, 0] - wide.logsumexp(1)).tolist()
        new = map(New, prompts, tokens.tolist(), scores)
        return list(zip(self.entered, new, strict=True))

    def leave(self, rows: list[int]) -> None:
        if rows:
            self.prompts = [self.prompts[row] for row in self.slots.leave(rows)]
