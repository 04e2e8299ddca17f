"""Every number of the results leads to its run, its step, its file and the hashes behind it."""

import json

import pytest
from support import study_fixture

from zeroscale.report.sections import headline, number_sources
from zeroscale.report.sections.run_health import run_health
from zeroscale.report.tables import study_tables
from zeroscale.report.views import benchmarks, size_law
from zeroscale.report.views.study import read_study


@pytest.fixture(scope="module")
def read(study):
    return read_study(study)


def looked_up(sources, from_):
    """What the page's dialog shows: label → text."""
    of_run = sources["runs"][from_["run"]]
    facts = dict(zip(sources["labels"]["run"], (sources["strings"][i] for i in of_run), strict=True))
    if "path" in from_:
        indices = sources["results"][from_["path"]]["facts"]
        facts |= dict(zip(sources["labels"]["result"], (sources["strings"][i] for i in indices), strict=True))
    return facts


def test_a_score_leads_to_its_hashes(read, study):
    cards = benchmarks.read_cards(read)
    table = number_sources.attach(study_tables.results(read, cards), read, cards)
    sources = number_sources.describe(read.runs)
    place = next(i for i, column in enumerate(table.columns) if column.label == "lambada")
    from_ = table.rows[2][place].source
    assert (from_["run"], from_["step"], from_["metric"]) == ("pocket-m", 500, "lambada/perplexity")
    result = json.loads((study / from_["path"]).read_text())
    facts = looked_up(sources, from_)
    for name in ("card", "data", "weights"):
        assert facts[f"{name} hash"] == result[f"{name}_hash"]
    manifest = json.loads((study / "pocket-m/manifest.json").read_text())
    assert facts["settings hash"] == manifest["settings_hash"]
    assert manifest["corpus"]["fingerprint"] in facts["corpus"]


def test_a_number_of_the_ledger_leads_to_its_line(read, study):
    cards = benchmarks.read_cards(read)
    table = number_sources.attach(study_tables.results(read, cards), read, cards)
    from_ = table.rows[3][4].source
    assert from_["place"] == "results.csv, line 5, column val/loss" and from_["metric"] == "val/loss"
    line = (study / "results.csv").read_text().splitlines()[4]
    assert line.startswith(from_["run"])


def test_every_number_of_the_first_screen_leads_somewhere(read):
    shown = headline.facts(read, size_law.read_law(read), run_health(read))
    plain = ("runs done", "worst-behaved run")
    sources = {fact["label"]: fact.get("from") for fact in shown if fact["label"] not in plain}
    assert set(sources) == {"lowest loss", "exponent α", "hold-out error"}
    assert sources["lowest loss"]["run"] == "pocket-l"
    facts = dict(sources["exponent α"]["facts"])
    assert facts["file"].endswith("fit.json") and facts["place in it"] == "laws, val/loss, parameters, alpha"
    assert facts["fitted to"] == "four runs"


def test_long_texts_stand_once(read):
    sources = number_sources.describe(read.runs)
    assert len(sources["strings"]) == len(set(sources["strings"]))
    assert len(sources["results"]) == 4 * (len(study_fixture.CARDS) + 1)  # and the held-out text, of four sizes
