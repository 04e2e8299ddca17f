"""`zeroscale eval` and `compare` as a user runs them: many checkpoints, one table, files, and what fails is said."""

import csv
import json
import random
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import SMALL, environment, write_texts

from zeroscale.cli import main
from zeroscale.cli.commands import export


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study of two cells, each with two checkpoints, their export, and files of benchmarks."""
    folder = tmp_path_factory.mktemp("trained")
    write_texts(folder / "texts")
    train = [
        "train",
        "-m",
        *SMALL,
        "study=tiny",
        "model.d_model=8,16",
        "cards=[]",
        "optimizer.lr_reference_params=null",
    ]
    command = [sys.executable, "-m", "zeroscale", *train]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    export.export_checkpoint(cells(folder)[0], folder / "exported")
    draw = random.Random(0)
    words = ["the", "a", "cat", "dog", "house", "tree", "runs", "sees"]
    passages = [json.dumps({"text": " ".join(draw.choices(words, k=9))}) for _ in range(30)]
    (folder / "data").mkdir()
    (folder / "data" / "lambada_test.jsonl").write_text("\n".join(passages) + "\n")
    return folder


@pytest.fixture
def place(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which is the working directory."""
    shutil.copytree(trained, tmp_path / "here", symlinks=True)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "here"


def cells(place: Path) -> list[Path]:
    return sorted(place.glob("outputs/tiny/*seed0*"))


def names(place: Path) -> list[str]:
    """The cells as one types them."""
    return [str(path.relative_to(place)) for path in cells(place)]


def say(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    """What a command prints, and what it says beside that."""
    given = main.main(list(arguments))
    out, err = capsys.readouterr()
    assert given == code, out + err
    assert "Traceback" not in out + err
    return out, err


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


SAMPLE = ["cards=[lambada]", "cards_from=sample"]
FILES = ["cards=[lambada]", "data_dir=data", "allow_other_data=true"]


def test_every_checkpoint_of_a_study_is_scored_into_one_table_and_the_ledger(place, capsys):
    shown, _ = say(capsys, "eval", "study=outputs/tiny", "checkpoints=all", *FILES, "out=tables")
    steps = [path for cell in cells(place) for path in sorted((cell / "checkpoints").iterdir())]
    assert len(steps) == 4
    for path in steps:
        assert f"{path.parents[1].name}, step {int(path.name[5:])}: " in shown
        own = path.parents[1] / "evals" / path.name / "table" / "scores.csv"
        assert {row["card"] for row in table(own)} == {"held_out", "lambada"}
    rows = table(Path("tables/scores.csv"))
    assert len({row["checkpoint"] for row in rows}) == 4 and "written to tables" in shown
    assert {row["mark"].split(":")[0] for row in rows if row["card"] == "lambada"} == {"PART"}
    ledger = table(Path("outputs/tiny/results.csv"))
    assert len(ledger) == 4 and all(row["lambada/acc/n"] == "30" for row in ledger)
    assert all(row["partial_cards"] == "lambada" and not row["sample_cards"] for row in ledger)
    assert "30 passages" in shown and "PART, not the benchmark" in shown


def test_runs_and_directories_are_mixed_and_one_that_fails_does_not_stop_the_others(place, capsys):
    first, _ = names(place)
    broken = place / "broken"
    shutil.copytree(place / "exported", broken)
    (broken / "model.safetensors").write_bytes(b"no weights")
    wanted = f"checkpoint={first},broken,nowhere/at-all,exported"
    shown, said = say(capsys, "eval", "-m", wanted, *SAMPLE, code=2)
    assert shown.count("SAMPLE, no benchmark") >= 2 * 4
    ours, theirs = (re.findall(rf"^  {metric} .*", shown, re.M) for metric in ("perplexity", "acc_last_token"))
    assert len(ours) == len(theirs) == 2 and ours[0] == ours[1]  # the export is the same model
    for name in ("broken", "nowhere/at-all"):
        assert f"zeroscale: {name}: " in said
    assert "not all was scored" in said


def test_a_card_without_data_is_said_and_the_others_are_scored(place, capsys):
    (place / "data" / "newstest2014.en").write_text("")
    (place / "data" / "newstest2014.fr").write_text("")
    cards = "cards=[coqa,lambada,wmt14_en_fr]"
    shown, said = say(capsys, "eval", "checkpoint=exported", cards, *FILES[1:], code=2)
    assert "lambada, protocol paper: 30 passages" in shown
    assert "coqa" in said and "coqa-dev-v1.0.json" in said and "newstest2014" in said


def test_a_study_with_a_run_that_has_no_checkpoint_says_so(place, capsys):
    first, second = names(place)
    shutil.rmtree(place / second / "checkpoints")
    shown, said = say(capsys, "eval", "study=outputs/tiny", *SAMPLE, code=2)
    assert f"{second}: has no checkpoint yet" in said and Path(first).name in shown


def test_a_tokenizer_of_another_model_is_refused(place, capsys):
    from zeroscale.data.tokenizer import Tokenizer

    for name in ("vocab.json", "merges.txt", "tokenizer.json", "zeroscale_tokenizer.json"):
        (place / "exported" / name).unlink(missing_ok=True)
    Tokenizer.train_bpe(["the cat sees the dog and the house near a tree. " * 50], 270).save(place / "exported")
    _, said = say(capsys, "eval", "checkpoint=exported", *SAMPLE, code=2)
    assert "the tokenizer is not the model's: it has " in said and "a vocabulary of 257" in said


def test_exactly_one_of_checkpoint_run_and_study_is_given(place, capsys):
    for given in ([], ["checkpoint=a", "study=b"], ["run=a", "checkpoint=a"]):
        assert "give checkpoint=PATH" in say(capsys, "eval", *given, code=2)[1]


class TestRescoring:
    def test_a_run_is_scored_again_without_its_weights(self, place, capsys):
        (first, _) = names(place)
        say(capsys, "eval", f"run={first}", *SAMPLE)
        for weights in place.glob(f"{first}/checkpoints/*/model.safetensors"):
            weights.unlink()
        shown, _ = say(capsys, "eval", f"run={first}", "rescore=true")
        assert shown.count("as it was, to the last bit") == 2 and "  perplexity " in shown
        shown, said = say(capsys, "eval", "study=outputs/tiny", "rescore=true", "seed=9", "cards=[lambada]", code=2)
        assert "1,000 resamples, seed 0 → 1,000 resamples, seed 9: perplexity's interval " in shown
        assert "lambada has not been scored; score it first: zeroscale eval " in said  # on the other run

    def test_records_that_are_not_the_results_are_said(self, place, capsys):
        (first, _) = names(place)
        say(capsys, "eval", f"run={first}", *SAMPLE)
        (records,) = place.glob(f"{first}/evals/*/lambada.paper.examples.parquet")
        records.write_bytes(records.read_bytes()[:-1])
        shown, said = say(capsys, "eval", f"run={first}", "rescore=true", code=2)
        assert "is not what lambada.paper.json was made from" in said and "held_out.corpus: as it was" in shown

    def test_what_has_not_been_scored_names_the_command(self, place, capsys):
        _, said = say(capsys, "eval", "checkpoint=exported", "rescore=true", code=2)
        assert "zeroscale eval checkpoint=exported 'cards=[core]'" in said


class TestComparing:
    def test_what_is_missing_is_said_as_the_command_that_makes_it(self, place, capsys):
        first, second = names(place)
        say(capsys, "eval", f"checkpoint={first}", *FILES, "limit=20")
        runs = f"runs=[{first},{second}]"
        _, said = say(capsys, "compare", runs, "cards=[lambada]", code=2)
        (command,) = re.findall(r"zeroscale (eval .*)", said)
        arguments = shlex.split(command.replace("DIR", "data"))
        assert "limit=20" in arguments and f"checkpoint={second}" in arguments
        say(capsys, *arguments, "allow_other_data=true")
        shown, _ = say(capsys, "compare", runs, "out=compared")
        assert "held_out, protocol corpus" in shown and "lambada, protocol paper: 20 passages in both" in shown
        content = json.loads(Path("compared/compare.json").read_text())
        rows = {(row["card"], row["metric"]): row for row in content["rows"]}
        held_out = rows["held_out", "loss"]
        assert held_out["difference"] == pytest.approx(held_out["second"] - held_out["first"])
        assert held_out["low"] <= held_out["difference"] <= held_out["high"] and 0 < held_out["p"] <= 1
        lines = table(Path("compared/compare.csv"))
        assert [float(line["p"]) for line in lines] == [row["p"] for row in content["rows"]]
        assert Path("compared/compare.md").read_text().count("\n| lambada |") == 4
        assert all(len(line) <= 100 for line in shown.splitlines())

    def test_the_same_weights_do_not_differ(self, place, capsys):
        (first, _) = names(place)
        say(capsys, "eval", "-m", f"checkpoint={first},exported", *SAMPLE)
        (results,) = place.glob("outputs/eval/exported-*")
        for other in ("exported", str(results)):
            shown, _ = say(capsys, "compare", f"runs=[{first},{other}]", "cards=[lambada]")
            lines = [line for line in shown.splitlines() if line.startswith("  ") and "1.0000" in line]
            assert len(lines) == 4 and all(" +0 " in line for line in lines)

    @pytest.mark.parametrize(("change", "word"), [("limit=5", "limit: none and 5"), ("seed=3", "seed")])
    def test_what_was_not_scored_alike_is_refused(self, place, capsys, change, word):
        first, second = names(place)
        say(capsys, "eval", f"checkpoint={first}", *SAMPLE)
        say(capsys, "eval", f"checkpoint={second}", *SAMPLE, change)
        _, said = say(capsys, "compare", f"runs=[{first},{second}]", "cards=[lambada]", code=2)
        assert "lambada: " in said and "were not scored alike" in said and word in said

    def test_other_data_are_refused_by_their_hash(self, place, capsys):
        first, second = names(place)
        say(capsys, "eval", f"checkpoint={first}", *FILES)
        with open("data/lambada_test.jsonl", "a") as file:
            file.write('{"text": "one passage more"}\n')
        say(capsys, "eval", f"checkpoint={second}", *FILES)
        _, said = say(capsys, "compare", f"runs=[{first},{second}]", "cards=[lambada]", code=2)
        assert "data (their hashes differ): " in said
        shown, _ = say(capsys, "compare", f"runs=[{first},{second}]")
        assert "Not compared: lambada: " in shown and "held_out" in shown

    def test_two_and_not_the_same_are_compared(self, place, capsys):
        (first, _) = names(place)
        assert "compare takes two" in say(capsys, "compare", f"runs=[{first}]", code=2)[1]
        assert "are the same results" in say(capsys, "compare", f"runs=[{first},./{first}]", code=2)[1]
        assert "outputs/x/y is not a directory" in say(capsys, "compare", f"runs=[{first},outputs/x/y]", code=2)[1]
        assert "no checkpoint of that name" in say(capsys, "compare", f"runs=[{first},some/name]", code=2)[1]
