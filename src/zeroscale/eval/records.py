"""The rows of a card's records: what a family says of each example, with what every family's rows have in common."""

from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from zeroscale.core.files import sha256_json
from zeroscale.eval.engine import requests as rq

if TYPE_CHECKING:
    from zeroscale.eval.tasks.base import Task

Outcome = dict[str, Any]


def rows(
    task: "Task", examples: Sequence[Any], answers: Sequence[Sequence[rq.Answer]], token_logprobs: bool
) -> list[Outcome]:
    """A row for each outcome. `id` is its number, `unit` the bootstrap's unit that it belongs to, `content` a hash of
    the example itself, the same for every model.

    With `token_logprobs` also, for each of its requests that was scored, the log-probability (nats) of every token
    (`logprobs_per_token`) and whether it was the greedy choice (`greedy_per_token`).
    """
    found: list[Outcome] = []
    for unit, (example, given) in enumerate(zip(examples, answers, strict=True)):
        outcomes = task.outcome(example, list(given))
        content = sha256_json(asdict(example))
        first = len(found)
        for place, row in enumerate(outcomes):
            number = first + place
            digest = sha256(f"{content}/{place}".encode()).hexdigest()[:16]
            common = {"id": number, "unit": number if task.ROWS_ARE_UNITS else unit, "content": digest}
            found.append({**common, **row})
        if token_logprobs:
            for row, tokens in zip(found[first:], _per_token(outcomes, given), strict=True):
                row |= tokens
    return found


def _per_token(outcomes: Sequence[Outcome], answers: Sequence[rq.Answer]) -> list[Outcome]:
    """What each row's requests gave, token by token."""
    if len(outcomes) == 1:
        return [_columns(answers)]
    if len(outcomes) == len(answers):
        return [_columns([answer]) for answer in answers]
    (answer,) = answers  # a long text, of which each row tells how many tokens are its own
    assert isinstance(answer, rq.RollingResult), "a row needs its own answer"
    columns = []
    begin = 0
    for row in outcomes:
        end = begin + row["tokens"]
        columns.append(_columns([rq.RollingResult(answer.logprobs[begin:end], 0)]))
        begin = end
    assert begin == len(answer.logprobs), "the rows' tokens are not the text's"
    return columns


def _columns(answers: Sequence[rq.Answer]) -> Outcome:
    logprobs = [getattr(answer, "logprobs", None) for answer in answers]
    greedy = [answer.greedy.tolist() if isinstance(answer, rq.LogLikelihoodResult) else None for answer in answers]
    return {
        "logprobs_per_token": [None if one is None else one.tolist() for one in logprobs],
        "greedy_per_token": greedy,
    }
