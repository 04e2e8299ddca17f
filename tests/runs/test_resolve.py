"""What a user's name stands for, and where the results of it lie."""

import pytest

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import write_json
from zeroscale.runs import resolve
from zeroscale.runs.run import Run
from zeroscale.runs.study import Study


@pytest.fixture
def study(tmp_path, disk):
    disk.write_cell(tmp_path / "pocket", "s", results={512: [disk.result("lambada", {"acc": disk.score(0.5)})]})
    return tmp_path / "pocket"


def test_a_run_a_study_and_a_checkpoint(study):
    run = study / "pocket-s-seed0"
    step = run / "checkpoints" / "step-00000512"
    write_json(step / "meta.json", {})
    resolved = resolve.resolve(run)
    assert isinstance(resolved, Run) and resolved.directory == run
    assert isinstance(resolve.resolve(study), Study)
    found = resolve.resolve(step)
    assert isinstance(found, resolve.Checkpoint) and found.label == "pocket-s-seed0, step 512"
    assert found.results_directory == run / "evals" / step.name and found.run.directory == run
    assert resolve.run_behind(step).directory == run


def test_the_results_of_a_step_stand_for_its_checkpoint_even_when_that_was_pruned(study):
    results = study / "pocket-s-seed0" / "evals" / "step-00000512"
    (results / "lambada.paper.examples.parquet").touch()
    found = resolve.resolve(results)
    assert found.results_directory == results and found.run.name == "pocket-s-seed0"
    (where,) = resolve.find_results(str(results), study.parent)
    assert (where.label, where.out) == ("pocket-s-seed0, step 512", results)


def test_models_that_no_run_here_made(tmp_path):
    folder = tmp_path / "gpt2"
    write_json(folder / "config.json", {})
    assert resolve.resolve(folder) == resolve.ExternalModel(str(folder), folder)
    assert resolve.resolve("openai-community/gpt2") == resolve.ExternalModel("openai-community/gpt2")
    scores = tmp_path / "eval" / "gpt2-0badcafe"
    (scores / "evals").mkdir(parents=True)
    write_json(scores / "source.json", {"checkpoint": "openai-community/gpt2"})
    for name in (scores, "openai-community/gpt2"):
        (where,) = resolve.find_results(str(name), tmp_path)
        assert (where.label, where.given, where.out) == (scores.name, "openai-community/gpt2", scores / "evals")
        assert resolve.run_behind(name) is None


def test_every_refusal_says_what_to_do(study, tmp_path):
    refusals = {
        study: "is a study: give one of its runs: pocket-s-seed0",
        tmp_path / "nowhere": "is not a directory: give a run's",
        tmp_path: "is not a checkpoint and holds no results",
        "owner/unscored": "Score it with: zeroscale eval checkpoint=owner/unscored",
    }
    for name, words in refusals.items():
        with pytest.raises(ZeroscaleError, match=words):
            resolve.find_results(str(name), tmp_path)
    for name in (study, tmp_path / "nowhere", tmp_path):
        with pytest.raises(ZeroscaleError, match=refusals[name]):
            resolve.resolve_checkpoint(name, tmp_path)
    scores = tmp_path / "eval" / "gpt2-0badcafe"
    (scores / "evals").mkdir(parents=True)
    with pytest.raises(ZeroscaleError, match=r"holds the scores of .*; give that"):
        resolve.resolve_checkpoint(scores, tmp_path)


def test_a_damaged_source_keeps_nobody_from_the_others(tmp_path):
    write_json(tmp_path / "eval" / "good" / "source.json", {"checkpoint": "openai-community/gpt2"})
    for name, content in {"a": "{", "b": "[1]", "c": '{"checkpoint": NaN}'}.items():
        (tmp_path / "eval" / name).mkdir(parents=True)
        (tmp_path / "eval" / name / "source.json").write_text(content)
    (found,) = resolve.find_results("openai-community/gpt2", tmp_path)
    assert "good" in str(found.out)
    with pytest.raises(ZeroscaleError, match="not read") as caught:
        resolve.find_results("somebody/else", tmp_path)
    assert all(f"{name}/source.json" in str(caught.value) for name in "abc")
