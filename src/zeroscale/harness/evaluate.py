"""Scores a model on cards and on held-out text: what training, `zeroscale eval` and the report all go through."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zeroscale.errors import ZeroscaleError
from zeroscale.files import sha256_json
from zeroscale.harness import card as cards_of
from zeroscale.harness import intervals, results, sources, tasks
from zeroscale.harness.card import Card
from zeroscale.harness.held_out import HeldOut, HeldOutText, held_out
from zeroscale.harness.results import Key, Result, Score
from zeroscale.harness.sources import Source

if TYPE_CHECKING:
    from zeroscale.harness.engine import Engine
    from zeroscale.harness.metrics import Measured
    from zeroscale.model.gpt import GPT
    from zeroscale.tokenizer import Tokenizer

__all__ = ["HeldOut", "HeldOutText", "Result", "held_out", "score_cards", "score_held_out"]

Say = Callable[[str], None]
# A line of progress at most this often.
SAY_SECONDS = 10.0


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
    batch_tokens: int = 8192,
    protocol: str = "paper",
    limit: int | None = None,
    progress: Say | None = None,
) -> list[Result]:
    """Scores cards and suites, writing `out/<card>.<protocol>.json` and its records as each is done.

    A card whose result is already there for the same weights, tokenizer, data and card is not scored again.

    Args:
        source: files (under data_dir), hub, or sample; never another than this.
        weights_hash: names the weights; the caller computes it (sha256 of the weights file).
        bootstrap: resamples for the intervals.
        limit: score the first so many examples only; the result says so.
        progress: takes a line now and then, and one for each card.

    Raises:
        ZeroscaleError: unknown card, missing or malformed data, non-finite scores. Cards done before are kept.
    """
    from zeroscale.harness.engine import Engine

    engine = Engine(model, tokenizer, batch_tokens)
    done = []
    for card in cards_of.resolve(cards):
        task = tasks.family(card.family)
        options = task.Options.model_validate(card.options(protocol))
        prepared = task(options, tokenizer, engine.n_positions, seed)
        rows = sources.read(card, source, data_dir, prepared.parse)
        examples = prepared.examples(rows.rows)
        key = Key(
            card=card.name,
            protocol=protocol,
            source=source,
            card_hash=card.hash(protocol),
            data_hash=sha256_json([asdict(example) for example in examples]),
            weights_hash=weights_hash,
            tokenizer=tokenizer.fingerprint,
            limit=limit,
            seed=seed,
            bootstrap=bootstrap,
        )
        result = results.finished(out, key)
        if result is None:
            chosen = prepared.select(examples, limit)
            result = _score(card, key, prepared, chosen, engine, out, rows.origin, progress)
        done.append(result)
    return done


def _score(
    card: Card,
    key: Key,
    task: "tasks.Task",
    examples: list[Any],
    engine: "Engine",
    out: Path,
    origin: list[str],
    progress: Say | None,
) -> Result:
    """Asks, records, measures and writes one card."""
    started = time.monotonic()
    before = engine.cost
    requests = [task.requests(example) for example in examples]
    answers = iter(engine.run([request for group in requests for request in group], _ticker(card.name, progress)))
    outcomes: list[dict[str, Any]] = []
    for unit, (example, group) in enumerate(zip(examples, requests, strict=True)):
        rows = task.outcome(example, [next(answers) for _ in group])
        first = len(outcomes)
        outcomes.extend(
            {"id": first + i, "unit": first + i if task.ROWS_ARE_UNITS else unit, **row} for i, row in enumerate(rows)
        )
    notes = list(task.notes)
    unit_count = len({row["unit"] for row in outcomes})
    if unit_count < 2:
        notes.append(f"no interval: {unit_count} {card.unit} only")
    if key.limit is not None:
        notes.append(f"limited to the first {key.limit}")
    measured = type(task).measure(outcomes, task.options)
    cost = {name: value - getattr(before, name) for name, value in asdict(engine.cost).items()}
    result = Result(
        key=key,
        metrics=_with_intervals(card, measured, key),
        n=len(outcomes),
        unit=card.unit,
        seconds=time.monotonic() - started,
        truncated=sum(row["truncated"] > 0 for row in outcomes),
        truncated_tokens=sum(row["truncated"] for row in outcomes),
        left_out=task.left_out,
        assumptions=card.assumptions(key.protocol),
        notes=notes,
        cost=cost,
        origin=origin,
        extra=_extra(outcomes, measured),
    )
    results.write(out, result, outcomes)
    if progress:
        progress(f"{card.name}: {result.n} scored in {result.seconds:.1f} s")
    return result


def _ticker(card: str, say: Say | None) -> Callable[[int, int], None] | None:
    """Turns counts into a line now and then, with the time left."""
    if say is None:
        return None
    started = last = time.monotonic()

    def tick(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done < total and now - last >= SAY_SECONDS:
            last = now
            say(f"{card}: {done:,} of {total:,}, {(now - started) * (total - done) / done:.0f} s left")

    return tick


def _with_intervals(card: Card, measured: "list[Measured]", key: Key) -> dict[str, Score]:
    """Every score of the card with its interval, in the card's order."""
    from zeroscale.harness.metrics import Accuracy

    scores: dict[str, Score] = {}
    for part in measured:
        statistics = intervals.by_unit(part.statistics, part.units)
        drawn = intervals.bootstrap(statistics, part.metric.values, key.seed, key.bootstrap)
        for name, interval in drawn.items():
            about = card.metrics[name]
            # The value is the metric's own; the interval's sums over units may differ from it in the last digit.
            interval = replace(interval, value=part.scores[name])
            if isinstance(part.metric, Accuracy):
                interval = intervals.unanimous_share(interval)
            scores[name] = Score.of(interval, len(part.statistics), about.direction == "higher", about.chance)
    return {name: scores[name] for name in card.metrics}


def _extra(outcomes: list[dict[str, Any]], measured: "list[Measured]") -> dict[str, Any]:
    """Counts and signatures that belong beside the scores."""
    extra: dict[str, Any] = {}
    for name in ("lines", "lines_not_detokenised", "words", "bytes", "tokens"):
        if name in outcomes[0]:
            extra[name] = sum(row[name] for row in outcomes)
    for part in measured:
        if signature := getattr(part.metric, "signature", ""):
            extra["signature"] = signature
    return extra


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
    from zeroscale.harness.metrics import BitsPerByte, Loss, Perplexity

    key = Key(
        card="held_out",
        protocol="corpus",
        source="corpus",
        card_hash=sha256_json({"context": text.context, "tokens": int(text.tokens.sum())}),
        data_hash=corpus,
        weights_hash=weights_hash,
        tokenizer=text.tokenizer_hash,
        limit=None,
        seed=seed,
        bootstrap=bootstrap,
    )
    if result := results.finished(out, key):
        return result
    started = time.monotonic()
    sums = text.score(model, batch_tokens)
    if not np.isfinite(sums.nll).all():
        raise ZeroscaleError("held-out text: the loss is not finite; the weights hold NaN or infinite numbers")
    measured = [
        Loss("loss").measure(-sums.nll, sums.tokens),
        Perplexity("word_perplexity").measure(-sums.nll, sums.words),
        BitsPerByte("bits_per_byte").measure(-sums.nll, sums.bytes),
    ]
    scores = {}
    for part in measured:
        for name, interval in intervals.bootstrap(part.statistics, part.metric.values, seed, bootstrap).items():
            interval = replace(interval, value=part.scores[name])
            scores[name] = Score.of(interval, len(sums.nll), higher_is_better=False, chance=None)
    totals = {name: int(getattr(sums, name).sum()) for name in ("tokens", "bytes", "words")}
    result = Result(
        key=key,
        metrics=scores,
        n=len(sums.nll),
        unit="windows",
        seconds=time.monotonic() - started,
        extra={"context": text.context, **totals},
    )
    rows = [
        {"id": i, "unit": i, **{name: getattr(sums, name)[i].item() for name in ("nll", "tokens", "bytes", "words")}}
        for i in range(len(sums.nll))
    ]
    results.write(out, result, rows)
    return result
