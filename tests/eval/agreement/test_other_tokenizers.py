"""`protocol: lm-eval` with tokenizers that are not GPT-2's kind: context and target are one text for all of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import lm_eval_oracle as oracle
from support import other_models

from zeroscale.eval import tasks
from zeroscale.eval.cards import registry as cards
from zeroscale.eval.evaluate import score_cards
from zeroscale.eval.results import read_records

PASSAGES = [
    "The cat sat on the mat, and the dog ran to the house",
    "the  old dog sees\n the red  cat",
    '"It is the house of the man," said the dog',
    " the dog finds the cat.\n",
    "it was not the",
    " ".join(["the old cat runs and the small dog sees it"] * 80),  # longer than the context
]


@pytest.fixture(scope="module", params=other_models.KINDS)
def twin(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> oracle.Twin:
    return other_models.twin(request.param, tmp_path_factory.mktemp("other"))


def split(text: str) -> tuple[str, str]:
    context, _, word = text.rpartition(" ")
    return context, f" {word}"


def test_lambada_is_lm_evals(twin: oracle.Twin, tmp_path: Path) -> None:
    # Where a token reaches over all of the target lm-eval fails.
    texts = [text for text in PASSAGES if twin.lm._encode_pair(*split(text))[1]]
    assert len(texts) >= 4
    file = oracle.write_rows(tmp_path / "lambada_test.jsonl", [{"text": text} for text in texts])
    theirs = oracle.evaluate(twin, "lambada_openai", {"test": file}, tmp_path / "theirs")
    result, records = oracle.score(twin, "lambada", tmp_path, tmp_path / "ours")
    for row, (answer,) in zip(records, theirs.responses, strict=True):
        assert row["logprob"] == pytest.approx(answer[0], rel=1e-4)
        assert row["right"] == answer[1]
    assert result.metrics["perplexity"].value == pytest.approx(theirs.scores["perplexity"], rel=1e-3)


def test_a_pages_log_likelihood_begins_after_lm_evals_prefix_token(twin: oracle.Twin) -> None:
    from lm_eval.api.instance import Instance

    texts = ["The cat sat on the mat.\n", "the old dog " * 300]
    instances = [Instance("loglikelihood_rolling", {}, (text,), 0) for text in texts]
    theirs = twin.lm.loglikelihood_rolling(instances, disable_tqdm=True)
    (card,) = cards.resolve(["wikitext2"])
    task: Any = tasks.build_task(card, "lm-eval", twin.tokenizer, twin.model.config.n_positions)
    from zeroscale.eval.engine.engine import Engine
    from zeroscale.eval.engine.requests import RollingLogLikelihood

    assert task.tokenizer.start == twin.lm.prefix_token_id != twin.tokenizer.eos
    requests = [RollingLogLikelihood(tuple(ids), 512, 512, task.tokenizer.start) for ids in task.encode(texts)]
    ours = [answer.logprobs.sum() for answer in Engine(twin.model, twin.tokenizer).run(requests)]
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_every_pair_of_texts_is_encoded_as_lm_eval_does(twin: oracle.Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    from zeroscale.eval.tasks.base import Task

    seen: list[tuple[str, str, Any]] = []
    plain = Task.pairs

    def spy(self: Any, context: str, targets: Any) -> Any:
        pairs = plain(self, context, targets)
        seen.extend((context, target, pair) for target, pair in zip(targets, pairs, strict=True))
        return pairs

    monkeypatch.setattr(Task, "pairs", spy)
    for name in ("wsc273", "cbt_cn", "cbt_ne", "lambada"):
        (card,) = cards.resolve([name])
        protocol = "lm-eval" if name not in ("cbt_cn", "cbt_ne") else "paper"
        task: Any = tasks.build_task(card, protocol, twin.tokenizer, 512)
        task.adds_special = True  # what lm-eval does whatever the task
        from zeroscale.eval.cards import sources

        examples = task.select(task.examples(sources.read(card, "sample", None, task.parse).rows), None)
        for example in examples:
            task.requests(example)
    assert len(seen) > 100
    empty = 0
    for context, target, (before, after) in seen:
        theirs = twin.lm._encode_pair(context, target)
        if theirs[1]:
            assert (list(before), list(after)) == theirs
        else:
            empty += 1  # lm-eval fails there
            assert after
    assert empty < len(seen) / 10


def test_prompts_and_empty_contexts_are_encoded_as_lm_eval_does(twin: oracle.Twin) -> None:
    (card,) = cards.resolve(["coqa"])
    task: Any = tasks.build_task(card, "lm-eval", twin.tokenizer, 512)
    for head, tail in (("The cat sat.\n\n", "Q: Who?\n\nA:"), ("", "the dog"), ("the old ", "dog")):
        ids, protected = task.prompt(head, tail)
        assert list(ids) == twin.lm.tok_batch_encode([head + tail])[0][0].tolist()
        assert 0 < protected <= len(ids)
        assert task.tokenizer.decode(ids[len(ids) - protected :]).strip() in tail
    # TemplateLM.loglikelihood: the prefix token, then the text without special tokens.
    after = twin.lm.tok_encode("The cat", add_special_tokens=False)
    assert task.pair("", "The cat") == ((twin.lm.prefix_token_id,), tuple(after))


@pytest.fixture(scope="module")
def alike(tmp_path_factory: pytest.TempPathFactory) -> list[oracle.Twin]:
    """Two that give every whole text the same ids, one by a normaliser and the other by its pre-tokeniser."""
    return [other_models.twin(kind, tmp_path_factory.mktemp("alike")) for kind in ("prepend", "metaspace")]


def records_of(twin: oracle.Twin, card: str, folder: Path) -> list[dict[str, Any]]:
    score_cards(twin.model, twin.tokenizer, [card], source="sample", out=folder, weights_hash="x", bootstrap=10)
    return read_records(folder, card, "paper")


@pytest.mark.parametrize("card", ["lambada", "cbt_cn", "wsc273", "coqa", "natural_questions", "wikitext2"])
def test_scores_depend_on_ids_alone_not_on_how_a_tokenizer_comes_to_them(
    card: str, alike: list[oracle.Twin], tmp_path: Path
) -> None:
    first, second = (records_of(twin, card, tmp_path / str(number)) for number, twin in enumerate(alike))
    assert len(first) == len(second) > 0
    for one, other in zip(first, second, strict=True):
        for name, value in one.items():
            if isinstance(value, float) or (isinstance(value, list) and isinstance(value[0], float)):
                assert value == pytest.approx(other[name], rel=1e-5), name
            else:
                assert value == other[name], name
