"""What a task may ask of a model: three kinds of request, pure data, and the answers to them.

Almost every benchmark is a mixture of these (the insight of lm-evaluation-harness). A request says nothing of
batches, devices or shared prefixes: that is the engine's business.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Side = Literal["left", "right"]


@dataclass(frozen=True)
class LogLikelihood:
    """The log-probability of `target` after `context`, token by token.

    `truncate` says which end of the *context* goes when both do not fit the model; at least one token of it stays.
    `excluded` are ids that a greedy choice of the first target token may not take (LAMBADA's stop-word filter).
    """

    context: tuple[int, ...]
    target: tuple[int, ...]
    truncate: Side = "left"
    excluded: tuple[int, ...] = ()


@dataclass(frozen=True)
class RollingLogLikelihood:
    """The log-probability of every token of a text longer than the model's context.

    Windows of at most `window` input tokens move on by `stride`; each token is scored once, by the first window that
    reaches it; the last window is moved back so that it is full (as lm-evaluation-harness does). With `start` None
    the first token is context only and has no score.
    """

    tokens: tuple[int, ...]
    window: int
    stride: int
    start: int | None


@dataclass(frozen=True)
class Stop:
    """When a generation is over, besides the end of text: `newline` (at the first one), `sentences` (once a sentence
    after the first `n` has begun, so that these are sure to be whole), `texts` (once one of `texts` stands in it), or
    `never` (all tokens are spent)."""

    kind: Literal["newline", "sentences", "texts", "never"]
    n: int = 0
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class GenerateUntil:
    """Text after `prompt`: greedy with `top_k` None, else drawn from the k likeliest tokens by `seed`.

    If prompt and new tokens do not fit, `truncate` says which end of the prompt goes; its last `protected` tokens
    (the question, the hint) never do. With `logprobs` the answer holds the log-probability of every new token.
    `new_first`: new tokens get all the room they ask for where the model has more, and the prompt what is left of it
    (as lm-evaluation-harness does).
    """

    prompt: tuple[int, ...]
    max_new_tokens: int
    stop: Stop
    truncate: Side = "left"
    protected: int = 1
    top_k: int | None = None
    seed: int = 0
    logprobs: bool = False
    new_first: bool = False


Request = LogLikelihood | RollingLogLikelihood | GenerateUntil


@dataclass(frozen=True)
class LogLikelihoodResult:
    """Answer to `LogLikelihood`: per target token its log-probability (nats) and whether it was the greedy choice.

    `first_filtered`: whether the first target token is the likeliest of those not excluded. `truncated` counts
    context tokens that did not fit, `unscored` target tokens at the end that did not (their entries are missing).
    """

    logprobs: np.ndarray
    greedy: np.ndarray
    first_filtered: bool
    truncated: int = 0
    unscored: int = 0


@dataclass(frozen=True)
class RollingResult:
    """Answer to `RollingLogLikelihood`: log-probabilities (nats) of all tokens, without a start token of all but
    the first."""

    logprobs: np.ndarray
    windows: int


@dataclass(frozen=True)
class GenerateResult:
    """Answer to `GenerateUntil`: the new tokens (the end of text is not among them) and their text.

    `logprobs`, where asked for: log-probability (nats) of each new token among all tokens, whatever it was drawn from.
    """

    tokens: tuple[int, ...]
    text: str
    truncated: int = 0
    logprobs: np.ndarray | None = None


Answer = LogLikelihoodResult | RollingResult | GenerateResult


@dataclass(frozen=True)
class Window:
    """One pass over the model: inputs, the positions in them that are scored, and what should come there."""

    inputs: tuple[int, ...]
    first: int
    """The first scored position; all later ones are scored too."""
    targets: tuple[int, ...]
    excluded: tuple[int, ...] = ()


def fit(tokens: tuple[int, ...], room: int, side: Side) -> tuple[int, ...]:
    """Drops tokens at `side` until at most `room` are left."""
    excess = len(tokens) - room
    if excess <= 0:
        return tokens
    return tokens[excess:] if side == "left" else tokens[:room]


def loglikelihood_window(request: LogLikelihood, n_positions: int) -> tuple[Window, int, int]:
    """The one window of a continuation, context tokens dropped, target tokens left unscored."""
    assert request.context and request.target, "a continuation needs a context and a target"
    target = request.target[:n_positions]
    context = fit(request.context, n_positions + 1 - len(target), request.truncate)
    window = Window((context + target)[:-1], len(context) - 1, target, request.excluded)
    return window, len(request.context) - len(context), len(request.target) - len(target)


def rolling_windows(request: RollingLogLikelihood, n_positions: int) -> list[Window]:
    """The windows of a rolling request; together they score each token once, in order."""
    size = min(request.window, n_positions)
    stride = min(request.stride, size)
    stream = request.tokens if request.start is None else (request.start, *request.tokens)
    last = len(stream) - 1  # the number of scored tokens; token i + 1 is predicted at position i
    windows = []
    done = 0
    while done < last:
        end = min(size, last) if done == 0 else min(done + stride, last)
        begin = max(0, end - size)
        windows.append(Window(stream[begin:end], done - begin, stream[done + 1 : end + 1]))
        done = end
    return windows


def generation_prompt(request: GenerateUntil, n_positions: int) -> tuple[tuple[int, ...], int, int]:
    """The prompt that fits, the new tokens that fit after it, and how many prompt tokens were dropped.

    New tokens get the room they ask for up to half of the model's positions; a long prompt may not push them out. With
    `new_first` they get it beyond that half, as long as a token of the prompt stays.
    """
    assert request.prompt and 0 <= request.protected <= len(request.prompt), "a generation needs a prompt"
    new_tokens = max(1, min(request.max_new_tokens, n_positions // 2))
    if request.new_first and request.max_new_tokens < n_positions:
        new_tokens = request.max_new_tokens
    room = n_positions - new_tokens
    seam = len(request.prompt) - request.protected
    tail = fit(request.prompt[seam:], room, "left")
    head = fit(request.prompt[:seam], room - len(tail), request.truncate)
    prompt = head + tail
    return prompt, new_tokens, len(request.prompt) - len(prompt)
