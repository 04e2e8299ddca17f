"""A study as an object: runs, ledger, laws, figures."""

import shutil

import pytest

from zeroscale.core.errors import ZeroscaleError
from zeroscale.report.notebook import open_study


@pytest.fixture
def copy(study, tmp_path):
    shutil.copytree(study, tmp_path / "pocket", ignore=shutil.ignore_patterns("report"))
    return tmp_path / "pocket"


def test_runs_and_ledger(study):
    opened = open_study(study)
    assert [run.name for run in opened.runs] == ["pocket-l", "pocket-m", "pocket-s", "pocket-xl", "pocket-xs"]
    assert opened.ledger["val/loss"].is_monotonic_decreasing and opened.name == "pocket"
    assert set(opened.ledger.columns) >= {"cell", "step", "params_non_embedding", "lambada/acc", "lambada/acc/low"}
    assert repr(opened).endswith("5 runs")


def test_fit_writes_what_the_command_writes(copy):
    opened = open_study(copy)
    fit = opened.fit(bootstrap=200)
    table = fit.table().set_index(["law", "parameter"])
    alpha = table.loc["val/loss", "alpha"]
    assert alpha.low < alpha.value == pytest.approx(0.09, rel=1e-3) and alpha.value < alpha.high
    assert fit.content["bootstrap"] == 200 and (copy / "fit.json").is_file() and (copy / "results.csv").is_file()
    assert "95 % interval" in repr(fit) and "Four sizes" in " ".join(fit.warnings["val/loss"])
    before = (copy / "fit.json").read_bytes()
    other = opened.fit("power", convention="total", bootstrap=200, out=copy / "other.json")
    assert other.content["convention"] == "total" and (copy / "fit.json").read_bytes() == before


def test_figures_are_those_of_the_report(study, tmp_path):
    opened = open_study(study)
    assert {"law", "loss_over_tokens", "benchmarks"} <= set(opened.figures)
    figure = opened.figure("law")
    assert figure._repr_png_().startswith(b"\x89PNG") and figure.save(tmp_path / "law.svg").read_text()
    assert figure.figure.axes[0].get_ylabel() == "validation loss (nats per token)"
    with pytest.raises(ZeroscaleError, match="has no figure 'laws': it has loss_over_tokens"):
        opened.figure("laws")


def test_a_folder_without_runs_is_refused(tmp_path):
    with pytest.raises(ZeroscaleError, match="holds no run"):
        open_study(tmp_path)
    with pytest.raises(ZeroscaleError, match="is not a directory"):
        open_study(tmp_path / "gone")
