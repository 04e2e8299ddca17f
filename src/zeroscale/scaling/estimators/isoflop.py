"""Approach 2 of Hoffmann et al. 2022: a parabola in ln N for each budget, and a power law through their minima."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.format import compact
from zeroscale.scaling.diagnostics import capitalize, in_words
from zeroscale.scaling.laws.compute_optimal import OptimumFit, OptimumPowerLaw
from zeroscale.scaling.laws.estimate import Estimate
from zeroscale.scaling.numerics.arrays import check_columns, group_values, unit_warnings

if TYPE_CHECKING:
    from zeroscale.scaling.numerics.arrays import Column, FloatArray, IntArray, Numbers

# Runs this close in FLOPs are one budget, and runs within so many nats of a budget's lowest loss belong to its parabola
# (the loss rises faster than a parabola far from the minimum, more so on the side of the small models).
TOLERANCE = 0.03
WINDOW = 0.15
# An optimum whose interval spans more than this factor in N is hardly one.
LOOSE = 10.0
FAR = "more than {:g} nats above the lowest loss of its budget"
FEW = "its budget has fewer than three sizes within {:g} nats of its lowest loss"
EDGE = "the optimum of its budget is at the edge of the sizes trained"
UPSIDE_DOWN = "its budget's parabola has no minimum"


@dataclass(frozen=True)
class IsoflopBudget:
    """One isoFLOP curve: the runs of its parabola (indices), where its minimum is, and what that is worth."""

    flops: float
    runs: tuple[int, ...]
    params: Estimate
    tokens: float
    loss: float
    curvature: float
    """c of L = L_min + c (ln N - ln N_opt)^2."""
    used: bool
    reason: str | None
    """Why it is not used; None where it is."""


@dataclass(frozen=True, kw_only=True)
class IsoflopFit(OptimumFit):
    """The line through the optima. Its objective is the sum of squares about the parabolas, nats^2."""

    budgets: tuple[IsoflopBudget, ...]


def fit_isoflop(
    params: "Column",
    tokens: "Column",
    loss: "Column",
    *,
    flops: "Column | None" = None,
    window: float = WINDOW,
    tolerance: float = TOLERANCE,
    bootstrap: int = 4000,
    random_seed: int = 0,
) -> IsoflopFit:
    """Fits N_opt = G C^a and D_opt = H C^b to the minima of isoFLOP curves.

    The interval: each curve's losses are moved by normal noise of the scale of the residuals about all parabolas
    (Student's t: the scale is drawn too), the parabolas and the line are fitted again. Where the minima scatter about
    the line more than that explains, they are moved by the rest as well.

    Args:
        params, tokens, loss: N, D and L of each run [n].
        flops: C of each run; 6 N D by default.
        window: nats above a budget's lowest loss within which runs belong to its parabola.
        tolerance: how far runs may differ in C, as a share, and still be of one budget.

    Raises:
        ZeroscaleError: bad values, or fewer than two budgets with a minimum inside the sizes trained.
    """
    import numpy

    n, d, losses = check_columns(params=params, tokens=tokens, loss=loss)
    c = 6 * n * d if flops is None else check_columns(flops=flops, params=params)[0]
    if not (window > 0 and tolerance > 0):
        raise ZeroscaleError(f"window={window:g} and tolerance={tolerance:g} must be above zero")
    number_of = group_values(c, tolerance)
    curves = [
        _Curve(numpy.flatnonzero(number_of == number), n, d, losses, c, window) for number in range(number_of.max() + 1)
    ]
    good = [curve for curve in curves if curve.reason is None]
    if len(good) < 2:
        raise ZeroscaleError(_too_few(curves, good, window))
    middle = float(numpy.mean([math.log(curve.flops) for curve in good]))
    line = _line(good, numpy.array([curve.vertex for curve in good]), middle)
    freedom = sum(len(curve.runs) - 3 for curve in good)
    squares = sum(curve.squares for curve in good)
    vertices, method = _draw(good, line, squares, freedom, bootstrap, random_seed)
    draws = None if vertices is None else _line(good, vertices, middle)
    used = {id(curve): i for i, curve in enumerate(good)}
    budgets = tuple(
        curve.budget(None if vertices is None or id(curve) not in used else vertices[:, used[id(curve)]])
        for curve in curves
    )
    return IsoflopFit(
        line=line,
        parameters=line.parameters(draws),
        budgets=budgets,
        left_out=tuple(sorted(pair for curve in curves for pair in curve.left_out(window))),
        objective=squares,
        n_points=sum(len(curve.runs) for curve in good),
        method=method,
        warnings=tuple(unit_warnings(n, d, losses) + _warnings(curves, good, vertices)),
        draws=draws,
    )


class _Curve:
    """The runs of one budget and the parabola through those near its lowest loss."""

    def __init__(
        self,
        rows: "IntArray",
        n: "FloatArray",
        d: "FloatArray",
        losses: "FloatArray",
        c: "FloatArray",
        window: float,
    ) -> None:
        import numpy

        self.all = rows
        self.runs = rows[losses[rows] <= losses[rows].min() + window]
        self.flops = float(numpy.exp(numpy.log(c[rows]).mean()))
        self.log_n, self.log_d = numpy.log(n[self.runs]), numpy.log(d[self.runs])
        self.loss = losses[self.runs]
        self.ends = (float(numpy.log(n[rows].min())), float(numpy.log(n[rows].max())))
        self.vertex, self.curvature, self.squares, self.lowest = math.nan, math.nan, 0.0, float(losses[rows].min())
        sizes = len(numpy.unique(self.log_n))
        self.reason: str | None = FEW.format(window) if sizes < 3 else None
        if sizes < 3:
            return
        self.middle = float(self.log_n.mean())
        x = self.log_n - self.middle
        self.design = numpy.stack([numpy.ones_like(x), x, x**2], axis=1)
        # [3, m]: from losses to the parabola's coefficients.
        self.solve = numpy.linalg.pinv(self.design)
        height, slope, self.curvature = self.solve @ self.loss
        fitted = self.design @ (self.solve @ self.loss)
        self.squares = float(((self.loss - fitted) ** 2).sum())
        if self.curvature <= 0:
            self.reason = UPSIDE_DOWN
            return
        self.vertex = float(self.middle - slope / (2 * self.curvature))
        self.lowest = float(height - slope**2 / (4 * self.curvature))
        if not self.ends[0] < self.vertex < self.ends[1]:
            self.reason = EDGE

    def moved(self, noise: "FloatArray") -> "FloatArray":
        """Minima [S] of the parabolas through the losses moved by `noise` [S, m]; held to ten sizes of the curve."""
        import numpy

        _, slope, bend = self.solve @ (self.design @ (self.solve @ self.loss))[:, None] + self.solve @ noise.T
        reach = 10 * numpy.ptp(self.log_n)
        with numpy.errstate(all="ignore"):
            shift = numpy.where(bend > 0, -slope / (2 * bend), -numpy.sign(slope) * reach)
        minima: FloatArray = self.middle + numpy.clip(shift, -reach, reach)
        return minima

    def tokens_at(self, vertex: "Numbers") -> "FloatArray":
        """ln D at ln N along the curve: D falls as N rises, by a straight line in the logarithms (D = C / 6 N)."""
        import numpy

        slope, height = numpy.polyfit(self.log_n - self.middle, self.log_d, 1)
        log_tokens: FloatArray = height + slope * (vertex - self.middle)
        return log_tokens

    def budget(self, vertices: "FloatArray | None") -> IsoflopBudget:
        import numpy

        known = math.isfinite(self.vertex)
        n = math.exp(self.vertex) if known else math.nan
        return IsoflopBudget(
            flops=self.flops,
            runs=tuple(int(run) for run in self.runs),
            params=Estimate.of(n, None if vertices is None else numpy.exp(vertices)),
            tokens=float(numpy.exp(self.tokens_at(self.vertex))) if known else math.nan,
            loss=self.lowest,
            curvature=float(self.curvature),
            used=self.reason is None,
            reason=self.reason,
        )

    def left_out(self, window: float) -> list[tuple[int, str]]:
        far = [(int(run), FAR.format(window)) for run in self.all if run not in self.runs]
        return far + ([] if self.reason is None else [(int(run), self.reason) for run in self.runs])


def _line(curves: list[_Curve], vertices: "FloatArray", middle: float) -> OptimumPowerLaw:
    """The line through minima [..., m] of m curves."""
    import numpy

    log_flops = numpy.array([math.log(curve.flops) for curve in curves])
    tokens = numpy.stack([curve.tokens_at(vertices[..., i]) for i, curve in enumerate(curves)], axis=-1)
    return OptimumPowerLaw.through(log_flops, vertices, tokens, middle)


def _draw(
    curves: list[_Curve], line: OptimumPowerLaw, squares: float, freedom: int, times: int, random_seed: int
) -> tuple["FloatArray | None", str | None]:
    """Minima [S, m] that might as well have been found, and how they were made."""
    import numpy

    if not times or freedom < 1:
        return None, None
    generator = numpy.random.default_rng(random_seed)
    scale = numpy.sqrt(squares / generator.chisquare(freedom, times))
    minima = numpy.array([curve.vertex for curve in curves])
    moved = numpy.stack(
        [curve.moved(scale[:, None] * generator.standard_normal((times, len(curve.runs)))) for curve in curves], axis=1
    )
    moves = moved - minima
    method = f"{times} times, losses moved by noise of the residuals' scale ({freedom} degrees of freedom)"
    extra = _scatter(curves, line, moves)
    if extra > 0:
        moves = moves + extra * generator.standard_normal(moves.shape)
        method += f", and by as much more as the {len(curves)} optima scatter about the line"
    return minima + moves, method


def _scatter(curves: list[_Curve], line: OptimumPowerLaw, moves: "FloatArray") -> float:
    """Standard deviation in ln N that the optima show about the line beyond their own errors; 0 where they show none.

    The t that makes sum_i off_i^2 / (error_i^2 + t^2) equal to its degrees of freedom (Paule & Mandel 1982).
    """
    import numpy

    freedom = len(curves) - 2
    flops = numpy.array([math.log(curve.flops) for curve in curves])
    minima = numpy.array([curve.vertex for curve in curves])
    residuals = minima - (line.n_height + line.n_slope * (flops - line.middle))
    # Half of the central 68 %: a curve that is nearly flat has minima far out.
    errors = (numpy.quantile(moves, 0.84, axis=0) - numpy.quantile(moves, 0.16, axis=0)) / 2
    low, high = 0.0, float(numpy.abs(residuals).sum()) + 1e-12
    if freedom < 1 or (residuals**2 / numpy.maximum(errors, 1e-12) ** 2).sum() <= freedom:
        return 0.0
    for _ in range(60):
        middle = (low + high) / 2
        if (residuals**2 / (errors**2 + middle**2)).sum() > freedom:
            low = middle
        else:
            high = middle
    return high


def _warnings(curves: list[_Curve], good: list[_Curve], vertices: "FloatArray | None") -> list[str]:
    import numpy

    warnings = []
    if len(good) == 2:
        warnings.append("Two budgets fix the line exactly: nothing is left to judge it by. Train at least one more.")
    for rule, reason in (
        (EDGE, "the optimum is at the edge of, or outside, the sizes trained"),
        (UPSIDE_DOWN, "the loss has no minimum"),
    ):
        budgets = [f"{curve.flops:.3g}" for curve in curves if curve.reason == rule]
        if budgets:
            warnings.append(
                f"{capitalize(in_words(len(budgets)))} budget{'s' * (len(budgets) > 1)} left out, because {reason}: C "
                f"= {', '.join(budgets)}. Train more sizes there."
            )
    if vertices is not None:
        ends = numpy.quantile(vertices, 0.975, axis=0) - numpy.quantile(vertices, 0.025, axis=0)
        loose = [f"{curve.flops:.3g}" for curve, reach in zip(good, ends, strict=True) if reach > math.log(LOOSE)]
        if loose:
            warnings.append(
                f"The optimum is known to no better than a factor of {LOOSE:g} at C = {', '.join(loose)}: these "
                "budgets weigh as much as the others in the line. More sizes there, or keep.flops, would help."
            )
    else:
        warnings.append(
            "Every parabola goes through its three points exactly: there is nothing to make an interval from."
        )
    for curve in good:
        lowest = float(curve.log_n[curve.loss.argmin()])
        if lowest in curve.ends:
            warnings.append(
                f"At C = {curve.flops:.3g} the lowest loss is at the edge of the sizes trained (N = "
                f"{compact(math.exp(lowest))}): the optimum, {compact(math.exp(curve.vertex))}, leans on the parabola."
            )
    return warnings


def _too_few(curves: list[_Curve], good: list[_Curve], window: float) -> str:
    why: dict[str, int] = {}
    for curve in curves:
        if curve.reason:
            why[curve.reason] = why.get(curve.reason, 0) + 1
    reasons = "; ".join(f"of {times}, {reason}" for reason, times in why.items())
    return (
        f"an isoFLOP fit needs two budgets with at least three sizes within {window:g} nats of their lowest loss and a "
        f"minimum between them; there {'is one' if len(good) == 1 else 'is none'} among {len(curves)} "
        f"({reasons}). Train more sizes at each budget, or widen isoflop.window or isoflop.tolerance"
    )
