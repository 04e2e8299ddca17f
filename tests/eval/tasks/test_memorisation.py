"""What a model has learnt by heart is told from what it can guess, and greedy decoding says the same."""

import json
import random
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from zeroscale.config.data import FilesData
from zeroscale.core.errors import ZeroscaleError
from zeroscale.data import passages
from zeroscale.data.prepare.prepare import prepare
from zeroscale.data.stream import TokenStream
from zeroscale.data.tokenizer import Tokenizer
from zeroscale.eval import corpus_cards, evaluate, results, tasks
from zeroscale.eval.cards import registry as cards
from zeroscale.eval.cards import sources
from zeroscale.eval.cards.rows import Row, jsonl
from zeroscale.eval.engine.engine import Engine
from zeroscale.eval.engine.requests import GenerateUntil, Stop
from zeroscale.model.config import GPTConfig
from zeroscale.model.gpt import GPT

BYTES = SimpleNamespace(kind="bytes")
LENGTH, PROMPT = 24, 12


def corpus_in(folder: Path):
    """Documents of random words; one sentence stands in fifty of them, another in five."""
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(2, 8))) for _ in range(3000)]
    text = folder / "text"
    text.mkdir()
    for number in range(100):
        lines = [" ".join(draw.choices(words, k=60))]
        if number % 2:
            lines.append("All rights are reserved, and no part of this text may be copied by anyone at any time.")
        if number % 20 == 0:
            lines.append("The quick brown fox jumps over the lazy dog, which does not care about it in the least.")
        (text / f"{number:03d}.txt").write_text("\n".join([*lines, " ".join(draw.choices(words, k=60))]))
    data = FilesData(kind="files", name="mine", path=str(text), val_fraction=0.2)
    return prepare(data, BYTES, folder / "corpora" / "mine")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return corpus_in(tmp_path_factory.mktemp("memorisation"))


def counted(corpus, tokens: list[int]) -> int:
    """Occurrences by Python's own search, overlapping ones too."""
    every = bytes(min(token, 255) for token in corpus.read("train", 0, corpus.n_train_tokens).tolist())
    wanted, count, at = bytes(tokens), 0, -1
    while (at := every.find(wanted, at + 1)) >= 0:
        count += 1
    return count


def test_passages_are_drawn_by_seed_and_counted_exactly(corpus):
    rows = passages.draw(corpus, LENGTH, 40, seed=3)
    assert rows == passages.draw(corpus, LENGTH, 40, seed=3) != passages.draw(corpus, LENGTH, 40, seed=4)
    groups = {name: [row for row in rows if row["group"] == name] for name in ("training", "repeated", "held_out")}
    assert len(groups["training"]) == len(groups["held_out"]) == 40
    for row in rows:
        assert row["occurrences"] == counted(corpus, row["tokens"])
        assert len(row["tokens"]) == LENGTH and row["text"].startswith(bytes(row["tokens"]).decode())
    assert all(row["occurrences"] >= 1 for row in groups["training"])
    assert all(row["occurrences"] == 0 for row in groups["held_out"])
    # The sentences that stand in many documents are found, by how often they do.
    often = sorted({row["occurrences"] for row in groups["repeated"]})
    assert often[0] <= 5 and often[-1] > 30 and all(count >= 2 for count in often)
    assert len({tuple(row["tokens"]) for row in groups["repeated"]}) == len(groups["repeated"])


def test_passages_come_from_what_a_short_run_sees(corpus):
    context, batch, steps, seed = 64, 640, 30, 7
    assert passages.seen_by(corpus, seed, context, batch, 10**6) is None
    seen = passages.seen_by(corpus, seed, context, batch, steps)
    stream = TokenStream(corpus, seed, context, batch)
    assert seen.windows == steps * 10 < stream.n_windows
    windows = np.concatenate([stream.windows_at(step) for step in range(steps)])
    shown = {tuple(row) for row in corpus.read_windows("train", windows * context, context + 1).tolist()}
    inside = {row[at : at + LENGTH] for row in shown for at in range(context + 2 - LENGTH)}
    rows = passages.draw(corpus, LENGTH, 40, seed=3, seen=seen)
    assert {tuple(row["tokens"]) for row in rows if row["group"] != "held_out"} <= inside
    everywhere = passages.draw(corpus, LENGTH, 40, seed=3)
    assert not {tuple(row["tokens"]) for row in everywhere if row["group"] == "training"} <= inside


def test_a_corpus_without_long_documents_is_named(corpus):
    with pytest.raises(ZeroscaleError, match=r"no document of its train part has 5000 tokens"):
        passages.draw(corpus, 5000, 10, seed=0)


class Card:
    """The shipped card with shorter passages, as a file of the user's own."""

    def __init__(self, folder: Path, **options: int) -> None:
        (shipped,) = cards.resolve(["memorisation"])
        text = shipped.path.read_text().replace("name: memorisation", "name: mine", 1)
        for name, value in options.items():
            before, _, rest = text.partition(f"    {name}:\n      value: ")
            text = f"{before}    {name}:\n      value: {value}\n{rest.partition(chr(10))[2]}"
        text = text.replace("  sample: samples/memorisation.jsonl", "  sample: null")
        self.path = folder / "mine.yaml"
        self.path.write_text(text)
        self.card = cards.load(self.path)


def trained(corpus) -> GPT:
    """A small model that has read one sentence of the corpus again and again, and nothing else."""
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=257, n_positions=64, n_layer=1, d_model=64, n_head=2))
    sentence = b"All rights are reserved, and no part of this text may be copied by anyone at any time."
    windows = torch.tensor(list(sentence)).unfold(0, LENGTH, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=6e-3)
    # Until it knows the sentence by heart, however a processor's rounding has brought it there: every letter after the
    # prompt is so likely that no other rounding takes another.
    for _ in range(2000):
        optimizer.zero_grad()
        losses = model.loss(windows[:, :-1], windows[:, 1:], "none")
        if losses[:, PROMPT - 1 :].max() < 0.3:
            return model.eval()
        losses.mean().backward()
        optimizer.step()
    raise AssertionError("the model has not learnt its sentence")


@pytest.fixture(scope="module")
def scored(corpus, tmp_path_factory):
    """A result of the card, its rows and the model."""
    folder = tmp_path_factory.mktemp("scored")
    mine = Card(folder, prompt_tokens=PROMPT, continuation_tokens=LENGTH - PROMPT, passages=60)
    where = corpus_cards.draw_passages(mine.card, "paper", corpus.directory, 0, folder)
    model = trained(corpus)
    (result,) = evaluate.score_cards(
        model,
        corpus.tokenizer,
        [str(mine.path)],
        source="files",
        data_dir=where,
        out=folder / "out",
        weights_hash="0" * 64,
    )
    return result, results.read_records(folder / "out", "mine", "paper"), model


def test_what_was_learnt_by_heart_is_found_and_held_out_text_is_not(scored):
    result, rows, _ = scored
    assert result.metrics["memorised_held_out"].value == 0
    assert result.metrics["verbatim_tokens"].value >= 0
    assert result.metrics["memorised"].n == result.metrics["memorised_held_out"].n == 60
    # None of sixty: the interval is the exact one of Clopper and Pearson.
    assert result.metrics["memorised_held_out"].high == pytest.approx(1 - 0.025 ** (1 / 60))
    curve = {point["from"]: point for point in result.extra["by_occurrences"]}
    often, once = curve[max(curve)], curve[1]
    assert often["from"] >= 32 and often["memorised"] > 0.5 > 0.1 > once["memorised"]
    assert often["low"] <= often["memorised"] <= often["high"]
    assert sum(point["n"] for point in curve.values()) == sum(row["group"] != "held_out" for row in rows)


def test_one_pass_says_what_greedy_decoding_says(scored, corpus):
    _, rows, model = scored
    engine = Engine(model, corpus.tokenizer)
    tokens = [(corpus.tokenizer.encode(row["prompt"]), corpus.tokenizer.encode(row["reference"]), row) for row in rows]
    asked = [GenerateUntil(tuple(prompt), len(reference), Stop("never")) for prompt, reference, _ in tokens]
    for (_, reference, row), answer in zip(tokens, engine.run(asked), strict=True):
        same = [a == b for a, b in zip(answer.tokens, reference, strict=True)]
        assert row["right"] == all(same)
        assert row["verbatim_tokens"] == (same.index(False) if False in same else len(same))


def task_with(tokenizer: Tokenizer):
    (card,) = cards.resolve(["memorisation"])
    family = tasks.task_type(card.family)
    return family(family.Options.model_validate(card.options("paper")), tokenizer, 1024)


def rows_of(folder: Path, rows: list[dict]) -> list[Row]:
    path = folder / "passages.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return list(jsonl([path]))


def test_anothers_tokenizer_reads_the_text_and_its_own_the_tokens(tmp_path):
    text = "some text that is long enough for it. " * 5
    tokens = list(range(1, 101))
    row = {"text": text, "occurrences": 1, "tokens": tokens, "tokenizer": Tokenizer.bytes().fingerprint}
    rows = rows_of(tmp_path, [{**row, "group": "training"}, {**row, "group": "held_out", "tokenizer": "another"}])
    own, other = task_with(Tokenizer.bytes()).examples(rows)
    assert own.prompt + own.continuation == tuple(tokens)
    assert other.prompt + other.continuation == tuple(text.encode()[:100])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"group": "test"}, "line 1: field 'group' should be one of training, repeated, held_out, but is 'test'"),
        ({"occurrences": "many"}, "line 1: field 'occurrences' should be a number"),
        ({"text": ""}, "line 1: field 'text' should be a text"),
        ({"group": "held_out"}, "no passage of the group 'training' and 100 tokens"),
        ({"text": "short"}, "no passage of the group 'training' and 100 tokens"),
    ],
)
def test_a_faulty_row_is_named(change, told, tmp_path):
    row = {"group": "training", "text": "x" * 200, "occurrences": 1}
    with pytest.raises(ZeroscaleError, match=told):
        task_with(Tokenizer.bytes()).examples(rows_of(tmp_path, [{**row, **change}, {**row, "group": "held_out"}]))


def test_a_limit_takes_as_many_of_each_group():
    task = task_with(Tokenizer.bytes())
    (card,) = cards.resolve(["memorisation"])
    examples = task.examples(sources.read(card, "sample", None, task.parse).rows)
    chosen = task.select(examples, 2)
    assert [passage.group for passage in chosen] == ["training"] * 2 + ["repeated"] * 2 + ["held_out"] * 2
    assert task.select(examples, None) == examples


def test_occurrences_of_a_window_at_the_very_end_count(corpus):
    end = corpus.read("train", corpus.n_train_tokens - 8, 8)
    assert passages.count_occurrences(corpus, np.stack([end, np.zeros(8, dtype=np.int64)])).tolist() == [1, 0]
