"""Two recipes by their own laws: what is known of the difference is found, paired where the grids agree."""

import csv
import json

import numpy
import pytest

from zeroscale.core.errors import ZeroscaleError
from zeroscale.scaling import PerToken, Surface, compare_laws
from zeroscale.scaling.laws.loss_vs_compute import LossVsCompute

LAW = Surface.of(E=1.69, A=406.4, B=410.7, alpha=0.34, beta=0.28)


# Most tests below take vpnls: it is quicker than the grid of starts, and the comparison is the same.


def slower(times: float) -> Surface:
    """A recipe that needs `times` the compute for any loss: each of N and D counts for less by the square root of it.

    L(N, D) of it is LAW(N / sqrt(times), D / sqrt(times)), so a budget of times C buys what C bought.
    """
    root = numpy.sqrt(times)
    return Surface.of(E=1.69, A=406.4 * root**0.34, B=410.7 * root**0.28, alpha=0.34, beta=0.28)


def grid(law: Surface, sizes: int = 5, counts: int = 5, noise: float = 0.0, seed: int = 0, common: float = 0.0) -> dict:
    """Runs on a cross; `noise` of each run alone, `common` shared by every recipe trained with the same seeds."""
    n, d = (
        axis.ravel() for axis in numpy.meshgrid(numpy.geomspace(5e7, 5e9, sizes), numpy.geomspace(1e9, 1e11, counts))
    )
    own, shared = numpy.random.default_rng(seed), numpy.random.default_rng(99)
    log_noise = noise * own.standard_normal(len(n)) + common * shared.standard_normal(len(n))
    return {"params": n, "tokens": d, "loss": law(n, d) * numpy.exp(log_noise)}


@pytest.mark.parametrize("law", ["chinchilla", "vpnls"])
def test_a_known_multiplier_is_found(law):
    found = compare_laws(grid(LAW), grid(slower(2.5)), law=law, budgets=[1e20, 1e22], bootstrap=0)
    for one in found.at:
        assert one.multiplier.value == pytest.approx(2.5, rel=1e-4)
        assert one.difference.value == pytest.approx(one.second.value - one.first.value)
        assert one.first.value == pytest.approx(
            LAW(LAW.optimal_params(one.flops), LAW.optimal_tokens(one.flops)), rel=1e-5
        )
    assert found.differences["a"].value == pytest.approx(0, abs=1e-4)
    assert found.differences["E"].value == pytest.approx(0, abs=1e-4)


def test_a_ladder_is_compared_by_its_loss_over_compute():
    n = numpy.geomspace(1e7, 1e9, 6)
    runs = [
        {"params": n, "tokens": 20 * n, "loss": times**0.05 * (1e26 / (120 * n * n)) ** 0.05} for times in (1.0, 1.7)
    ]
    found = compare_laws(*runs, budgets=[1e17], bootstrap=500)
    assert found.law == "compute" and found.form == "L(C) = (C_c/C)^gamma"
    assert found.at[0].multiplier.value == pytest.approx(1.7, rel=1e-6)
    assert found.differences["gamma"].value == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_the_interval_holds_the_multiplier(seed):
    found = compare_laws(
        grid(LAW, noise=0.003, seed=seed),
        grid(slower(2.0), noise=0.003, seed=seed + 100),
        budgets=[1e20],
        law="vpnls",
        bootstrap=500,
    )
    times = found.at[0].multiplier
    assert times.low < 2.0 < times.high
    assert found.differences["alpha"].low < 0 < found.differences["alpha"].high


@pytest.mark.slow
def test_the_multipliers_interval_covers_nine_times_in_ten():
    hits = 0
    for seed in range(60):
        one, other = grid(LAW, noise=0.005, seed=seed), grid(slower(1.5), noise=0.005, seed=seed + 1000)
        times = compare_laws(one, other, law="vpnls", budgets=[1e20], bootstrap=400).at[0].multiplier
        hits += times.low <= 1.5 <= times.high
    assert hits >= 54


def test_what_the_runs_have_in_common_leaves_the_difference_when_they_are_paired():
    """Seeds whose luck is shared: the difference is known far better than either law."""
    one, other = (grid(law, common=0.004, noise=0.0004, seed=i) for i, law in enumerate((LAW, slower(1.3))))
    paired = compare_laws(one, other, budgets=[1e20], law="vpnls", bootstrap=500)
    apart = compare_laws(one, other, budgets=[1e20], law="vpnls", bootstrap=500, paired=False)
    assert paired.paired and not apart.paired

    def width(found):
        return found.at[0].difference.high - found.at[0].difference.low

    assert width(paired) < width(apart) / 2
    assert paired.at[0].difference.low < apart.at[0].difference.value < paired.at[0].difference.high


def ladder(times: float, shared: float, own: float, seed: int, which: int, sizes: int = 4) -> dict:
    """A ladder on 20 tokens for each parameter, of a recipe that needs `times` the compute; noise as in `grid`."""
    n = numpy.geomspace(1e7, 1e9, sizes)
    noise = shared * numpy.random.default_rng(seed).standard_normal(sizes)
    noise += own * numpy.random.default_rng([seed, which]).standard_normal(sizes)
    return {"params": n, "tokens": 20 * n, "loss": times**0.05 * (1e26 / (120 * n * n)) ** 0.05 * numpy.exp(noise)}


def test_small_ladders_are_paired_by_their_residuals():
    one, other = (ladder(times, 0.005, 0.0005, 3, which) for which, times in enumerate((1.0, 1.3)))
    paired = compare_laws(one, other, budgets=[1e17])
    apart = compare_laws(one, other, budgets=[1e17], paired=False)
    assert paired.paired and "go together" in paired.method
    widths = [found.at[0].difference.high - found.at[0].difference.low for found in (paired, apart)]
    assert widths[0] < widths[1] / 3


def test_paired_intervals_of_small_ladders_cover_at_least_nine_times_in_ten():
    hits = 0
    for seed in range(60):
        one, other = (ladder(times, 0.004, 0.001, seed, which) for which, times in enumerate((1.0, 1.3)))
        at = compare_laws(one, other, budgets=[1e17], bootstrap=200).at[0]
        hits += at.multiplier.low <= 1.3 <= at.multiplier.high
    assert hits >= 54


def test_runs_are_paired_whatever_their_order():
    one, other = grid(LAW, common=0.004, noise=0.0004), grid(slower(1.3), common=0.004, noise=0.0004, seed=1)
    mixed = numpy.random.default_rng(0).permutation(len(one["params"]))
    again = {name: column[mixed] for name, column in other.items()}
    first, second = (compare_laws(one, runs, budgets=[1e20], law="vpnls", bootstrap=300) for runs in (other, again))
    assert second.paired
    assert second.at[0].difference.low == pytest.approx(first.at[0].difference.low, rel=1e-6)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"tokens": 1.5}, "token counts differ"),
        ({"drop": True}, "25 runs and 24"),
        ({"seed": 1}, "seeds differ"),
    ],
)
def test_grids_that_differ_are_not_paired_and_said_to_be(change, why):
    one, other = grid(LAW, noise=0.002), grid(LAW, noise=0.002, seed=1)
    other["tokens"] = other["tokens"] * change.get("tokens", 1)
    if "seed" in change:
        one["seed"], other["seed"] = numpy.zeros(25), numpy.ones(25)
    if "drop" in change:
        other = {name: column[1:] for name, column in other.items()}
    found = compare_laws(one, other, budgets=[1e20], law="vpnls", bootstrap=200)
    assert not found.paired and why in found.method
    with pytest.raises(ZeroscaleError, match=why):
        compare_laws(one, other, paired=True, law="vpnls", bootstrap=0)


def test_a_loss_that_is_out_of_reach_is_told():
    floor = Surface.of(E=2.4, A=406.4, B=410.7, alpha=0.34, beta=0.28)
    found = compare_laws(grid(LAW), grid(floor), budgets=[1e24], law="vpnls", bootstrap=0)
    assert found.at[0].multiplier.value is None
    assert any("never reaches" in warning for warning in found.warnings)
    assert any("extrapolated" in warning for warning in found.warnings)


@pytest.mark.parametrize("cost", [None, PerToken(numpy.log(9.0), 0.9)])
def test_the_path_over_compute_is_that_of_the_best_sizes(cost):
    path = LossVsCompute.of_surface(LAW, cost)
    for flops in (1e17, 1e21, 1e25):
        best = LAW(LAW.optimal_params(flops, cost), LAW.optimal_tokens(flops, cost))
        assert path.loss(flops) == pytest.approx(best, rel=1e-12)
        assert path.flops_for(best) == pytest.approx(flops, rel=1e-9)
    assert numpy.isinf(path.flops_for(1.5))


@pytest.mark.parametrize(
    ("second", "says"),
    [
        ({"params": [1e6], "tokens": [1e8]}, "second has no loss"),
        ({"params": [1e6, -1], "tokens": [1e8, 1e8], "loss": [3, 3]}, r"second: params\[1\] is -1"),
        ({"params": [], "tokens": [], "loss": []}, "second has no runs"),
        ({"params": [1e6] * 3, "tokens": [1e8] * 3, "loss": [3, 3.1, 3.2]}, "two budgets"),
    ],
)
def test_bad_runs_are_named(second, says):
    with pytest.raises(ZeroscaleError, match=says):
        compare_laws(grid(LAW), second, bootstrap=0)


def test_unknown_laws_and_budgets_are_refused():
    with pytest.raises(ZeroscaleError, match="law=power is unknown here"):
        compare_laws(grid(LAW), grid(LAW), law="power")
    with pytest.raises(ZeroscaleError, match="above zero"):
        compare_laws(grid(LAW), grid(LAW), budgets=[-1.0])


def write(path, runs):
    columns = list(runs)
    lines = [",".join(columns), *(",".join(map(repr, map(float, row))) for row in zip(*runs.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n")


def test_the_command_compares_two_csvs(zeroscale, tmp_path):
    write(tmp_path / "adam.csv", grid(LAW, noise=0.002))
    write(tmp_path / "other.csv", grid(slower(2.0), noise=0.002, seed=1))
    said = zeroscale(
        "compare",
        "studies=[adam.csv,other.csv]",
        "laws.law=vpnls",
        "laws.bootstrap=200",
        "laws.budgets=[1e20]",
        "out=found",
    ).stdout
    assert "first:  adam (25 runs)" in said and "compute for the first's loss" in said and "paired" in said
    found = json.loads((tmp_path / "found/compare.json").read_text())
    assert found["at"][0]["multiplier"]["low"] < 2.0 < found["at"][0]["multiplier"]["high"]
    assert [set(one) for one in found["parameters"]] == [{"a", "E", "A", "B", "alpha", "beta"}] * 2
    rows = list(csv.DictReader((tmp_path / "found/compare.csv").open()))
    assert [row["quantity"] for row in rows] == ["a", "E", "alpha", "beta", "loss", "multiplier"]
    assert "| loss at C = 1e+20 |" in (tmp_path / "found/compare.md").read_text()


def test_the_command_says_what_it_takes(zeroscale):
    for arguments in ([], ["runs=[a,b]", "studies=[a,b]"]):
        assert "compare takes two of one kind" in zeroscale("compare", *arguments, code=2).stderr
    assert "takes two: studies=[ONE,OTHER]" in zeroscale("compare", "studies=[a.csv]", code=2).stderr


def test_studies_of_other_text_are_told_and_not_paired(tmp_path, disk):
    from zeroscale.scaling.compare.compare_studies import as_text, compare_studies
    from zeroscale.scaling.options import Options

    for name, fingerprint in (("one", "a"), ("other", "b")):
        for i, model in enumerate(("xs", "s", "m", "l")):
            cell = disk.write_cell(tmp_path / name, model, loss=5 - 0.3 * i)
            manifest = json.loads((cell / "manifest.json").read_text())
            (cell / "manifest.json").write_text(json.dumps(manifest | {"corpus": {"fingerprint": fingerprint}}))
    found = compare_studies([tmp_path / "one", tmp_path / "other"], Options(bootstrap=200))
    assert found.laws.law == "compute" and not found.laws.paired
    assert "have another corpus" in found.warnings[0]
    assert found.laws.at[0].multiplier.value == pytest.approx(1.0)
    assert "another corpus" in as_text(found)
    assert not (tmp_path / "one/fit.json").exists()
