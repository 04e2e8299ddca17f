"""The paper's figures with this study's models: its figure 1 (four tasks) and figure 4 (train and test perplexity)."""

import math
from dataclasses import dataclass

from zeroscale.core import format
from zeroscale.core.format import number
from zeroscale.report.figures.plot import Axis, Layer, Plot, log_reach
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


def tasks(cards: list[Card]) -> list[Task]:
    """The four panels in the paper's order; [] where none of them was scored."""
    by_name = {card.card: card for card in cards if card.protocol == "paper"}
    found = []
    for title, name, metric in FIGURE_1:
        card = by_name.get(name)
        panel = next((panel for panel in card.panels if panel.metric == metric), None) if card else None
        found.append(Task(title, name, metric, card if panel else None, panel))
    return found if any(task.panel for task in found) else []


def perplexity(study: StudyView, drawn: list[Curve]) -> Plot | None:
    """Figure 4: perplexity per token of the training text and of held-out text against size; None under two sizes.

    Of several runs of one size the one with the lowest loss counts.
    """
    rows = _best(study.runs)
    if len(rows) < 2:
        return None
    last = {curve.run: curve.smooth[-1] for curve in drawn if curve.smooth and curve.smooth[-1] is not None}
    size = [params for params, _, _ in rows]
    test = [math.exp(loss) for _, loss, _ in rows]
    low, high = zip(*(_interval(run) for _, _, run in rows), strict=True)
    known = any(end is not None for end in low)
    names, hover = [run.name for _, _, run in rows], []
    for params, loss, run in rows:
        hover.append(
            f"{run.label}\n{format.scaled(params)} parameters\n"
            f"test perplexity {format.figure(math.exp(loss))}, loss {format.figure(loss, 4)}"
        )
    seen = [(params, last[run.name], run) for params, _, run in rows if run.name in last]
    layers = []
    if len(seen) > 1:
        x, y = [params for params, _, _ in seen], [math.exp(loss or 0.0) for _, loss, _ in seen]
        runs = [run.name for _, _, run in seen]
        labels = [run.label for _, _, run in seen]
        said = [f"{label}\ntraining perplexity {format.figure(value)}" for label, value in zip(labels, y, strict=True)]
        layers.append(Layer("line", x, y, ink="muted", dash="dash"))
        layers.append(Layer("points", x, y, ink="muted", symbol="circle-open", hover=said, runs=runs, name="train"))
    layers.append(Layer("line", size, test))
    ends = (list(low), list(high)) if known else ([], [])
    layers.append(Layer("points", size, test, low=ends[0], high=ends[1], hover=hover, runs=names, name="test"))
    heights = [y for layer in layers for y in layer.y] + [end for end in [*low, *high] if end]
    return Plot(
        "perplexity",
        "Train and test perplexity against size",
        "Per token of the study's own vocabulary, so not to be compared with another's. Test: the held-out text, with "
        "its 95 % interval where it was scored; train: the smoothed loss of the last steps. As long as both fall "
        "together, the larger model still learns from the text rather than by heart.",
        f"Test perplexity goes from {format.figure(test[0])} to {format.figure(test[-1])} over "
        f"{format.count(len(rows), 'size')}.",
        Axis(SIZE, log_reach(size), show=format.scaled),
        Axis("perplexity per token", log_reach(heights, 0.1)),
        layers,
    )


def _best(runs: list[RunView]) -> list[tuple[float, float, RunView]]:
    """(N, loss, run) of each size's best finished run, smallest size first."""
    found: dict[float, tuple[float, float, RunView]] = {}
    for run in runs:
        loss = number(run.row.get(LOSS))
        if run.done and run.params and loss is not None:
            new = (run.params, loss, run)
            found[run.params] = min(found.get(run.params, new), new, key=lambda row: row[1])
    return [found[params] for params in sorted(found)]


def _interval(run: RunView) -> tuple[float | None, float | None]:
    """Of the held-out perplexity, from the loss's own."""
    for result in latest(run).values():
        loss = result.score("loss") if result.card == HELD_OUT else None
        if loss and loss.low is not None and loss.high is not None:
            return math.exp(loss.low), math.exp(loss.high)
    return None, None
