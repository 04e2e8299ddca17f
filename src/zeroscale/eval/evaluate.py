"""Scores a model on cards and on held-out text: what training, `zeroscale eval` and the report all go through."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import sha256_json
from zeroscale.eval import records, rescore, results, scores, tasks
from zeroscale.eval.cards import examples as loading
from zeroscale.eval.cards import registry as cards_of
from zeroscale.eval.cards.card import Card
from zeroscale.eval.cards.rows import Source
from zeroscale.eval.engine import cost, prefetch, run_requests
from zeroscale.eval.engine.requests import Request
from zeroscale.eval.held_out import HeldOut, HeldOutText, held_out
from zeroscale.eval.results import Key, Result
from zeroscale.eval.scores import MetricInfo

if TYPE_CHECKING:
    from torch import nn

    from zeroscale.data.tokenizer import Tokenizer
    from zeroscale.eval.engine.device_pool import Pool
    from zeroscale.eval.engine.engine import Engine
    from zeroscale.model.gpt import GPT

__all__ = ["HeldOut", "HeldOutText", "Result", "held_out", "score_cards", "score_held_out"]

Say = Callable[[str], None]
OnFault = Callable[[str, ZeroscaleError], None]
"""Takes the card's name and what is wrong with it."""


@dataclass(frozen=True)
class _Ready:
    """A card whose data have been read and checked."""

    card: Card
    key: Key
    task: "tasks.Task"
    examples: list[Any]
    data: loading.Loaded


def score_cards(
    model: "GPT",
    tokenizer: "Tokenizer",
    cards: Sequence[str],
    *,
    source: Source,
    data_dir: Path | None,
    out: Path,
    weights_hash: str,
    seed: int = 0,
    bootstrap: int = 1000,
    batch_tokens: int | None = None,
    protocol: str = "paper",
    limit: int | None = None,
    allow_other_data: bool = False,
    token_logprobs: bool = False,
    engine: "Engine | Pool | None" = None,
    dtype: str = "fp32",
    progress: Say | None = None,
    on_fault: OnFault | None = None,
) -> list[Result]:
    """Scores cards and suites, writing `out/<card>.<protocol>.json` and its records as each is done.

    The data of all cards are read and checked before the first is scored. A card whose result is already there for the
    same weights, tokenizer, data and card is not scored again; one that was interrupted goes on where it stopped.

    Args:
        source: files (under data_dir), hub, or sample; never another than this.
        weights_hash: names the weights; the caller computes it (sha256 of the weights file).
        bootstrap: resamples for the intervals.
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

    engine = engine or Engine(model, tokenizer, batch_tokens)
    fault = on_fault or _raise
    asked = {"protocol": protocol, "source": source, "limit": limit, "seed": seed, "bootstrap": bootstrap}
    asked["dtype"] = dtype
    ready = []
    for card in cards_of.resolve(cards):
        try:
            ready.append(_prepare(card, engine, data_dir, allow_other_data, weights_hash, **asked))
        except ZeroscaleError as error:
            fault(card.name, error)
    done: dict[str, Result] = {}
    todo = []
    for one in ready:
        try:
            found = _finished(one, out, token_logprobs)
        except ZeroscaleError as error:
            fault(one.card.name, error)
            continue
        if found is None:
            todo.append(one)
        else:
            done[one.card.name] = found
    for one, requests in prefetch.prefetch(todo, lambda one: _requests(one, token_logprobs)):
        try:
            done[one.card.name] = _score(one, requests, model, engine, out, token_logprobs, progress)
        except ZeroscaleError as error:
            fault(one.card.name, error)
    return [done[one.card.name] for one in ready if one.card.name in done]


def _raise(_: str, error: ZeroscaleError) -> None:
    raise error


def _prepare(
    card: Card,
    engine: "Engine | Pool",
    data_dir: Path | None,
    allow_other_data: bool,
    weights_hash: str,
    *,
    protocol: str,
    source: Source,
    limit: int | None,
    seed: int,
    bootstrap: int,
    dtype: str,
) -> _Ready:
    """Reads and checks a card's data, and names all that its scores depend on."""
    card = card.following(protocol)
    family = tasks.family(card.family)
    task = family(family.Options.model_validate(card.options(protocol)), engine.tokenizer, engine.n_positions, seed)
    data = loading.load(card, task, source, data_dir, allow_other_data)
    chosen, limit = _choose(card, task, data.examples, limit)
    key = Key(
        card=card.name,
        protocol=protocol,
        source=source,
        card_hash=card.hash(protocol),
        data_hash=data.hash,
        weights_hash=weights_hash,
        tokenizer=engine.tokenizer.fingerprint,
        limit=limit,
        seed=seed,
        interval_seed=seed,
        bootstrap=bootstrap,
        dtype=dtype,
        deterministic=engine.deterministic,
    )
    return _Ready(card, key, task, chosen, data)


def _choose(card: Card, task: "tasks.Task", examples: list[Any], limit: int | None) -> tuple[list[Any], int | None]:
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


def _finished(one: _Ready, out: Path, token_logprobs: bool) -> Result | None:
    """The result that is already there; where only the intervals asked for are others, made anew from the records."""
    found = results.answered(out, one.key, token_logprobs)
    if found is None or found.key == one.key:
        return found
    return rescore.renew(out, found, one.key.interval_seed, one.key.bootstrap)


def _requests(one: _Ready, token_logprobs: bool) -> list[list[Request]]:
    """What a card asks, example by example."""
    return [prefetch.with_logprobs(one.task.requests(example), token_logprobs) for example in one.examples]


def _score(
    one: _Ready,
    requests: Callable[[], list[list[Request]]],
    model: "nn.Module",
    engine: "Engine | Pool",
    out: Path,
    token_logprobs: bool,
    progress: Say | None,
) -> Result:
    """Asks, records, measures and writes one card."""
    started = time.monotonic()
    card, key, task = one.card, one.key, one.task
    folder = results.journal(out, card.name, key.protocol)
    answered = run_requests.run_requests(
        requests(), engine, folder, key.answers, prefetch.progress_printer(card.name, progress)
    )
    if answered.from_before and progress:
        progress(f"{card.name}: {answered.from_before:.0%} had been answered before")
    outcomes = records.rows(task, one.examples, answered.answers, token_logprobs)
    options = task.options.model_dump()
    measured = scores.compute_metrics(card.family, options, outcomes)
    about = {name: MetricInfo(metric.direction == "higher", metric.chance) for name, metric in card.metrics.items()}
    scored = scores.score(measured, about, card.unit, key.interval_seed, key.bootstrap)
    limited = [f"limited to the first {key.limit}"] if key.limit is not None else []
    result = Result(
        key=key,
        metrics=scored.metrics,
        n=len(outcomes),
        unit=card.unit,
        family=card.family,
        options=options,
        data=one.data.standing.words,
        is_benchmark=one.data.standing.benchmark,
        subset=card.subset.model_dump() if card.subset else None,
        seconds=time.monotonic() - started,
        truncated=sum(row["truncated"] > 0 for row in outcomes),
        truncated_tokens=sum(row["truncated"] for row in outcomes),
        left_out=task.left_out,
        assumptions=card.assumptions(key.protocol),
        notes=[*task.notes, *limited, *scored.notes],
        interval_notes=scored.notes,
        cost=cost.with_rate(answered.cost),
        origin=one.data.origin,
        extra=_extra(outcomes, measured) | type(task).beside(outcomes, task.options),
        params_non_embedding=params_non_embedding(model),
        token_logprobs=token_logprobs,
    )
    result = results.write(out, result, scores.with_scores(outcomes, measured))
    answered.journal.remove()
    if progress:
        said = cost.words(result.cost)
        progress(f"{card.name}: {result.n} scored in {result.seconds:.1f} s" + (f"; {said}" if said else ""))
    return result


def _extra(outcomes: list[dict[str, Any]], measured: Sequence[Any]) -> dict[str, Any]:
    """Counts and signatures that belong beside the scores."""
    extra: dict[str, Any] = {}
    for name in ("lines", "lines_not_detokenised", "words", "bytes", "tokens"):
        if name in outcomes[0]:
            extra[name] = sum(row[name] for row in outcomes)
    for part in measured:
        if signature := getattr(part.metric, "signature", ""):
            extra["signature"] = signature
    return extra


def params_non_embedding(model: "nn.Module") -> int:
    """Weights without the embeddings, and without the head where it is not tied to them (Kaplan's N)."""
    from torch import nn

    others_head = getattr(getattr(model, "model", None), "get_output_embeddings", lambda: None)()
    heads = [head for head in (getattr(model, "head", None), others_head) if head is not None]
    apart = [*heads, *(module for module in model.modules() if isinstance(module, nn.Embedding))]
    left_out = {id(weight) for module in apart for weight in module.parameters()}
    return sum(weight.numel() for weight in model.parameters() if id(weight) not in left_out)


def score_held_out(
    text: HeldOutText,
    model: "GPT",
    *,
    out: Path,
    weights_hash: str,
    corpus: str,
    seed: int = 0,
    bootstrap: int = 1000,
    batch_tokens: int = 8192,
) -> Result:
    """Held-out loss, perplexity per word and bits per byte with intervals, as the card `held_out`, protocol `corpus`.

    The unit of the bootstrap is the window. `corpus` is the corpus' fingerprint.
    """
    key = Key(
        card=scores.HELD_OUT,
        protocol="corpus",
        source="corpus",
        card_hash=sha256_json({"context": text.context, "tokens": int(text.tokens.sum())}),
        data_hash=corpus,
        weights_hash=weights_hash,
        tokenizer=text.tokenizer_hash,
        limit=None,
        seed=0,  # nothing is drawn while asking
        interval_seed=seed,
        bootstrap=bootstrap,
    )
    if found := results.answered(out, key):
        return found if found.key == key else rescore.renew(out, found, seed, bootstrap)
    started = time.monotonic()
    sums = text.score(model, batch_tokens)
    if not np.isfinite(sums.nll).all():
        raise ZeroscaleError("held-out text: the loss is not finite; the weights hold NaN or infinite numbers")
    rows = [
        {
            "id": i,
            "unit": i,
            "content": sha256(text.targets[i].tobytes()).hexdigest()[:16],
            **{name: getattr(sums, name)[i].item() for name in ("nll", "tokens", "bytes", "words")},
        }
        for i in range(len(sums.nll))
    ]
    measured = scores.compute_metrics(scores.HELD_OUT, {}, rows)
    about = {name: MetricInfo(False, None) for part in measured for name in part.scores}
    scored = scores.score(measured, about, "windows", seed, bootstrap)
    totals = {name: int(getattr(sums, name).sum()) for name in ("tokens", "bytes", "words")}
    result = Result(
        key=key,
        metrics=scored.metrics,
        n=len(rows),
        unit="windows",
        family=scores.HELD_OUT,
        seconds=time.monotonic() - started,
        notes=scored.notes,
        interval_notes=scored.notes,
        extra={"context": text.context, **totals},
        params_non_embedding=params_non_embedding(model),
    )
    return results.write(out, result, scores.with_scores(rows, measured))
