"""Scoring from a notebook: `evaluate` and what it returns."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack

import yaml
from torch import nn

from zeroscale.config.commands.eval import EvalConfig
from zeroscale.config.validate import build_config
from zeroscale.core import paths
from zeroscale.core.errors import ZeroscaleError
from zeroscale.eval import evaluate as scoring
from zeroscale.eval import published, results, run, score_table
from zeroscale.eval.api import model as models
from zeroscale.eval.api.module_hash import module_hash
from zeroscale.eval.cards import registry
from zeroscale.eval.cards.card import Card
from zeroscale.eval.results import Result, Score
from zeroscale.runs.resolve import ResultsLocation, resolve_checkpoint

if TYPE_CHECKING:
    from pandas import DataFrame

_DTYPES = {"torch.float32": "fp32", "torch.bfloat16": "bf16", "torch.float16": "fp16"}


class ScoringOptions(TypedDict, total=False):
    """What `evaluate` passes on; the keys and defaults of `zeroscale eval` (conf/eval.yaml)."""

    protocol: Literal["paper", "lm-eval"]
    limit: int | None
    allow_other_data: bool
    token_logprobs: bool
    seed: int
    bootstrap: int
    batch_tokens: int | None


class Evaluation:
    """Scores of one model: results with 95 % intervals, and a record for each example.

    Attributes:
        label: what tables call the model.
        results: one `Result` for each card, held-out text first where the model is a run with its corpus.
        out: the directory that holds the results and records.
    """

    def __init__(
        self,
        label: str,
        given: str,
        results: Sequence[Result],
        out: Path,
        temporary: "tempfile.TemporaryDirectory[str] | None" = None,
    ) -> None:
        self.label = label
        self.results = list(results)
        self.out = out
        self._given = given
        self._temporary = temporary  # removed with this object

    @property
    def location(self) -> ResultsLocation:
        """The results as `compare` finds them."""
        return ResultsLocation(self.label, self._given, self.out)

    def score(self, card: str, metric: str) -> Score:
        """A metric's value with its interval: `.value`, `.low`, `.high` (None where unknown), `.n`, `.chance`.

        Raises:
            ZeroscaleError: the card was not scored, or it has no such metric.
        """
        result = self._result(card)
        if metric not in result.metrics:
            raise ZeroscaleError(f"{card} has no metric {metric!r}: it has {', '.join(result.metrics)}")
        return result.metrics[metric]

    def table(self) -> "DataFrame":
        """A row for each metric: benchmark, protocol, metric, value, low, high (95 %), n, unit, higher_is_better,
        chance, mark (why it is no score of the benchmark; empty where it is), paper (the published number of the
        nearest size) and difference from it. Missing numbers are NaN."""
        import pandas

        rows = [
            {
                "benchmark": row.card,
                "protocol": row.protocol,
                "metric": row.metric,
                "value": row.value,
                "low": row.low,
                "high": row.high,
                "n": row.n,
                "unit": row.unit,
                "higher_is_better": row.higher_is_better,
                "chance": row.chance,
                "mark": row.mark,
                "paper": row.paper.value if row.paper else None,
                "difference": row.difference,
            }
            for row in self._rows()
        ]
        frame = pandas.DataFrame(rows)
        numbers = [name for name in ("value", "low", "high", "chance", "paper", "difference") if name in frame]
        return frame.astype(dict.fromkeys(numbers, "float64"))

    def examples(self, card: str) -> "DataFrame":
        """A row for each example of a card: what was scored, log-probabilities in nats, generated text, outcome.

        Raises:
            ZeroscaleError: the card was not scored, or its records are gone or altered.
        """
        import pandas

        return pandas.DataFrame(results.records_of(self.out, self._result(card)))

    def __repr__(self) -> str:
        return score_table.as_text(self._rows()) if self.results else f"{self.label}: nothing was scored"

    def _rows(self) -> list[published.Row]:
        return published.rows(self.label, self.results, _shipped(self.results))

    def _result(self, card: str) -> Result:
        for result in self.results:
            if result.card == card:
                return result
        cards = ", ".join(result.card for result in self.results) or "none"
        raise ZeroscaleError(f"{card} was not scored; scored: {cards}")


def evaluate(
    model: str | Path | nn.Module,
    cards: str | Sequence[str],
    *,
    tokenizer: object = None,
    data_dir: str | Path | None = None,
    cards_from: Literal["files", "hub", "sample"] | None = None,
    name: str | None = None,
    n_positions: int | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    revision: str | None = None,
    out: str | Path | None = None,
    output_dir: str | Path = "outputs",
    progress: Callable[[str], None] | None = None,
    **options: Unpack[ScoringOptions],
) -> Evaluation:
    """Scores a model zero-shot on benchmarks, with a 95 % interval on every number.

        zs.evaluate("outputs/pocket/RUN", ["lambada"], data_dir="benchmarks-data")
        zs.evaluate("openai-community/gpt2", "core", cards_from="hub")
        zs.evaluate(my_module, ["lambada"], tokenizer=my_tokenizer, cards_from="sample")

    Protocols follow Radford et al. 2019 (`protocol="paper"`) or lm-evaluation-harness (`protocol="lm-eval"`). Intervals
    come from a bootstrap over examples, or over the clusters that a card names (such as conversations).

    Args:
        model: the name of a run, a checkpoint, a Hugging Face directory or a name on the hub; or a model in memory: a
            zeroscale GPT, a causal language model of transformers, or any module that maps ids [B, T] to logits
            [B, T, V]. A model in memory stays on its device and in its dtype.
        cards: a suite ("core", "paper"), a card, or a list of these.
        tokenizer: of a model in memory: zeroscale's or transformers'. Names bring their own.
        data_dir: the directory of the benchmarks' own files.
        cards_from: files (under data_dir), hub, or sample: a dozen hand-written examples, marked SAMPLE. By default
            files; for a run, what the run itself was scored with.
        name: what tables call a model in memory; by default its class.
        n_positions: the context length of a module that does not say it, in tokens.
        device: of a model that is loaded by name.
        revision: of a name on the hub.
        out: where to keep the results of a model in memory; by default they are removed with the returned object. A
            model that is given by name has its own directory, as `zeroscale eval` says.
        progress: called with a line of text now and then.
        options: protocol, limit (examples of each card), allow_other_data, token_logprobs, seed, bootstrap (resamples),
            batch_tokens; as for `zeroscale eval`.

    Raises:
        ZeroscaleError: an unknown card or option, missing or other data, no tokenizer, weights that give no finite
            numbers.
    """
    chosen: dict[str, object] = {"cards": [cards] if isinstance(cards, str) else list(cards), "cards_from": cards_from}
    chosen |= {"data_dir": str(data_dir) if data_dir else None, "accelerator": device, "output_dir": str(output_dir)}
    config = build_config(EvalConfig, {**_defaults(), **chosen, **options})
    if isinstance(model, nn.Module):
        return _evaluate_module(model, tokenizer, config, name, n_positions, out, progress)
    if tokenizer is not None:
        raise ZeroscaleError(f"tokenizer=… belongs to a model in memory; {model} brings its own")
    target = resolve_checkpoint(paths.expand_home(str(model)), Path(config.output_dir), revision)
    return Evaluation(name or target.label, str(model), run.score(target, config, progress), target.out)


def _evaluate_module(
    model: nn.Module,
    tokenizer: object,
    config: EvalConfig,
    name: str | None,
    n_positions: int | None,
    out: str | Path | None,
    progress: Callable[[str], None] | None,
) -> Evaluation:
    if tokenizer is None:
        raise ZeroscaleError(
            "a model in memory needs tokenizer=…: transformers', or zeroscale.data.tokenizer.Tokenizer"
        )
    temporary = tempfile.TemporaryDirectory(prefix="zeroscale-") if out is None else None
    folder = paths.local_path(temporary.name if temporary else str(out))
    with _modes_restored(model):
        wrapped, label = models.wrap_model(model, n_positions), name or type(model).__name__
        scores = scoring.score_cards(
            wrapped,
            models.wrap_tokenizer(tokenizer, wrapped.config.vocab_size),
            config.cards or (),
            source=config.cards_from or "files",
            data_dir=Path(config.data_dir) if config.data_dir else None,
            out=folder,
            weights_hash=module_hash(wrapped),
            seed=config.seed,
            bootstrap=config.bootstrap,
            batch_tokens=config.batch_tokens,
            protocol=config.protocol,
            limit=config.limit,
            allow_other_data=config.allow_other_data,
            token_logprobs=config.token_logprobs,
            dtype=_DTYPES.get(str(next((weight.dtype for weight in model.parameters()), None)), "fp32"),
            progress=progress,
        )
    return Evaluation(label, label, scores, folder, temporary)


@contextmanager
def _modes_restored(model: nn.Module) -> Iterator[None]:
    """Leaves each part of a user's model in training or evaluation mode, as it was."""
    modes = {module: module.training for module in model.modules()}
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def _defaults() -> Mapping[str, object]:
    """What `zeroscale eval` does where nothing is said."""
    content: Mapping[str, object] = yaml.safe_load((paths.conf() / "eval.yaml").read_text(encoding="utf-8"))
    return content


def _shipped(scored: Iterable[Result]) -> dict[str, Card]:
    """The cards of results, of those that come with zeroscale: they hold the published numbers."""
    names = set(registry.names())
    return {card.name: card for result in scored if result.card in names for card in registry.resolve([result.card])}
