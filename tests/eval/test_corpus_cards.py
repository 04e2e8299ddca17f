"""The card `memorisation` finds the run's own corpus; another's checkpoint is told which setting names it."""

import json
from pathlib import Path

from zeroscale.cli.main import main
from zeroscale.core import marks
from zeroscale.data.corpus import Corpus
from zeroscale.eval import corpus_cards, tasks
from zeroscale.eval.cards import registry as cards_of


def own_card(folder: Path) -> None:
    """The shipped card with fewer and shorter passages, as a file of the user's own: mine.yaml."""
    (shipped,) = cards_of.resolve(["memorisation"])
    text = shipped.path.read_text().replace("name: memorisation", "name: mine", 1)
    for before, after in (("value: 50\n", "value: 12\n"), ("value: 500\n", "value: 20\n")):
        assert before in text
        text = text.replace(before, after)
    (folder / "mine.yaml").write_text(text.replace("  sample: samples/memorisation.jsonl", "  sample: null"))


def result(path: Path) -> dict:
    return json.loads((path / "mine.paper.json").read_text())


def test_a_run_is_asked_about_its_own_training_text(zeroscale, small, texts, tmp_path, monkeypatch, capsys):
    own_card(tmp_path)
    zeroscale(
        "train", *small, "study=tiny", "cards=[lambada,mine.yaml]", "cards_from=sample", "trainer.checkpoint_every=20"
    )
    (cell,) = tmp_path.glob("outputs/tiny/*/config.yaml")
    (evals,) = cell.parent.glob("evals/step-*")
    found = result(evals)
    assert found["source"] == "files" and found["origin"] == ["passages.jsonl"] and not found["mark"]
    assert set(found["metrics"]) == {"memorised", "memorised_held_out", "verbatim_tokens", "verbatim_tokens_held_out"}
    (passages,) = tmp_path.glob("outputs/corpora/.passages/*/passages.jsonl")
    rows = [json.loads(line) for line in passages.read_text().splitlines()]
    (corpus,) = (Corpus.open(path) for path in tmp_path.glob("outputs/corpora/files-*"))
    every = bytes(min(token, 255) for token in corpus.read("train", 0, corpus.n_train_tokens).tolist())
    assert len(rows) > 40 and all((bytes(row["tokens"]) in every) == (row["group"] != "held_out") for row in rows)
    assert found["n"] == len(rows) and found["extra"]["by_occurrences"][0]["from"] == 1

    monkeypatch.chdir(tmp_path)
    # Its own corpus and cards are what `overlap` looks at, but for the card that is made of that corpus.
    assert main(["overlap", "study=outputs/tiny"]) == 0
    overlap = json.loads((tmp_path / "outputs" / "tiny" / "overlap" / "overlap.json").read_text())
    assert [card["card"] for card in overlap["cards"]] == ["lambada"] and overlap["cards"][0]["found"] == 0
    assert overlap["corpus"]["fingerprint"] == corpus.fingerprint and overlap["corpus"]["split"] == "train"
    assert [parts["units"]["clean"] for parts in overlap["scores"]] == [overlap["cards"][0]["units"]]
    zeroscale("export", f"checkpoint={cell.parent}", "out=exported")
    capsys.readouterr()
    asked = ["eval", "checkpoint=exported", "cards=[mine.yaml]", "limit=5"]
    assert main(asked) == 2
    assert "name that corpus, prepared by `zeroscale data`, with corpus=DIR" in " ".join(
        capsys.readouterr().err.split()
    )
    assert main([*asked, f"corpus={corpus.directory}"]) == 0
    assert "memorised_held_out" in capsys.readouterr().out
    assert main([*asked, "corpus=texts"]) == 2
    assert "is not a prepared corpus" in capsys.readouterr().err
    corpus.directory.rename(tmp_path / "gone")
    assert main(["eval", f"run={cell.parent}", "cards=[mine.yaml]"]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "is gone; bring it back, prepare it again" in told and "corpus=DIR" in told


def test_drawn_cards_have_a_source_of_their_own(tmp_path):
    ways = list(corpus_cards.group_by_source(["lambada", "memorisation"], "sample", None, None, None))
    assert ways == [(["lambada", "memorisation"], "sample", None)]
    ways = list(corpus_cards.group_by_source(["lambada", "memorisation"], "sample", None, lambda card: tmp_path, None))
    assert ways == [(["lambada"], "sample", None), (["memorisation"], "files", tmp_path)]


def test_marks_know_the_task_types_that_draw_their_rows_from_the_training_text():
    drawn = [name for name, task in tasks.TASK_TYPES.items() if task.DRAWN_FROM_CORPUS]
    assert tuple(drawn) == marks.OWN_BENCHMARK
