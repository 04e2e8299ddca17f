"""The laws over size and data on the page: figures, tables and doubts say what fit.json says."""

import json
import math
import shutil
from pathlib import Path

import numpy
import pytest
from support import law_fixture, study_fixture

from zeroscale.report.figures import law_plots, optimum_plots
from zeroscale.report.figures.plotly_plot import figure as plotly_figure
from zeroscale.report.sections import scaling_laws
from zeroscale.report.tables import law_tables
from zeroscale.report.views import size_law
from zeroscale.report.views.study import read_study

TRUE = law_fixture.BETA / (law_fixture.ALPHA + law_fixture.BETA)
# Of the laws alone; on the page the training curves' envelope and the exponent by convention stand among them.
FIGURES = ["isoflop", "optimal_size", "optimal_tokens", "surface", "residuals", "left_out"]
ON_PAGE = ["optimal_size", "optimal_tokens", "envelope", "surface", "residuals", "left_out", "conventions", "law"]


@pytest.fixture(scope="module")
def folder(isoflop):
    return isoflop


@pytest.fixture(scope="module")
def read(folder):
    return read_study(folder)


@pytest.fixture(scope="module")
def laws(read):
    return scaling_laws.laws_of(read)


@pytest.fixture(scope="module")
def written(folder):
    """(the report's folder, what its page shows)."""
    report = folder / "report"
    text = (report / "data.js").read_text(encoding="utf-8")
    return report, json.loads(text.removeprefix("window.zeroscale = ").removesuffix(";\n"))


def test_every_figure_is_on_the_page_and_on_paper(laws, written):
    report, page = written
    assert [plot.name for plot in law_plots.plots(laws)] == FIGURES
    (section,) = page["laws"]
    assert section["first"]["name"] == "isoflop"
    assert [entry["name"] for entry in section["figures"]] == ON_PAGE
    for name in ["isoflop", *ON_PAGE]:
        for kind in ("png", "svg"):
            assert (report / f"figures/{name}.{kind}").stat().st_size > 4_000, name


def test_plotly_accepts_every_law_figure(laws):
    from plotly import graph_objects

    for plot in law_plots.plots(laws):
        figure = plotly_figure(plot)
        graph_objects.Figure({"data": figure["data"], "layout": figure["layout"]})
        for axis in figure.get("axes", {}).values():
            graph_objects.layout.XAxis(axis)


def test_the_parabolas_pass_through_their_minima_and_runs(laws):
    plot = law_plots.isoflop(laws["isoflop"])
    stars = [layer for layer in plot.layers if layer.symbol == "star"]
    lines = [layer for layer in plot.layers if layer.kind == "line"]
    budgets = laws["isoflop"].diagnostics.budgets
    assert len(stars) == sum(budget.used for budget in budgets) >= 4
    for star, budget in zip(stars, [budget for budget in budgets if budget.used], strict=True):
        assert star.low[0] < star.x[0] == budget.params.value < star.high[0]
        line = next(layer for layer in lines if min(layer.y) == pytest.approx(star.y[0], abs=2e-3))
        assert min(line.x) < star.x[0] < max(line.x)
        assert line.y[0] > star.y[0] and line.y[-1] > star.y[0]
    points = [layer for layer in plot.layers if layer.kind == "points" and layer.hover and layer.symbol != "star"]
    assert sum(len(layer.x) for layer in points) == len(read_points(laws))


def read_points(laws):
    return [*laws["isoflop"].points, *laws["isoflop"].left_out]


def test_runs_that_a_parabola_leaves_out_are_open_and_say_why(read):
    def leave_out(fit):
        law = fit["laws"]["isoflop"]
        run = law["points"].pop(0)
        for budget in law["diagnostics"]["budgets"]:
            budget["runs"] = [name for name in budget["runs"] if name != run["name"]]
        measured = {key: run[key] for key in ("params", "tokens", "flops", "loss")}
        law["left_out"].append({"cell": run["name"], "rule": "too far", **measured})

    plot = law_plots.isoflop(scaling_laws.laws_of(law_fixture.refit(read, leave_out))["isoflop"])
    shown = [layer for layer in plot.layers if layer.symbol == "circle-open" and layer.hover]
    assert [layer.x for layer in shown][-1]
    assert any("left out: too far" in text for layer in shown for text in layer.hover)


def test_the_line_through_the_optima_has_its_band(laws):
    plot = law_plots.optima(laws)
    band = next(layer for layer in plot.layers if layer.kind == "band")
    line = next(layer for layer in plot.layers if layer.kind == "line")
    slope = math.log(line.y[-1] / line.y[0]) / math.log(line.x[-1] / line.x[0])
    assert slope == pytest.approx(laws["isoflop"].parameters["a"].value, rel=1e-9)
    assert all(low < value < high for low, value, high in zip(band.low, line.y, band.high, strict=True))
    assert {layer.name for layer in plot.layers if layer.name} >= {"isoFLOP (approach 2)", "chinchilla (approach 3)"}


def test_the_surfaces_curves_are_the_laws_and_lie_above_the_frontier(laws):
    fitted = laws["chinchilla"]
    plot = law_plots.surface_curves("chinchilla", fitted)
    frontier = next(layer for layer in plot.layers if layer.kind == "line" and layer.ink == "text")
    for layer in [layer for layer in plot.layers if layer.kind == "line" and layer.ink == "ramp"]:
        for c, loss in zip(layer.x, layer.y, strict=True):
            i = min(range(len(frontier.x)), key=lambda j: abs(math.log(frontier.x[j] / c)))
            assert loss > frontier.y[i] - 0.12
    run = fitted.points[0]
    curve = law_plots._loss_of(fitted)
    assert curve(run.params, run.flops) == pytest.approx(run.fitted, rel=1e-3)


def test_residuals_can_be_seen_over_size_data_and_compute(laws):
    plot = law_plots.residuals("chinchilla", laws["chinchilla"])
    assert list(plot.other_x) == ["parameters", "tokens", "compute"]
    points = [layer for layer in plot.layers if layer.kind == "points"]
    assert sum(len(layer.x) for layer in points) == laws["chinchilla"].n_points
    for layer in points:
        assert layer.other_x["parameters"] == layer.x and set(layer.other_x) == set(plot.other_x)
    top = max(abs(y) for layer in points for y in layer.y)
    assert top == pytest.approx(100 * max(abs(math.expm1(run.log_residual)) for run in laws["chinchilla"].points))


def test_the_verdict_is_the_exponent_with_its_interval(read, written):
    _, page = written
    exponent = read.fit.laws["isoflop"].parameters["a"]
    assert exponent.low < TRUE < exponent.high
    assert f"a = {exponent.value:.3f}" in page["verdict"] and "by isoFLOP (approach 2)" in page["verdict"]
    assert page["facts"][2]["label"] == "exponent a, best size over compute" and page["facts"][3]["value"]
    assert page["hold_out"] is None


def test_laws_that_disagree_are_said_to(read):
    exponents = {"N_opt": {"value": 0.8, "low": 0.75, "high": 0.85}}
    changed = law_fixture.refit(read, lambda fit: fit["laws"]["vpnls"]["exponents"].update(exponents))
    assert scaling_laws.verdict(changed).endswith("; vpnls does not agree with it.")


def test_tables_hold_parameters_optima_conventions_hold_outs_and_correlations(read):
    tables = {law.title: law.table for law in law_tables.tables(read.fit)}
    assert list(tables) == [
        "Parameters",
        "What to train with a budget",
        "How the exponent moves with what is counted",
        "Predicted before it was seen",
        "Correlation of the parameters",
    ]
    for table in tables.values():
        assert all(len(row) == len(table.columns) for row in table.rows)
    first = tables["Parameters"].rows[0]
    fitted = read.fit.laws["chinchilla"]
    assert first[0].text == "chinchilla"
    assert first[2].sort == fitted.parameters["E"].value and " to " in first[2].note
    counted = {(row[1].text, row[2].text) for row in tables["How the exponent moves with what is counted"].rows}
    assert ("without embeddings", "6 N D") in counted and len({n for n, _ in counted}) == 3
    held = tables["Predicted before it was seen"].rows[0]
    assert held[1].text == "the largest, from the smaller ones" and held[4].note in ("inside", "outside")


def test_doubts_carry_every_warning_and_what_was_not_fitted(read, written):
    _, page = written
    shown = {entry["law"]: entry for entry in page["laws"][0]["doubts"]}
    for name, fitted in read.fit.laws.items():
        label = law_plots.LAW_LABELS.get(name, f"{name} over size alone")
        assert shown[label]["warnings"] == list(fitted.warnings), name
    assert "starts reached the best optimum" in shown["chinchilla (approach 3)"]["how"]
    changed = law_fixture.refit(read, lambda fit: fit.update(not_fitted=[{"law": "envelope", "reason": "too few"}]))
    order = {run.name: i for i, run in enumerate(read.runs)}
    section = scaling_laws.describe(changed, size_law.read_law(changed), order)
    assert section["not_fitted"] == [{"law": "envelope (approach 1)", "reason": "too few"}]


def test_a_study_without_such_laws_has_no_such_section(tmp_path):
    view = read_study(study_fixture.write_study(tmp_path / "pocket", n_steps=10, scored=False))
    assert scaling_laws.describe(view, size_law.read_law(view), {}) is None
    assert scaling_laws.verdict(view) is None and scaling_laws.facts(view) == []


@pytest.mark.parametrize(
    "missing", ["frontier", "diagnostics", "points", "parameters", "leave_one_out", "flops", "hold_out"]
)
def test_an_older_fit_lacks_a_figure_and_nothing_breaks(folder, missing):
    def remove(fit):
        for law in fit["laws"].values():
            law.pop(missing, None)

    old = law_fixture.refit(read_study(folder), remove)
    section = scaling_laws.describe(old, size_law.read_law(old), {run.name: i for i, run in enumerate(old.runs)})
    assert section["tables"] and law_tables.doubts(old.fit)


def test_laws_without_intervals_are_shown_without(folder, tmp_path):
    """Three sizes for each budget: every parabola goes through its points, and nothing is known of the error."""

    def bare(value):
        if isinstance(value, dict):
            return {
                key: None if key in ("low", "high", "intervals", "correlation") else bare(entry)
                for key, entry in value.items()
            }
        return [bare(entry) for entry in value] if isinstance(value, list) else value

    study = Path(shutil.copytree(folder, tmp_path / "isoflop", ignore=shutil.ignore_patterns("report")))
    (study / "fit.json").write_text(json.dumps(bare(json.loads((study / "fit.json").read_text()))))
    view = read_study(study)
    section = scaling_laws.describe(view, size_law.read_law(view), {run.name: i for i, run in enumerate(view.runs)})
    assert [entry["name"] for entry in section["figures"]] == ON_PAGE
    assert "No intervals." in section["doubts"][0]["how"]
    assert not any(layer.kind == "band" for layer in law_plots.optima(scaling_laws.laws_of(view)).layers)
    assert "no interval" in scaling_laws.facts(view)[0]["note"]


def test_the_section_is_drawn_in_a_browser(written, open_page):
    report, page = written
    shown = open_page(report / "index.html")
    assert shown.faults == [] and {url.split(":")[0] for url in shown.requests} <= {"file", "data"}
    marks = shown.eval_on_selector_all(
        "#law-figure, #laws .plot", "(all) => all.map((one) => one.querySelectorAll('.trace path').length)"
    )
    assert len(marks) == 1 + len(page["laws"][0]["figures"]) and min(marks) >= 4
    assert "How far to trust them" in shown.inner_text("#laws-doubts")
    title = "document.querySelectorAll('#laws .law-plot')[4]._fullLayout.xaxis.title.text"
    assert shown.evaluate(title) == "parameters, N"
    shown.click("#laws .controls button:text-is('tokens')")
    assert shown.evaluate(title) == "training tokens, D"
    for width in (390, 800):
        shown.set_viewport_size({"width": width, "height": 860})
        shown.wait_for_timeout(300)
        assert shown.evaluate("document.documentElement.scrollWidth") <= width


def test_html_in_a_fit_is_text(folder, tmp_path, open_page, write_page):
    study = Path(shutil.copytree(folder, tmp_path / "isoflop", ignore=shutil.ignore_patterns("report")))
    path = study / "fit.json"
    fit = json.loads(path.read_text())
    fit["laws"]["isoflop"]["warnings"].append(study_fixture.HOSTILE)
    fit["laws"]["isoflop"]["points"][0]["name"] = study_fixture.HOSTILE
    fit["not_fitted"].append({"law": study_fixture.HOSTILE, "reason": "<b>no</b>"})
    path.write_text(json.dumps(fit))
    shown = open_page(write_page(study))
    assert shown.faults == [] and shown.evaluate("window.hacked") is None
    assert shown.evaluate("document.querySelectorAll('main script, main img, main b').length") == 0
    assert "<b>no</b>" in shown.inner_text("#laws-doubts")


def test_the_best_data_follow_from_the_best_size(laws):
    size, tokens = law_plots.optima(laws), law_plots.optima(laws, "tokens")
    lines = [next(layer for layer in plot.layers if layer.kind == "line") for plot in (size, tokens)]
    for c, n, d in zip(lines[0].x, lines[0].y, lines[1].y, strict=True):
        assert 6 * n * d == pytest.approx(c, rel=1e-3)
    assert {layer.symbol for layer in tokens.layers if layer.kind == "points"} == {"star"}


def test_the_envelope_is_the_lowest_of_the_training_curves(read):
    plot = law_plots.envelope(read.runs)
    lowest = next(layer for layer in plot.layers if layer.name)
    curves = [layer for layer in plot.layers if layer.kind == "line" and not layer.name]
    assert len(curves) == len(read.runs)
    for curve in curves:
        under = numpy.exp(numpy.interp(numpy.log(curve.x), numpy.log(lowest.x), numpy.log(lowest.y)))
        assert (under <= 1.05 * numpy.array(curve.y)).all()
    assert min(lowest.y) == pytest.approx(min(min(curve.y) for curve in curves), rel=0.01)
    assert law_plots.envelope([run for run in read.runs if run.label.startswith("n96000")]) is None


def test_the_exponent_by_convention_has_a_line_for_each_row(read):
    plot = optimum_plots.by_convention(read.fit)
    (points,) = plot.layers
    rows = [row for row in read.fit.by_convention if row.exponent]
    assert points.x == [row.exponent.value for row in rows] and points.low[0] == rows[0].exponent.low
    at, texts = plot.y.ticks()
    assert texts[at.index(points.y[0])] == "chinchilla: N without embeddings, C 6 N D"
    assert optimum_plots.by_convention(None) is None


def test_every_run_in_a_law_figure_can_be_asked_for(laws, read):
    names = {run.name for run in read.runs}
    for plot in law_plots.plots(laws):
        for layer in plot.layers:
            assert set(layer.runs) <= names, plot.name
            assert len(layer.runs) in (0, len(layer.x))
    assert any(layer.runs for layer in law_plots.isoflop(laws["isoflop"]).layers)
