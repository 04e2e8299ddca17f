"""Comparing two scored models from a notebook: `compare` and what it returns."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import yaml

from zeroscale.config.commands.compare import CompareConfig
from zeroscale.config.validate import build_config
from zeroscale.core import paths
from zeroscale.core.errors import ZeroscaleError
from zeroscale.eval import compare as comparing
from zeroscale.eval import compare_table
from zeroscale.eval.api.evaluation import Evaluation
from zeroscale.eval.compare_table import Comparison, MetricComparison
from zeroscale.runs import resolve
from zeroscale.runs.resolve import ResultsLocation

if TYPE_CHECKING:
    from pandas import DataFrame


class PairedComparison:
    """Two models on the same examples; `rows` has a paired difference for each metric, the second less the first."""

    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison

    @property
    def rows(self) -> Sequence[MetricComparison]:
        return self._comparison.lines

    def table(self) -> "DataFrame":
        """A row for each metric: card, protocol, metric, first, second, difference (second less first), low and high
        (95 %, paired bootstrap), p (two-sided randomisation test), n, better ("first", "second", or "" where the
        interval holds 0) and what else `MetricComparison` has."""
        import pandas

        return pandas.DataFrame([{**asdict(row), "better": row.better} for row in self.rows])

    def __repr__(self) -> str:
        return compare_table.as_text(self._comparison)


def compare(
    first: str | Path | Evaluation,
    second: str | Path | Evaluation,
    cards: str | Sequence[str] | None = None,
    *,
    protocol: Literal["paper", "lm-eval"] = "paper",
    resamples: int = 10_000,
    seed: int = 0,
    output_dir: str | Path = "outputs",
) -> PairedComparison:
    """Compares two scored models example by example.

    Only examples that both have are compared. Intervals are those of a paired bootstrap over examples (or the card's
    clusters), p-values those of a two-sided randomisation test; neither is corrected for the number of comparisons.

    Args:
        first, second: what `evaluate` returned, or the name of something that has been scored: a run, a checkpoint, a
            Hugging Face directory, a name on the hub, a directory of results.
        cards: a suite, a card, or a list; None: all that both have been scored on.
        resamples: of the bootstrap and of the randomisation test.
        output_dir: where the results of models that are no runs lie.

    Raises:
        ZeroscaleError: a card is not scored for one of the two (says the command that scores it), or the two were not
            scored alike (other data, limit or seed).
    """
    defaults = yaml.safe_load((paths.conf() / "compare.yaml").read_text(encoding="utf-8"))
    chosen: dict[str, object] = {"protocol": protocol, "resamples": resamples, "seed": seed}
    chosen |= {"output_dir": str(output_dir)}
    chosen |= {"cards": [cards] if isinstance(cards, str) else cards if cards is None else list(cards)}
    config = build_config(CompareConfig, {**defaults, **chosen})
    one, two = (_location(model, Path(config.output_dir)) for model in (first, second))
    if one.out.resolve() == two.out.resolve():
        raise ZeroscaleError(f"{one.label} and {two.label} are the same results ({one.out}); give two")
    return PairedComparison(comparing.compare_results(one, two, config))


def _location(model: str | Path | Evaluation, outputs: Path) -> ResultsLocation:
    return (
        model.location
        if isinstance(model, Evaluation)
        else resolve.find_results(paths.expand_home(str(model)), outputs)[0]
    )
