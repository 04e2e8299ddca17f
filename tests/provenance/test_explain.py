"""`zeroscale explain`: from a number to the run, the weights, the data, the card, the source and the command."""

import pytest

from zeroscale.core.files import read_json, write_json


def edit_ledger(study, old: str, new: str) -> None:
    text = (study / "results.csv").read_text()
    assert old in text
    (study / "results.csv").write_text(text.replace(old, new))


def test_the_chain_behind_a_score_names_every_link_and_each_holds(run, say):
    said = say("explain", "study=outputs/tiny", "cell=pocket", "metric=lambada/acc")
    manifest, meta = (read_json(run / name) for name in ("manifest.json", "checkpoints/step-00000020/meta.json"))
    result = read_json(run / "evals/step-00000020/lambada.paper.json")
    score = result["metrics"]["acc"]
    assert said.startswith(f"lambada/acc = {score['value']!r}, 95 % interval") and "SAMPLE, no benchmark" in said
    assert result["weights_hash"] == meta["sha256"]["model.safetensors"]
    behind = [
        "results.csv, line ",
        "lambada.paper.json",
        result["key"][:12],
        result["card_hash"][:12],
        "(the same here)",
        result["data_hash"][:12],
        result["weights_hash"][:12],
        "step 20, 5,120 tokens, seed 0, done",
        manifest["settings_hash"],
        manifest["corpus"]["fingerprint"][:12],
        manifest["tokenizer"]["fingerprint"][:12],
        manifest["command"],
        f"torch {manifest['packages']['torch']}",
        "1 threads",
    ]
    for words in behind:
        assert words in said, words
    assert said.count(manifest["command"]) == 2  # it trained and it scored
    assert "BROKEN" not in said and said.count("holds") >= 4


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("lambada/perplexity/low", "lambada.paper.json"),
        ("held_out/bits_per_byte", "held_out.corpus.json"),
        ("val/loss", "held_out.corpus.json"),
        ("train/loss", "the line of step 20"),
        ("tokens", "the line of step 20"),
        ("params_non_embedding", "zeroscale.model.flops.params"),
    ],
)
def test_every_kind_of_column_has_its_chain(run, say, metric, words):
    said = say("explain", "study=outputs/tiny", f"cell={run.name}", f"metric={metric}")
    assert words in said and "BROKEN" not in said and "results.csv, line" in said


def test_a_step_may_be_chosen(run, say):
    said = say("explain", "study=outputs/tiny", f"cell={run.name}", "metric=val/loss", "step=10")
    assert "step 10" in said and "metrics.jsonl, the line of step 10" in said


def test_a_link_that_does_not_hold_is_named_and_the_exit_code_says_so(run, say):
    ask = ["explain", "study=outputs/tiny", "cell=pocket", "metric=lambada/perplexity"]
    path = run / "evals/step-00000020/lambada.paper.json"
    result = read_json(path)
    value = result["metrics"]["perplexity"]["value"]
    edit_ledger(run.parent, repr(value), repr(value / 2))
    said = say(*ask, code=1)
    assert "ledger" in said and said.count("BROKEN") == 1
    result["metrics"]["perplexity"]["value"] = value / 2
    write_json(path, result)
    said = say(*ask, code=1)
    assert said.count("BROKEN") == 1 and "its own sha256 says so" in said


def test_what_is_not_there_is_said_with_what_is(run, say):
    def ask(*more: str) -> str:
        return say("explain", "study=outputs/tiny", *more, code=2)

    assert "no run is called so" in ask("cell=gpt9", "metric=val/loss") and run.name in ask("cell=x", "metric=y")
    assert "did you mean lambada/acc?" in ask("cell=pocket", "metric=lambda/acc")
    assert "has no such number at step 3" in ask("cell=pocket", "metric=val/loss", "step=3")
    assert "fit.json is not there" in ask("metric=alpha")
    (run / "manifest.json").unlink()
    without = say("explain", "study=outputs/tiny", "cell=pocket", "metric=train/loss", code=1)
    assert "there is no manifest.json" in without and "manifest.json is gone" in without


def test_the_chain_behind_a_laws_parameter_goes_to_the_runs_it_rests_on(study, say):
    from zeroscale.scaling import fit

    fit.fit_study(study, bootstrap=200, command="zeroscale fit runs=there")
    said = say("explain", f"study={study}", "metric=alpha")
    alpha = read_json(study / "fit.json")["laws"]["val/loss"]["parameters"]["alpha"]
    assert said.startswith(f"val/loss/alpha = {alpha['value']!r}, 95 % interval")
    assert "zeroscale fit runs=there" in said and "bootstrap 200" in said and "BROKEN" not in said
    assert all(said.count(f"{name}, step 20: loss ") == 1 for name in ("pocket-xs", "pocket-s", "pocket-m", "pocket-l"))
    assert "no law has it" in say("explain", f"study={study}", "metric=gamma", code=2)
    path = study / "pocket-m" / "evals" / "step-00000020" / "held_out.corpus.json"
    result = read_json(path)
    result["metrics"]["loss"]["value"] += 1e-12
    write_json(path, result)
    said = say("explain", f"study={study}", "metric=val/loss/alpha", code=1)
    assert said.count("BROKEN") == 1 and "its files say" in said
    with open(study / "results.csv", "a") as file:
        file.write("\n")
    assert "it is another since the fit" in say("explain", f"study={study}", "metric=alpha", code=1)
