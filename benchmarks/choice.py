"""Coverage of a law's intervals where its runs were chosen among settings: docs/scaling-laws.md's table.

    python benchmarks/choice.py

Simulated studies of 2 learning rates x 3 sizes x 5 seeds (`--sizes 6` for a longer ladder), each loss that of a power
law at the better rate, with normal noise of the seeds. Three ways to fit each: to the rate with the best mean, with
intervals that repeat the choice (what `zeroscale fit` does); the same with intervals as if nothing had been chosen; and
to the lower loss of each size and seed, whichever rate it has. Counted is how often the 95 % interval holds the truth:
alpha, and the loss at the largest size and at ten times that.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from zeroscale.scaling import fit_power_law
from zeroscale.scaling.choice.choose import choose
from zeroscale.scaling.choice.resampling import ChoiceDraws, choice_draws, repeat_choices
from zeroscale.scaling.choice.settings import RunSettings
from zeroscale.scaling.estimators.results import PowerLawFit
from zeroscale.scaling.run_selection import SelectedRun, SizeGroup, select_longest

ALPHA, LOG_N_C, SEEDS, RATES = 0.08, 36.8, 5, (0.003, 0.01)
# How much worse the second rate is, in nats, by size: far beyond the noise, or not at all.
CLEAR = 0.1
DESIGNS = ("equal rates", "unequal rates", "equal at the smallest size", "equal at the largest size")
WAYS = ("repeated", "not repeated", "lower of each seed")


@dataclass(frozen=True)
class Coverage:
    """Shares of studies whose interval holds the truth, [way, (alpha, loss at the largest size, at ten times that)],
    and the median width of alpha's interval, [way]."""

    hits: numpy.ndarray
    widths: numpy.ndarray


def true_loss(params: float) -> float:
    return float(numpy.exp(ALPHA * (LOG_N_C - numpy.log(params))))


def gaps(design: str, sizes: int) -> list[float]:
    """By how many nats the second rate is worse, for each size."""
    worse = [0.0 if design == "equal rates" else CLEAR] * sizes
    if design == "equal at the smallest size":
        worse[0] = 0.0
    if design == "equal at the largest size":
        worse[-1] = 0.0
    return worse


def simulate(
    params: Sequence[float], worse: Sequence[float], noise: float, generator: numpy.random.Generator
) -> tuple[list[SelectedRun], RunSettings]:
    runs, values = [], {}
    for size, (n, gap) in enumerate(zip(params, worse, strict=True)):
        for rate in RATES:
            for seed in range(SEEDS):
                level = true_loss(n) + (gap if rate == RATES[1] else 0.0)
                name = f"{size}-{rate}-{seed}"
                loss = level * float(numpy.exp(noise * generator.standard_normal()))
                runs.append(SelectedRun(name, f"size-{size}", seed, n, n, 1e9, None, loss, None, None, {}))
                values[name] = {"optimizer.lr": rate}
    return runs, RunSettings(("optimizer.lr",), {"optimizer.lr": "lr"}, values)


def fit(sizes: Sequence[SizeGroup], choice: ChoiceDraws | None, bootstrap: int, seed: int) -> PowerLawFit:
    return fit_power_law(
        [size.params for size in sizes],
        [size.loss for size in sizes],
        loss_sd=[size.loss_sd or 0.0 for size in sizes],
        bootstrap=bootstrap,
        seed=seed,
        choice=choice,
        hold_out=False,
    )


def three_ways(runs: list[SelectedRun], settings: RunSettings, bootstrap: int, seed: int) -> list[PowerLawFit]:
    kept, choice, losses = choose(runs, settings, [])
    assert choice is not None
    sizes = select_longest(kept, []).sizes
    choice, draws = repeat_choices(choice, losses, bootstrap, seed)
    points = [(size.params, size.tokens, size.loss) for size in sizes]
    lower: dict[tuple[float, int | None], SelectedRun] = {}
    for run in sorted(runs, key=lambda run: run.loss):
        lower.setdefault((run.params, run.seed), run)
    return [
        fit(sizes, choice_draws(choice, draws, points, bootstrap, seed), bootstrap, seed),
        fit(sizes, None, bootstrap, seed),
        fit(select_longest(list(lower.values()), []).sizes, None, bootstrap, seed),
    ]


def coverage(design: str, sizes: int, noise: float, studies: int, bootstrap: int) -> Coverage:
    params = [float(n) for n in numpy.geomspace(1e6, 1e8, sizes)]
    hits, widths = numpy.zeros((len(WAYS), 3)), []
    for seed in range(studies):
        runs, settings = simulate(params, gaps(design, sizes), noise, numpy.random.default_rng(seed))
        own = []
        for way, fitted in enumerate(three_ways(runs, settings, bootstrap, seed)):
            alpha = fitted.parameters["alpha"]
            assert alpha.low is not None and alpha.high is not None
            own.append(alpha.high - alpha.low)
            hits[way, 0] += alpha.low <= ALPHA <= alpha.high
            for column, n in enumerate((params[-1], 10 * params[-1]), 1):
                ends = fitted.band([n])
                assert ends is not None
                hits[way, column] += ends[0][0] <= true_loss(n) <= ends[1][0]
        widths.append(own)
    return Coverage(hits / studies, numpy.median(widths, axis=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, default=3)
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--bootstrap", type=int, default=1000)
    parser.add_argument("--noise", type=float, nargs="+", default=[0.001, 0.003, 0.01])
    arguments = parser.parse_args()
    print(
        f"{arguments.studies} studies of {arguments.sizes} sizes each; alpha / loss at the largest / at ten times that"
    )
    print("| rates | noise | " + " | ".join(WAYS) + " | width of alpha |")
    print("|---|---|" + "---|" * (len(WAYS) + 1))
    for design in DESIGNS:
        for noise in arguments.noise:
            found = coverage(design, arguments.sizes, noise, arguments.studies, arguments.bootstrap)
            cells = [" / ".join(f"{share:.1%}" for share in row) for row in found.hits]
            print(f"| {design} | {noise:.1%} | {' | '.join(cells)} | {found.widths[0]:.2g} |", flush=True)


if __name__ == "__main__":
    main()
