"""Chinchilla's fit beside one start at a time with SciPy: seconds, and whether the optima agree.

    python benchmarks/fitting.py

240 made-up runs (losses of a known law with 1 % noise, at 10 budgets), the published grid of 4,500 starts and 4,000
bootstraps, timed together, on as many threads as the process may use. The two are compared by processor time, which
other work on the machine changes less. SciPy's L-BFGS-B gets the same objective and the
same exact gradient, as plain numpy on one data set at a time, and a sample of the same starts and of the same resampled
data; its time for all of them is extrapolated from the sample, drawn at random, and said to be.

With --coverage it makes docs/scaling-laws.md's table of intervals instead: simulated studies by design.
"""

import argparse
import statistics
import time

import numpy
from scipy.optimize import minimize

from zeroscale.scaling import Surface
from zeroscale.scaling.estimators.bootstrap_surface import NAMES, SurfaceDraws, resample_runs
from zeroscale.scaling.estimators.chinchilla import Approach3
from zeroscale.scaling.numerics.batched_bfgs import Minima, threads
from zeroscale.scaling.numerics.batched_bfgs import batched_bfgs as descend
from zeroscale.scaling.numerics.chinchilla_objective import ChinchillaObjective
from zeroscale.scaling.numerics.newton import NewtonResult, newton

# Hoffmann et al. 2022, approach 3.
LAW = Surface.of(E=1.69, A=406.4, B=410.7, alpha=0.34, beta=0.28)
DELTA = 1e-3
SETTINGS = {
    "as it comes (ftol 2.2e-9, gtol 1e-5)": {},
    "until it is converged (ftol 1e-14, gtol 1e-10)": {"maxiter": 5000, "maxfun": 10000, "ftol": 1e-14, "gtol": 1e-10},
}


def isoflop(budgets: int, sizes: int, span: float) -> tuple[numpy.ndarray, numpy.ndarray]:
    """(N, D) of sizes within a factor of `span` of each budget's optimum."""
    flops = numpy.repeat(numpy.geomspace(6e18, 3e21, budgets), sizes)
    n = LAW.optimal_params(flops) * numpy.tile(numpy.geomspace(1 / span, span, sizes), budgets)
    return n, flops / (6 * n)


def crossed(sizes: int, token_counts: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    """(N, D) of every size on every number of tokens."""
    n, d = numpy.meshgrid(numpy.geomspace(5e7, 1e10, sizes), numpy.geomspace(1e9, 3e11, token_counts))
    return n.ravel(), d.ravel()


def runs_of(design: tuple[numpy.ndarray, numpy.ndarray], noise: float, seed: int) -> ChinchillaObjective:
    n, d = design
    return ChinchillaObjective(
        n, d, LAW(n, d) * numpy.exp(noise * numpy.random.default_rng(seed).standard_normal(len(n)))
    )


def scipy_fit(
    runs: ChinchillaObjective, start: numpy.ndarray, weights: numpy.ndarray | None, options: dict[str, float]
) -> tuple[float, numpy.ndarray]:
    """(objective, (a, b, e, alpha, beta)) from one start, as a researcher would write it."""
    x, y, z = runs.x, runs.y, runs.z
    w = numpy.ones(len(runs)) if weights is None else weights

    def objective(theta: numpy.ndarray) -> tuple[float, numpy.ndarray]:
        a, b, e, alpha, beta = theta
        terms = numpy.stack([a - alpha * x, b - beta * y, numpy.full_like(x, e)])
        top = terms.max(0)
        shares = numpy.exp(terms - top)
        total = shares.sum(0)
        residual = top + numpy.log(total) - z
        size = numpy.abs(residual)
        value = numpy.where(size <= DELTA, residual**2 / 2, DELTA * (size - DELTA / 2))
        pull = w * numpy.clip(residual, -DELTA, DELTA) * shares / total
        gradient = [pull[0].sum(), pull[1].sum(), pull[2].sum(), -(pull[0] * x).sum(), -(pull[1] * y).sum()]
        return float((w * value).sum()), numpy.array(gradient)

    found = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
    return float(found.fun), found.x


def published(runs: ChinchillaObjective, theta: numpy.ndarray) -> numpy.ndarray:
    """Our coordinates, at the middle of the data, as (a, b, e, alpha, beta)."""
    law = runs.law(theta)
    return numpy.stack([law.log_A, law.log_B, theta[:, 2], law.alpha, law.beta], axis=1)


def ours(runs: ChinchillaObjective, weights: numpy.ndarray) -> tuple[Minima, NewtonResult, Minima, list[float]]:
    """The grid, its polished optimum, the bootstraps, and the seconds of grid and bootstraps."""
    begin = time.perf_counter()
    found = descend(runs.value_and_gradient, runs.starts())
    row = int(found.value.argmin())
    law = runs.law(found.theta[row : row + 1])
    best = newton(runs, Surface(*(float(getattr(law, k)[0]) for k in ("E", "log_A", "log_B", "alpha", "beta"))))
    between = time.perf_counter()
    near = numpy.repeat(runs.theta(best.law), len(weights), axis=0)
    drawn = descend(runs.value_and_gradient, near, weights, inverse_hessian=best.inverse_hessian)
    return found, best, drawn, [between - begin, time.perf_counter() - between]


def speed(sample: int, turns: int) -> None:
    runs = runs_of(isoflop(10, 24, 6.0), 0.01, 0)
    weights = resample_runs(runs.params, runs.tokens, 4000, 0)
    begin = time.process_time()
    results = [ours(runs, weights) for _ in range(turns)]
    processor = (time.process_time() - begin) / turns
    found, best, drawn, _ = results[0]
    seconds = [statistics.median(result[3][part] for result in results) for part in (0, 1)]
    print(f"{len(runs)} runs, {threads()} threads, numpy {numpy.__version__}; median of {turns} turns")
    print(
        f"  ours: 4,500 starts {seconds[0]:.2f} s, 4,000 bootstraps {seconds[1]:.2f} s, together {sum(seconds):.2f} s"
    )
    print(f"  ({processor:.2f} s of processor time)")
    draw = numpy.random.default_rng(1)
    starts = published(runs, runs.starts())[draw.choice(4500, sample, replace=False)]
    others = draw.choice(len(weights), sample, replace=False)
    law = published(runs, runs.theta(best.law))[0]
    for name, options in SETTINGS.items():
        begin = time.process_time()
        ends = numpy.array([scipy_fit(runs, start, None, options)[0] for start in starts])
        between = time.process_time()
        refits = [scipy_fit(runs, law, weights[row], options) for row in others]
        grid, again = (between - begin) * 4500 / sample, (time.process_time() - between) * 4000 / sample
        print(f"SciPy, {name}; extrapolated from {sample} starts and {sample} bootstraps")
        print(f"  4,500 starts {grid:.0f} s, 4,000 bootstraps {again:.0f} s of processor time (one thread)")
        print(f"  together {(grid + again) / processor:.0f} times ours")
        reached = [numpy.mean(value <= best.objective * (1 + 1e-4)) for value in (found.value, ends)]
        print(f"  objective at the optimum: ours {best.objective:.12g}, the best of SciPy's {ends.min():.12g}")
        print(f"  starts within 0.01 % of it: ours {reached[0]:.0%}, SciPy's {reached[1]:.0%}")
        excess = [drawn.value[row] / refit[0] - 1 for row, refit in zip(others, refits, strict=True)]
        print(f"  bootstraps, objective of ours over SciPy's, less one: {min(excess):+.1e} to {max(excess):+.1e}")
        mine = published(runs, drawn.theta)
        apart = [numpy.abs(mine[row] - refit[1]) for row, refit in zip(others, refits, strict=True)]
        print(f"  the bootstrapped laws are apart by {numpy.median(apart / mine.std(0)):.1e} standard errors (median)")


def coverage(studies: int, bootstrap: int, noise: float) -> None:
    designs = {
        "3 sizes x 3 token counts": crossed(3, 3),
        "4 sizes x 4 token counts": crossed(4, 4),
        "6 sizes x 6 token counts": crossed(6, 6),
        "5 budgets x 7 sizes": isoflop(5, 7, 4.0),
        "9 budgets x 9 sizes": isoflop(9, 9, 5.0),
        "10 budgets x 24 sizes": isoflop(10, 24, 6.0),
    }
    print(f"{studies} studies of each design, {noise:.0%} noise, {bootstrap} bootstraps: coverage, and median width")
    print("| design | runs | " + " | ".join(NAMES) + " | a |")
    print("|---|---|" + "---|" * (len(NAMES) + 1))
    for name, design in designs.items():
        cells = [
            f"{hit:.1%} ({width:.3g})" for hit, width in zip(*_cover(design, studies, bootstrap, noise), strict=True)
        ]
        print(f"| {name} | {len(design[0])} | " + " | ".join(cells) + " |", flush=True)


def _cover(
    design: tuple[numpy.ndarray, numpy.ndarray], studies: int, bootstrap: int, noise: float
) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Share of studies whose interval holds the truth, and the median width (of A and B in the logarithm): [6] each."""
    method = Approach3()
    hits, widths = [], []
    for seed in range(studies):
        runs = runs_of(design, noise, seed)
        solved = method.near(runs, LAW)
        if seed % 50 == 0:
            # The law is near the truth, so that the grid is not needed to find it: checked now and then.
            assert solved.objective <= method.solve(runs).objective * (1 + 1e-9)
        weights = resample_runs(runs.params, runs.tokens, bootstrap, seed)
        draws = SurfaceDraws(method.resampled(runs, weights, solved), "")
        found = list(draws.parameters(solved.law).values())
        low, high = numpy.quantile(draws.laws.exponent(), [0.025, 0.975])
        ends = numpy.array([[one.low, one.high] for one in found] + [[low, high]])
        truth = numpy.array([getattr(LAW, name) for name in NAMES] + [LAW.exponent()])
        hits.append((ends[:, 0] <= truth) & (truth <= ends[:, 1]))
        ends[1:3] = numpy.log(ends[1:3])
        widths.append(ends[:, 1] - ends[:, 0])
    return numpy.mean(hits, axis=0), numpy.median(widths, axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=100, help="starts and bootstraps that SciPy gets")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--coverage", action="store_true")
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--bootstrap", type=int, default=1000)
    parser.add_argument("--noise", type=float, default=0.01)
    arguments = parser.parse_args()
    if arguments.coverage:
        coverage(arguments.studies, arguments.bootstrap, arguments.noise)
    else:
        speed(arguments.sample, arguments.turns)


if __name__ == "__main__":
    main()
