"""Two models on the same examples: the difference of their scores, with a p-value and the interval that belongs to it.

The p-value is that of the paired randomisation test (Noreen 1989; for BLEU and F1, Riezler & Maxwell 2005): if the
models were alike, their outcomes of each unit could just as well be exchanged. For a mean it is the sign-flip test, for
a share McNemar's. A score that is no mean is taken as the sum of what each unit moves it by (the jackknife's influence
values, Efron 1982), and those change their sign. Where few units differ, all exchanges are counted and the p-value is
exact; else it is (exchanges as extreme + 1) / (exchanges drawn + 1), which is never 0 (Phipson & Smyth 2010).

The interval is the same test inverted: it holds every difference d that the test, asked whether the models differ by
d, does not reject at 5 % (Garthwaite 1996). So 0 lies outside of it if and only if p < 0.05: there is one verdict.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from zeroscale.eval.metrics import bootstrap
from zeroscale.eval.metrics.bootstrap import Bounds, Values

LEVEL = 0.05


@dataclass(frozen=True)
class Difference:
    """One score of both models, `difference` = second - first, with its 95 % interval and two-sided p-value.

    None where a score is not finite, or (the interval) nothing tells its width.
    """

    first: float | None
    second: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    exact: bool
    """Whether every exchange was counted."""
    units: int
    differing: int
    """Units in which the outcomes are not the same."""
    method: str
    """How the interval was made: `inverted` (of the test), `unanimous` (all units differ alike) or `none`."""


@dataclass(frozen=True)
class _Exchanges:
    """What the test sums, for each exchange of signs s: `moved` of influence values, `shares` of the units' weights."""

    moved: np.ndarray
    shares: np.ndarray
    exact: bool


def differences(
    first: np.ndarray, second: np.ndarray, values: Values, seed: int, resamples: int, bounds: Bounds | None = None
) -> dict[str, Difference]:
    """Every score of two models.

    Args:
        first, second: [units, k], what each unit adds to the sums; row i of both is the same unit.
        values: sums [..., k] → each score [...].
        resamples: the exchanges drawn, where not all are counted.
        bounds: the least and the greatest value that a score can have, where it has such.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    assert first.shape == second.shape
    units = len(first)
    differing = int((first != second).any(axis=1).sum())
    by_score = {}
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        scores = values(first.sum(axis=0)), values(second.sum(axis=0))
        without = _without_one(first, values), _without_one(second, values)
        weights = _weights(first, second, values)
        signs = _Signs(units, seed, resamples)
        for name, value in scores[1].items():
            ours, theirs = float(scores[0][name]), float(value)
            v = weights[name]
            # What the unit adds to the difference beyond its share of it: sums to about 0.
            influence = (1 - v) * ((theirs - without[1][name]) - (ours - without[0][name]))
            scale = max(abs(ours), abs(theirs))
            low, high, p, exact, method = _verdict(theirs - ours, influence, v, scale, signs, bounds)
            by_score[name] = Difference(
                first=_finite(ours),
                second=_finite(theirs),
                difference=_finite(theirs - ours),
                low=_finite(low),
                high=_finite(high),
                p=p,
                exact=exact,
                units=units,
                differing=differing,
                method=method,
            )
    return by_score


def _without_one(statistics: np.ndarray, values: Values) -> Mapping[str, np.ndarray]:
    """Every score with each unit left out in turn: [units]."""
    return values(statistics.sum(axis=0) - statistics)


def _weights(first: np.ndarray, second: np.ndarray, values: Values) -> dict[str, np.ndarray]:
    """Each unit's share [units] of every score's denominator: of the first column that is the same for both models
    (words, questions) and that the score depends on; equal shares where there is none."""
    totals = first.sum(axis=0)
    base = values(totals)
    weights = {name: np.full(len(first), 1 / len(first)) for name in base}
    common = (first == second).all(axis=0) & (first >= 0).all(axis=0) & (totals > 0)
    for column in reversed(np.flatnonzero(common)):
        nudged = totals.copy()
        nudged[column] *= 1 + 2.0**-20
        for name, value in values(nudged).items():
            if value != base[name]:
                weights[name] = first[:, column] / totals[column]
    return weights


Verdict = tuple[float | None, float | None, float | None, bool, str]


def _verdict(
    difference: float, influence: np.ndarray, weights: np.ndarray, scale: float, signs: "_Signs", bounds: Bounds | None
) -> Verdict:
    """(low, high, p, exact, method) of one score."""
    units, rounding = len(influence), bootstrap.ROUNDING * scale
    if not math.isfinite(difference) or (units > 1 and not np.isfinite(influence).all()):
        return None, None, None, False, "none"
    if units < 2:
        return None, None, 1.0, True, "none"
    moved = influence + difference * weights
    drawn = signs.exchanges(influence, weights, np.abs(moved) > rounding)
    reach = None if bounds is None else bounds[1] - bounds[0]
    extreme = int((np.abs(drawn.moved + difference * drawn.shares) >= abs(difference) - rounding).sum())
    count = len(drawn.moved)
    p = extreme / count if drawn.exact else (extreme + 1) / (count + 1)
    if np.abs(influence).max() <= rounding:
        return (*_unanimous(difference, p, units, reach), drawn.exact, "none" if reach is None else "unanimous")
    below, above = _inverted(drawn)
    low, high = difference - below, difference + above
    if reach is not None:
        low, high = max(low, -reach), min(high, reach)
    if not math.isfinite(low) or not math.isfinite(high):
        return None, None, p, drawn.exact, "none"  # too few units to reject anything
    if p >= LEVEL:  # of an end that is 0 but for rounding
        low, high = min(low, 0.0), max(high, 0.0)
    return low, high, p, drawn.exact, "inverted"


def _inverted(drawn: _Exchanges) -> tuple[float, float]:
    """How far below and above the difference the test rejects nothing.

    Asked for a difference that is e less, an exchange of signs is as extreme where |moved + e shares| >= |e|: between
    the two roots -moved / (1 + shares) and moved / (1 - shares), of which one is positive and one negative.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        roots = np.stack([-drawn.moved / (1 + drawn.shares), drawn.moved / (1 - drawn.shares)])
    everywhere = np.abs(drawn.shares) > 1 - 1e-12  # nothing exchanged, or everything
    far = np.where(everywhere, math.inf, roots.max(axis=0)), np.where(everywhere, math.inf, -roots.min(axis=0))
    count = len(drawn.moved)
    rank = math.ceil(LEVEL * count - 1e-9) if drawn.exact else math.ceil(LEVEL * (count + 1) - 1e-9) - 1
    if rank < 1:
        return math.inf, math.inf
    below, above = (float(np.sort(side)[count - rank]) for side in far)
    return below, above


def _unanimous(
    difference: float, p: float, units: int, reach: float | None
) -> tuple[float | None, float | None, float]:
    """(low, high, p) where all units differ alike, or not at all: the exact bound on what they leave open.

    Its p is that at which the bound reaches 0; where every unit differs by all it can, that is the sign-flip test's.
    """
    if reach is None:
        return None, None, p
    low, high = bootstrap.degenerate_interval(difference, units, (-reach, reach))
    bound = min(1.0, 2 * (reach / (reach + abs(difference))) ** units)
    p = max(p, bound)
    return (low, high, p) if p < LEVEL else (min(low, 0.0), max(high, 0.0), p)


class _Signs:
    """Exchanges of the two models' outcomes, drawn once for all scores."""

    def __init__(self, units: int, seed: int, number: int) -> None:
        self._units, self._seed, self._number = units, seed, number

    def exchanges(self, influence: np.ndarray, weights: np.ndarray, moving: np.ndarray) -> _Exchanges:
        """Sums over the units with signs. Units that are not `moving` change nothing when exchanged: where the others
        are few, all exchanges of these are counted (each with several of the former)."""
        columns = np.stack([influence, weights], axis=1)
        m = int(moving.sum())
        if m < 63 and 2**m <= self._number:
            signs = 1.0 - 2.0 * ((np.arange(2**m)[:, None] >> np.arange(m)) & 1)
            sums, rest = signs @ columns[moving], columns[~moving]
            if len(rest):
                copies = self._number // 2**m
                sums = np.tile(sums, (copies, 1)) + self._drawn(rest, len(sums) * copies)
            return _Exchanges(sums[:, 0], sums[:, 1], exact=True)
        sums = self._drawn(columns, self._number)
        return _Exchanges(sums[:, 0], sums[:, 1], exact=False)

    def _drawn(self, columns: np.ndarray, number: int) -> np.ndarray:
        """Sums [number, 2] with signs drawn evenly; deterministic in the seed."""
        rng = np.random.default_rng([self._seed, 1])
        m = len(columns)
        step = max(1, bootstrap.CHUNK // m)
        sums = []
        for begin in range(0, number, step):
            rows = min(step, number - begin)
            bits = np.unpackbits(rng.integers(0, 256, size=(rows, -(-m // 8)), dtype=np.uint8), axis=1, count=m)
            sums.append(columns.sum(axis=0) - 2.0 * (bits.astype(np.float64) @ columns))
        return np.concatenate(sums)


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value
