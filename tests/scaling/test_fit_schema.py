"""fit.json as types: what is read is what stands there, and a file that is written again is the same."""

import json

import numpy
import pytest

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.json_records import to_json
from zeroscale.scaling import Options, Surface, fit_study
from zeroscale.scaling.fit_schema import DataLaw, SizeLaw, from_json, read_fit

LAW = Surface.of(E=1.69, A=406.4, B=410.7, alpha=0.34, beta=0.28)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """fit.json of every law, on made-up runs with the scores of a benchmark."""
    flops = numpy.repeat(numpy.geomspace(1e18, 1e21, 4), 5)
    n = LAW.optimal_params(flops) * numpy.tile(numpy.geomspace(0.4, 2.5, 5), 4)
    loss = LAW(n, flops / (6 * n)) * numpy.exp(0.002 * numpy.random.default_rng(0).standard_normal(len(n)))
    rows = [
        f"{params},{c / (6 * params)},{value},{0.25 + 0.6 / (1 + numpy.exp(4 * (value - 2.5)))},{value / 2}"
        for params, c, value in zip(n, flops, loss, strict=True)
    ]
    table = tmp_path_factory.mktemp("schema") / "runs.csv"
    table.write_text("\n".join(["params,tokens,loss,arc/acc,arc/loss", *rows]) + "\n")
    fit_study(table, options=Options(law=("all",), bootstrap=100, chance={"arc": 0.25}, leave_out=("row 2",)))
    return table.with_name("runs.fit.json")


def test_a_file_read_and_written_again_is_the_same(path):
    content = json.loads(path.read_text())
    assert {"power", "chinchilla", "vpnls", "isoflop", "kaplan"} <= set(content["laws"]) and content["benchmarks"]
    assert json.dumps(to_json(from_json(content))) == json.dumps(content)


def test_a_study_read_and_written_again_is_the_same(make_study):
    study = make_study(xs=5.0, s=4.6, m=4.2, l=3.8)
    content = fit_study(study, bootstrap=100)
    assert json.dumps(to_json(read_fit(study / "fit.json"))) == json.dumps(content)
    assert isinstance(read_fit(study / "fit.json").laws["val/loss"], SizeLaw)


def test_the_fields_are_those_of_the_file(path):
    content, fit = json.loads(path.read_text()), read_fit(path)
    law = fit.laws["chinchilla"]
    assert isinstance(law, DataLaw) and isinstance(fit.laws["power"], SizeLaw)
    assert law.parameters["alpha"].low == content["laws"]["chinchilla"]["parameters"]["alpha"]["low"]
    assert law.compute_optimal[0].params.value == content["laws"]["chinchilla"]["compute_optimal"][0]["params"]["value"]
    assert law.points[3].name == content["laws"]["chinchilla"]["points"][3]["name"]
    assert fit.laws["isoflop"].diagnostics.budgets[0].used is True
    assert fit.laws["kaplan"].by_size.form == content["laws"]["kaplan"]["L(N)"]["form"]
    assert fit.benchmarks["arc/acc"].chance == 0.25
    assert fit.left_out[-1].rule == content["left_out"][-1]["rule"]


def test_what_an_older_file_lacks_is_none_or_empty():
    content = {"study": "old", "laws": {"val/loss": {"form": "L(N)", "unknown": 1}, "isoflop": {"points": None}}}
    fit = from_json(content)
    assert fit.laws["val/loss"].n_points is None and fit.laws["val/loss"].sizes == ()
    assert fit.laws["isoflop"].points == () and fit.options is None and fit.left_out == ()


def test_a_damaged_file_is_named_with_the_place(path, tmp_path):
    content = json.loads(path.read_text())
    content["laws"]["vpnls"]["parameters"]["alpha"]["low"] = "wide"
    (damaged := tmp_path / "fit.json").write_text(json.dumps(content))
    with pytest.raises(ZeroscaleError, match=r"fit.json: laws.vpnls.parameters.alpha.low is 'wide', not"):
        read_fit(damaged)
