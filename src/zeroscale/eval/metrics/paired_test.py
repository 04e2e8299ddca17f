"""Two models on the same examples: the difference of their scores, with an interval and a p-value.

The interval is the paired bootstrap's (Efron & Tibshirani 1993, chapter 13; for BLEU, Koehn 2004): each resample draws
units, and takes both models' outcomes of a unit or neither's.

The p-value is that of the paired randomisation test (Noreen 1989; for BLEU and F1, Riezler & Maxwell 2005): if the
models were alike, their outcomes of each unit could just as well be exchanged. It assumes no distribution and no mean:
it holds for every score that is a function of sums over units. For a mean it is the sign-flip test, for a share
McNemar's. (A p-value read off the bootstrap would not be drawn under the hypothesis that nothing differs; Riezler &
Maxwell found it to reject too often.) Where few units differ, all exchanges are counted and the p-value is exact; else
it is (exchanges as extreme + 1) / (exchanges drawn + 1), which is never 0 (Phipson & Smyth 2010).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from zeroscale.eval.metrics import bootstrap
from zeroscale.eval.metrics.bootstrap import Bounds, Interval, Values


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
    """How the interval was made: `bootstrap`, `unanimous` (all units differ alike) or `none`."""


def differences(
    first: np.ndarray, second: np.ndarray, values: Values, seed: int, resamples: int, bounds: Bounds | None = None
) -> dict[str, Difference]:
    """Every score of two models.

    Args:
        first, second: [units, k], what each unit adds to the sums; row i of both is the same unit.
        values: sums [..., k] → each score [...].
        resamples: of the bootstrap, and the exchanges drawn for the p-value.
        bounds: the least and the greatest value that a score can have, where it has such.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    assert first.shape == second.shape
    units, k = first.shape
    apart = second - first
    moved = apart[(apart != 0).any(axis=1)]
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        first_scores, second_scores = values(first.sum(axis=0)), values(second.sum(axis=0))
        drawn = bootstrap.resample(np.hstack([first, second]), seed, resamples) if units > 1 else None
        edges = None if drawn is None else _apart(values(drawn[:, :k]), values(drawn[:, k:]))
        swapped, exact = _sign_flips(moved, seed, resamples)
        under = _apart(values(first.sum(axis=0) + swapped), values(second.sum(axis=0) - swapped))
        by_score = {}
        for name, value in _apart(first_scores, second_scores).items():
            scale = float(max(abs(first_scores[name]), abs(second_scores[name])))
            interval = Interval(float(value), None, None, units, "none")
            if edges is not None and np.isfinite(value):
                interval = bootstrap.percentile_interval(float(value), edges[name], units, _reach(bounds))
            by_score[name] = Difference(
                first=_finite(first_scores[name]),
                second=_finite(second_scores[name]),
                difference=_finite(value),
                low=_finite(interval.low),
                high=_finite(interval.high),
                p=_p_value(float(value), under[name], exact, scale),
                exact=exact,
                units=units,
                differing=len(moved),
                method=interval.method,
            )
    return by_score


def _apart(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: second[name] - first[name] for name in first}


def _reach(bounds: Bounds | None) -> Bounds | None:
    """The bounds of a difference of two scores with these."""
    return None if bounds is None else (bounds[0] - bounds[1], bounds[1] - bounds[0])


def _sign_flips(moved: np.ndarray, seed: int, number: int) -> tuple[np.ndarray, bool]:
    """What exchanging the outcomes of some units adds to the first model's sums, [exchanges, k], and whether these are
    all there are. Units [m, k] whose outcomes are the same change nothing and are not among `moved`."""
    m = len(moved)
    if m < 63 and 2**m <= number:
        all_flips = (np.arange(2**m)[:, None] >> np.arange(m)) & 1
        return all_flips.astype(np.float64) @ moved, True
    # Not the bootstrap's own draws: the two are looked at side by side.
    rng = np.random.default_rng([seed, 1])
    step = max(1, bootstrap.CHUNK // m)
    sums = []
    for begin in range(0, number, step):
        rows = min(step, number - begin)
        bits = np.unpackbits(rng.integers(0, 256, size=(rows, -(-m // 8)), dtype=np.uint8), axis=1, count=m)
        sums.append(bits.astype(np.float64) @ moved)
    return np.concatenate(sums), False


def _p_value(difference: float, under: np.ndarray, exact: bool, scale: float) -> float | None:
    """Two-sided: the share of exchanges whose difference is as far from 0, rounding aside."""
    if not np.isfinite(difference) or not np.isfinite(under).all():
        return None
    extreme = int((np.abs(under) >= abs(difference) - bootstrap.ROUNDING * scale).sum())
    return extreme / len(under) if exact else (extreme + 1) / (len(under) + 1)


def _finite(value: float | np.ndarray | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
