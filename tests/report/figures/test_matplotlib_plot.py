"""Formulas of the figures on paper, and the figure of a law over training lengths."""

import pytest

from zeroscale.report.figures.matplotlib_plot import mathtext
from zeroscale.report.sweep.length_plots import lengths
from zeroscale.scaling.fit_schema import BandPoint, FitFile, HoldOut, LengthLaw, SizeMean


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("training tokens, D", "training tokens, $D$"),
        ("compute, C (FLOPs)", "compute, $C$ (FLOPs)"),
        ("L(N) = (N_c/N)^alpha", r"$L(N) = (N_c/N)^{\alpha}$"),
        ("L(D) = E + (D_c/D)^β", r"$L(D) = E + (D_c/D)^{\beta}$"),
        ("3 × 10¹⁸", r"$3 \times 10^{18}$"),
        ("10⁻³", "$10^{-3}$"),
        ("5 $ a token, Daniel", r"5 \$ a token, Daniel"),
    ],
)
def test_formulas_and_powers_become_mathematics(text, shown):
    assert mathtext(text) == shown


def test_a_law_over_lengths_is_dashed_beyond_the_data():
    band = [BandPoint(tokens=1e6 * 2**i, low=3.9 - 0.1 * i, value=4 - 0.1 * i, high=4.1 - 0.1 * i) for i in range(6)]
    means = [SizeMean(tokens=1e6 * 2**i, loss=4 - 0.1 * i) for i in range(3)]
    held = HoldOut(tokens=4e6, predicted=3.81, low=3.7, high=3.9, measured=3.8)
    law = LengthLaw(form="L(D) = (D_c/D)^beta", lengths=tuple(means), band=tuple(band), hold_out=held)
    (plot,) = lengths(FitFile(data_laws={"pocket-s": law}))
    solid, dashed = [layer for layer in plot.layers if layer.kind == "line"]
    assert solid.x == [1e6, 2e6, 4e6] and solid.name == "L(D) = (D_c/D)^β"
    assert dashed.x == [4e6, 8e6, 16e6, 32e6] and dashed.dash == "dash"
    assert [layer.symbol for layer in plot.layers if layer.kind == "points"] == ["circle", "diamond"]


def test_without_lengths_there_is_no_figure():
    assert lengths(None) == [] and lengths(FitFile()) == []
