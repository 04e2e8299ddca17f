"""Several studies on one page: every run of each, under its own study's name."""

import json

import pytest
from support import study_fixture

from zeroscale.cli import compose
from zeroscale.cli.commands.report import ReportConfig
from zeroscale.config.validate import build_config
from zeroscale.core.errors import ZeroscaleError
from zeroscale.report import dashboard, multi_study, page
from zeroscale.report.views import study as record


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Two studies with runs of the same names; the second's losses are lower."""
    parent = tmp_path_factory.mktemp("outputs")
    folders = [
        study_fixture.write_study(parent / name, n_steps=20, failed=failed)
        for name, failed in (("pocket", True), ("tuned", False))
    ]
    for path in folders[1].glob("*/evals/*/held_out.corpus.json"):
        result = json.loads(path.read_text())
        result["metrics"]["loss"]["value"] -= 0.5
        study_fixture.write_json(path, result)
    for point in (fit := json.loads((folders[1] / "fit.json").read_text()))["laws"]["val/loss"]["points"]:
        point["loss"] -= 0.5
    study_fixture.write_json(folders[1] / "fit.json", fit)
    return folders


@pytest.fixture(scope="module")
def written(studies, write_page):
    return write_page(studies)


def shown(index):
    text = index.with_name("data.js").read_text(encoding="utf-8")
    return json.loads(text.removeprefix("window.zeroscale = ").removesuffix(";\n"))


def test_the_report_lands_beside_the_studies(studies, written):
    assert written == studies[0].parent / "pocket+tuned/report/index.html"
    assert not (studies[0] / "report").exists()


def test_every_run_is_there_under_its_studys_name(written):
    content = shown(written)
    assert content["studies"] == ["pocket", "tuned"]
    runs = [cell["run"] for cell in content["cells"]]
    assert len(runs) == len(set(runs)) == 9 and {"pocket/pocket-s", "tuned/pocket-s"} <= set(runs)
    assert {cell["series"] for cell in content["cells"]} == {0, 1}
    assert all(run in content["origins"]["runs"] for run in runs)
    assert all(path.startswith(("pocket/", "tuned/")) for path in content["origins"]["results"])


def test_the_first_screen_sets_the_studies_side_by_side(written):
    page = shown(written)
    assert page["verdict"].startswith("Two studies beside each other: tuned reached the lowest validation loss, 2.55")
    rows = {row["cells"][0]["text"]: [cell["text"] for cell in row["cells"]] for row in page["table"]["rows"]}
    assert rows["pocket"][1:4] == ["4 of 5", "3.054", "α = 0.0900"]
    assert rows["tuned"][1] == "4 of 4" and rows["pocket"][5] == "pocket-xl"
    assert any(text.startswith("pocket: ") for text in page["warnings"])
    names = [trace["name"] for trace in page["law"]["figure"]["data"] if trace["mode"] == "markers"]
    assert names == ["pocket", "tuned"]


def test_losses_of_other_text_are_not_compared(studies, tmp_path):
    other = study_fixture.write_study(tmp_path / "other", n_steps=5, scored=False)
    for path in other.glob("*/manifest.json"):
        manifest = json.loads(path.read_text())
        manifest["corpus"]["fingerprint"] = "f00d"
        study_fixture.write_json(path, manifest)
    views = [record.read_study(path) for path in (studies[0], other)]
    assert multi_study.doubt([views[0], views[0]]) is None
    assert multi_study.doubt(views).startswith("The studies do not share the same text: their losses per token")
    content = page.describe(page.read([studies[0], other], keep=False), [])
    assert "reached the lowest" not in content["verdict"] and content["warnings"][0] == multi_study.doubt(views)


def test_the_way_back_leads_to_each_study(written):
    commands = {step["what"].partition(":")[0]: step["command"] for step in shown(written)["again"]}
    assert set(commands) == {"pocket", "tuned"}


def test_one_study_named_twice_is_refused(studies):
    with pytest.raises(ZeroscaleError, match="named twice"):
        dashboard.write([studies[0], studies[0]])


def test_studies_of_one_name_get_the_folders_above(tmp_path):
    names = [tmp_path / "a/outputs/pocket", tmp_path / "b/outputs/pocket"]
    read = [record.read_study(study_fixture.write_study(path, n_steps=5, scored=False)) for path in names]
    assert multi_study.unique_names(read) == ["a/outputs/pocket", "b/outputs/pocket"]


def test_out_is_where_it_is_told_and_no_study_is_written_to(tmp_path, write_page):
    study = study_fixture.write_study(tmp_path / "pocket", n_steps=5, scored=False)
    before = sorted(path.name for path in study.iterdir())
    index = write_page(study, out=tmp_path / "elsewhere")
    assert index == tmp_path / "elsewhere/index.html" and index.is_file()
    assert sorted(path.name for path in study.iterdir()) == before  # not even results.csv
    assert shown(index)["links"] == {"results": None, "fit": "../pocket/fit.json"}
    assert write_page(study, out=tmp_path / "elsewhere") == index


def test_a_folder_that_is_no_report_is_not_replaced(tmp_path):
    study = study_fixture.write_study(tmp_path / "pocket", n_steps=5, scored=False)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("years of work")
    with pytest.raises(ZeroscaleError, match="no report"):
        dashboard.write(study, out=tmp_path / "mine")
    assert (tmp_path / "mine/thesis.tex").read_text() == "years of work"


def test_many_names_make_a_short_folder(tmp_path):
    names = [f"a-study-with-a-long-name-{i}" for i in range(10)]
    for name in names:
        study_fixture.write_study(tmp_path / name, {"s": 10_000}, n_steps=3, fit=False, failed=False, scored=False)
    place = dashboard.report_directory(page.read([tmp_path / name for name in names]))
    assert place.parent.parent == tmp_path.resolve() and "+9-more-" in place.parent.name and len(place.parent.name) < 80


def test_a_live_page_carries_its_stamp_and_no_static_files(tmp_path):
    study = study_fixture.write_study(tmp_path / "pocket", n_steps=5, scored=False)
    index = dashboard.write(study, out=tmp_path / "live", live=2.0)
    content = shown(index)
    assert content["live"]["every"] == 2.0 and content["links"]["fit"] == "fit.json"
    assert index.with_name("stamp.js").read_text() == f'window.zeroscaleStamp = "{content["live"]["stamp"]}";\n'
    assert content["static"] == [] and not index.with_name("figures").exists()
    study_fixture.write_json(study / "pocket-s/status.json", {"state": "failed", "reason": "later", "step": 5})
    (study / "pocket-s/DONE").unlink()
    assert shown(dashboard.write(study, out=tmp_path / "live", live=2.0))["live"]["stamp"] != content["live"]["stamp"]


@pytest.mark.parametrize(
    ("given", "studies"), [("study=one", ("one",)), ("study=[a/one,a/other]", ("a/one", "a/other"))]
)
def test_the_command_takes_one_study_or_a_list(given, studies):
    (job,) = compose.compose("report", [given]).configs
    assert build_config(ReportConfig, job[1]).study == studies
