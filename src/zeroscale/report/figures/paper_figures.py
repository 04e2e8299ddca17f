"""The paper's figures with this study's models: its figure 1 (four tasks) and figure 4 (train and test perplexity)."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from zeroscale.core import format
from zeroscale.core.format import number
from zeroscale.report.figures.plot import Axis, Layer, Plot, log_reach
from zeroscale.report.sweep.view import chosen_runs
from zeroscale.report.views.benchmarks import Card, Panel, latest
from zeroscale.report.views.fit_file import SIZE
from zeroscale.report.views.loss_curves import Curve
from zeroscale.report.views.results import HELD_OUT
from zeroscale.report.views.size_law import LOSS
from zeroscale.report.views.study import RunView, StudyView

# Radford et al. 2019, figure 1: its panels' titles, and the card and metric that measure them.
FIGURE_1 = (
    ("Reading comprehension", "coqa", "f1"),
    ("Translation, French to English", "wmt14_fr_en", "bleu"),
    ("Summarization", "cnn_dailymail", "rouge_mean"),
    ("Question answering", "natural_questions", "acc"),
)


@dataclass(frozen=True)
class Task:
    """A panel of figure 1; `card` and `panel` are None where the task was not scored by the paper's protocol."""

    title: str
    name: str
    metric: str
    card: Card | None
    panel: Panel | None


class BestRun(NamedTuple):
    """A size's run with the lowest loss."""

    params: float
    loss: float
    run: RunView


def tasks(cards: list[Card]) -> list[Task]:
    """The four panels in the paper's order; [] where none of them was scored."""
    by_name = {card.card: card for card in cards if card.protocol == "paper"}
    panels = []
    for title, name, metric in FIGURE_1:
        card = by_name.get(name)
        panel = next((panel for panel in card.panels if panel.metric == metric), None) if card else None
        panels.append(Task(title, name, metric, card if panel else None, panel))
    return panels if any(task.panel for task in panels) else []


# Nats, of which the exponential is a number.
MAX_LOSS = 700.0


def perplexity(study: StudyView, curves: list[Curve]) -> Plot | None:
    """Figure 4: perplexity per token of the training text and of held-out text against size; None under two sizes.

    Of several runs of one size the one with the lowest loss counts, where they have several settings of the one chosen.
    """
    chosen = chosen_runs(study)
    rows = _best([run for run in study.runs if chosen is None or run.name in chosen])
    if len(rows) < 2:
        return None
    test = _test(rows)
    layers = [*_train(rows, curves), Layer("line", test.x, test.y), test]
    heights = [y for layer in layers for y in layer.y] + [end for end in [*test.low, *test.high] if end]
    return Plot(
        "perplexity",
        "Train and test perplexity against size",
        "Per token of the study's own vocabulary, so not to be compared with another's. Test: the held-out text, with "
        "its 95 % interval where it was scored; train: the smoothed loss of the last steps. As long as both fall "
        "together, the larger model still learns from the text rather than by heart.",
        f"Test perplexity goes from {format.figure(test.y[0])} to {format.figure(test.y[-1])} over "
        f"{format.count(len(rows), 'size')}.",
        Axis(SIZE, log_reach(test.x), show=format.scaled),
        Axis("perplexity per token", log_reach(heights, 0.1)),
        layers,
    )


def _test(rows: list[BestRun]) -> Layer:
    """Perplexity of the held-out text, with its interval where any run has one."""
    low, high = zip(*(_interval(row.run) for row in rows), strict=True)
    with_interval = any(end is not None for end in low)
    hover = [
        f"{row.run.label}\n{format.scaled(row.params)} parameters\n"
        f"test perplexity {format.figure(math.exp(row.loss))}, loss {format.figure(row.loss, 4)}"
        for row in rows
    ]
    return Layer(
        "points",
        [row.params for row in rows],
        [math.exp(row.loss) for row in rows],
        low=list(low) if with_interval else [],
        high=list(high) if with_interval else [],
        hover=hover,
        runs=[row.run.name for row in rows],
        name="test",
    )


def _train(rows: list[BestRun], curves: list[Curve]) -> list[Layer]:
    """Perplexity of the training text at the end, where at least two runs have logged it."""
    last = {curve.run: curve.smooth[-1] for curve in curves if curve.smooth and curve.smooth[-1] is not None}
    trained = [row for row in rows if (last.get(row.run.name) or MAX_LOSS) < MAX_LOSS]
    if len(trained) < 2:
        return []
    x, y = [row.params for row in trained], [math.exp(last[row.run.name] or 0.0) for row in trained]
    hover = [
        f"{row.run.label}\ntraining perplexity {format.figure(value)}" for row, value in zip(trained, y, strict=True)
    ]
    names = [row.run.name for row in trained]
    return [
        Layer("line", x, y, ink="muted", dash="dash"),
        Layer("points", x, y, ink="muted", symbol="circle-open", hover=hover, runs=names, name="train"),
    ]


def _best(runs: list[RunView]) -> list[BestRun]:
    """Each size's best finished run, smallest size first."""
    by_size: dict[float, BestRun] = {}
    for run in runs:
        loss = number(run.row.get(LOSS))
        if run.done and run.params and loss is not None and loss < MAX_LOSS:
            candidate = BestRun(run.params, loss, run)
            by_size[run.params] = min(by_size.get(run.params, candidate), candidate, key=lambda row: row.loss)
    return [by_size[params] for params in sorted(by_size)]


def _interval(run: RunView) -> tuple[float | None, float | None]:
    """Of the held-out perplexity, from the loss's own."""
    for result in latest(run).values():
        loss = result.score("loss") if result.card == HELD_OUT else None
        if loss and loss.low is not None and loss.high is not None and max(loss.low, loss.high) < MAX_LOSS:
            return math.exp(loss.low), math.exp(loss.high)
    return None, None
