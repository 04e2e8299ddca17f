"""Approach 1 of Hoffmann et al. 2022: for each budget the size whose curve is lowest, and a power law of those."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from zeroscale.core.errors import ZeroscaleError
from zeroscale.scaling.laws.compute_optimal import OptimumFit, OptimumPowerLaw
from zeroscale.scaling.numerics.arrays import check_columns, group_values, unit_warnings

if TYPE_CHECKING:
    from zeroscale.scaling.numerics.arrays import Column, FloatArray, IntArray

# Hoffmann et al. 2022, section 3.1.
BUDGETS = 1500
# Budgets at which one resampled envelope is read off: the line through fewer is the same to three digits.
_DRAWN_BUDGETS = 200
_SINGLE = "its size has one run, so no curve over tokens"
_EDGE = "the smallest and the largest size only bound the envelope: where they win, a size beyond might win"
_NEVER = "its size is lowest at no budget"


@dataclass(frozen=True, kw_only=True)
class EnvelopeFit(OptimumFit):
    """The line through the envelope. Its objective is the mean square of ln N about the line: the envelope is a
    staircase, so it is never zero."""

    sizes: tuple[float, ...]
    """Those that the line rests on."""
    span: tuple[float, float]
    """FLOPs between which the line was fitted."""


def fit_envelope(
    params: "Column",
    tokens: "Column",
    loss: "Column",
    *,
    flops: "Column | None" = None,
    bootstrap: int = 1000,
    random_seed: int = 0,
) -> EnvelopeFit:
    """Fits N_opt = G C^a and D_opt = H C^b to the lower envelope of the sizes' curves of loss against FLOPs.

    Each size's curve is drawn straight between its runs in ln C and ln L, at 1,500 budgets evenly in ln C the lowest is
    taken, and the line is fitted by least squares. Budgets where the smallest or the largest size wins are left out.
    The runs of a size should each have a learning rate schedule of its own, or none that ends: the middle of a cosine
    is too high.

    Args:
        params, tokens, loss, flops: as in `fit_isoflop`; a checkpoint is a run here.

    Raises:
        ZeroscaleError: bad values, or fewer than two sizes in the inside of the envelope.
    """
    import numpy

    n, d, losses = check_columns(params=params, tokens=tokens, loss=loss)
    c = 6 * n * d if flops is None else check_columns(flops=flops, params=params)[0]
    size = group_values(n)
    curves = _Curves(n, d, losses, c, size)
    envelope = curves.envelope(numpy.ones(len(n)), BUDGETS)
    if envelope is None:
        raise ZeroscaleError(
            f"the envelope of {size.max() + 1} sizes rests on fewer than two of them between the smallest and the "
            "largest: it needs four sizes or more, each with several token counts at overlapping FLOPs"
        )
    log_c, log_n, log_d, winners = envelope
    middle = float(log_c.mean())
    line = OptimumPowerLaw.through(log_c, log_n, log_d, middle)
    draws, method, failed = _draw(curves, middle, len(n), bootstrap, random_seed)
    warnings = unit_warnings(n, d, losses)
    if failed > 0.1:
        warnings.append(
            f"{failed:.0%} of the resampled envelopes had fewer than two sizes inside: the interval is rough."
        )
    if len(winners) < 4:
        warnings.append(
            f"The envelope is a staircase of {len(winners)} sizes: its slope hangs on where the steps are. Train more "
            "sizes, or use isoflop."
        )
    return EnvelopeFit(
        line=line,
        parameters=line.parameters(draws),
        sizes=tuple(float(numpy.exp(curves.log_n[number])) for number in winners),
        span=(math.exp(log_c.min()), math.exp(log_c.max())),
        left_out=tuple(curves.left_out(winners)),
        objective=float(((log_n - line.n_height - line.n_slope * (log_c - middle)) ** 2).mean()),
        n_points=int(numpy.isin(size, winners).sum()),
        method=method,
        warnings=tuple(warnings),
        draws=draws,
    )


class Envelope(NamedTuple):
    """ln C, ln N and ln D [m] along the inside of an envelope, and the numbers of the sizes that win somewhere."""

    log_flops: "FloatArray"
    log_params: "FloatArray"
    log_tokens: "FloatArray"
    sizes: "IntArray"


class _Curves:
    """Loss against FLOPs of each size, straight between the runs in logarithms."""

    def __init__(
        self, n: "FloatArray", d: "FloatArray", losses: "FloatArray", c: "FloatArray", size: "IntArray"
    ) -> None:
        import numpy

        self.size, self.count = size, int(size.max()) + 1
        self.log_n = numpy.array([numpy.log(n[size == number]).mean() for number in range(self.count)])
        self.parts = []
        for number in range(self.count):
            rows = numpy.flatnonzero(size == number)
            rows = rows[numpy.argsort(c[rows], kind="stable")]
            self.parts.append((rows, numpy.log(c[rows]), numpy.log(losses[rows]), numpy.log(d[rows])))
        self.span = (float(numpy.log(c.min())), float(numpy.log(c.max())))

    def envelope(self, drawn: "FloatArray", budgets: int) -> "Envelope | None":
        """The envelope's inside, of the runs with drawn > 0 [n]; None with too few sizes.

        Runs of one size drawn twice, or seeds at the same FLOPs, are one point: the mean.
        """
        import numpy

        grid = numpy.linspace(*self.span, budgets)
        loss = numpy.full((self.count, budgets), numpy.inf)
        data = numpy.zeros((self.count, budgets))
        for number, (rows, log_c, log_l, log_d) in enumerate(self.parts):
            weight = drawn[rows]
            x, where = numpy.unique(log_c[weight > 0], return_inverse=True)
            if len(x) < 2:
                continue
            counts = weight[weight > 0]
            mass = numpy.bincount(where, counts)
            y = numpy.bincount(where, counts * log_l[weight > 0]) / mass
            z = numpy.bincount(where, counts * log_d[weight > 0]) / mass
            inside = (grid >= x[0]) & (grid <= x[-1])
            loss[number, inside] = numpy.interp(grid[inside], x, y)
            data[number, inside] = numpy.interp(grid[inside], x, z)
        best = loss.argmin(0)
        present = numpy.flatnonzero(numpy.isfinite(loss).any(1))
        if len(present) < 3:
            return None
        good = numpy.isfinite(loss.min(0)) & (best > present[0]) & (best < present[-1])
        winners = numpy.unique(best[good])
        if len(winners) < 2:
            return None
        at = numpy.flatnonzero(good)
        return Envelope(grid[at], self.log_n[best[at]], data[best[at], at], winners)

    def left_out(self, winners: "IntArray") -> list[tuple[int, str]]:
        import numpy

        left_out = []
        for number, (rows, log_c, _, _) in enumerate(self.parts):
            if number in winners:
                continue
            ends = number in (0, self.count - 1)
            rule = _SINGLE if len(numpy.unique(log_c)) < 2 else _EDGE if ends else _NEVER
            left_out += [(int(row), rule) for row in rows]
        return sorted(left_out)


def _draw(
    curves: _Curves, middle: float, n: int, times: int, random_seed: int
) -> tuple[OptimumPowerLaw | None, str | None, float]:
    """Lines of resampled runs, how they were made, and the share of draws that had no envelope."""
    import numpy

    if not times:
        return None, None, 0.0
    generator = numpy.random.default_rng(random_seed)
    lines = []
    for drawn in generator.multinomial(n, numpy.full(n, 1 / n), times):
        envelope = curves.envelope(drawn, _DRAWN_BUDGETS)
        if envelope is not None:
            log_c, log_n, log_d, _ = envelope
            lines.append(OptimumPowerLaw.through(log_c, log_n, log_d, middle))
    if len(lines) < times / 2:
        return None, None, 1 - len(lines) / times
    stacked = (
        numpy.array([getattr(line, name) for line in lines]) for name in ("n_height", "n_slope", "d_height", "d_slope")
    )
    return (
        OptimumPowerLaw(middle, *stacked),
        f"{times} times, {n} of the {n} runs drawn with replacement",
        1 - len(lines) / times,
    )
