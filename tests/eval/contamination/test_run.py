"""`zeroscale overlap` from the command line: shares, scores without what is shared, an index for later, faults."""

import json
import os
import re
from pathlib import Path

import pyarrow.parquet
import pytest

from zeroscale.cli.main import main
from zeroscale.data.tokenizer import Tokenizer
from zeroscale.eval import evaluate, results, scores
from zeroscale.eval.cards import registry as cards_of
from zeroscale.model.config import GPTConfig
from zeroscale.model.gpt import GPT

CARDS = ["lambada", "wikitext2", "coqa", "cbt_cn"]


def sample(card: str) -> list[dict]:
    (found,) = cards_of.resolve([card])
    return [json.loads(line) for line in found.sample_path.read_text().splitlines()]


def grams(text: str, n: int = 8) -> list[tuple[str, ...]]:
    words = re.findall(r"[^\W_]+", text.lower())
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A corpus that holds three of LAMBADA's sample passages, one of them in part, and part of a CoQA story."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts").mkdir()
    passages = [row["text"] for row in sample("lambada")]
    story = sample("coqa")[0]["story"]
    (tmp_path / "texts" / "a.txt").write_text(
        f"Before it.\n{passages[0].upper()}\n{passages[3]} And on it goes, on and on."
    )
    cut = " ".join(passages[5].split()[:14])
    (tmp_path / "texts" / "b.txt").write_text(f"{cut} and then nothing more.\n\n" + " -- ".join(story.split()[:20]))
    return tmp_path


def run(capsys, *arguments: str, code: int = 0) -> str:
    capsys.readouterr()
    assert main(["overlap", *arguments]) == code
    told = capsys.readouterr()
    return told.out + told.err


def asked(**more: str) -> list[str]:
    wanted = {"corpus": "texts", "cards": f"[{','.join(CARDS)}]", "cards_from": "sample", "workers": "1", **more}
    return [f"{key}={value}" for key, value in wanted.items()]


def found(path: Path = Path("outputs/overlap")) -> dict:
    (file,) = path.rglob("overlap.json")
    return json.loads(file.read_text())


def test_shares_are_those_of_a_count_by_hand(folder, capsys):
    told = run(capsys, *asked())
    corpus = {gram for path in (folder / "texts").iterdir() for gram in grams(path.read_text())}
    content = found()
    by_card = {card["card"]: card for card in content["cards"]}
    assert list(by_card) == CARDS and content["n"] == 8 and content["method"] == {"kind": "exact"}
    lambada = by_card["lambada"]
    each = [[gram in corpus for gram in grams(row["text"])] for row in sample("lambada")]
    assert lambada["ngrams"] == sum(map(len, each)) and lambada["found"] == sum(map(sum, each)) > 30
    assert lambada["share"] == pytest.approx(lambada["found"] / lambada["ngrams"])
    assert lambada["units_with_any"] == 3 and lambada["units"] == len(each)
    assert lambada["mean_share"] == pytest.approx(sum(sum(one) / len(one) for one in each) / len(each))
    assert by_card["coqa"]["units_with_any"] == 1 and by_card["coqa"]["found"] == 20 - 7
    assert by_card["wikitext2"]["found"] == by_card["cbt_cn"]["found"] == 0
    assert content["corpus"]["ngrams"] == sum(len(grams(path.read_text())) for path in (folder / "texts").iterdir())
    (units,) = Path("outputs/overlap").rglob("lambada.paper.units.parquet")
    rows = pyarrow.parquet.read_table(units).to_pylist()
    assert [(row["ngrams"], row["found"]) for row in rows] == [(len(one), sum(one)) for one in each]
    assert f"{100 * lambada['share']:.2f} %" in told and "hand-written examples, not the benchmark" in told
    assert not list(Path("outputs").glob(".overlap-*"))


def test_n_is_a_setting(folder, capsys):
    run(capsys, *asked(n="13", cards="lambada"))
    corpus = {gram for path in (folder / "texts").iterdir() for gram in grams(path.read_text(), 13)}
    every = [gram for row in sample("lambada") for gram in grams(row["text"], 13)]
    (card,) = found()["cards"]
    assert (card["ngrams"], card["found"]) == (len(every), sum(gram in corpus for gram in every))


def test_an_index_answers_for_the_corpus_when_that_is_gone(folder, capsys):
    run(capsys, *asked(out="exact"))
    run(capsys, *asked(out="made", index="texts.bloom"))
    (folder / "texts").rename(folder / "elsewhere")
    told = run(capsys, *asked(out="later", index="texts.bloom", corpus="null"))
    exact, made, later = (found(Path(name)) for name in ("exact", "made", "later"))
    assert exact["cards"] == made["cards"] == later["cards"]
    assert later["method"]["false_positives"] == 1e-8 > later["method"]["expected_false_positives"]
    assert {key: later["corpus"][key] for key in ("path", "bytes", "ngrams")} == {
        key: exact["corpus"][key] for key in ("path", "bytes", "ngrams")
    }
    assert "false positives" in " ".join(told.split())
    assert "n=8?" in run(capsys, *asked(index="texts.bloom", corpus="null", n="13"), code=2)
    (folder / "elsewhere").rename(folder / "texts")
    (folder / "texts" / "a.txt").touch()
    run(capsys, *asked(index="texts.bloom"))
    (folder / "texts" / "a.txt").write_text("another text")
    assert "is another corpus, or has changed since" in run(capsys, *asked(index="texts.bloom"), code=2)


@pytest.fixture
def scored(folder):
    """A folder of results, of a model that knows nothing."""
    model = GPT(GPTConfig(vocab_size=257, n_positions=64, n_layer=1, d_model=16, n_head=2)).eval()
    out = folder / "outputs" / "eval" / "model-1" / "evals"
    evaluate.score_cards(
        model,
        Tokenizer.bytes(),
        ["lambada", "wikitext2"],
        source="sample",
        data_dir=None,
        out=out,
        weights_hash="1" * 64,
    )
    evaluate.score_cards(
        model, Tokenizer.bytes(), ["coqa"], source="sample", data_dir=None, out=out, weights_hash="1" * 64, limit=4
    )
    return out


def test_scores_are_told_of_clean_and_of_overlapping_examples(scored, capsys):
    told = run(capsys, *asked(run="outputs/eval/model-1"))
    content = found(Path("outputs/eval/model-1/overlap"))
    parts = {one["card"]: one for one in content["scores"]}
    assert set(parts) == {"lambada", "wikitext2", "coqa"}
    lambada = parts["lambada"]
    total = len(sample("lambada"))
    assert lambada["units"] == {"all": total, "clean": total - 3, "overlapping": 3, "above": 2}
    rows = results.read_records(scored, "lambada", "paper")
    whole = results.load(scored, "lambada", "paper")
    for name, chosen in (("clean", [i for i in range(total) if i not in (0, 3, 5)]), ("overlapping", [0, 3, 5])):
        expected = {
            metric: value
            for part in scores.compute_metrics(whole.family, whole.options, [rows[i] for i in chosen])
            for metric, value in part.scores.items()
        }
        there = {metric: score["value"] for metric, score in lambada["scores"][name].items()}
        assert there == pytest.approx(expected) and lambada["scores"][name]["perplexity"]["n"] == len(chosen)
    assert lambada["scores"]["all"]["perplexity"]["value"] == whole.metrics["perplexity"].value
    assert parts["wikitext2"]["units"]["overlapping"] == 0 and set(parts["wikitext2"]["scores"]) == {"all", "clean"}
    # Of CoQA four stories were scored, the first of which is in the corpus.
    assert parts["coqa"]["units"] == {"all": 4, "clean": 3, "overlapping": 1, "above": parts["coqa"]["units"]["above"]}
    assert "LIMITED to the first 4" in told and "overlapping" in told


def test_scores_of_other_data_are_refused_by_name(scored, capsys, monkeypatch):
    (card,) = cards_of.resolve(["lambada"])
    rows = card.sample_path.read_text().splitlines()
    data = Path("data/lambada")
    data.mkdir(parents=True)
    (data / "lambada_test.jsonl").write_text("\n".join(rows[1:]) + "\n")
    more = {"cards": "lambada", "cards_from": "files", "data_dir": "data", "allow_other_data": "true"}
    told = run(capsys, *asked(run="outputs/eval/model-1", **more), code=1)
    assert "lambada was scored on other data than are read here" in told


def test_a_benchmarks_own_training_split_is_looked_at(folder, capsys):
    data = folder / "data" / "wikitext2"
    data.mkdir(parents=True)
    lines = [
        "",
        " = Some Title = ",
        "",
        " The old mill , which doesn 't turn , stands by the river @-@ side since 1 @,@ 200 years . ",
        "",
    ]
    (data / "wiki.test.tokens").write_text("\n".join(lines) + "\n")
    train = ["", " = Another = ", "", " They say the old mill , which doesn 't turn , stands by the sea . ", ""] * 40
    (data / "wiki.train.tokens").write_text("\n".join(train) + "\n")
    more = {"cards": "wikitext2", "cards_from": "files", "data_dir": "data", "allow_other_data": "true"}
    run(capsys, *asked(**more))
    (card,) = found()["cards"]
    test = grams("Some Title The old mill, which doesn't turn, stands by the river-side since 1,200 years.")
    known = set(grams("They say the old mill, which doesn't turn, stands by the sea."))
    assert card["ngrams"] == len(test)
    assert card["own_training"] == {
        "files": ["wiki.train.tokens"],
        "found": sum(gram in known for gram in test),
        "share": pytest.approx(sum(gram in known for gram in test) / len(test)),
    }
    assert card["paper"] == {"own_training_percent": 0.66, "webtext_percent": 1.63}
    run(capsys, *asked(**more, own_training="null", out="without"))
    assert found(Path("without"))["cards"][0]["own_training"] is None


def test_documents_with_benchmarks_in_them_are_left_out_of_a_corpus_and_counted(folder, capsys):
    told = run(capsys, "ngrams=benchmarks.ngrams", "cards=[lambada]", "cards_from=sample", "n=13")
    assert "different 13-grams of lambada" in told
    for number in range(30):
        (folder / "texts" / f"more{number:02d}.txt").write_text(f"A text of its own, number {number}. " * 20)
    settings = ["data=files", "data.path=texts", "data.val_fraction=0.2", "tokenizer=bytes"]
    settings += ["data.leave_out_ngrams=benchmarks.ngrams"]
    assert main(["data", *settings]) == 0
    said = capsys.readouterr().out
    (index,) = (json.loads(path.read_text()) for path in Path("outputs/corpora").glob("*/index.json"))
    # b.txt holds 14 words of a passage.
    left = index["left_out"]["overlap with lambada"]
    sizes = sum((folder / "texts" / name).stat().st_size for name in ("a.txt", "b.txt"))
    assert left == {"texts": 0, "documents": 2, "bytes": sizes}
    assert (
        sum(index["splits"][split]["documents"] for split in ("train", "val")) == 30 == index["read"]["documents"] - 2
    )
    assert index["leave_out"]["n"] == 13 and [card["card"] for card in index["leave_out"]["cards"]] == ["lambada"]
    assert "left out  2 documents" in said and "overlap with lambada" in said
    # The corpus is clean of what was left out.
    (corpus,) = Path("outputs/corpora").glob("files-*")
    run(capsys, *asked(corpus=str(corpus), split="all", n="13", cards="lambada"))
    assert found()["cards"][0]["found"] == 0 < found()["corpus"]["ngrams"]
    # So many of them or more: the first file holds two whole passages.
    cut = (folder / "texts" / "b.txt").read_text().partition(" and then nothing more")[0]
    assert main(["data", *settings, f"data.leave_out_from={len(grams(cut, 13)) + 1}"]) == 0
    assert "left out  1 documents" in capsys.readouterr().out
    # Other benchmarks under the same name are noticed.
    run(capsys, "ngrams=benchmarks.ngrams", "cards=[lambada,coqa]", "cards_from=sample", "n=13")
    assert main(["data", *settings]) == 2
    assert "and it holds others now" in capsys.readouterr().err
    assert main(["data", *settings[:-1], "data.leave_out_ngrams=nothing.ngrams"]) == 2
    assert "nothing.ngrams is no index of n-grams" in capsys.readouterr().err


def test_real_benchmarks_and_a_real_corpus_share_what_brute_force_finds(tmp_path, monkeypatch, capsys):
    where = os.environ.get("ZEROSCALE_DATA")
    if not where:
        pytest.skip("ZEROSCALE_DATA is not set: the benchmarks' own files are not at hand")
    monkeypatch.chdir(tmp_path)
    novels = Path(where) / "corpora" / "english_novels"
    more = {"cards": "[lambada,wikitext2,coqa]", "cards_from": "files", "data_dir": where, "allow_other_data": "true"}
    run(capsys, *asked(corpus=str(novels), own_training="null", **more))
    cards = {card["card"]: card for card in found()["cards"]}
    lines = (Path(where) / "lambada" / "lambada_test.jsonl").read_text().splitlines()
    passages = [set(grams(json.loads(line)["text"])) for line in lines]
    wanted = set().union(*passages)
    there: set[tuple[str, ...]] = set()
    for path in novels.iterdir():
        there |= wanted.intersection(grams(path.read_text()))
    assert cards["lambada"]["units_with_any"] == sum(bool(one & there) for one in passages) == 18
    assert cards["wikitext2"]["found"] == 0 and cards["coqa"]["units_with_any"] == 3


@pytest.mark.slow
def test_wikitexts_own_training_split_shares_what_brute_force_finds(folder, capsys):
    where = os.environ.get("ZEROSCALE_DATA")
    if not where:
        pytest.skip("ZEROSCALE_DATA is not set: the benchmarks' own files are not at hand")
    run(capsys, *asked(cards="wikitext2", cards_from="files", data_dir=where))
    test, train = ((Path(where) / "wikitext2" / f"wiki.{name}.tokens").read_text() for name in ("test", "train"))
    every = grams(test)
    there = set(every).intersection(grams(train))
    assert found()["cards"][0]["own_training"]["found"] == sum(gram in there for gram in every) == 331


def test_nothing_but_an_index_is_written_over_and_what_a_killed_process_left_is_swept_away(folder, capsys):
    for name, old in ((".overlap-old", True), (".overlap-new", False)):
        left = folder / "outputs" / name
        left.mkdir(parents=True)
        (left / "content.bin").touch()
        if old:
            os.utime(left, (0, 0))
    run(capsys, *asked(cards="lambada"))
    assert [path.name for path in Path("outputs").glob(".overlap-*")] == [".overlap-new"]
    told = run(capsys, "ngrams=texts", "cards=lambada", "cards_from=sample", code=2)
    assert "ngrams=texts is there and is no index of n-grams" in told and len(list(Path("texts").iterdir())) == 2
    run(capsys, "ngrams=made", "cards=lambada", "cards_from=sample")
    run(capsys, "ngrams=made", "cards=coqa", "cards_from=sample")
    assert json.loads(Path("made/index.json").read_text())["about"][0]["card"] == "coqa"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"corpus": "gone"}, "corpus=gone: there is no such file or directory"),
        ({"corpus": "null"}, "overlap with what? corpus=DIR"),
        ({"corpus": "null", "index": "gone.bloom"}, "index=gone.bloom: there is no such file, and no corpus"),
        ({"corpus": "empty"}, "empty/a.txt is empty: no text in it"),
        ({"corpus": "short.txt"}, "corpus=short.txt: nowhere in it stand 8 words in a row"),
        ({"cards": "lambda"}, "there is no card or suite 'lambda'"),
        ({"cards": "lambada", "cards_from": "files", "data_dir": "data"}, "is not the benchmark: part: 1 of 5,153"),
        ({"cards": "coqa", "cards_from": "files", "data_dir": "data"}, "its files are not in data"),
        ({"study": "texts"}, "texts holds no run"),
        ({"run": "gone"}, "gone is no directory here"),
        ({"n": "0"}, "n=0: input should be greater than 0"),
    ],
)
def test_what_is_wrong_is_said_in_one_message(more, told, folder, capsys):
    (folder / "empty").mkdir()
    (folder / "empty" / "a.txt").touch()
    (folder / "short.txt").write_text("One, two, three!")
    (folder / "data").mkdir()
    (folder / "data" / "lambada_test.jsonl").write_text('{"text": "only one passage of them"}\n')
    said = run(capsys, *asked(**more), code=2)
    assert told in said and "Traceback" not in said
    assert not list(folder.rglob(".overlap-*")) and not list(folder.rglob("overlap.json"))
