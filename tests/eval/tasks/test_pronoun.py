"""The Winograd schemas: from the collection's XML or the hub's columns to two scorings; beside lm-eval's wsc273."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import lm_eval_oracle as oracle

from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.tokenizer import Tokenizer
from zeroscale.eval import tasks
from zeroscale.eval.cards import registry as cards
from zeroscale.eval.cards import sources
from zeroscale.eval.cards.rows import Row
from zeroscale.eval.engine.engine import Engine
from zeroscale.eval.engine.requests import LogLikelihoodResult
from zeroscale.eval.tasks.pronoun import Pronoun, as_lm_eval, by_grammar
from zeroscale.model.gpt import GPT


def make(tokenizer: Tokenizer, protocol: str = "paper", n_positions: int = 1024, **changed: Any) -> Any:
    (card,) = cards.resolve(["wsc273"])
    family = tasks.task_type("pronoun")
    return family(family.Options(**card.options(protocol) | changed), tokenizer, n_positions)


def row(sentence: str, *options: str, label: int = 0, where: str = "here") -> Row:
    """A row from a sentence with its [pronoun] in brackets."""
    begin, end = sentence.index("["), sentence.index("]")
    pronoun = sentence[begin + 1 : end]
    content = {"pronoun": pronoun, "pronoun_loc": begin, "options": list(options), "label": label}
    return Row(where, {"text": sentence[:begin] + pronoun + sentence[end + 1 :], **content})


def schema(left: str, pronoun: str, right: str, first: str, second: str, letter: str) -> str:
    return f"""<schema>
<text><txt1>{left}
</txt1> <pron> {pronoun} </pron>
<txt2> {right}  </txt2></text>
<quote><quote1></quote1><pron>{pronoun}</pron><quote2>{right}</quote2></quote>
<answers><answer>{first} </answer> <answer> {second}</answer></answers>
<correctAnswer> {letter}  </correctAnswer>
<source>made for this test</source></schema>
"""


def collection(*schemas: str) -> str:
    return '<?xml version="1.0" encoding="ISO-8859-1"?>\n<collection>\n' + "".join(schemas) + "</collection>\n"


TWO = collection(
    schema("The kettle is\nunder the tap because", "it", "is  tall.", "The kettle", "the tap", "A."),
    schema("Hanna lent Rosa her bicycle.", "She", "was grateful.", "Hanna", "Rosa", "B"),
)


def test_the_collection_is_read_as_the_hubs_columns(tmp_path: Path, tokenizer: Tokenizer) -> None:
    (tmp_path / "WSCollection.xml").write_text(TWO, encoding="latin-1")
    (card,) = cards.resolve(["wsc273"])
    found = sources.read(card, "files", tmp_path, Pronoun.parse).rows
    assert [row.content for row in found] == [
        row("The kettle is under the tap because [it] is tall.", "The kettle", "the tap").content,
        row("Hanna lent Rosa her bicycle. [She] was grateful.", "Hanna", "Rosa", label=1).content,
    ]
    assert found[1].where.endswith("WSCollection.xml, line 12, schema 2")
    oracle.write_rows(tmp_path / "sub.jsonl", [row.content for row in found])
    again = [row.content for row in Pronoun.parse([tmp_path / "sub.jsonl"])]
    assert again == [row.content for row in found]


@pytest.mark.parametrize(
    ("sentence", "options", "filled"),
    [
        ("The cat saw the dog because [it] barked.", ("The cat", "the dog"), "the cat| barked."),
        ("The cat saw the dog. [It] barked.", ("the cat", "dog"), "The cat| barked."),
        ("We fed [them] .", ("The cats", "the dogs"), "the cats|."),
        ("Ann gave Eve [her] hat.", ("Ann", "Eve"), "Ann's| hat."),
        ("Ann fed [her] cat.", ("Ann's", "Ann's mother"), "Ann's| cat."),
        ("Ann knocked at Eve's door, but [she] was out.", ("Eve's", "Ann"), "Eve| was out."),
        ("Ann said that [he] was out.", ("My father", "that man"), "my father| was out."),
    ],
)
def test_a_candidate_is_written_as_its_place_needs(
    tokenizer: Tokenizer, sentence: str, options: tuple[str, str], filled: str
) -> None:
    task = make(tokenizer)
    (example,) = task.examples([row(sentence, *options)])
    partial, full, _, _ = task.requests(example)
    candidate, rest = filled.split("|")
    left = sentence[: sentence.index("[")] + candidate
    assert tokenizer.decode(partial.context) == left
    assert tokenizer.decode(partial.target) == rest
    assert full.context == (tokenizer.eos,)
    assert tokenizer.decode(full.target) == left + rest


def test_partial_and_full_scores_are_parts_of_one_sentences_probability(model: GPT, tokenizer: Tokenizer) -> None:
    """With the start token before both, what the whole sentence has beyond its rest is what stands before the rest."""
    task = make(tokenizer, start_token=True)
    (example,) = task.examples([row("Ann saw Eve as [she] ran.", "Ann", "Eve", label=1)])
    requests = task.requests(example)
    answers = Engine(model, tokenizer).run(requests)
    for partial, full, request in zip(answers[0::2], answers[1::2], requests[0::2], strict=True):
        np.testing.assert_allclose(full.logprobs[-len(request.target) :], partial.logprobs, atol=1e-5)
    (outcome,) = task.record(example, answers)
    assert outcome["logprobs"] == [pytest.approx(answer.logprobs.sum()) for answer in answers[0::2]]
    assert outcome["logprobs_full"] == [pytest.approx(answer.logprobs.sum()) for answer in answers[1::2]]


def test_the_likelier_candidate_is_chosen_by_each_scoring(tokenizer: Tokenizer) -> None:
    task = make(tokenizer)
    examples = task.examples([row("Ann saw Eve as [she] ran.", "Ann", "Eve", label=label) for label in (0, 1)])

    def scored(total: float) -> LogLikelihoodResult:
        return LogLikelihoodResult(np.array([total]), np.array([False]), False)

    answers = [scored(-1.0), scored(-9.0), scored(-2.0), scored(-8.0)]  # Ann by the rest, Eve by the whole
    outcomes = [outcome for example in examples for outcome in task.record(example, answers)]
    assert [outcome["right"] for outcome in outcomes] == [True, False]
    scores = [part.scores for part in task.measure(outcomes, task.options)]
    assert scores == [{"acc": 0.5}, {"acc_full": 0.5}]
    (only,) = task.record(examples[0], answers)
    assert (only["chosen"], only["chosen_full"]) == (0, 1)


def test_wsc273_is_the_first_273(tokenizer: Tokenizer) -> None:
    task = make(tokenizer)
    rows = [row("Ann saw Eve as [she] ran.", "Ann", f"Eve{number}") for number in range(285)]
    assert len(task.examples(rows)) == 273
    assert task.notes == ["the first 273 of 285 schemas"]


def test_solved_sentences_can_stand_before(tokenizer: Tokenizer) -> None:
    task = make(tokenizer, shots=1)
    rows = [row(f"Ann saw Eve{number} as [she] ran.", "Ann", f"Eve{number}", label=1) for number in range(4)]
    (first, *_) = task.select(task.examples(rows), None)
    assert task.left_out == 1
    shown = task.shots[0].candidates[1]
    partial, full, _, _ = task.requests(first)
    before = f"Ann saw {shown} as {shown} ran.\n"
    assert tokenizer.decode(partial.context) == f"{before}{first.before}Ann"
    assert full.context == (tokenizer.eos, *tokenizer.encode(before))
    assert tokenizer.decode(full.target) == f"{first.before}Ann ran."


def test_a_sentence_longer_than_the_context_is_cut_on_the_left_and_counted(model: GPT, tokenizer: Tokenizer) -> None:
    task = make(tokenizer, n_positions=128)
    long = "far and wide " * 12
    (example,) = task.examples([row(f"Ann, {long}, saw Eve as [she] ran.", "Ann", "Eve")])
    answers = Engine(model, tokenizer).run(task.requests(example))
    (outcome,) = task.record(example, answers)
    assert outcome["truncated"] > 0
    assert math.isfinite(outcome["logprobs"][0])


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (TWO.replace("</schema>\n</collection>", "</collection>"), r"line 19: not valid XML"),
        (TWO.replace(" B  ", " C  "), r"line 12, schema 2: correctAnswer should be A or B, but is 'C'"),
        (TWO.replace("Rosa</answer>", "</answer>"), r"line 12, schema 2: a schema has two candidates"),
        (TWO.replace(" Rosa</answer>", "Hanna</answer>"), r"line 12, schema 2: two candidates are the same"),
        (TWO.replace("<txt2> was grateful.  </txt2>", ""), r"line 12, schema 2: nothing follows the pronoun"),
        (TWO.replace("<pron> She </pron>", ""), r"line 12, schema 2: field 'pronoun' should be a text"),
        (collection(), "WSCollection.xml holds no examples"),
    ],
)
def test_a_broken_schema_is_named_by_line(tmp_path: Path, tokenizer: Tokenizer, text: str, named: str) -> None:
    (tmp_path / "WSCollection.xml").write_text(text, encoding="latin-1")
    (card,) = cards.resolve(["wsc273"])
    with pytest.raises(ZeroscaleError, match=named):
        make(tokenizer).examples(sources.read(card, "files", tmp_path, Pronoun.parse).rows)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"pronoun_loc": 3}, "should stand at pronoun_loc, 3"),
        ({"label": 2}, "'label' should be 0 or 1"),
        ({"label": None}, "'label' should be 0 or 1"),
        ({"options": ["Ann"]}, "two candidates, here are"),
    ],
)
def test_a_broken_row_of_the_hub_is_named(tokenizer: Tokenizer, change: dict[str, Any], named: str) -> None:
    broken = row("Ann saw Eve as [she] ran.", "Ann", "Eve").content | change
    with pytest.raises(ZeroscaleError, match=f"row 7: .*{named}"):
        make(tokenizer).examples([Row("row 7", broken)])


# Beside lm-evaluation-harness

ODD = [
    ("The cat saw the dog. [It] barked and ran.", "The cat", "the dog"),
    ("Is the cat here? [It] barked and ran.", "The cat", "the dog"),
    ("The dog ate, so we fed [them] .", "The dogs", "The cats"),
    ("Ann gave Eve [her] hat and ran.", "Ann", "Eve's"),
    ("My cat, with [his] tail up, ran.", "My cat", "A cat in A hat"),
    ("A dog saw the cat under the tree and [it] was often red.", "A dog", "The cat"),
]


def test_lm_evals_own_function_writes_candidates_so() -> None:
    from lm_eval.tasks.wsc273.utils import process_doc

    class Rows(list):
        map = lambda self, function: [function(doc) for doc in self]  # noqa: E731

    for sentence, *options in ODD:
        example = row(sentence, *options).content
        before = example["text"][: example["pronoun_loc"]]
        ours = [as_lm_eval(option, example["pronoun"], before) for option in options]
        (theirs,) = process_doc(Rows([{**example, "options": list(options)}]))
        assert ours == theirs["options"]


def compare(twin: oracle.Twin, rows: list[dict[str, Any]], data_dir: Path, folder: Path) -> None:
    theirs = oracle.evaluate(twin, "wsc273", {"test": rows}, folder / "theirs")
    result, records = oracle.score(twin, "wsc273", data_dir, folder / "ours")
    assert len(records) == len(theirs.samples) == len(rows)
    for record, responses in zip(records, theirs.responses, strict=True):
        assert record["logprobs"] == pytest.approx([logprob for logprob, _ in responses], abs=1e-4)
    assert result.metrics["acc"].value == theirs.scores["acc"]


@pytest.mark.parametrize("trained", [False, True])
def test_log_likelihoods_and_accuracy_are_lm_evals(tmp_path: Path, trained: bool) -> None:
    texts = [oracle.made_text(seed) for seed in range(6)]
    twin = oracle.twin(tmp_path / "twin", Tokenizer.train_bpe(texts, 300), texts if trained else ())
    rows = [row(sentence, *options, label=n % 2).content for n, (sentence, *options) in enumerate(ODD * 3)]
    oracle.write_rows(tmp_path / "wsc273.jsonl", rows)
    compare(twin, rows, tmp_path, tmp_path)


def test_the_real_schemas_score_as_lm_eval_scores_them(data: Path, tmp_path: Path) -> None:
    """All 273, from the collection's XML on our side, as the hub's rows on theirs."""
    rows = [found.content for found in Pronoun.parse([data / "wsc273" / "WSCollection.xml"])][:273]
    texts = [content["text"] for content in rows]
    compare(oracle.twin(tmp_path / "twin", Tokenizer.train_bpe(texts, 700), texts), rows, data, tmp_path)


@given(st.sampled_from(["The cat", "a dog", "Ann", "Ann's"]), st.sampled_from(["it", "It", "his", "Her", "them"]))
def test_by_grammar_writes_a_possessive_for_a_possessive_only(candidate: str, pronoun: str) -> None:
    written = by_grammar(candidate, pronoun)
    assert written.endswith("'s") == (pronoun in ("his", "Her"))
    assert written[0].isupper() == (pronoun[0].isupper() or candidate.startswith("Ann"))
