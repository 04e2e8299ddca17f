"""What corpus and benchmarks share, as `zeroscale overlap` wrote it, on the page."""

import json

from support import study_fixture

from zeroscale.core.files import read_json, write_json
from zeroscale.report.sections import contamination
from zeroscale.report.views.study import read_study

CARD = {
    "card": "lambada",
    "is_benchmark": True,
    "data": "5,153 passages, content as pinned",
    "ngrams": 280_345,
    "found": 25,
    "share": 25 / 280_345,
    "units": 5153,
    "units_with_any": 18,
    "own_training": None,
    "paper": {"own_training_percent": None, "webtext_percent": 1.2},
}
PART = {"perplexity": {"value": 1.5e7, "low": 1.2e7, "high": 1.9e7}}
SCORES = {
    "checkpoint": "pocket-s, step 500",
    "results": "outputs/x",
    "card": "lambada",
    "mark": "",
    "units": {"all": 5153, "clean": 5135, "overlapping": 18, "above": 0},
    "scores": {"all": PART, "clean": PART, "overlapping": {"perplexity": {"value": 9e6, "low": 1e6, "high": 8e7}}},
}
RECORD = {
    "format": 1,
    "n": 8,
    "method": {"kind": "exact"},
    "corpus": {"ngrams": 5_201_457},
    "cards": [CARD],
    "scores": [SCORES],
}
BINS = [
    {"from": 1, "to": 1, "n": 300, "memorised": 0.0, "verbatim_tokens": 0.47},
    {"from": 100, "to": None, "n": 20, "memorised": 0.05, "verbatim_tokens": 2.5},
]


def texts(table) -> list[list[str]]:
    return [[cell["text"] for cell in row["cells"]] for row in table["rows"]]


def test_shares_scores_and_what_is_given_back_have_a_table_each(tmp_path):
    folder = study_fixture.write_study(tmp_path / "pocket", n_steps=20)
    assert contamination.describe([read_study(folder)]) is None
    write_json(folder / "overlap" / "overlap.json", RECORD)
    changed = 0
    for path in folder.glob("*/evals/*/memorisation.paper.json"):
        write_json(path, {**read_json(path), "extra": {"by_occurrences": BINS}})
        changed += 1
    (shown,) = contamination.describe([read_study(folder)])["studies"]
    assert texts(shown["shares"]) == [["lambada", "0.0089 %", "5,153", "18", "–", "– / 1.2 %"]]
    assert "5.2 M of them; each compared word by word" in shown["said"].replace("\u2009", " ").replace("\u00a0", " ")
    (row,) = shown["scores"]["rows"]
    assert [cell.get("note") for cell in row["cells"]][1] == "perplexity"
    assert row["cells"][4]["note"].endswith("n = 18")
    assert changed and [column["label"] for column in shown["occurrences"]["columns"]] == [
        "run",
        "once",
        "100 times and more",
    ]
    assert {tuple(cells[1:]) for cells in texts(shown["occurrences"])} == {("0.470", "2.50")}


def test_a_record_of_another_form_is_left_out_with_a_word(tmp_path):
    folder = study_fixture.write_study(tmp_path / "pocket", n_steps=20)
    for content in (json.dumps({**RECORD, "format": 2}), "{", "[]"):
        (folder / "overlap").mkdir(exist_ok=True)
        (folder / "overlap" / "overlap.json").write_text(content)
        shown = contamination.describe([read_study(folder)])
        assert shown is not None
        (study,) = shown["studies"]
        assert study["said"].startswith("Left out, run zeroscale overlap again:") and "overlap.json" in study["said"]
        assert study["shares"] is None and study["scores"] is None
