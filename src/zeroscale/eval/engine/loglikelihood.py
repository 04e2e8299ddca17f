"""Scores windows of tokens: which of them go together, and one pass over the model for each such batch.

Windows that begin alike are laid out as one trie (`generation.prefix_tree`), so that ten candidates after one story
read it once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from zeroscale.core.errors import ZeroscaleError
from zeroscale.eval.engine import requests as rq
from zeroscale.eval.engine.backend import Backend
from zeroscale.eval.engine.logprobs import Scores, excluded_places, token_logprobs
from zeroscale.model.generation import prefix_tree
from zeroscale.model.generation.prefix_tree import PrefixTrie
from zeroscale.model.gpt import GPT

# Positions of a pass on a CPU: products are as fast as they get, and GPT-2 small's widest states take 25 MiB.
_CPU_PASS = 2048
# What a pass costs however short it is, in positions (`prefix_tree.batches`).
_CPU_CONSTANT = 64
_GPU_CONSTANT = 4096

# Per window: log-probabilities (nats) and greedy flags of its targets, and the first one's filtered flag.
WindowScores = tuple[np.ndarray, np.ndarray, bool]


@dataclass(frozen=True)
class Pass:
    """One batch: its tries (of one window each, or of several), the positions it computes, and how."""

    tries: tuple[PrefixTrie, ...]
    compute: Callable[[list[PrefixTrie], list[rq.Window]], Tensor]

    @property
    def members(self) -> list[int]:
        return [member for trie in self.tries for member in trie.members]


def score_windows(
    engine: Backend, windows: list[rq.Window], done: Callable[[int], None] | None = None
) -> list[WindowScores]:
    """Scores in the order of the windows. `done` is called after each batch with the number of its windows.

    A batch that does not fit the memory is cut in two, and so are all later ones of its size.
    """
    results: list[WindowScores | None] = [None] * len(windows)
    pending = plan(engine, windows)[::-1]
    while pending:
        batch = pending.pop()
        if len(batch.tries) > 1 and _positions(batch.tries) > engine.batch_tokens:
            pending += _halves(batch)[::-1]  # the budget has shrunk since
            continue
        rows = [windows[member] for member in batch.members]
        try:
            states = batch.compute(list(batch.tries), rows)
            targets = torch.tensor([token for row in rows for token in row.targets], device=engine.device)
            scores = token_logprobs(engine.model, states, targets, excluded_places(rows))
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            engine.shrink_batches(_positions(batch.tries) // 2, divisible=len(batch.tries) > 1)
            pending += _halves(batch)[::-1]
            continue
        _distribute(scores, batch.members, rows, results)
        if done:
            done(len(rows))
    return results  # type: ignore[return-value]


def _positions(tries: Sequence[PrefixTrie]) -> int:
    return len(tries) * max(map(len, tries))


def _halves(batch: Pass) -> list[Pass]:
    middle = len(batch.tries) // 2
    return [Pass(batch.tries[:middle], batch.compute), Pass(batch.tries[middle:], batch.compute)]


def _distribute(scores: Scores, members: list[int], rows: list[rq.Window], results: list[WindowScores | None]) -> None:
    logprobs, greedy, filtered = scores
    begin = 0
    for member, row in zip(members, rows, strict=True):
        end = begin + len(row.targets)
        # Copies: a view would keep the whole batch's array alive.
        results[member] = (logprobs[begin:end].copy(), greedy[begin:end].copy(), bool(filtered[begin]))
        begin = end


def out_of_memory(error: RuntimeError) -> bool:
    """Whether torch ran out of memory, on a GPU or on a CPU."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def plan(engine: Backend, windows: list[rq.Window]) -> list[Pass]:
    """The batches of the windows, a function of these and of the engine's settings alone: longest first, so that too
    large a budget shows at once."""
    inputs = [window.inputs for window in windows]
    numbers = range(len(windows))
    if engine.deterministic:
        return [Pass((prefix_tree.single(inputs[number], number),), _forward(engine)) for number in numbers]
    if not engine.share:
        tries = [prefix_tree.single(inputs[number], number) for number in numbers]
        shared: list[PrefixTrie] = []
    elif isinstance(engine.model, GPT):
        grouped = list(prefix_tree.build_tries(inputs, numbers, 3 * engine.n_positions // 2))
        tries = [trie for trie in grouped if len(trie.members) == 1]
        shared = [trie for trie in grouped if len(trie.members) > 1]
    else:
        return _by_context(engine, windows)
    return [Pass(tuple(batch), _forward(engine)) for group in (tries, shared) for batch in _batches(engine, group)]


def _batches(engine: Backend, tries: list[PrefixTrie]) -> list[list[PrefixTrie]]:
    if engine.device.type == "cuda":
        return prefix_tree.batches(tries, engine.batch_tokens, _GPU_CONSTANT)
    return prefix_tree.batches(tries, min(engine.batch_tokens, _CPU_PASS), _CPU_CONSTANT)


def _forward(engine: Backend) -> Callable[[list[PrefixTrie], list[rq.Window]], Tensor]:
    def compute(batch: list[PrefixTrie], rows: list[rq.Window]) -> Tensor:
        layout = prefix_tree.pack(batch, engine.device)
        width = layout.tokens.shape[1]
        used = sum(map(len, batch))
        requested = sum(len(row.inputs) for row in rows)
        engine.add_usage(tokens=used, padding=len(batch) * width - used, saved=requested - used)
        if layout.mask is None:
            hidden = engine.model.hidden(layout.tokens)
        else:
            assert isinstance(engine.model, GPT), "only a GPT takes tries"
            hidden = engine.model.hidden(layout.tokens, positions=layout.positions, mask=layout.mask)
        paths = [(number * width, path) for number, trie in enumerate(batch) for path in trie.paths]
        places = [
            begin + place
            for (begin, path), row in zip(paths, rows, strict=True)
            for place in path[row.first : row.first + len(row.targets)]
        ]
        return hidden.flatten(0, 1)[torch.tensor(places, device=engine.device)]

    return compute


# A model of transformers takes no mask of ours; there the very same context is read once, and its cache repeated, where
# it is long enough to be worth a pass of its own.


def _by_context(engine: Backend, windows: list[rq.Window]) -> list[Pass]:
    contexts: dict[tuple[int, ...], list[int]] = {}
    for number, window in enumerate(windows):
        contexts.setdefault(window.inputs[: window.first + 1], []).append(number)
    alone: list[PrefixTrie] = []
    batches: list[Pass] = []
    for context, members in contexts.items():
        tries = [prefix_tree.single(windows[member].inputs, member) for member in members]
        if len(tries) == 1 or len(context) < prefix_tree.MIN_SHARED:
            alone += tries
        else:
            batches += [Pass(tuple(batch), _after_one_context(engine)) for batch in _batches(engine, tries)]
    return [Pass(tuple(batch), _forward(engine)) for batch in _batches(engine, alone)] + batches


def _after_one_context(engine: Backend) -> Callable[[list[PrefixTrie], list[rq.Window]], Tensor]:
    def compute(batch: list[PrefixTrie], rows: list[rq.Window]) -> Tensor:
        shared = rows[0].first + 1
        width = max(len(row.inputs) for row in rows) - shared
        cache = engine.model.new_cache(1, shared + width)
        context = torch.tensor([rows[0].inputs[:shared]], device=engine.device)
        parts = [engine.model.hidden(context, cache)[:, -1:].expand(len(rows), -1, -1)]
        if width:
            tokens = torch.zeros((len(rows), width), dtype=torch.long)
            for number, row in enumerate(rows):
                tokens[number, : len(row.inputs) - shared] = torch.tensor(row.inputs[shared:])
            parts.append(engine.model.hidden(tokens.to(engine.device), cache.select([0] * len(rows))))
        hidden = torch.cat(parts, dim=1)
        used = sum(len(row.inputs) - shared for row in rows)
        engine.add_usage(tokens=shared + used, padding=len(rows) * width - used, saved=shared * (len(rows) - 1))
        return torch.cat([hidden[number, : len(row.targets)] for number, row in enumerate(rows)])

    return compute


def too_long(size: int) -> ZeroscaleError:
    """The error when not even one request fits."""
    return ZeroscaleError(
        f"a single request of {size} tokens does not fit the memory; score on a device with more of it, or in a "
        "narrower dtype"
    )
