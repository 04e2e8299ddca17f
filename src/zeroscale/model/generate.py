"""Text out: batches of prompts of any lengths, continued with a key-value cache.

What a prompt gets does not depend on what else is in its batch: its random numbers are its own (the logits differ by
fp32 rounding at most, as between any two batch shapes).
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from zeroscale.errors import ZeroscaleError
from zeroscale.model.cache import KVCache
from zeroscale.model.decode import Decoder
from zeroscale.model.gpt import GPT

Stop = Callable[[list[int]], bool]


def generate(
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
    vocab_size: int | None = None,
) -> list[list[int]]:
    """The new tokens of each prompt, in the order of `prompts`.

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
        batch_size: prompts at once; they are taken in order of length, and finished ones leave the batch.
        vocab_size: ids from here on are never chosen (some models have more rows than their tokenizer has ids).

    Raises:
        ZeroscaleError: an empty prompt, an id outside the vocabulary, or a setting out of range.
    """
    new: list[list[int]] = [[] for _ in prompts]
    for prompt, token in stream(
        model,
        prompts,
        max_new_tokens,
        stop=stop,
        eos=eos,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
        batch_size=batch_size,
        vocab_size=vocab_size,
    ):
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
    vocab_size: int | None = None,
) -> Iterator[tuple[int, int]]:
    """As `generate`, but yields (number of the prompt, token) as soon as each token is known."""
    _check(model, prompts, max_new_tokens, temperature, top_k, top_p, batch_size)
    room = model.config.n_positions - max_new_tokens
    kept = [list(prompt[-room:]) for prompt in prompts]
    seeds: list[int | tuple[int, int]]
    if isinstance(seed, int):
        seeds = [(seed, index) for index in range(len(kept))]
    elif len(seed) == len(kept):
        seeds = list(seed)
    else:
        raise ZeroscaleError(f"{len(seed)} seeds for {len(kept)} prompts; give one for each, or a single number")
    # Longest first: a batch that does not fit the memory fails at once, and neighbours need little padding.
    order = sorted(range(len(kept)), key=lambda index: (-len(kept[index]), index))
    for start in range(0, len(order), batch_size):
        members = order[start : start + batch_size]
        draws = None if temperature == 0 else _uniform([seeds[index] for index in members], max_new_tokens)
        pick = _Pick(temperature, top_k, top_p, draws, vocab_size)
        batch = _Batch(model, [kept[index] for index in members], max_new_tokens)
        yield from _run(batch, members, pick, max_new_tokens, stop, eos)


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


class _Batch:
    """Rows that are being continued together, shrinking as rows finish."""

    def __init__(self, model: GPT, prompts: list[list[int]], max_new_tokens: int) -> None:
        device = next(model.parameters()).device
        longest = max(map(len, prompts))
        starts = [longest - len(prompt) for prompt in prompts]
        # The last new token is never fed back.
        columns = longest + max_new_tokens - 1
        self.model = model
        self.cache = model.new_cache(len(prompts), columns, starts)
        padded = [[0] * start + prompt for start, prompt in zip(starts, prompts, strict=True)]
        self.prompts = torch.tensor(padded, device=device)
        self.decoder: Callable[[Tensor, KVCache], Tensor] | None = None
        self.steps = max_new_tokens - 1

    def first(self) -> Tensor:
        """Feeds the prompts; the logits [rows, V] of each row's next token."""
        return self._plain(self.prompts, self.cache)

    def next(self, tokens: Tensor) -> Tensor:
        """Feeds each row's new token [rows]; the logits [rows, V] of the one after it."""
        if self.decoder is None:
            # A model of transformers behind the same surface steps through its own modules.
            is_ours = isinstance(self.model, GPT)
            self.decoder = Decoder(self.model, len(tokens), self.steps) if is_ours else self._plain
        return self.decoder(tokens, self.cache)

    @torch.inference_mode()
    def _plain(self, tokens: Tensor, cache: KVCache) -> Tensor:
        training = self.model.training
        self.model.eval()
        try:
            return self.model.logits(self.model.hidden(tokens.view(len(tokens), -1), cache)[:, -1])
        finally:
            self.model.train(training)


class _Pick:
    """Chooses each row's next token from its logits."""

    def __init__(
        self,
        temperature: float,
        top_k: int | None,
        top_p: float | None,
        draws: Tensor | None,
        vocab_size: int | None,
    ) -> None:
        self.temperature, self.top_k, self.top_p, self.vocab_size = temperature, top_k, top_p, vocab_size
        self.draws = draws
        """[rows, max_new_tokens] uniform in [0, 1), or None for greedy."""

    def __call__(self, logits: Tensor, step: int) -> Tensor:
        """logits [rows, V] → ids [rows]."""
        logits = logits[:, : self.vocab_size]
        if self.draws is None:
            return logits.max(-1).indices  # three times as fast as argmax on a CPU
        logits, ids = logits.float() / self.temperature, None
        if self.top_k is not None and self.top_k < logits.shape[1]:
            logits = logits.masked_fill(logits < logits.topk(self.top_k).values[:, -1:], -torch.inf)
        if self.top_p is not None and self.top_p < 1:
            logits, ids = logits.sort(dim=-1, descending=True, stable=True)
            probabilities = logits.softmax(-1)
            # A token is in if those before it have not reached p: the first always is.
            before = probabilities.cumsum(-1, dtype=torch.float64) - probabilities
            logits = logits.masked_fill(before >= self.top_p, -torch.inf)
        mass = logits.softmax(-1).cumsum(-1, dtype=torch.float64)
        # The inverse of the distribution function at each row's uniform number, `right` of tokens of no probability;
        # rounding must not carry it past the first token at which the whole mass is there.
        total = mass[:, -1:].contiguous()
        place = torch.searchsorted(mass, self.draws[:, step, None].to(mass.device) * total, right=True)
        place = place.minimum(torch.searchsorted(mass, total))
        return (place if ids is None else ids.gather(1, place))[:, 0]

    def keep(self, rows: list[int]) -> None:
        if self.draws is not None:
            self.draws = self.draws[rows]


def _uniform(seeds: Sequence[int | tuple[int, int]], steps: int) -> Tensor:
    """[len(seeds), steps] of float64 in [0, 1): a counter-based stream for each seed, the same on every device."""
    # Philox is keyed through SeedSequence, which takes no negative numbers.
    keys = [[part % 2**64 for part in (seed if isinstance(seed, tuple) else (seed,))] for seed in seeds]
    return torch.from_numpy(np.stack([np.random.Generator(np.random.Philox(key)).random(steps) for key in keys]))


def _run(
    batch: _Batch, members: list[int], pick: _Pick, max_new_tokens: int, stop: Stop | None, eos: int | None
) -> Iterator[tuple[int, int]]:
    """Continues one batch to its end; `members` are the numbers of its prompts, row by row."""
    new: list[list[int]] = [[] for _ in members]
    logits = batch.first()
    for step in range(max_new_tokens):
        chosen = pick(logits, step)
        finished = []
        for row, token in enumerate(chosen.tolist()):
            if token == eos:
                finished.append(row)
                continue
            new[row].append(token)
            yield members[row], token
            if stop is not None and stop(new[row]):
                finished.append(row)
        if len(finished) == len(members) or step + 1 == max_new_tokens:
            return
        if finished:
            rows = batch.cache.drop(finished)
            members, new, chosen = [members[row] for row in rows], [new[row] for row in rows], chosen[rows]
            pick.keep(rows)
        logits = batch.next(chosen)
