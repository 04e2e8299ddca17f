"""L(D), the law over data of one size: fitted to plain numbers as SciPy fits them, and to a study's runs."""

import numpy
import pytest
from scipy.optimize import curve_fit

from zeroscale.core.errors import ZeroscaleError
from zeroscale.scaling import Options, describe, fit_power_law, fit_study
from zeroscale.scaling.fit_schema import LengthLaw, from_json
from zeroscale.scaling.laws.power_law import DATA

BATCH = 2048


def test_the_law_over_data_is_that_of_scipy():
    # Hoffmann et al. 2022's terms at one size: E + A / N^alpha is constant there, B / D^beta falls.
    tokens = numpy.geomspace(1e9, 3e11, 9)
    noise = 0.001 * numpy.random.default_rng(0).standard_normal(9)
    loss = (2.1 + 410.7 / tokens**0.28) * numpy.exp(noise)
    fit = fit_power_law(tokens, loss, bootstrap=500, subject=DATA, delta=1.0)
    # A delta this far above the noise makes the robust objective plain least squares of ln L, which SciPy minimises.
    theta, _ = curve_fit(
        lambda d, floor, log_b, beta: numpy.log(floor + numpy.exp(log_b - beta * numpy.log(d))),
        tokens,
        numpy.log(loss),
        p0=(2.0, 6.0, 0.3),
        xtol=1e-14,
        ftol=1e-14,
    )
    assert fit.form == "L(D) = E + (D_c/D)^beta"
    assert [fit.parameters[name].value for name in ("E", "beta")] == pytest.approx([theta[0], theta[2]], rel=1e-4)
    assert numpy.log(fit.parameters["D_c"].value) == pytest.approx(theta[1] / theta[2], rel=1e-4)
    for name, truth in (("E", 2.1), ("beta", 0.28)):
        assert fit.parameters[name].low < truth < fit.parameters[name].high


def test_a_law_over_data_speaks_of_lengths():
    fit = fit_power_law([1e6, 2e6, 4e6], [4.0, 3.6, 3.3], bootstrap=200, subject=DATA)
    assert set(fit.parameters) == {"beta", "D_c"}
    text = " ".join(fit.warnings)
    assert "Three lengths cannot carry an irreducible term" in text and "beyond the longest run" in text
    assert "The lengths span only a factor of 4 in D" in text and "size" not in text


@pytest.fixture
def lengths(tmp_path, disk):
    """One size, trained on four numbers of tokens, as +sweeps=pocket-wsd does."""

    def write(model="s", floor=3.0):
        for i, steps in enumerate((64, 128, 256, 512)):
            disk.write_cell(
                tmp_path / "wsd",
                model,
                loss=floor + (1e4 / (steps * BATCH)) ** 0.3,
                checkpoints=(steps,),
                results={
                    steps: [disk.result("held_out", {"loss": disk.score(floor + (1e4 / (steps * BATCH)) ** 0.3)})]
                },
                name=f"pocket-{model}-seed0-{i:08x}",
                settings={"trainer.tokens": steps * BATCH},
            )
        return tmp_path / "wsd"

    return write


def test_one_size_at_several_lengths_is_a_law(lengths):
    fit = fit_study(lengths(), bootstrap=200)
    assert fit["laws"] == {} and fit["choice"] is None
    law = fit["data_laws"]["pocket-s"]
    assert law["form"] == "L(D) = (D_c/D)^beta" and law["n_points"] == law["n_runs"] == 4
    assert [length["tokens"] for length in law["lengths"]] == [steps * BATCH for steps in (64, 128, 256, 512)]
    beta = law["parameters"]["beta"]
    assert beta["low"] < beta["value"] < beta["high"]
    assert law["hold_out"]["tokens"] == 512 * BATCH and law["hold_out"]["n_points"] == 3
    assert abs(law["hold_out"]["error"]) < 0.01
    assert law["band"][-1]["tokens"] == pytest.approx(10 * 512 * BATCH)
    assert isinstance(from_json(fit).data_laws["pocket-s"], LengthLaw)
    text = describe(fit)
    assert "wsd: val/loss over D (training tokens) of pocket-s, 131k to 1.05M, 4 lengths, 4 runs" in text
    assert "Hold-out: fitted to the 3 shorter lengths, the law predicts" in text and "at D = 1.05M" in text


def test_several_sizes_have_a_curve_each(lengths):
    lengths()
    fit = fit_study(lengths("m", floor=2.8), law="data", bootstrap=200)
    assert list(fit["data_laws"]) == ["pocket-s", "pocket-m"]
    text = describe(fit)
    assert "  pocket-s: L(D) = (D_c/D)^beta, beta" in text and "  pocket-m: L(D)" in text


def test_a_law_over_data_asked_for_needs_lengths(make_study):
    study = make_study(xs=5.0, s=4.6, m=4.2)
    with pytest.raises(ZeroscaleError, match="no size was trained on 3 numbers of tokens"):
        fit_study(study, law="data", bootstrap=200)
    fit = fit_study(study, options=Options(law=("auto",), bootstrap=200))
    assert fit["data_laws"] == {} and fit["not_fitted"] == []
