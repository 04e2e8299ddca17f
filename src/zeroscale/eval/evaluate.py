"""Scores a model on cards: what training, `zeroscale eval` and `zeroscale.evaluate` all go through."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.marks import SubsetJson
from zeroscale.eval import records, rescore, results, scores, tasks
from zeroscale.eval.cards import examples as loading
from zeroscale.eval.cards import registry as cards_of
from zeroscale.eval.cards.card import Card
from zeroscale.eval.cards.rows import Source
from zeroscale.eval.engine import cost, prefetch, run_requests
from zeroscale.eval.engine.backend import RequestRunner
from zeroscale.eval.engine.requests import Request
from zeroscale.eval.load import params_non_embedding
from zeroscale.eval.results import Key, Result
from zeroscale.eval.scores import MetricInfo
from zeroscale.eval.tasks.base import AnyTask, Record

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from zeroscale.eval.metrics.metrics import Measured
    from zeroscale.model.protocol import LanguageModel, TextTokenizer

Say = Callable[[str], None]
OnFault = Callable[[str, ZeroscaleError], None]
"""Takes the card's name and what is wrong with it."""


@dataclass(frozen=True)
class _Scoring:
    """How all cards of one call are scored; the fields are the arguments of `score_cards`."""

    source: Source
    data_dir: Path | None
    out: Path | None
    weights_hash: str
    seed: int
    bootstrap: int
    protocol: str
    limit: int | None
    allow_other_data: bool
    token_logprobs: bool
    dtype: str


@dataclass(frozen=True)
class _PreparedCard:
    """A card whose data have been read and checked."""

    card: Card
    key: Key
    task: AnyTask
    examples: "Sequence[DataclassInstance]"
    data: loading.Loaded


def score_cards(
    model: "LanguageModel",
    tokenizer: "TextTokenizer",
    cards: Sequence[str],
    *,
    source: Source,
    data_dir: Path | None = None,
    out: Path | None = None,
    weights_hash: str = "",
    seed: int = 0,
    bootstrap: int = 1000,
    batch_tokens: int | None = None,
    protocol: str = "paper",
    limit: int | None = None,
    allow_other_data: bool = False,
    token_logprobs: bool = False,
    engine: RequestRunner | None = None,
    dtype: str = "fp32",
    progress: Say | None = None,
    on_fault: OnFault | None = None,
) -> list[Result]:
    """Scores a model that is in memory on cards and suites: a `Result` for each card, every metric with its interval.

    The data of all cards are read and checked before the first is scored. With `out` each result is written to
    `out/<card>.<protocol>.json`, with a record for each example beside it, as soon as it is there; a card whose result
    is there already for the same weights, tokenizer, data and card is not scored again; one that was interrupted goes
    on where it stopped. Without `out` nothing is written or read, and every card is scored:

        score_cards(model, tokenizer, ["lambada"], source="sample")[0].metrics["acc"]

    Args:
        model: in evaluation or training mode, which stays as it is; on the device on which it is to be scored.
        source: files (under data_dir), hub, or sample; never another than this.
        weights_hash: names the weights (sha256 of their file); results under another are never taken for these. It
            may be empty only without `out`.
        bootstrap: resamples for the intervals.
        batch_tokens: positions of a batch; None: as many as the free memory holds, within reason.
        limit: score the first so many examples only; the result says so.
        allow_other_data: score data that are not what the card pins; the result says so.
        token_logprobs: the records get the log-probability of every scored token.
        engine: answers in place of one made here (`batch_tokens` is then its own).
        dtype: what the model's weights are in, for the record.
        progress: takes a line now and then, and one for each card.
        on_fault: takes what is wrong with a card, and the others go on; without it the first fault is raised.

    Raises:
        ZeroscaleError: unknown card; and without `on_fault`: missing or malformed data, non-finite scores. Cards done
            before are kept.
    """
    from zeroscale.eval.engine.engine import Engine

    assert weights_hash or out is None, "results on disk need to say of which weights they are"
    engine = engine or Engine(model, tokenizer, batch_tokens)
    fault = on_fault or _raise
    scoring = _Scoring(
        source=source,
        data_dir=data_dir,
        out=out,
        weights_hash=weights_hash,
        seed=seed,
        bootstrap=bootstrap,
        protocol=protocol,
        limit=limit,
        allow_other_data=allow_other_data,
        token_logprobs=token_logprobs,
        dtype=dtype,
    )
    prepared: list[_PreparedCard] = []
    for card in cards_of.resolve(cards):
        try:
            prepared.append(_prepare(card, engine, scoring))
        except ZeroscaleError as error:
            fault(card.name, error)
    results_by_card: dict[str, Result] = {}
    unscored = []
    for item in prepared:
        try:
            result = _finished(item, scoring)
        except ZeroscaleError as error:
            fault(item.card.name, error)
            continue
        if result is None:
            unscored.append(item)
        else:
            results_by_card[item.card.name] = result
    for item, requests in prefetch.prefetch(unscored, lambda item: _requests(item, token_logprobs)):
        try:
            results_by_card[item.card.name] = _score(item, requests, model, engine, scoring, progress)
        except ZeroscaleError as error:
            fault(item.card.name, error)
    return [results_by_card[item.card.name] for item in prepared if item.card.name in results_by_card]


def _raise(_: str, error: ZeroscaleError) -> None:
    raise error


def _prepare(card: Card, engine: RequestRunner, scoring: _Scoring) -> _PreparedCard:
    """Reads and checks a card's data, and names all that its scores depend on."""
    card = card.following(scoring.protocol)
    task = tasks.build_task(card, scoring.protocol, engine.tokenizer, engine.n_positions, scoring.seed)
    data = loading.load(card, task, scoring.source, scoring.data_dir, scoring.allow_other_data)
    chosen, limit = _choose(card, task, data.examples, scoring.limit)
    key = Key(
        card=card.name,
        protocol=scoring.protocol,
        source=scoring.source,
        card_hash=card.hash(scoring.protocol),
        data_hash=data.hash,
        weights_hash=scoring.weights_hash,
        tokenizer=engine.tokenizer.fingerprint,
        limit=limit,
        seed=scoring.seed,
        interval_seed=scoring.seed,
        bootstrap=scoring.bootstrap,
        dtype=scoring.dtype,
        deterministic=engine.deterministic,
        threads=engine.fixed_threads,
    )
    return _PreparedCard(card, key, task, chosen, data)


def _choose(
    card: Card, task: AnyTask, examples: "Sequence[DataclassInstance]", limit: int | None
) -> "tuple[list[DataclassInstance], int | None]":
    """The examples to be scored, and the limit if it leaves any out: one that does not is none."""
    notes = list(task.notes)
    everything = loading.choose(card, task, examples, None)
    if not everything:
        raise ZeroscaleError(f"card {card.name}: of {len(examples)} examples none is left to be scored")
    if limit is None:
        return everything, None
    task.notes[:] = notes
    chosen = loading.choose(card, task, examples, limit)
    return chosen, None if chosen == everything else limit


def _finished(item: _PreparedCard, scoring: _Scoring) -> Result | None:
    """The result that is on disk; where its intervals are made otherwise, with new ones made from the records."""
    if scoring.out is None:
        return None
    found = results.answered(scoring.out, item.key, scoring.token_logprobs)
    if found is None or found[0].key == item.key:
        return found and found[0]
    result, folder = found
    return rescore.renew(folder, result, item.key.interval_seed, item.key.bootstrap)


def _requests(item: _PreparedCard, token_logprobs: bool) -> list[list[Request]]:
    """A card's requests, example by example."""
    return [prefetch.with_logprobs(item.task.requests(example), token_logprobs) for example in item.examples]


def _score(
    item: _PreparedCard,
    requests: Callable[[], list[list[Request]]],
    model: "LanguageModel",
    engine: RequestRunner,
    scoring: _Scoring,
    progress: Say | None,
) -> Result:
    """Runs a card's requests, and turns the answers into records and scores; writes both where `out` says."""
    started = time.monotonic()
    card, key, task = item.card, item.key, item.task
    folder = results.journal(scoring.out, card.name, key.protocol) if scoring.out else None
    answered = run_requests.run_requests(
        requests(), engine, folder, key.answers, prefetch.progress_printer(card.name, len(item.examples), progress)
    )
    if answered.from_before and progress:
        progress(f"{card.name}: {answered.from_before:.0%} had been answered before")
    rows = records.rows(task, item.examples, answered.answers, scoring.token_logprobs)
    options = task.options.model_dump()
    measured = scores.compute_metrics(card.family, options, rows)
    metrics = {name: MetricInfo(metric.direction == "higher", metric.chance) for name, metric in card.metrics.items()}
    scored = scores.score(measured, metrics, card.unit, key.interval_seed, key.bootstrap)
    limited = [f"limited to the first {key.limit}"] if key.limit is not None else []
    result = Result(
        key=key,
        metrics=scored.metrics,
        n=len(rows),
        unit=card.unit,
        family=card.family,
        options=options,
        data=item.data.check.words,
        is_benchmark=item.data.check.benchmark,
        subset=_subset(card),
        seconds=time.monotonic() - started,
        truncated=sum(row["truncated"] > 0 for row in rows),
        truncated_tokens=sum(row["truncated"] for row in rows),
        left_out=task.left_out,
        assumptions=card.assumptions(key.protocol),
        notes=[*task.notes, *limited, *scored.notes],
        interval_notes=scored.notes,
        cost=cost.with_rate(answered.cost),
        origin=item.data.origin,
        extra=_extra(rows, measured) | type(task).extra_outputs(rows, task.options),
        params_non_embedding=params_non_embedding(model),
        token_logprobs=scoring.token_logprobs,
        made={"threads": engine.threads, "devices": engine.devices},
    )
    result = results.write(scoring.out, result, scores.with_scores(rows, measured))
    answered.journal.remove()
    if progress:
        usage = cost.describe(result.cost)
        progress(f"{card.name}: {result.n} scored in {result.seconds:.1f} s" + (f"; {usage}" if usage else ""))
        if scoring.out is not None and results.is_aside(scoring.out, result):
            progress(f"{card.name}: scores of more of it are there, and stay in the ledger and on the page")
    return result


def _subset(card: Card) -> SubsetJson | None:
    drawn = card.subset
    return None if drawn is None else {"suite": drawn.suite, "examples": drawn.examples, "seed": drawn.seed}


def _extra(rows: list[Record], measured: "Sequence[Measured]") -> dict[str, object]:
    """Counts and signatures that belong beside the scores."""
    extra: dict[str, object] = {}
    for name in ("lines", "lines_not_detokenised", "words", "bytes", "tokens"):
        if name in rows[0]:
            extra[name] = sum(row[name] for row in rows)
    for part in measured:
        if signature := getattr(part.metric, "signature", ""):
            extra["signature"] = signature
    return extra
