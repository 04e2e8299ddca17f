"""The verdict, the hold-out and the warnings say what fit.json and the ledger say."""

import pytest
from support import study_fixture
from support.law_fixture import refit
from support.study_fixture import SIZES, loss_of

from zeroscale.report.figures import plotly_panels
from zeroscale.report.views import size_law
from zeroscale.report.views.study import read_study


def law_of(fit):
    return fit["laws"]["val/loss"]


@pytest.fixture
def small(tmp_path):
    """`small(fit=…)` writes a short study and reads it."""

    def made(**options):
        return read_study(study_fixture.write_study(tmp_path / "pocket", n_steps=10, scored=False, **options))

    return made


def test_points_are_the_ledgers_and_failed_runs_are_none(study):
    read = size_law.read_law(read_study(study))
    assert [(run, n) for run, n, _ in read.points] == list(SIZES.items())
    assert [loss for _, _, loss in read.points] == pytest.approx([loss_of(n) for n in SIZES.values()])


def test_the_verdict_names_sizes_losses_exponent_and_interval(study):
    assert size_law.verdict(size_law.read_law(read_study(study))) == (
        "Four sizes, 25.6\u00a0K to 1.64\u00a0M parameters: validation loss falls from 4.44 to 3.05 nats, "
        "as L\u00a0∼\u00a0N^{−α} with α = 0.090 (95\u00a0% interval 0.081 to 0.099)."
    )


def test_an_exponent_that_may_be_zero_is_no_law(small):
    alpha = {"value": 0.023, "low": -0.0152, "high": 0.0548}
    shown = size_law.read_law(refit(small(), lambda fit: law_of(fit)["parameters"].update(alpha=alpha)))
    assert size_law.verdict(shown).endswith(
        "falls from 4.44 to 3.05 nats, but the data do not show a power law: the exponent α of L\u00a0∼\u00a0N^{−α} "
        "is 0.023, and its 95\u00a0% interval, −0.015 to 0.055, includes zero."
    )
    worse = [*shown.points[:3], ("pocket-l", 1_638_400, 4.0)]
    text = size_law.verdict(size_law.Law(worse, parameters=shown.parameters))
    assert "is no better than the size below. The data do not show a power law: the exponent" in text


def test_the_form_is_in_letters():
    assert size_law.Law([], form="L(N) = E + (N_c/N)^alpha").shown_form == "L(N) = E + (N_c/N)^{α}"


def test_labels_keep_off_the_curve_and_the_edge():
    band = [(10.0**i, None, 5.0 - 0.1 * i, None) for i in range(4, 9)]
    points = [("a", 1e4, 4.5), ("b", 1e5, 4.6), ("c", 1e6, 4.3), ("a-very-long-name-of-a-run", 1e7, 4.4)]
    sides = plotly_panels.label_sides(size_law.Law(points, band=band))
    assert sides == [("bottom", "right"), ("top", "right"), ("bottom", "left"), ("top", "left")]


def test_an_irreducible_term_is_named(small):
    irreducible = {"value": 1.7, "low": 1.2, "high": 2.0}
    read = refit(small(), lambda fit: law_of(fit)["parameters"].update(E=irreducible))
    assert "as L − 1.70 ∼ N^{−α} with α = 0.090" in size_law.verdict(size_law.read_law(read))


def test_without_a_fit_the_points_stand_and_the_way_to_make_one_is_said(small):
    read = size_law.read_law(small(fit=False))
    assert len(read.points) == 4 and not read.band and read.hold_out is None
    assert "zeroscale fit runs=" in read.warnings[0]
    assert size_law.verdict(read).endswith("from 4.44 to 3.05 nats.")


def test_a_fit_older_than_the_study_is_told(small):
    read = refit(small(), lambda fit: law_of(fit)["points"].pop())
    assert "does not know pocket-l" in size_law.read_law(read).warnings[0]


def test_a_fit_to_other_losses_is_told(small):
    read = small()
    loss = read.fit.laws["val/loss"].points[1].loss
    read = refit(read, lambda fit: law_of(fit)["points"][1].update(loss=loss + 0.1))
    assert "the loss is another now for pocket-s" in size_law.read_law(read).warnings[0]


def test_runs_that_the_fit_left_out_by_a_rule_are_no_surprise(small):
    def leave_out(fit):
        law_of(fit)["points"].pop()
        fit["left_out"] = [{"cell": "pocket-l", "steps": [], "rule": "same size, tokens and seed as another"}]

    shown = size_law.read_law(refit(small(), leave_out))
    assert "pocket-l" not in " ".join(shown.warnings)
    assert len(shown.points) == 3


def test_the_axis_says_which_count_of_parameters_the_fit_used(small):
    def count_embeddings(fit):
        law_of(fit)["variable"] = "params"
        for point in law_of(fit)["points"]:
            point["params"] = 2 * point["params_non_embedding"]

    read = refit(small(), count_embeddings)
    figure = plotly_panels.law(size_law.read_law(read), {name: i for i, name in enumerate(SIZES)})
    assert figure["layout"]["xaxis"]["title"]["text"] == "parameters with embeddings, N"
    assert min(x for trace in figure["data"] for x in trace["x"] if "marker" in trace) == 51_200


def test_what_the_fit_command_writes_is_understood(small):
    """The real fit of the made-up study finds the law behind it, and the report shows that fit."""
    from zeroscale.scaling.fit import fit_study

    read = small(fit=False)
    fit_study(read.directory, bootstrap=200)
    shown = size_law.read_law(read_study(read.directory))
    assert shown.parameters["alpha"][0] == pytest.approx(0.09, rel=1e-3)
    assert [point[0] for point in shown.points] == list(SIZES)
    assert shown.hold_out.run == "pocket-l" and shown.hold_out.predicted == pytest.approx(
        shown.hold_out.measured, rel=1e-3
    )
    assert shown.band and shown.method and shown.warnings


def test_a_larger_size_that_is_worse_is_told():
    points = [("a", 1e4, 4.0), ("b", 1e5, 4.2), ("c", 1e6, 3.5)]
    text = size_law.verdict(size_law.Law(points))
    assert "not with every size: 100\u00a0K is no better" in text


def test_a_study_with_no_finished_run_has_a_verdict():
    assert "No run of this study has finished" in size_law.verdict(size_law.Law([]))


def test_the_hold_out_is_in_words(study):
    sentence = size_law.hold_out_sentence(size_law.read_law(read_study(study)))
    assert sentence == (
        "Predicted from the smaller sizes, pocket-l should reach 3.09 (2.99 to 3.21); it reached 3.05, "
        "inside the interval: the prediction was 1.2\u00a0% too high."
    )


def test_a_band_beyond_all_measure_does_not_flatten_the_figure(small):
    def widen(fit):
        for point in law_of(fit)["band"]:
            point["low"], point["high"] = 1e-30, 1e30

    read = refit(small(), widen)
    figure = plotly_panels.law(size_law.read_law(read), {name: i for i, name in enumerate(SIZES)})
    low, high = figure["layout"]["yaxis"]["range"]
    assert 10**low > 2.5 and 10**high < 5.5
