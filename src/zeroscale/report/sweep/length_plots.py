"""L(D) as figures: the loss of one size over its training lengths, out of fit.json's `data_laws`."""

from zeroscale.core import format
from zeroscale.core.format import number
from zeroscale.report.figures.plot import Axis, Layer, Plot, log_reach
from zeroscale.report.views.size_law import greek
from zeroscale.scaling.fit_schema import FitFile, LengthLaw


def lengths(fit: FitFile | None) -> list[Plot]:
    """A figure for each size with a law over its training tokens."""
    laws = fit.data_laws if fit else {}
    return [made for name, law in laws.items() if (made := _length(name, law, len(laws) > 1)) is not None]


def _length(name: str, law: LengthLaw, several: bool) -> Plot | None:
    """Means over seeds at each length, the fit with its 95 % band, dashed where it is extrapolated."""
    means = [(d, loss) for mean in law.lengths if (d := number(mean.tokens)) and (loss := number(mean.loss))]
    curve = [(d, at.low, value, at.high) for at in law.band if (d := number(at.tokens)) and (value := number(at.value))]
    if not means or not curve:
        return None
    runs = [(d, loss, run.cell) for run in law.points if (d := number(run.tokens)) and (loss := number(run.loss))]
    first, last = min(d for d, _ in means), max(d for d, _ in means)
    inside = [point for point in curve if first <= point[0] <= last]
    beyond = [point for point in curve if point[0] >= (inside[-1][0] if inside else last)]
    layers = [_band(curve), _line([p for p in curve if p[0] <= last], greek(law.form or "fit"))]
    if len(beyond) > 1:
        layers.append(_line(beyond, "extrapolated", dashed=True))
    if len(runs) > len(means):
        layers.append(Layer("points", *_columns(runs), ink="muted", symbol="circle-open", name="runs"))
    hover = [f"{name}\n{format.scaled(d)} tokens: {loss:.4f}" for d, loss in means]
    layers.append(Layer("points", [d for d, _ in means], [loss for _, loss in means], hover=hover, name="measured"))
    held = law.hold_out
    if held and (at := number(held.tokens)) and (predicted := number(held.predicted)):
        low, high = [number(held.low)], [number(held.high)]
        words = "predicted from shorter runs"
        layers.append(Layer("points", [at], [predicted], symbol="diamond", name=words, low=low, high=high))
    heights = [value for _, _, value, _ in curve] + [loss for _, loss in means] + [loss for _, loss, _ in runs]
    return Plot(
        f"loss_over_length_{name}" if several else "loss_over_length",
        f"Loss over training tokens, {name}",
        "One size trained on several numbers of tokens: the law with its 95 % interval, dashed beyond them.",
        f"Loss of {name} over {format.count(len(means), 'training length')}, with the law's curve.",
        Axis("training tokens, D", log_reach([d for d, *_ in curve], 0.03), show=format.scaled),
        Axis("validation loss (nats per token)", log_reach(heights, 0.1)),
        layers,
    )


Point = tuple[float, float | None, float, float | None]


def _band(curve: list[Point]) -> Layer:
    low, high = [low for _, low, _, _ in curve], [high for *_, high in curve]
    return Layer("band", [d for d, *_ in curve], low=low, high=high, name="95 % interval")


def _line(curve: list[Point], name: str, dashed: bool = False) -> Layer:
    x, y = [d for d, *_ in curve], [value for _, _, value, _ in curve]
    return Layer("line", x, y, dash="dash" if dashed else "solid", name=name)


def _columns(runs: list[tuple[float, float, str | None]]) -> tuple[list[float], list[float]]:
    return [d for d, _, _ in runs], [loss for _, loss, _ in runs]
