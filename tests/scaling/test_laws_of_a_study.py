"""fit.json with laws over size and data: from a CSV and from a study, which runs they rest on, and what they say."""

import json

import numpy
import pytest

from zeroscale.core.errors import ZeroscaleError
from zeroscale.scaling import Options, Surface, describe, fit_study
from zeroscale.scaling.options import COLUMNS

LAW = Surface.of(E=1.69, A=406.4, B=410.7, alpha=0.34, beta=0.28)
TRUE = 0.28 / 0.62


def isoflop(budgets=4, sizes=5, noise=0.002):
    flops = numpy.repeat(numpy.geomspace(1e18, 1e21, budgets), sizes)
    n = LAW.optimal_params(flops) * numpy.tile(numpy.geomspace(0.4, 2.5, sizes), budgets)
    d = flops / (6 * n)
    loss = LAW(n, d) * numpy.exp(noise * numpy.random.default_rng(0).standard_normal(len(n)))
    return [dict(params=float(a), tokens=float(b), loss=float(c)) for a, b, c in zip(n, d, loss, strict=True)]


def write(path, rows, rename=None):
    names = list(rows[0])
    lines = [",".join((rename or {}).get(name, name) for name in names)]
    lines += [",".join(repr(row[name]) for name in names) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """law=all on made-up isoFLOP runs: (fit.json as written, what the command prints)."""
    n, flops = (axis.ravel() for axis in numpy.meshgrid(numpy.geomspace(3e7, 6e9, 12), numpy.geomspace(1e18, 1e21, 7)))
    near = numpy.abs(numpy.log(n / LAW.optimal_params(flops))) < 1.3
    n, d = n[near], (flops / (6 * n))[near]
    losses = LAW(n, d) * numpy.exp(0.002 * numpy.random.default_rng(0).standard_normal(len(n)))
    rows = [dict(params=float(a), tokens=float(b), loss=float(c)) for a, b, c in zip(n, d, losses, strict=True)]
    path = write(tmp_path_factory.mktemp("csv") / "mine.csv", rows)
    out = path.with_name("fit.json")
    fit = fit_study(path, out, law="all", bootstrap=200)
    written = json.loads(out.read_text(), parse_constant=lambda name: pytest.fail(f"{name} in fit.json"))
    assert written == json.loads(json.dumps(fit))
    return written, describe(fit)


def test_every_law_says_what_the_issue_of_a_law_needs(everything):
    fit, _ = everything
    assert list(fit["laws"]) == ["power", "chinchilla", "vpnls", "isoflop", "envelope", "kaplan"]
    for name, law in fit["laws"].items():
        assert law["n_points"] > 0 and law["objective"] >= 0 and isinstance(law["warnings"], list), name
        for estimate in law["parameters"].values():
            assert set(estimate) == {"value", "low", "high"}
    assert [entry["law"] for entry in fit["not_fitted"]] == ["benchmarks"]


def test_the_surface_has_its_parameters_and_its_doubts(everything):
    fit, _ = everything
    for name in ("chinchilla", "vpnls"):
        law = fit["laws"][name]
        assert list(law["parameters"]) == ["E", "A", "B", "alpha", "beta"]
        for parameter, estimate in law["parameters"].items():
            assert estimate["low"] < getattr(LAW, parameter) < estimate["high"], parameter
        assert law["exponents"]["N_opt"]["low"] < TRUE < law["exponents"]["N_opt"]["high"]
        assert len(law["points"]) == law["n_points"] > 30
        point = law["points"][0]
        assert point["log_residual"] == pytest.approx(numpy.log(point["loss"] / point["fitted"]))
        assert law["hold_out"]["predicted"] == pytest.approx(law["hold_out"]["measured"], rel=0.02)
        assert len(law["leave_one_out"]) == law["n_sizes"] == 12
        assert law["diagnostics"]["converged"]
        assert law["compute_optimal"][0]["flops"] == pytest.approx(1e21)
        best = law["compute_optimal"][1]
        assert best["params"]["low"] < LAW.optimal_params(1e22) < best["params"]["high"]
        assert best["tokens"]["low"] < LAW.optimal_tokens(1e22) < best["tokens"]["high"]
    found = fit["laws"]["chinchilla"]["diagnostics"]
    assert found["starts"] == 4500 and 0.05 < found["share_of_starts"] < 1
    assert found["correlation"]["alpha"]["beta"] == found["correlation"]["beta"]["alpha"]


def test_the_isoflop_curves_are_written_for_the_report(everything):
    fit, _ = everything
    budgets = fit["laws"]["isoflop"]["diagnostics"]["budgets"]
    assert len(budgets) == 7
    for one in budgets:
        assert one["used"] and one["reason"] is None and one["curvature"] > 0
        assert one["params"]["low"] < one["params"]["value"] < one["params"]["high"]
        assert 1 < one["loss"] < 5 and len(one["runs"]) <= 7


def test_the_words_name_laws_intervals_and_doubts(everything):
    _, text = everything
    for said in (
        "chinchilla (approach 3), ",
        "starts reached the optimum",
        "isoflop (approach 2)",
        "Compute-optimal at C = 1e+22: N = ",
        "Hold-out: fitted to the smaller sizes",
        "left out in turn: largest error",
        "Not fitted: benchmarks",
        "Warning (kaplan)",
    ):
        assert said in text
    assert "nan" not in text


def test_auto_fits_laws_over_data_only_where_there_are_data(tmp_path):
    ladder = [dict(params=10.0**k, tokens=2e9, loss=1.7 + 10 ** (-0.3 * (k - 6))) for k in range(6, 11)]
    fit = fit_study(write(tmp_path / "ladder.csv", ladder), bootstrap=200)
    assert list(fit["laws"]) == ["power"] and fit["not_fitted"] == []
    fit = fit_study(write(tmp_path / "both.csv", isoflop()), bootstrap=200)
    assert {"chinchilla", "vpnls", "isoflop", "kaplan"} <= set(fit["laws"])


def test_a_law_asked_for_by_name_is_an_error_where_it_cannot_be_fitted(tmp_path):
    ladder = [dict(params=10.0**k, tokens=2e9, loss=8.0 - k / 2) for k in range(6, 13)]
    path = write(tmp_path / "ladder.csv", ladder)
    with pytest.raises(ZeroscaleError, match=r"one token count only.*law=power"):
        fit_study(path, law="chinchilla")
    with pytest.raises(ZeroscaleError, match="needs two budgets"):
        fit_study(path, law=["power", "isoflop"], bootstrap=200)
    with pytest.raises(ZeroscaleError, match="law=hinchilla is unknown: use auto, all, or some of power"):
        fit_study(path, law="hinchilla")
    assert not list(tmp_path.glob("*.json"))
    fit = fit_study(path, law="all", bootstrap=200)
    assert "one token count only" in next(e["reason"] for e in fit["not_fitted"] if e["law"] == "chinchilla")


def test_runs_are_left_out_by_rules_that_are_written_down(tmp_path):
    rows = isoflop()
    rows[3]["loss"] = 9.0
    path = write(tmp_path / "mine.csv", rows)
    options = Options(law=("vpnls",), bootstrap=100, keep={"loss": (None, 5.0)}, leave_out=["row 2"])
    fit = fit_study(path, options=options)
    assert {entry["cell"]: entry["rule"] for entry in fit["left_out"]} == {
        "row 2": "left out by leave_out",
        "row 5": "its loss is outside keep.loss (any to 5)",
    }
    assert fit["laws"]["vpnls"]["n_points"] == len(rows) - 2
    assert fit["options"]["keep"] == {"loss": [None, 5.0]} and fit["options"]["leave_out"] == ["row 2"]
    text = describe(fit)
    assert "Left out: row 2: left out by leave_out." in text and "row 5: its loss is outside keep.loss" in text
    with pytest.raises(ZeroscaleError, match="leave_out names row 99, which is no run here"):
        fit_study(path, options=Options(leave_out=["row 99"]))
    with pytest.raises(ZeroscaleError, match=r"keep\.flops cannot be applied: row 2 has no flops"):
        fit_study(path, options=Options(keep={"flops": (1e18, None)}))


def test_other_names_of_columns_are_taken_only_when_they_are_given(tmp_path):
    rows = isoflop()
    path = write(tmp_path / "theirs.csv", rows, {"params": "N", "tokens": "Training Tokens", "loss": "L"})
    with pytest.raises(
        ZeroscaleError, match=r"no column params .* as in columns.params=N columns.tokens='Training Tok"
    ):
        fit_study(path)
    names = {**COLUMNS, "params": "N", "tokens": "Training Tokens", "loss": "L"}
    fit = fit_study(path, options=Options(law=("vpnls",), bootstrap=100, columns=names))
    assert fit["laws"]["vpnls"]["n_points"] == len(rows)


def test_tokens_can_come_from_flops_where_that_is_said(tmp_path):
    rows = isoflop()
    for row in rows:
        row["C"] = 6 * row["params"] * row.pop("tokens")
    path = write(tmp_path / "theirs.csv", rows)
    with pytest.raises(ZeroscaleError, match="no column tokens"):
        fit_study(path)
    names = {**COLUMNS, "flops": "C", "tokens": None}
    law = fit_study(path, options=Options(law=("vpnls",), bootstrap=100, columns=names))["laws"]["vpnls"]
    assert law["points"][0]["tokens"] == pytest.approx(isoflop()[0]["tokens"])


def test_budgets_are_those_asked_for(tmp_path):
    path = write(tmp_path / "mine.csv", isoflop())
    fit = fit_study(path, options=Options(law=("vpnls", "isoflop"), bootstrap=100, budgets=(1e23, 1e24)))
    for law in fit["laws"].values():
        assert [one["flops"] for one in law["compute_optimal"]] == [1e23, 1e24]


def test_exact_flops_are_shown_beside_six_nd(tmp_path):
    rows = isoflop()
    for row in rows:
        row["flops"] = 6 * row["params"] * row["tokens"] * (row["params"] / 1e9) ** -0.1
    path = write(tmp_path / "mine.csv", rows)
    fit = fit_study(path, law="chinchilla", bootstrap=200)
    by = {row["flops"]: row["exponent"]["value"] for row in fit["by_convention"]}
    alpha, beta = (fit["laws"]["chinchilla"]["parameters"][name]["value"] for name in ("alpha", "beta"))
    assert by["6nd"] == pytest.approx(beta / (alpha + beta))
    assert by["exact"] == pytest.approx(beta / (alpha + 0.9 * beta), rel=1e-6)
    assert fit["laws"]["chinchilla"]["flops"]["counted"] == "exact"
    assert "How a of N_opt ~ C^a moves" in describe(fit)
    del rows[0]["flops"]
    for row in rows[1:]:
        row.pop("flops")
    with pytest.raises(ZeroscaleError, match="flops=exact, but row 2 has no FLOPs"):
        fit_study(write(tmp_path / "bare.csv", rows), options=Options(flops="exact"))


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("355,2e10,3.0", "row 5, params is 355, which looks like millions"),
        ("3e8,2e10,3.0,1e2", "row 5, flops is 100, .* give FLOPs"),
    ],
)
def test_one_row_in_another_unit_is_named(tmp_path, row, says):
    path = tmp_path / "mine.csv"
    flops = "," if row.count(",") == 2 else ""
    path.write_text(
        f"params,tokens,loss,flops\n1e8,2e9,4.0,\n1e8,2e10,3.5,\n2e8,2e9,3.6,\n{row}{flops}\n2e8,2e11,3.1,\n"
    )
    with pytest.raises(ZeroscaleError, match=says):
        fit_study(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("124e6,2.5,4.5\n355e6,10,4.1\n", r"tokens is at most 10 \(row 3\), which looks like millions"),
        ("124000,2.5e12,4.5\n355000,1e12,4.1\n", "tokens for each parameter"),
        ("124e6,2.5e9,90\n355e6,1e10,60\n", "looks like a perplexity"),
    ],
)
def test_units_that_look_wrong_are_refused(tmp_path, text, says):
    path = tmp_path / "mine.csv"
    path.write_text("params,tokens,loss\n" + text)
    with pytest.raises(ZeroscaleError, match=says):
        fit_study(path)


def held_out(disk, loss):
    return disk.result("held_out", {"loss": disk.score(loss)}, protocol="corpus")


@pytest.fixture
def grid_study(tmp_path, disk):
    """Four sizes, and of each the losses of a law at four checkpoints."""
    from zeroscale.model.flops import params

    study = tmp_path / "grid"
    law = Surface.of(E=1.5, A=30.0, B=2000.0, alpha=0.3, beta=0.6)
    for model, shape in (("xs", (2, 32)), ("s", (2, 64)), ("m", (3, 112)), ("l", (5, 176))):
        n = params(n_layer=shape[0], d_model=shape[1], vocab_size=1000, n_positions=128).non_embedding
        results = {step: [held_out(disk, float(law(n, step * 2048)))] for step in (64, 128, 256, 512)}
        disk.write_cell(study, model, checkpoints=(64, 128, 256, 512), results=results)
    return study


def test_a_studys_laws_over_data_rest_on_its_checkpoints_where_that_is_asked(grid_study):
    fit = fit_study(grid_study, bootstrap=100)
    assert list(fit["laws"]) == ["val/loss"]  # one last checkpoint of each size: one token count
    options = Options(law=("vpnls",), bootstrap=100, checkpoints="all")
    fit = fit_study(grid_study, options=options)
    # The law over size stays: the report stands on it.
    assert list(fit["laws"]) == ["val/loss", "vpnls"]
    law = fit["laws"]["vpnls"]
    assert law["n_points"] == 16
    assert law["parameters"]["E"]["value"] == pytest.approx(1.5, rel=1e-5)
    assert fit["laws"]["val/loss"]["n_points"] == 4


def test_a_study_shows_how_its_exponent_moves_with_the_count(grid_study):
    fit = fit_study(grid_study, options=Options(law=("chinchilla",), bootstrap=100, checkpoints="all"))
    rows = {(row["convention"], row["flops"]): row["exponent"]["value"] for row in fit["by_convention"]}
    assert set(rows) == {(c, f) for c in ("non_embedding", "total", "matmul") for f in ("6nd", "exact")}
    assert rows["non_embedding", "6nd"] == pytest.approx(0.6 / 0.9, rel=1e-4)
    assert len({round(value, 3) for value in rows.values()}) > 3


def test_benchmarks_get_a_law_of_loss_and_a_curve_to_accuracy(tmp_path, disk):
    study = tmp_path / "scored"
    for i, model in enumerate(("xs", "s", "m", "l")):
        loss = 4.5 - 0.4 * i
        accuracy = 0.25 + 0.75 / (1 + numpy.exp(2 * (loss - 3.5)))
        score = {**disk.score(float(accuracy)), "higher_is_better": True, "chance": 0.25}
        cards = [
            disk.result("quiz", {"acc": score, "perplexity": disk.score(float(numpy.exp(loss)))}),
            disk.result("essay", {"acc": {**disk.score(0.4), "higher_is_better": True}}),
        ]
        disk.write_cell(study, model, loss=5.0 - 0.4 * i, results={512: cards})
    fit = fit_study(study, law="benchmarks", bootstrap=100)
    assert set(fit["benchmarks"]) == {"quiz/acc", "quiz/perplexity"}
    law = fit["benchmarks"]["quiz/perplexity"]
    assert law["kind"] == "loss" and law["n_points"] == 4 and law["parameters"]["alpha"]["value"] > 0
    curve = fit["benchmarks"]["quiz/acc"]
    assert curve["loss"] == "quiz/perplexity" and curve["chance"] == 0.25
    assert curve["parameters"]["k"]["value"] == pytest.approx(2.0, rel=1e-3)
    assert curve["parameters"]["L_0"]["value"] == pytest.approx(3.5, rel=1e-3)
    assert curve["hold_out"]["predicted"] == pytest.approx(curve["hold_out"]["measured"], abs=0.05)
    skipped = {entry["law"]: entry["reason"] for entry in fit["not_fitted"]}
    assert "chance level is not known: give chance={essay: 0.25}" in skipped["essay/acc"]
    text = describe(fit)
    assert "quiz/acc, from quiz/perplexity, chance 0.25" in text and "Not fitted: essay/acc" in text


def test_accuracies_in_a_csv_need_their_chance_level(tmp_path):
    losses = numpy.linspace(4.0, 2.5, 6)
    rows = [
        {
            "params": 10.0 ** (7 + i / 2),
            "tokens": 1e10,
            "loss": float(loss),
            "arc/acc": float(0.25 + 0.75 / (1 + numpy.exp(2 * (loss - 3)))),
        }
        for i, loss in enumerate(losses)
    ]
    path = write(tmp_path / "mine.csv", rows)
    with pytest.raises(ZeroscaleError, match="arc/acc: its chance level"):
        fit_study(path, law="benchmarks", bootstrap=100)
    fit = fit_study(path, options=Options(law=("benchmarks",), bootstrap=100, chance={"arc": 0.25}))
    assert fit["benchmarks"]["arc/acc"]["loss"] == "loss"
    assert fit["benchmarks"]["arc/acc"]["parameters"]["L_0"]["value"] == pytest.approx(3.0, rel=1e-3)


def test_the_command_line_says_the_same(zeroscale, tmp_path):
    path = write(tmp_path / "mine.csv", isoflop(), {"params": "Model Size"})
    refused = zeroscale("fit", f"runs={path}", code=2)
    assert "columns.params='Model Size'" in refused.stderr
    told = zeroscale(
        "fit",
        f"runs={path}",
        "columns.params='Model Size'",
        "law=[vpnls,isoflop]",
        "out=fit.json",
        "bootstrap=200",
        "keep.loss=[null,4.5]",
        "budgets=[1e22]",
    ).stdout
    fit = json.loads((tmp_path / "fit.json").read_text())
    assert list(fit["laws"]) == ["vpnls", "isoflop"]
    assert "Compute-optimal at C = 1e+22" in told
    assert "law.0='vpnl'" in zeroscale("fit", f"runs={path}", "law=vpnl", code=2).stderr
