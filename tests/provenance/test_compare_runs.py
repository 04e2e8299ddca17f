"""How two records are compared: which number counts, what a tolerance forgives, and what is no comparison at all."""

import copy
import math
from pathlib import Path

import pytest

from zeroscale.provenance import compare_runs
from zeroscale.runs.results import ResultFile

NAN = float("nan")


def record(steps: int = 8) -> dict[int, dict]:
    return {
        step: {
            "step": step,
            "tokens": 256 * step,
            "train/loss": 5.0 / step,
            "grad_norm": 1.0,
            "lr": 0.01,
            "seconds": 0.1 * step,
            "tokens_per_s": 99.0,
            "mfu": None,
        }
        for step in range(1, steps + 1)
    }


def changed(step: int, **values: float) -> dict[int, dict]:
    other = record()
    other[step] |= {name.replace("__", "/"): value for name, value in values.items()}
    return other


def test_times_are_no_part_of_a_result_and_every_other_bit_is():
    slower = changed(3, seconds=7.0, tokens_per_s=1.0)
    assert compare_runs.steps(record(), slower, 0.01, None).verdict == "bit-identical"
    found = compare_runs.steps(record(), changed(3, train__loss=math.nextafter(5.0 / 3, 2)), 0.01, None)
    assert found.verdict == "within tolerance" and found.first.where == "step 3"
    assert found.first.relative < 1e-15 and found.compared == 8


def test_the_first_and_the_largest_deviation_are_named():
    other = changed(2, train__loss=2.501)
    other[6]["train/loss"] *= 1.5
    found = compare_runs.steps(record(), other, 0.01, None)
    assert found.verdict == "different"
    assert (found.first.where, found.largest.where) == ("step 2", "step 6")
    assert found.largest.relative == pytest.approx(0.5)
    assert any("out of tolerance from step 6" in note for note in found.notes)
    assert compare_runs.steps(record(), other, 0.01, 5).verdict == "within tolerance"


def test_the_gradients_norm_is_held_to_its_bits_only():
    found = compare_runs.steps(record(), changed(2, grad_norm=40.0), 0.01, None)
    assert found.verdict == "within tolerance" and found.first.name == "grad_norm"


@pytest.mark.parametrize(("name", "value"), [("lr", 0.0102), ("train__loss", NAN), ("tokens", 300)])
def test_what_no_tolerance_forgives(name, value):
    assert compare_runs.steps(record(), changed(4, **{name: value}), 0.01, None).verdict == "different"


def test_a_step_that_is_missing_is_a_difference_and_a_loss_that_is_no_number_is_its_own_equal():
    short = record(7)
    found = compare_runs.steps(record(), short, 0.01, None)
    assert found.verdict == "different" and "a line of metrics.jsonl" in found.first.words
    diverged = changed(8, train__loss=NAN)
    assert compare_runs.steps(diverged, copy.deepcopy(diverged), 0.01, None).verdict == "bit-identical"
    assert compare_runs.steps({}, {}, 0.01, None).verdict == "not compared"


def result(value: float = 0.5, low: float | None = 0.4, high: float | None = 0.6, **key) -> ResultFile:
    content = {"card_hash": "a", "data_hash": "b", "tokenizer": "c", "seed": 0, "version": 3, **key}
    metrics = {"acc": {"value": value, "low": low, "high": high, "n": 12}}
    return ResultFile(20, Path("evals/step-00000020/lambada.paper.json"), {**content, "metrics": metrics})


def test_a_score_may_lie_anywhere_in_its_recorded_interval_or_within_the_relative_tolerance():
    def verdict(there: ResultFile, here: ResultFile) -> str:
        return compare_runs.scores([there], [here], 0.01).verdict

    assert verdict(result(), result()) == "bit-identical"
    assert verdict(result(), result(0.59)) == "within tolerance"
    assert verdict(result(), result(0.61)) == "different"
    assert verdict(result(low=None, high=None), result(0.504, None, None)) == "within tolerance"
    assert verdict(result(low=None, high=None), result(0.506, None, None)) == "different"
    assert verdict(result(), result(low=0.39)) == "within tolerance"


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ({"card_hash": "z"}, "another card"),
        ({"data_hash": "z"}, "other data"),
        ({"tokenizer": "z"}, "another tokenizer"),
        ({"version": 4}, "another harness (version 3 there, 4 here)"),
    ],
)
def test_answers_to_other_questions_are_not_compared(key, words):
    found = compare_runs.scores([result()], [result(0.9, **key)], 0.01)
    assert found.verdict == "not compared" and found.compared == 0 and words in found.notes[0]


def test_of_several_parts_the_worst_stands_for_all():
    assert compare_runs.worst(["bit-identical", "within tolerance"]) == "within tolerance"
    assert compare_runs.worst(["not compared", "within tolerance"]) == "not compared"
    assert compare_runs.worst(["different", "not compared"]) == "different"
    assert compare_runs.worst([]) == "not compared"
