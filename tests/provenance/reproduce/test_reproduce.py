"""`zeroscale reproduce`: trained and scored again, elsewhere, from nothing but the run's directory and the texts."""

import json
import os
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, write_texts
from support import made_runs
from support.made_runs import command, rows, run_in

from zeroscale.core.files import read_json, sha256_file, write_json

COMPARED = ("step", "train/loss", "grad_norm", "lr", "val/loss", "val/bits_per_byte")


def numbers(run: Path) -> list[tuple]:
    """Read with other eyes than the command's own."""
    return [tuple(row.get(name) for name in COMPARED) for row in rows(run)]


def test_a_run_is_the_same_to_the_bit_in_another_clone_at_another_path(made, tmp_path):
    clone = made_runs.committed(tmp_path / "elsewhere" / "clone", made / "copy")
    work = tmp_path / "elsewhere" / "work"
    write_texts(work / "texts")
    run = shutil.copytree(run_in(made), work / "copied" / run_in(made).name)
    said = command(work, "reproduce", f"run={run}", "out=again", source=clone)
    assert "20 steps compared: bit-identical" in said and "scores compared: bit-identical" in said
    assert "verdict    bit-identical" in said and "CHANGED" not in said and "differs" not in said
    again = work / "again" / "tiny" / run.name
    assert numbers(again) == numbers(run) and len(numbers(run)) == 20
    final = "checkpoints/step-00000020/model.safetensors"
    assert sha256_file(again / final) == sha256_file(run / final)
    for scored in ("lambada.paper.json", "held_out.corpus.json"):
        (there, here) = (read_json(one / "evals" / "step-00000020" / scored) for one in (run, again))
        assert here["metrics"] == there["metrics"]
    assert read_json(again / "reproduction.json")["verdict"] == "bit-identical"
    # It was the clone's code that ran: the copy that made the run knew no revision.
    revisions = [read_json(one / "manifest.json")["source"]["revision"] for one in (run, again)]
    assert revisions == [None, made_runs.git(clone, "rev-parse", "HEAD").strip()]
    assert (work / "again" / "tiny" / "results.csv").is_file()


def test_its_first_steps_are_those_of_the_whole_run_and_what_is_another_is_found(folder, run, say):
    told = read_json(run / "manifest.json")
    told["packages"]["numpy"], told["hardware"]["cores"] = "1.0", 99
    write_json(run / "manifest.json", told)
    lines = rows(run)
    lines[2]["train/loss"] += 1e-7
    lines[4]["grad_norm"] *= 3
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    said = say("reproduce", f"run={run}", "steps=5", code=3)
    (again,) = Path("outputs/reproduced/tiny").glob("*-seed0-*")
    # Warm-up and decay are those of 20 steps: a schedule of 5 would have other rates.
    assert [row["lr"] for row in rows(again)] == [row["lr"] for row in lines[:5]]
    assert "the first 5 of 20 steps" in said and "5 steps compared: within tolerance" in said
    assert "first at step 3: train/loss" in said and "most at step 5: grad_norm" in said
    assert "numpy: 1.0 there" in said and "can matter (another version may round" in said
    assert "cores: 99 there" in said and "cannot matter (the number of threads" in said
    assert "metrics.jsonl has been changed since it was written" in said
    assert "that of the run" in said  # the corpus beside it, by its fingerprint


def test_where_it_may_not_be_made_is_said(folder, run, say):
    assert "is where the run itself lies" in say("reproduce", f"run={run}", "out=outputs", code=2)
    assert "give study=… then" in say("reproduce", f"run={run.parent}", code=2)
    assert "one of two" in say("reproduce", code=2)


def test_without_its_corpus_the_scores_of_its_checkpoints_are_still_compared(folder, run, say):
    shutil.rmtree(folder / "texts")
    shutil.rmtree(folder / "outputs" / "corpora")
    said = say("reproduce", f"run={run}", code=1)
    assert "its corpus cannot be had" in said and "data_path=DIR says where its files are" in said
    assert "scores compared: not compared" in said and "held_out.corpus, step 20: not scored here" in said
    record = read_json(Path("outputs/reproduced/tiny") / run.name / "reproduction.json")
    assert record["parts"]["scores"]["compared"] == 4 and record["parts"]["scores"]["first"] is None


def test_the_scores_of_a_checkpoint_that_is_no_run_are_made_again_from_its_weights(folder, run, say):
    say("export", f"checkpoint={run}", "out=theirs")
    say("eval", "checkpoint=theirs", "cards=[lambada]", "cards_from=sample")
    (scored,) = Path("outputs/eval").glob("theirs-*")
    said = say("reproduce", f"run={scored}")
    assert "4 scores compared: bit-identical" in said and "verdict    bit-identical" in said
    (again,) = Path("outputs/reproduced/eval").glob("theirs-*/evals/lambada.paper.json")
    assert read_json(again)["metrics"] == read_json(scored / "evals" / "lambada.paper.json")["metrics"]
    assert "theirs, sha256" in say("explain", f"study={scored}", "metric=lambada/perplexity")
    weights = bytearray((folder / "theirs" / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "theirs" / "model.safetensors").write_bytes(bytes(weights))
    refused = say("reproduce", f"run={scored}", code=2)
    assert "holds another model than the one that was scored: model.safetensors is not what it was" in refused


@pytest.mark.slow
def test_scores_that_came_later_are_made_again_too_and_another_benchmark_file_is_named(folder, run, say):
    data = folder / "data"
    data.mkdir()
    passages = [
        json.dumps({"text": f"the cat sees the dog number {number} and the cat sees it"}) for number in range(9)
    ]
    (data / "lambada_test.jsonl").write_text("\n".join(passages) + "\n")
    asked = ["cards=[lambada]", "data_dir=data", "allow_other_data=true", "limit=5"]
    command(folder, "eval", f"checkpoint={run}", *asked)
    command(folder, "eval", f"checkpoint={run}", "cards=[wikitext2]", "cards_from=sample")
    said = command(folder, "reproduce", f"run={run}", "data_dir=data", "out=one")
    assert "verdict    bit-identical" in said and "wikitext2" not in said
    (data / "lambada_test.jsonl").write_text("\n".join(passages[::-1]) + "\n")
    said = command(folder, "reproduce", f"run={run}", "data_dir=data", "out=two", code=1)
    assert "lambada_test.jsonl is another version than the one scored" in said
    assert "20 steps compared: bit-identical" in said and "other data" in said
    said = command(folder, "reproduce", f"run={run}", "out=three", code=1)
    assert "needs data_dir=DIR" in said and "lambada.paper, step 20: other data" in said


@pytest.mark.slow
def test_a_benchmark_file_that_is_broken_costs_its_scores_and_nothing_else(tmp_path):
    write_texts(tmp_path / "texts")
    file = tmp_path / "data" / "lambada_test.jsonl"
    file.parent.mkdir()
    file.write_text("".join(json.dumps({"text": f"the cat sees the dog {n} and the cat"}) + "\n" for n in range(9)))
    command(tmp_path, "train", *made_runs.TRAIN, "cards=[lambada]", "cards_from=files", "data_dir=data")
    file.write_text('{"text": "the cat')
    said = command(tmp_path, "reproduce", f"run={run_in(tmp_path)}", code=1)
    assert "lambada_test.jsonl, line 1: not valid JSON" in said
    assert "20 steps compared: bit-identical" in said and "lambada.paper, step 20: not scored here" in said


@pytest.mark.slow
def test_a_study_is_made_again_cell_by_cell_and_its_text_may_have_moved(tmp_path):
    write_texts(tmp_path / "texts")
    sizes = ["-m", *made_runs.TRAIN, "model.d_model=8,16", "trainer.score_every=10", "cards=[lambada]"]
    command(tmp_path, "train", *sizes, "cards_from=sample")
    (tmp_path / "texts").rename(tmp_path / "moved")
    shutil.rmtree(tmp_path / "outputs" / "corpora")
    said = command(tmp_path, "reproduce", "study=outputs/tiny", "data_path=moved")
    assert "2 of 2 runs are bit-identical" in said
    # A step's scores during training are scores like the others.
    for run in (tmp_path / "outputs" / "tiny").glob("*-seed0-*"):
        assert (run / "evals" / "step-00000010" / "lambada.paper.json").is_file()
    first, _ = sorted((tmp_path / "outputs" / "tiny").glob("*-seed0-*"))
    (first / "config.yaml").write_text((first / "config.yaml").read_text().replace("seed: 0", "seed: 1"))
    said = command(tmp_path, "reproduce", "study=outputs/tiny", "data_path=moved", "out=again", code=1)
    assert "1 of 2 runs are bit-identical" in said and "seed was 0, is 1" in said


@pytest.mark.slow
def test_a_run_that_went_on_with_other_threads_says_so(tmp_path):
    write_texts(tmp_path / "texts")
    command(tmp_path, "train", *made_runs.TRAIN)
    run = run_in(tmp_path)
    (run / "DONE").unlink()
    shutil.rmtree(run / "checkpoints" / "step-00000020")
    command(tmp_path, "train", *made_runs.TRAIN, OMP_NUM_THREADS="2")
    (stretch,) = read_json(run / "manifest.json")["earlier"]
    assert stretch["until_step"] == 15 and stretch["threads"] == 1
    assert read_json(run / "manifest.json")["threads"] == 2
    said = command(tmp_path, "reproduce", f"run={run}", code=None)
    assert "until step 15 the run itself had another threads" in said


@pytest.mark.slow
def test_a_branch_is_made_again_from_a_trunk_of_its_own(tmp_path):
    write_texts(tmp_path / "texts")
    branch = ["schedule=wsd", "init_from.run=trunk", "init_from.trunk_tokens=5120", "trainer.keep_every_tokens=1024"]
    command(tmp_path, "train", *made_runs.TRAIN, *branch, "trainer.tokens=3840")
    run = run_in(tmp_path)
    said = command(tmp_path, "reproduce", f"run={run}")
    assert "verdict    bit-identical" in said and "15 steps compared" in said
    assert len(list((tmp_path / "outputs" / "reproduced" / "tiny-trunk").glob("*/DONE"))) == 1


@pytest.mark.slow
def test_on_other_threads_it_is_within_tolerance(tmp_path):
    write_texts(tmp_path / "texts")
    wide = [
        "model.d_model=128",
        "model.n_head=4",
        "model.n_layer=2",
        "trainer.batch_tokens=1024",
        "trainer.threads=null",
    ]
    command(tmp_path, "train", *made_runs.TRAIN, *wide, "trainer.tokens=40960", OMP_NUM_THREADS="1")
    run = run_in(tmp_path)
    manifest = read_json(run / "manifest.json")
    write_json(run / "manifest.json", manifest | {"threads": 2})
    said = command(tmp_path, "reproduce", f"run={run}", code=3)
    assert "40 steps compared: within tolerance" in said and "verdict    within tolerance" in said
    assert "not to the bit, though nothing that is recorded differs" in said  # it was edited


@pytest.mark.slow
def test_compiled_with_two_threads_it_is_the_same_to_the_bit_in_deterministic_mode(tmp_path):
    write_texts(tmp_path / "texts")
    mode = ["trainer.compile=true", "trainer.deterministic=true", "trainer.threads=2"]
    command(tmp_path, "train", *made_runs.TRAIN, *mode)
    assert "verdict    bit-identical" in command(tmp_path, "reproduce", f"run={run_in(tmp_path)}")


@pytest.mark.slow
@pytest.mark.gpu
def test_on_a_gpu_it_is_the_same_to_the_bit_in_deterministic_mode(tmp_path):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    write_texts(tmp_path / "texts")
    for number, mode in enumerate((["trainer.compile=false"], ["trainer.precision=bf16-mixed", "model.d_model=64"])):
        study = f"study=gpu{number}"
        sizes = ["trainer.accelerator=cuda", "trainer.deterministic=true", study]
        command(tmp_path, "train", *made_runs.TRAIN, *mode, *sizes)
        assert "verdict    bit-identical" in command(tmp_path, "reproduce", f"study=outputs/gpu{number}")


@pytest.mark.slow
@pytest.mark.skipif("ZEROSCALE_DATA" not in os.environ, reason="needs the novels and LAMBADA under $ZEROSCALE_DATA")
def test_on_novels_and_a_whole_benchmark_it_is_the_same_to_the_bit_in_another_clone(tmp_path):
    data = Path(os.environ["ZEROSCALE_DATA"])
    text = [f"data.path={data / 'corpora' / 'english_novels'}", "data.max_bytes=2000000", "data.val_fraction=0.1"]
    cards = ["cards=[lambada,wsc273]", "cards_from=files", f"data_dir={data}"]
    (tmp_path / "work").mkdir()
    command(tmp_path / "work", "train", *made_runs.TRAIN, *text, *cards)
    clone = made_runs.clone_to(tmp_path / "elsewhere" / "clone")
    run = run_in(tmp_path / "work")
    said = command(clone, "reproduce", f"run={run}", "prepare_corpus=true", source=clone)
    assert "verdict    bit-identical" in said and "differs" not in said
    told = command(tmp_path / "work", "explain", "study=outputs/tiny", "cell=pocket", "metric=lambada/perplexity")
    assert "content as pinned" in told and "SAMPLE" not in told


@pytest.mark.slow
def test_the_pocket_study_is_the_same_to_the_bit_in_another_clone(tmp_path):
    """Trained twice: about ten minutes on two cores."""
    first = tmp_path / "first"
    first.mkdir()
    command(first, "train", "+sweeps=pocket", "tracker=none")
    clone = made_runs.clone_to(tmp_path / "elsewhere" / "clone")
    said = command(clone, "reproduce", f"study={first / 'outputs' / 'pocket'}", "prepare_corpus=true", source=clone)
    assert "4 of 4 runs are bit-identical" in said
    assert said.count("1,024 steps compared: bit-identical") == 4 and said.count("2 checkpoints compared") == 4


def test_the_page_names_a_test_for_each_promise():
    page = (ROOT / "docs" / "reproducibility.md").read_text(encoding="utf-8")
    named = {part.strip("().,;:|") for part in page.replace("`", " ").split() if "::test_" in part}
    assert len(named) >= 10
    for one in named:
        path, _, name = one.partition("::")
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), one
