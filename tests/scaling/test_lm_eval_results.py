"""Result JSONs in lm-evaluation-harness' layout become runs; what they lack is named."""

import json
import math

import pytest

from zeroscale.core.errors import ZeroscaleError
from zeroscale.scaling import Options, fit_study
from zeroscale.scaling.options import COLUMNS

SIZES = {"pythia-70m": 70e6, "pythia-160m": 160e6, "pythia-410m": 410e6, "pythia-1b": 1e9}
STEPS = (1000, 10000, 143000)
BATCH = 2097152


def loss_of(params, tokens):
    return 1.5 + 300 / params**0.33 + 500 / tokens**0.3


def write_result(directory, model, step, *, date="2024-01-01T00-00-00.000000", **changes):
    """The harness' own layout: results by task, each metric with its filter, and the model's arguments."""
    params = SIZES[model]
    loss = loss_of(params, step * BATCH)
    content = {
        "results": {
            "wikitext": {
                "alias": "wikitext",
                "word_perplexity,none": math.exp(loss),
                "word_perplexity_stderr,none": "N/A",
            },
            "arc_easy": {"acc,none": 0.25 + 0.75 / (1 + math.exp(2 * (loss - 3))), "acc_stderr,none": 0.01},
        },
        "config": {
            "model": "hf",
            "model_args": f"pretrained=EleutherAI/{model},revision=step{step}",
            "model_num_parameters": params,
        },
        "model_name": f"EleutherAI/{model}",
    }
    content.update(changes)
    path = directory / f"EleutherAI__{model}" / f"results_{date}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def suite(tmp_path):
    directory = tmp_path / "suite"
    for model in SIZES:
        for number, step in enumerate(STEPS):
            write_result(directory, model, step, date=f"2024-01-01T00-00-0{number}.000000")
    return directory


OPTIONS = {"columns": {**COLUMNS, "loss": "wikitext/word_perplexity"}, "tokens_per_step": BATCH, "bootstrap": 100}


def test_a_published_suite_is_fitted(suite):
    fit = fit_study(
        suite, suite / "fit.json", options=Options(law=("vpnls", "benchmarks"), chance={"arc_easy": 0.25}, **OPTIONS)
    )
    law = fit["laws"]["vpnls"]
    assert law["n_points"] == 12
    assert law["parameters"]["E"]["value"] == pytest.approx(1.5, rel=1e-6)
    assert law["parameters"]["alpha"]["value"] == pytest.approx(0.33, rel=1e-6)
    assert law["points"][0]["cell"] == "pythia-70m at step 1000"
    assert law["points"][0]["tokens"] == 1000 * BATCH
    # Of each size the longest run; accuracy from the loss on WikiText.
    curve = fit["benchmarks"]["arc_easy/acc"]
    assert curve["n_points"] == 4 and curve["loss"] == "loss"
    assert curve["parameters"]["L_0"]["value"] == pytest.approx(3.0, rel=1e-4)


def test_the_newest_result_of_a_task_counts(suite):
    newer = {"wikitext": {"word_perplexity,none": math.exp(9.0)}}
    write_result(suite, "pythia-70m", 1000, date="2025-01-01T00-00-00.000000", results=newer)
    fit = fit_study(suite, suite / "fit.json", options=Options(law=("vpnls",), **OPTIONS))
    assert fit["laws"]["vpnls"]["points"][0]["loss"] == pytest.approx(9.0)
    assert fit["laws"]["vpnls"]["n_points"] == 12


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"tokens_per_step": None}, "do not say how many tokens .* give tokens_per_step=2097152"),
        ({"columns": COLUMNS}, "has no loss, .* give columns.loss=wikitext/word_perplexity"),
    ],
)
def test_what_the_results_do_not_say_is_asked_for(suite, options, says):
    with pytest.raises(ZeroscaleError, match=says):
        fit_study(suite, options=Options(**{**OPTIONS, **options}))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"results": None}, "has no 'results'"),
        ({"config": {"model_args": "pretrained=EleutherAI/pythia-70m"}}, "the step it was trained to is not in either"),
        ({"config": {"model_args": "revision=step5"}}, "no config.model_num_parameters"),
        ({"config": {"model_args": "revision=step5", "model_num_parameters": True}}, "no config.model_num_parameters"),
        ({"config": {"model_args": "revision=step5", "model_num_parameters": math.inf}}, "no config.model_num"),
        ({"config": [1]}, r"config is \[1\]"),
        ({"config": {"model_args": 7}}, "config.model_args is 7"),
        ({"results": {"wikitext": 3}, "config": {"model_args": "revision=step5", "model_num_parameters": 7}}, "is 3"),
    ],
)
def test_a_file_that_lacks_something_is_named(suite, changes, says):
    path = write_result(suite, "pythia-70m", 5, date="2026", **changes)
    with pytest.raises(ZeroscaleError, match=says) as caught:
        fit_study(suite, options=Options(**OPTIONS))
    assert str(path) in str(caught.value)
