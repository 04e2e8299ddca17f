"""Gets the answers to all requests of a card, in chunks that are written down as they come.

Which requests share a chunk, and so a batch, is a function of the requests alone. So an evaluation that was killed and
goes on computes the very batches that it would have computed, and ends in the same bits.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from zeroscale.eval.engine import requests as rq
from zeroscale.eval.engine.backend import RequestRunner
from zeroscale.eval.engine.cost import add_costs
from zeroscale.eval.engine.journal import AnswerLog, Answers

# Tokens of a chunk: so many, or so many batches of the engine's size. On a CPU that computes 1,000 tokens a second, a
# kill costs half a minute at most; on a fast device four full batches hide what writing takes.
CHUNK_TOKENS = 2**15
CHUNK_BATCHES = 4

Progress = Callable[[float], None]
"""Takes the share that is done, 0 to 1."""


@dataclass(frozen=True)
class Answered:
    """Answers by example, in the order of its requests; what they cost; the share that an earlier attempt answered.

    The journal is to be removed when what comes of the answers is written.
    """

    answers: list[list[rq.Answer]]
    cost: dict[str, float]
    from_before: float
    journal: AnswerLog


@dataclass(frozen=True)
class _RequestGroup:
    """Requests that are asked together: all of an example's, or one window of a long text.

    `places` says what each is a part of: (example, number of its request).
    """

    places: tuple[tuple[int, int], ...]
    requests: tuple[rq.Request, ...]
    tokens: int
    longest: int


def run_requests(
    examples: Sequence[Sequence[rq.Request]],
    engine: RequestRunner,
    folder: Path | None,
    key: str,
    progress: Progress | None = None,
) -> Answered:
    """Answers the requests of each example; what the journal in `folder` has under `key` is not asked again.

    Args:
        folder: None: no journal is kept.
    """
    groups = _request_groups(examples, engine.n_positions)
    journal = AnswerLog(folder, _journal_key(key, groups))
    answers, cost = journal.read()
    total = sum(group.tokens for group in groups)
    before = done = sum(groups[number].tokens for number in answers)
    for chunk in _chunks(groups, max(CHUNK_TOKENS, CHUNK_BATCHES * engine.batch_tokens)):
        missing = [number for number in chunk if number not in answers]
        if not missing:
            continue
        size = sum(groups[number].tokens for number in missing)
        earlier = engine.usage
        requests = [request for number in missing for request in groups[number].requests]
        answer = iter(engine.run(requests, _within(progress, done / total, size / total)))
        chunk_answers = {number: [next(answer) for _ in groups[number].requests] for number in missing}
        chunk_cost = asdict(engine.usage.since(earlier))
        journal.append(chunk_answers, chunk_cost)
        answers |= chunk_answers
        cost = add_costs(cost, chunk_cost)
        done += size
    return Answered(_together(examples, groups, answers), cost, before / max(total, 1), journal)


def _journal_key(key: str, groups: list[_RequestGroup]) -> str:
    """`key` and the requests themselves: answers to other questions are never taken, whatever the reason."""
    digest = sha256(key.encode())
    for group in groups:
        for request in group.requests:
            digest.update(repr([_short(value) for value in vars(request).values()]).encode())
    return digest.hexdigest()


def _short(value: object) -> object:
    # Python's own hash of a tuple of numbers is the same in every process, and a hundred times as fast as its text.
    return hash(value) if isinstance(value, tuple) and value and isinstance(value[0], int) else value


def _request_groups(examples: Sequence[Sequence[rq.Request]], n_positions: int) -> list[_RequestGroup]:
    groups = []
    for example, requests in enumerate(examples):
        together: list[tuple[tuple[int, int], rq.Request]] = []
        for number, request in enumerate(requests):
            place = (example, number)
            if isinstance(request, rq.RollingLogLikelihood):
                groups += [_request_group([(place, window)]) for window in _windows(request, n_positions)]
            else:
                together.append((place, request))
        if together:
            groups.append(_request_group(together))
    return groups


def _windows(request: rq.RollingLogLikelihood, n_positions: int) -> list[rq.LogLikelihood]:
    """The windows of a long text, each as a request of its own that leads to the same pass over the model."""
    return [
        rq.LogLikelihood(window.inputs[: window.first + 1], window.targets)
        for window in rq.rolling_windows(request, n_positions)
    ]


def _request_group(members: list[tuple[tuple[int, int], rq.Request]]) -> _RequestGroup:
    """`tokens` counts a context that several requests share once, as the engine does."""
    contexts: set[tuple[int, ...]] = set()
    rest = longest = 0
    for _, request in members:
        if isinstance(request, rq.GenerateUntil):
            context, more = request.prompt, request.max_new_tokens
        else:
            assert isinstance(request, rq.LogLikelihood)
            context, more = request.context, len(request.target)
        contexts.add(context)
        rest += more
        longest = max(longest, len(context) + more)
    places, requests = zip(*members, strict=True)
    return _RequestGroup(places, requests, rest + sum(map(len, contexts)), longest)


def _chunks(groups: list[_RequestGroup], tokens: int) -> list[list[int]]:
    """Longest first, so that a batch holds requests of like length, and one too large for the device fails at once."""
    chunks: list[list[int]] = []
    room = 0
    for number in sorted(range(len(groups)), key=lambda number: -groups[number].longest):
        if room <= 0:
            chunks.append([])
            room = tokens
        chunks[-1].append(number)
        room -= groups[number].tokens
    return chunks


def _within(progress: Progress | None, before: float, share: float) -> Callable[[int, int], None] | None:
    """The engine's progress with one chunk as progress with the whole."""
    if progress is None:
        return None
    return lambda done, total: progress(before + share * done / total)


def _together(
    examples: Sequence[Sequence[rq.Request]], groups: list[_RequestGroup], answers: Answers
) -> list[list[rq.Answer]]:
    """Answers in the order of each example's requests; a long text's windows as one answer again."""
    parts: dict[tuple[int, int], list[rq.Answer]] = {}
    for number, group in enumerate(groups):
        for place, given in zip(group.places, answers[number], strict=True):
            parts.setdefault(place, []).append(given)
    return [
        [
            _rolled(parts.get((example, number), []))
            if isinstance(request, rq.RollingLogLikelihood)
            else parts[example, number][0]
            for number, request in enumerate(group)
        ]
        for example, group in enumerate(examples)
    ]


def _rolled(windows: list[rq.Answer]) -> rq.RollingResult:
    logprobs = [window.logprobs for window in windows if isinstance(window, rq.LogLikelihoodResult)]
    return rq.RollingResult(np.concatenate(logprobs) if logprobs else np.zeros(0), len(windows))
