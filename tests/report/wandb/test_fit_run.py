"""A study in W&B: what the log of the fit's run holds, offline, and what reaches a server on the loopback."""

import csv
import json
import math
import shutil
from pathlib import Path

import pytest
from support import study_fixture, wandb_log, wandb_server
from support.own_wandb import hide_users_wandb

from zeroscale.cli import send_study as send
from zeroscale.config.trainer import TrackerConfig
from zeroscale.report.views.study import read_study
from zeroscale.report.wandb import rows as wandb_rows
from zeroscale.report.wandb import workspace
from zeroscale.training.trackers import wandb_start


@pytest.fixture(scope="module")
def own_wandb(tmp_path_factory):
    """Nothing of the user's: no login, no settings."""
    folder = tmp_path_factory.mktemp("wandb")
    with pytest.MonkeyPatch.context() as patch:
        hide_users_wandb(patch, folder)
        patch.setattr(wandb_start, "SEND_SECONDS", 25.0)
        yield patch
        import wandb

        wandb.teardown()


def checkpoint(cell: Path) -> None:
    for folder in cell.glob("checkpoints/step-*"):
        (folder / "model.safetensors").write_bytes(cell.name.encode())
        study_fixture.write_json(folder / "meta.json", {"step": 500, "tokens": 1, "sha256": {}})


@pytest.fixture(scope="module")
def copied(study, report, tmp_path_factory) -> Path:
    folder = Path(shutil.copytree(study, tmp_path_factory.mktemp("outputs") / "pocket"))
    for cell in folder.glob("*/checkpoints"):
        checkpoint(cell.parent)
    return folder


@pytest.fixture(scope="module")
def sent(copied, own_wandb) -> tuple[Path, list[str]]:
    """The study with its offline runs, and what was said."""
    messages: list[str] = []
    config = TrackerConfig(name="wandb", mode="offline", project="laws")
    assert send.send_study(copied, copied / "report", config, messages.append)
    return copied, messages


@pytest.fixture(scope="module")
def log(sent) -> wandb_log.Log:
    return wandb_log.Log(wandb_log.only(sent[0]))


def test_every_cell_is_one_run_with_each_step_once(sent):
    folder, messages = sent
    for name in study_fixture.SIZES:
        cell = wandb_log.Log(wandb_log.only(folder / name))
        steps = [json.loads(line)["step"] for line in (folder / name / "metrics.jsonl").read_text().splitlines()]
        assert cell.steps() == steps and cell.run.run_group == "pocket" and cell.run.project == "laws"
    failed = wandb_log.Log(wandb_log.only(folder / "pocket-xl"))
    assert failed.steps() == [1, 2] and failed.exit_code == 1
    assert any("wandb sync" in line for line in messages)


def test_the_fit_is_a_run_of_the_same_group(log):
    assert (log.run.run_group, log.run.job_type, log.run.display_name) == ("pocket", "report", "pocket-report")
    assert log.summary["L(N)/alpha"] == 0.09 and log.summary["L(N)/alpha/low"] == 0.081
    assert "hold_out/error" in log.summary and "validation loss falls" in log.summary["verdict"]
    assert log.exit_code == 0


def test_the_scaling_curve_is_one_of_w_and_bs_charts(sent, log):
    chart = log.nested[("_wandb", "visualize", "charts/law")]
    assert chart["panel_config"]["panelDefId"] == "wandb/lineseries/v0"
    table = table_of(sent[0], log, "charts/law_table")
    series = {row[1] for row in table["data"]}
    assert series == {"measured", "fit", "fit, low", "fit, high", "predicted from the smaller sizes"}
    measured = sorted((row[0], row[2]) for row in table["data"] if row[1] == "measured")
    expected = [(math.log10(n), math.log10(study_fixture.loss_of(n))) for n in study_fixture.SIZES.values()]
    assert measured == [pytest.approx(point, abs=1e-3) for point in expected]


def test_the_law_is_also_a_curve_over_size_that_can_have_logarithmic_axes(log):
    axes = {metric.name or metric.glob_name: metric.step_metric for metric in log.metrics}
    assert axes["law/*"] == "law/N"
    curve = [row for row in log.history if "law/fit" in row]
    assert len(curve) == 41 and [row["law/N"] for row in curve] == sorted(row["law/N"] for row in curve)
    assert all(row["law/low"] < row["law/fit"] < row["law/high"] for row in curve)
    assert sum("law/measured" in row for row in log.history) == 4


def test_the_pages_figures_are_there_with_axes_colours_and_intervals(sent, log):
    (plot,) = [row["plots/law"] for row in log.history if "plots/law" in row]
    assert plot["_type"] == "plotly-file"
    figure = json.loads((wandb_log.only(sent[0]).parent / "files" / plot["path"]).read_text())
    assert figure["layout"]["xaxis"]["type"] == "log"
    text = json.dumps(figure)
    assert "#0072B2" in text and "rgba(68, 68, 68, 0.14)" in text and '"ink"' not in text


def table_of(folder: Path, log: wandb_log.Log, name: str) -> dict:
    table = log.tables()[name]
    return json.loads((wandb_log.only(folder).parent / "files" / table["path"]).read_text())


def test_tables_hold_every_score_with_its_interval(sent, log):
    table = table_of(sent[0], log, "tables/scores")
    assert table["columns"] == list(wandb_rows.SCORE_COLUMNS)
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    expected = 4 * (sum(map(len, study_fixture.CARDS.values())) - study_fixture.N_BASELINES + 3)
    assert len(rows) == expected
    row = next(row for row in rows if (row["run"], row["benchmark"], row["metric"]) == ("pocket-l", "wsc273", "acc"))
    stored = json.loads((sent[0] / row["file"]).read_text())["metrics"]["acc"]
    assert (row["value"], row["low"], row["high"], row["n"]) == tuple(
        stored[key] for key in ("value", "low", "high", "n")
    )
    assert row["what"] == "SAMPLE"
    assert {"tables/results", "tables/benchmarks", "tables/law", "tables/cost"} <= set(log.tables())


def test_a_table_of_examples_holds_what_each_size_said(sent, log):
    table = table_of(sent[0], log, "tables/examples")
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    assert {row["run"] for row in rows} == set(study_fixture.SIZES)
    assert any(row["said"] == study_fixture.HOSTILE for row in rows)
    assert {"right", "wrong"} <= {row["right"] for row in rows}


def test_figures_and_files_are_kept_as_artifacts_that_rest_on_the_checkpoints(log):
    figures = {
        key for row in log.history for key, value in row.items() if isinstance(value, dict) and "image" in str(value)
    }
    assert {"figures/law", "figures/benchmarks", "figures/loss_over_tokens"} <= figures
    by_name = {artifact.name: artifact for artifact in log.artifacts}
    results = {entry.path for entry in by_name["results-pocket"].manifest.contents}
    assert {"results.csv", "fit.json"} <= results
    assert any(name.endswith("law.pdf") for name in (e.path for e in by_name["figures-pocket"].manifest.contents))
    rested_on = {name for name, artifact in by_name.items() if artifact.use_after_commit}
    assert rested_on == {f"checkpoint-{name}" for name in study_fixture.SIZES}


def test_a_checkpoint_is_the_same_artifact_in_its_own_run_and_in_the_fits(sent, log):
    folder, _ = sent
    used = {artifact.name: artifact.digest for artifact in log.artifacts}
    for name in study_fixture.SIZES:
        (made,) = wandb_log.Log(wandb_log.only(folder / name)).artifacts
        assert used[made.name] == made.digest


def test_sent_again_nothing_is_doubled(sent):
    folder, _ = sent
    messages: list[str] = []
    config = TrackerConfig(name="wandb", mode="offline", project="laws")
    assert send.send_study(folder, folder / "report", config, messages.append)
    assert sum("is there already" in line for line in messages) == 5
    assert len(list(folder.glob("wandb/offline-run-*"))) == 1


@pytest.fixture
def served(own_wandb):
    """W&B on the loopback, and we are logged in there."""
    import wandb

    server = wandb_server.Server()
    for name, value in server.environment().items():
        own_wandb.setenv(name, value)
    wandb.teardown()  # the service reads its surroundings once
    yield server
    wandb.teardown()
    server.stop()
    for name in server.environment():
        own_wandb.delenv(name)


def test_online_cells_fit_and_lineage_arrive(served, copied, tmp_path, monkeypatch):
    folder = Path(shutil.copytree(copied, tmp_path / "pocket", ignore=shutil.ignore_patterns("wandb*")))
    monkeypatch.setattr(workspace, "available", lambda: False)
    messages: list[str] = []
    assert send.send_study(folder, folder / "report", TrackerConfig(name="wandb", mode="online"), messages.append)
    by_name = {run.facts["displayName"]: run for run in served.runs.values()}
    assert set(by_name) == {*study_fixture.SIZES, "pocket-xl", "pocket-report"}
    made = {artifact for name in study_fixture.SIZES for artifact in by_name[name].made}
    assert len(made) == 4 and made <= set(by_name["pocket-report"].used)
    assert len(by_name["pocket-l"].steps()) == 500 and by_name["pocket-report"].exit_code == 0
    assert any("zeroscale[workspaces]" in line for line in messages)


def test_a_view_of_the_workspace_and_a_report_are_saved_once_and_replaced_afterwards(served, copied, tmp_path):
    pytest.importorskip(
        "wandb_workspaces", reason="wandb-workspaces is not installed: pip install zeroscale[workspaces]"
    )
    folder = Path(shutil.copytree(copied, tmp_path / "pocket", ignore=shutil.ignore_patterns("wandb*")))
    addresses = workspace.save(read_study(folder), wandb_server.ENTITY, "laws", "abc")
    assert len(addresses) == 2 and all(address.startswith(served.url) for address in addresses)
    view, page = served.views.values()
    for name in ("val/loss", "train/loss", "law/fit", "params_non_embedding", "tokens", "flops"):
        assert name in view["spec"] and name in page["spec"], name
    assert "pocket" in view["spec"] and "validation loss falls" in page["spec"] and "Warning" in page["spec"]
    assert workspace.save(read_study(folder), wandb_server.ENTITY, "laws", "abc") == addresses
    assert len(served.views) == 2
    assert len(workspace.save(read_study(folder), wandb_server.ENTITY, "other", "abc")) == 2 and len(served.views) == 4


@pytest.mark.parametrize(
    ("rows", "typed"),
    [
        ([[1, "a"], [2.5, None]], [[1.0, "a"], [2.5, None]]),
        ([[1.0], ["no number"], [None]], [["1.00"], ["no number"], [None]]),
        ([[math.nan], [math.inf], [True]], [[None], [None], [1.0]]),
    ],
)
def test_a_column_has_one_type(rows, typed):
    if rows[-1] == [True]:
        rows, typed = rows[:2], typed[:2]
    assert wandb_rows.typed(rows) == typed


def test_the_tables_are_the_reports_own(study):
    from zeroscale.report.tables import table_files
    from zeroscale.report.views import benchmarks

    view = read_study(study)
    cards = benchmarks.read_cards(view)
    for name, (_, columns, rows) in wandb_rows.tables(view, cards).items():
        text = table_files.every(view, cards)[name].csv()
        assert len(rows) == len(list(csv.reader(text.splitlines()))) - 1 or "\n" in text
        assert all(len(row) == len(columns) for row in rows) and len(set(columns)) == len(columns)
