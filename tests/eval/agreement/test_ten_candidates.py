"""Ten candidates for a blank: our questions as a `multiple_choice` task of lm-eval, which has no Children's Book Test.

Our task says what stands before the blank and what each candidate makes of the rest; lm-eval encodes these texts,
scores and counts by its own code.
"""

import random
from pathlib import Path
from typing import Any

import pytest
from support import lm_eval_oracle as oracle

from zeroscale.data.tokenizer import Tokenizer
from zeroscale.eval.cards import registry as cards

TEN = {
    "task": "ten_candidates",
    "output_type": "multiple_choice",
    "test_split": "test",
    "doc_to_text": "{{context}}",
    "doc_to_choice": "choices",
    "doc_to_target": "label",
    "target_delimiter": "",
    "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
}


def write_questions(folder: Path, name: str, count: int) -> Path:
    """Questions in the released form, of made-up sentences tokenised as the Children's Book Test is."""
    draw = random.Random(0)
    words = oracle.WORDS.split()
    blocks = []
    for _ in range(count):
        candidates = [*draw.sample(words, 8), "Mr. Smith", "o'clock"]  # of several tokens too
        draw.shuffle(candidates)
        answer = draw.choice(candidates)
        story = [" ".join(draw.choices(words, k=8)) + " ." for _ in range(20)]
        # At the end of a sentence, at its beginning, before an apostrophe and within quotation marks.
        question = draw.choice(
            ["the dog sees XXXXX .", "XXXXX is old .", "it was XXXXX 's house .", "`` XXXXX ! '' it was ."]
        )
        lines = [f"{number} {text}" for number, text in enumerate(story, 1)]
        blocks.append("\n".join([*lines, f"21 {question}\t{answer}\t\t{'|'.join(candidates)}"]) + "\n\n")
    (card,) = cards.resolve([name])
    folder.mkdir()
    (folder / card.sources.files.names[0][0]).write_text("".join(blocks), encoding="utf-8")
    return folder


def compare(twin: oracle.Twin, card: str, files: Path, folder: Path) -> oracle.Theirs:
    result, records = oracle.score(twin, card, files, folder / "ours", protocol="paper")
    assert result.truncated == 0  # lm-eval would cut the story for each candidate apart
    examples, asked = oracle.requests(twin, card, files, protocol="paper")
    rows: list[dict[str, Any]] = []
    for example, requests in zip(examples, asked, strict=True):
        contexts = {twin.tokenizer.decode(request.context) for request in requests}
        assert len(contexts) == 1
        choices = [twin.tokenizer.decode(request.target) for request in requests]
        label = example.candidates.index(example.answer)
        rows.append({"context": contexts.pop(), "choices": choices, "label": label})
    theirs = oracle.evaluate(twin, TEN, {"test": rows}, folder / "theirs")
    assert len(records) == len(theirs.samples) > 0
    for record, sample, answers in zip(records, theirs.samples, theirs.responses, strict=True):
        assert record["logprobs"] == pytest.approx([float(logprob) for logprob, _ in answers], abs=1e-4)
        assert record["right"] == bool(sample["acc"])
    assert result.metrics["acc"].value == theirs.scores["acc"]
    return theirs


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("card", ["cbt_cn", "cbt_ne"])
def test_log_likelihoods_and_accuracy_are_lm_evals(card: str, trained: bool, tmp_path: Path) -> None:
    texts = [oracle.made_text(seed) for seed in range(8)]
    tokenizer = Tokenizer.train_bpe(texts, 300)
    twin = oracle.twin(tmp_path / "twin", tokenizer, texts if trained else (), n_positions=1024, steps=20)
    theirs = compare(twin, card, write_questions(tmp_path / "files", card, 16), tmp_path)
    assert 0 < theirs.scores["acc"] < 1


@pytest.mark.parametrize("card", ["cbt_cn", "cbt_ne"])
def test_a_real_question_agrees(data: Path, card: str, tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(data / "gpt2_tokenizer")
    twin = oracle.twin(tmp_path / "twin", tokenizer, n_positions=1024)
    compare(twin, card, data / "cbt" / f"sample_{card[-2:].upper()}", tmp_path)
