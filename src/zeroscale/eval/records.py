"""The rows of a card's records: what its task makes of each example, with the columns that all rows have."""

from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from typing import TYPE_CHECKING

from zeroscale.core.files import sha256_json
from zeroscale.eval.engine import requests as rq

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from zeroscale.eval.tasks.base import AnyTask, Record


def rows(
    task: "AnyTask",
    examples: "Sequence[DataclassInstance]",
    answers: Sequence[Sequence[rq.Answer]],
    token_logprobs: bool,
) -> "list[Record]":
    """The records of all examples. `id` is a record's number, `unit` that of its cluster in the bootstrap, `content` a
    hash of the example itself, the same for every model.

    With `token_logprobs` also, for each of its requests that was scored, the log-probability (nats) of every token
    (`logprobs_per_token`) and whether it was the greedy choice (`greedy_per_token`).
    """
    rows: list[Record] = []
    for number, (example, given) in enumerate(zip(examples, answers, strict=True)):
        records = task.record(example, list(given))
        content = sha256_json(asdict(example))
        first = len(rows)
        for place, record in enumerate(records):
            row = first + place
            digest = sha256(f"{content}/{place}".encode()).hexdigest()[:16]
            common = {"id": row, "unit": row if task.RECORDS_ARE_CLUSTERS else number, "content": digest}
            rows.append({**common, **record})
        if token_logprobs:
            for record, tokens in zip(rows[first:], _per_token(records, given), strict=True):
                record |= tokens
    return rows


def _per_token(records: "Sequence[Record]", answers: Sequence[rq.Answer]) -> "list[Record]":
    """The answers to each record's requests, token by token."""
    if len(records) == 1:
        return [_columns(answers)]
    if len(records) == len(answers):
        return [_columns([answer]) for answer in answers]
    (answer,) = answers  # a long text, of which each row tells how many tokens are its own
    assert isinstance(answer, rq.RollingResult), "a row needs its own answer"
    columns = []
    begin = 0
    for record in records:
        end = begin + record["tokens"]
        columns.append(_columns([rq.RollingResult(answer.logprobs[begin:end], 0)]))
        begin = end
    assert begin == len(answer.logprobs), "the rows' tokens are not the text's"
    return columns


def _columns(answers: Sequence[rq.Answer]) -> "Record":
    logprobs = [getattr(answer, "logprobs", None) for answer in answers]
    greedy = [answer.greedy.tolist() if isinstance(answer, rq.LogLikelihoodResult) else None for answer in answers]
    return {
        "logprobs_per_token": [None if values is None else values.tolist() for values in logprobs],
        "greedy_per_token": greedy,
    }
