"""Gets the answers to all requests of a card, in chunks that are written down as they come.

Which requests share a chunk, and so a batch, is a function of the requests alone. So an evaluation that was killed and
goes on computes the very batches that it would have computed, and ends in the same bits.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zeroscale.eval.engine import requests as rq
from zeroscale.eval.engine.cost import added
from zeroscale.eval.engine.journal import AnswerLog, Answers

if TYPE_CHECKING:
    from zeroscale.eval.engine.device_pool import Pool
    from zeroscale.eval.engine.engine import Engine

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
    groups: Sequence[Sequence[rq.Request]],
    engine: "Engine | Pool",
    folder: Path,
    key: str,
    progress: Progress | None = None,
) -> Answered:
    """Answers the requests of each example; what the journal in `folder` has under `key` is not asked again."""
    atoms = _atoms(groups, engine.n_positions)
    journal = AnswerLog(folder, _journal_key(key, atoms))
    answers, cost = journal.read()
    total = sum(atom.tokens for atom in atoms)
    before = done = sum(atoms[number].tokens for number in answers)
    for chunk in _chunks(atoms, max(CHUNK_TOKENS, CHUNK_BATCHES * engine.batch_tokens)):
        asked = [number for number in chunk if number not in answers]
        if not asked:
            continue
        size = sum(atoms[number].tokens for number in asked)
        earlier = engine.cost
        requests = [request for number in asked for request in atoms[number].requests]
        given = iter(engine.run(requests, _within(progress, done / total, size / total)))
        some = {number: [next(given) for _ in atoms[number].requests] for number in asked}
        spent = asdict(engine.cost.since(earlier))
        journal.append(some, spent)
        answers |= some
        cost = added(cost, spent)
        done += size
    return Answered(_together(groups, atoms, answers), cost, before / max(total, 1), journal)


def _journal_key(key: str, atoms: list[_RequestGroup]) -> str:
    """`key` and the requests themselves: answers to other questions are never taken, whatever the reason."""
    digest = sha256(key.encode())
    for atom in atoms:
        for request in atom.requests:
            digest.update(repr([_short(value) for value in vars(request).values()]).encode())
    return digest.hexdigest()


def _short(value: Any) -> Any:
    # Python's own hash of a tuple of numbers is the same in every process, and a hundred times as fast as its text.
    return hash(value) if isinstance(value, tuple) and value and isinstance(value[0], int) else value


def _atoms(groups: Sequence[Sequence[rq.Request]], n_positions: int) -> list[_RequestGroup]:
    atoms = []
    for example, group in enumerate(groups):
        together: list[tuple[tuple[int, int], rq.Request]] = []
        for number, request in enumerate(group):
            place = (example, number)
            if isinstance(request, rq.RollingLogLikelihood):
                atoms += [_atom([(place, window)]) for window in _windows(request, n_positions)]
            else:
                together.append((place, request))
        if together:
            atoms.append(_atom(together))
    return atoms


def _windows(request: rq.RollingLogLikelihood, n_positions: int) -> list[rq.LogLikelihood]:
    """The windows of a long text, each as a request of its own that leads to the same pass over the model."""
    return [
        rq.LogLikelihood(window.inputs[: window.first + 1], window.targets)
        for window in rq.rolling_windows(request, n_positions)
    ]


def _atom(members: list[tuple[tuple[int, int], rq.Request]]) -> _RequestGroup:
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


def _chunks(atoms: list[_RequestGroup], tokens: int) -> list[list[int]]:
    """Longest first, so that a batch holds requests of like length, and one too large for the device fails at once."""
    chunks: list[list[int]] = []
    room = 0
    for number in sorted(range(len(atoms)), key=lambda number: -atoms[number].longest):
        if room <= 0:
            chunks.append([])
            room = tokens
        chunks[-1].append(number)
        room -= atoms[number].tokens
    return chunks


def _within(progress: Progress | None, before: float, share: float) -> Callable[[int, int], None] | None:
    """The engine's progress with one chunk as progress with the whole."""
    if progress is None:
        return None
    return lambda done, total: progress(before + share * done / total)


def _together(
    groups: Sequence[Sequence[rq.Request]], atoms: list[_RequestGroup], answers: Answers
) -> list[list[rq.Answer]]:
    """Answers in the order of each example's requests; a long text's windows as one answer again."""
    parts: dict[tuple[int, int], list[rq.Answer]] = {}
    for number, atom in enumerate(atoms):
        for place, given in zip(atom.places, answers[number], strict=True):
            parts.setdefault(place, []).append(given)
    return [
        [
            _rolled(parts.get((example, number), []))
            if isinstance(request, rq.RollingLogLikelihood)
            else parts[example, number][0]
            for number, request in enumerate(group)
        ]
        for example, group in enumerate(groups)
    ]


def _rolled(windows: list[rq.Answer]) -> rq.RollingResult:
    logprobs = [window.logprobs for window in windows if isinstance(window, rq.LogLikelihoodResult)]
    return rq.RollingResult(np.concatenate(logprobs) if logprobs else np.zeros(0), len(windows))
