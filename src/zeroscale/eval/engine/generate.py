"""Answers generation requests: one stream for all of a kind, with as many at once as their keys and values allow."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from zeroscale.eval.engine import requests as rq
from zeroscale.eval.engine.backend import Backend
from zeroscale.eval.engine.loglikelihood import out_of_memory, too_long
from zeroscale.eval.metrics import sentences
from zeroscale.model.generation.generate import GenerationStats, stream
from zeroscale.model.gpt import GPT

# Keys and values held at once on a CPU, and rows that step together: from 64 on a step's products are as fast per row
# as they get.
_CPU_CACHE_BYTES = 2**31
_CPU_ROWS = 64
_GPU_ROWS = 512


@dataclass(frozen=True)
class _Kind:
    """What requests must share to be generated together."""

    new_tokens: int
    stop: rq.Stop
    top_k: int | None
    logprobs: bool


@dataclass
class _Prompt:
    """A generation under way: the number of its request, the prompt that fits, the number of tokens that did not, and
    the new tokens."""

    index: int
    tokens: tuple[int, ...]
    seed: int
    truncated: int
    new: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)


def generate_all(
    engine: Backend, requests: dict[int, rq.GenerateUntil], done: Callable[[int], None] | None = None
) -> dict[int, rq.Answer]:
    """Answers by the number of the request."""
    groups: dict[_Kind, list[_Prompt]] = {}
    for index, request in requests.items():
        tokens, new_tokens, truncated = rq.generation_prompt(request, engine.n_positions)
        kind = _Kind(new_tokens, request.stop, request.top_k, request.logprobs)
        groups.setdefault(kind, []).append(_Prompt(index, tokens, request.seed, truncated))
    answers: dict[int, rq.Answer] = {}
    for kind, group in groups.items():
        # One at a time where a result may depend on nothing else.
        for members in [[prompt] for prompt in group] if engine.deterministic else [group]:
            _continue(engine, members, kind)
            answers |= {prompt.index: _answer(engine, prompt, kind.logprobs) for prompt in members}
            if done:
                done(len(members))
    return answers


def _continue(engine: Backend, group: list[_Prompt], kind: _Kind) -> None:
    """Generates after each prompt; again with half the rows where the memory does not suffice."""
    longest = max(len(prompt.tokens) for prompt in group) + kind.new_tokens
    rows, columns = _room(engine, longest)
    rule = Stopping(engine, kind.stop)
    while True:
        stats = GenerationStats()
        for prompt in group:
            prompt.new, prompt.logprobs = [], []
        try:
            for number, token, logprob in stream(
                engine.model,
                [prompt.tokens for prompt in group],
                kind.new_tokens,
                stop=rule.function,
                eos=engine.tokenizer.eos,
                temperature=0.0 if kind.top_k is None else 1.0,
                top_k=kind.top_k,
                seed=[prompt.seed for prompt in group],
                batch_size=rows,
                columns=columns,
                vocab_size=engine.tokenizer.vocab_size,
                logprobs=kind.logprobs,
                share=engine.share and not engine.deterministic,
                stats=stats,
            ):
                group[number].new.append(token)
                group[number].logprobs.append(logprob)
            break
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            if rows == 1:
                raise too_long(max(len(prompt.tokens) for prompt in group)) from error
            rows, columns = max(1, min(rows, len(group)) // 2), min(columns, len(group) * longest) // 2
    new = sum(len(prompt.new) for prompt in group)
    engine.add_usage(tokens=stats.read + new, padding=stats.padding, saved=stats.saved, new_tokens=new)


def _room(engine: Backend, longest: int) -> tuple[int, int]:
    """Prompts that are continued together, and tokens whose keys and values they may hold; `longest` tokens each at
    most."""
    if not isinstance(engine.model, GPT):
        rows = max(1, engine.batch_tokens // longest)
        return rows, rows * longest
    config, weight = engine.model.config, engine.model.wte.weight
    column = 2 * config.n_layer * config.d_model * weight.element_size()
    if weight.device.type != "cuda":
        return _CPU_ROWS, _CPU_CACHE_BYTES // column
    import torch

    free, _ = torch.cuda.mem_get_info(weight.device)
    return _GPU_ROWS, free // 3 // column


def _answer(engine: Backend, prompt: _Prompt, with_logprobs: bool) -> rq.GenerateResult:
    text = engine.tokenizer.decode(prompt.new)
    logprobs = np.array(prompt.logprobs) if with_logprobs else None
    return rq.GenerateResult(tuple(prompt.new), text, prompt.truncated, logprobs)


class Stopping:
    """A stop rule as a function of a prompt's new tokens so far."""

    def __init__(self, engine: Backend, stop: rq.Stop) -> None:
        self.stop, self.tokenizer = stop, engine.tokenizer
        self.newlines = engine.newlines if stop.kind == "newline" else frozenset()

    @property
    def function(self) -> Callable[[list[int]], bool] | None:
        return None if self.stop.kind == "never" else self._over

    def _over(self, tokens: list[int]) -> bool:
        if self.stop.kind == "newline":
            return tokens[-1] in self.newlines
        text = self.tokenizer.decode(tokens)
        if self.stop.kind == "texts":
            return any(end in text for end in self.stop.texts)
        return sentences.more_than(text, self.stop.n)
