"""fit.json of a made-up study: which runs it rests on, what it records, and what it says."""

import csv
import json
import os
from pathlib import Path

import pytest

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import lock, sha256_file
from zeroscale.model.flops import params
from zeroscale.runs import layout
from zeroscale.scaling import describe, fit_study

LADDER = dict(xs=5.0, s=4.6, m=4.2, l=3.8)


def test_a_study_gives_a_law_and_a_file_without_nan(make_study):
    study = make_study(**LADDER)
    fit = fit_study(study, bootstrap=300, command="zeroscale fit runs=outputs/pocket")
    path = study / "fit.json"
    written = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} in fit.json"))
    assert written == fit
    assert fit["study"] == "pocket"
    assert fit["command"] == "zeroscale fit runs=outputs/pocket"
    assert fit["results_sha256"] == sha256_file(study / "results.csv")
    law = fit["laws"]["val/loss"]
    assert fit["law"] == law["form"] == "L(N) = (N_c/N)^alpha"
    assert set(law["parameters"]) == {"alpha", "N_c"}
    alpha = law["parameters"]["alpha"]
    assert alpha["low"] < alpha["value"] < alpha["high"]
    assert law["n_points"] == 4
    assert [point["cell"] for point in law["points"]] == [f"pocket-{size}-seed0" for size in LADDER]
    assert [point["loss"] for point in law["points"]] == list(LADDER.values())
    assert law["hold_out"]["cell"] == "pocket-l-seed0"
    assert law["hold_out"]["measured"] == 3.8
    band = law["band"]
    assert band[0]["params"] == pytest.approx(law["points"][0]["params_non_embedding"])
    assert band[-1]["params"] == pytest.approx(10 * law["points"][-1]["params_non_embedding"])
    assert all(row["low"] < row["value"] < row["high"] for row in band)
    rules = {entry["rule"] for entry in fit["left_out"]}
    assert rules == {"not the last checkpoint of its run"}


def test_fitting_again_changes_nothing(make_study):
    study = make_study(**LADDER)
    first = fit_study(study, bootstrap=200)
    os.utime(study / "fit.json", (1, 1))
    assert fit_study(study, bootstrap=200) == first
    assert (study / "fit.json").stat().st_mtime == 1
    fit_study(study, bootstrap=200, seed=1)
    assert (study / "fit.json").stat().st_mtime > 1


def test_unfinished_runs_are_left_out_by_name(make_study, disk):
    study = make_study(**LADDER)
    going = disk.write_cell(study, "l", seed=1, state="running", checkpoints=(256,))
    disk.write_cell(study, "m", seed=1, state="failed", checkpoints=())
    disk.write_cell(study, "s", seed=1, state="running", checkpoints=())
    with lock(going / layout.WORKER_LOCK, 1, "taken"):
        fit = fit_study(study, bootstrap=200)
    left = {entry["cell"]: entry["rule"] for entry in fit["left_out"] if "done" in entry["rule"]}
    assert left == {f"pocket-{size}-seed1": "the run is not done" for size in "lms"}
    warning = next(text for text in fit["laws"]["val/loss"]["warnings"] if "not done" in text)
    assert "Three runs are not done" in warning
    assert "pocket-m-seed1 (failed)" in warning
    assert "pocket-l-seed1 (running)" in warning
    # No process holds its lock: it was killed.
    assert "pocket-s-seed1 (resumable)" in warning


def test_seeds_are_averaged_and_kept(make_study, disk):
    study = make_study(**LADDER)
    disk.write_cell(study, "s", seed=1, loss=4.7)
    law = fit_study(study, bootstrap=200)["laws"]["val/loss"]
    assert (law["n_points"], law["n_runs"], len(law["points"])) == (4, 5, 5)
    small = law["sizes"][1]
    assert small["loss"] == pytest.approx(4.65)
    assert small["seeds"] == [0, 1]
    assert small["loss_sd"] == pytest.approx(0.05)  # two seeds 0.1 apart: 0.1 / sqrt(2) / sqrt(2)


def test_held_out_intervals_enter_as_measured_uncertainty(tmp_path, disk):
    study = tmp_path / "pocket"
    for model, loss in LADDER.items():
        held = disk.result("held_out", {"loss": disk.score(loss, half=0.098)}, protocol="corpus")
        disk.write_cell(study, model, results={512: [held]})
    law = fit_study(study, bootstrap=200)["laws"]["val/loss"]
    assert [size["loss_sd"] for size in law["sizes"]] == pytest.approx([0.05] * 4, rel=1e-3)
    assert "measured uncertainty" in law["intervals"]["method"]


def test_runs_that_nothing_tells_apart_are_repeats(make_study, disk):
    study = make_study(**LADDER)
    disk.write_cell(study, "s", loss=4.8, name="pocket-s-seed0-again")
    fit = fit_study(study, bootstrap=200)
    law = fit["laws"]["val/loss"]
    assert fit["choice"] is None and law["n_runs"] == 5
    assert law["sizes"][1]["loss"] == pytest.approx(4.7)
    assert any("pocket-s-seed0-again has size, tokens, seed" in warning for warning in law["warnings"])


@pytest.mark.parametrize("convention", ["non_embedding", "total", "matmul"])
def test_the_convention_chooses_n(make_study, convention, disk):
    fit = fit_study(make_study(**LADDER), bootstrap=200, convention=convention)
    shape = dict(n_layer=5, d_model=176, n_positions=128, vocab_size=1000)
    largest = fit["laws"]["val/loss"]["points"][-1]
    assert largest["params"] == getattr(params(**shape), convention)
    assert largest["params_non_embedding"] == params(**shape).non_embedding


def test_one_size_is_no_law(make_study):
    with pytest.raises(ZeroscaleError, match="one size only"):
        fit_study(make_study(s=4.0))


def test_no_finished_run_is_no_law(tmp_path, disk):
    disk.write_cell(tmp_path, "s", state="running")
    with pytest.raises(ZeroscaleError, match="pocket-s-seed0: the run is not done"):
        fit_study(tmp_path)


def test_a_results_csv_gives_the_law_of_its_study(make_study):
    study = make_study(**LADDER)
    law = fit_study(study, bootstrap=200)["laws"]["val/loss"]
    again = fit_study(study / "results.csv", study / "again.json", bootstrap=200)
    assert again["study"] == "pocket"
    assert again["laws"]["val/loss"]["parameters"] == law["parameters"]


def test_a_csv_of_runs_is_fitted_as_it_counts(tmp_path):
    path = tmp_path / "mine.csv"
    rows = [f"{n:.0f},2e9,{1.7 + (1e7 / n) ** 0.3!r}" for n in (1e6, 1e7, 1e8, 1e9, 1e10)]
    path.write_text("\n".join(["params,tokens,loss", *rows]) + "\n")
    fit = fit_study(path, bootstrap=200)
    assert (tmp_path / "mine.fit.json").is_file()
    assert fit["convention"] == "as given in the CSV"
    parameters = fit["laws"]["power"]["parameters"]
    assert parameters["E"]["value"] == pytest.approx(1.7, rel=1e-6)
    assert parameters["alpha"]["value"] == pytest.approx(0.3, rel=1e-6)
    assert fit["laws"]["power"]["warnings"] == []


def test_sizes_with_unequal_tokens_are_warned_of(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("params,tokens,loss\n1e6,2e7,5.0\n1e6,1e7,5.1\n1e7,2e8,4.0\n1e8,2e9,3.3\n")
    fit = fit_study(path, bootstrap=200)
    law = fit["laws"]["power"]
    assert any("different numbers of tokens (20.0M to 2.00B)" in warning for warning in law["warnings"])
    assert fit["left_out"] == [
        {"cell": "row 3", "steps": [], "rule": "the same size was trained on more tokens in another run"}
    ]


def test_the_law_is_told_in_words(make_study):
    text = describe(fit_study(make_study(**LADDER), bootstrap=200))
    assert "pocket: val/loss over N (parameters without embeddings)" in text
    assert "L(N) = (N_c/N)^alpha" in text
    assert "95 % interval" in text
    assert "Hold-out: fitted to the 3 smaller sizes" in text
    assert "measured 3.8" in text
    assert "Warning: Four sizes cannot carry an irreducible term" in text
    assert "Left out: 4 of the runs' checkpoints" in text


@pytest.mark.skipif("ZEROSCALE_DATA" not in os.environ, reason="needs the published runs under $ZEROSCALE_DATA")
def test_published_runs_fit_through_a_csv(tmp_path):
    # Porian et al. 2024, RefinedWeb, 121 runs at 12 budgets: of each size the run with the most tokens.
    source = Path(os.environ["ZEROSCALE_DATA"]) / "scaling" / "isoflop_refinedweb_tuned.csv"
    with open(source, newline="") as handle:
        rows = list(csv.DictReader(handle))
    path = tmp_path / "refinedweb.csv"
    lines = [f"{row['N']},{row['D']},{row['loss']},{row['C']}" for row in rows]
    path.write_text("\n".join(["params,tokens,loss,flops", *lines]) + "\n")
    law = fit_study(path, bootstrap=300)["laws"]["power"]
    assert law["n_points"] == len({row["N"] for row in rows})
    assert law["converged"]
    assert law["parameters"]["alpha"]["low"] > 0
    assert law["rms_log_residual"] < 0.05
