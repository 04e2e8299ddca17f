"""Answers in chunks that are written down: the same as in one go, and killed anywhere, the same to the last bit."""

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from zeroscale.data.tokenizer import Tokenizer
from zeroscale.eval.engine import requests as rq
from zeroscale.eval.engine import run_requests
from zeroscale.eval.engine.engine import Engine
from zeroscale.eval.engine.journal import AnswerLog
from zeroscale.model.gpt import GPT


def groups() -> list[list[rq.Request]]:
    """Examples of every kind: single and shared contexts, a long text, generations, and an example with none."""
    draw = random.Random(0)

    def tokens(n: int) -> tuple[int, ...]:
        return tuple(draw.randrange(256) for _ in range(n))

    shared = tokens(40)
    return [
        *([rq.LogLikelihood(tokens(draw.randrange(5, 100)), tokens(3))] for _ in range(20)),
        [rq.LogLikelihood(shared, tokens(n)) for n in (1, 4, 2)],
        [rq.RollingLogLikelihood(tokens(700), 128, 100, 256)],
        [
            rq.GenerateUntil(tokens(30), 12, rq.Stop("newline"), top_k=2, seed=3),
            rq.GenerateUntil(tokens(9), 5, rq.Stop("never")),
        ],
        [],
        [rq.RollingLogLikelihood(tokens(1), 128, 128, None)],
    ]


def same(one: rq.Answer, other: rq.Answer, exactly: bool) -> bool:
    for field in dataclasses.fields(one):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if isinstance(mine, np.ndarray):
            close = np.array_equal(mine, theirs) if exactly else np.allclose(mine, theirs, atol=1e-4)
            if not close or mine.dtype != theirs.dtype:
                return False
        elif mine != theirs:
            return False
    return type(one) is type(other)


def test_in_chunks_as_in_one_go(model: GPT, tokenizer: Tokenizer, tmp_path: Path, monkeypatch) -> None:
    asked = groups()
    whole = iter(Engine(model, tokenizer).run([request for group in asked for request in group]))
    monkeypatch.setattr(run_requests, "CHUNK_TOKENS", 300)
    engine = Engine(model, tokenizer, batch_tokens=64)
    answered = run_requests.run_requests(asked, engine, tmp_path / "journal", "key")
    assert len(list((tmp_path / "journal").iterdir())) > 5
    assert [len(given) for given in answered.answers] == [len(group) for group in asked]
    for given in answered.answers:
        assert all(same(one, next(whole), exactly=False) for one in given)
    assert answered.cost == {name: pytest.approx(value) for name, value in dataclasses.asdict(engine.usage).items()}


@pytest.mark.parametrize("after", [0, 1, 4])
def test_what_was_cut_off_goes_on_to_the_same_bits(
    model: GPT, tokenizer: Tokenizer, tmp_path: Path, monkeypatch, after: int
) -> None:
    monkeypatch.setattr(run_requests, "CHUNK_TOKENS", 300)
    whole = run_requests.run_requests(groups(), Engine(model, tokenizer, 64), tmp_path / "whole", "key")
    append, left = AnswerLog.append, iter(range(after))

    def cut_off(self: AnswerLog, *chunk: object) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        append(self, *chunk)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(AnswerLog, "append", cut_off)
        run_requests.run_requests(groups(), Engine(model, tokenizer, 64), tmp_path / "cut", "key")
    engine = Engine(model, tokenizer, 64)
    resumed = run_requests.run_requests(groups(), engine, tmp_path / "cut", "key")
    assert all(
        same(one, other, exactly=True)
        for mine, theirs in zip(whole.answers, resumed.answers, strict=True)
        for one, other in zip(mine, theirs, strict=True)
    )
    assert (resumed.from_before > 0) == (after > 0) and resumed.from_before < 1
    assert resumed.cost["tokens"] == whole.cost["tokens"]
    assert (engine.usage.tokens < whole.cost["tokens"]) == (after > 0)


def test_another_key_or_other_questions_begin_anew_and_a_damaged_chunk_is_asked_again(
    model: GPT, tokenizer: Tokenizer, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(run_requests, "CHUNK_TOKENS", 300)

    def cost(key: str, asked: list[list[rq.Request]]) -> int:
        engine = Engine(model, tokenizer, 64)
        run_requests.run_requests(asked, engine, tmp_path / "journal", key)
        return engine.usage.tokens

    whole = cost("key", groups())
    assert cost("key", groups()) == 0
    assert cost("other", groups()) == whole
    assert cost("key", groups()) == whole  # the other key's answers took the journal's place
    changed = groups()
    changed[0] = [rq.LogLikelihood((1, 2, 3), (4,))]
    assert cost("key", changed) > 0.9 * whole
    chunks = sorted((tmp_path / "journal").iterdir())
    chunks[1].write_text(chunks[1].read_text()[:-40])
    assert 0 < cost("key", changed) < whole / 2
    content = json.loads(chunks[0].read_text())
    chunks[0].write_text(json.dumps({**content, "key": "forged"}))
    assert cost("key", changed) > 0.9 * whole


CHILD = """
import sys
from pathlib import Path
from zeroscale.eval import evaluate
from zeroscale.eval.engine import run_requests
from zeroscale.model.config import GPTConfig
from zeroscale.model.gpt import GPT
from zeroscale.data.tokenizer import Tokenizer


def score(data, out):
    run_requests.CHUNK_TOKENS = 2000
    model = GPT(GPTConfig(vocab_size=257, n_positions=128, n_layer=2, d_model=64, n_head=2)).eval()
    said = []
    evaluate.score_cards(model, Tokenizer.bytes(), ["lambada"], source="files", data_dir=data, allow_other_data=True,
                         out=out, weights_hash="w", bootstrap=100, batch_tokens=500, progress=said.append)
    return said


if __name__ == "__main__":
    score(*map(Path, sys.argv[1:]))
"""


def test_a_killed_evaluation_ends_in_the_scores_of_one_that_was_not(tmp_path: Path, monkeypatch) -> None:
    draw = random.Random(1)
    words = ["the", "sea", "was", "calm", "harbour", "boat", "and", "slowly", "evening"]
    rows = ({"text": " ".join(draw.choices(words, k=draw.randrange(5, 18)))} for _ in range(500))
    (tmp_path / "lambada_test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setattr(run_requests, "CHUNK_TOKENS", run_requests.CHUNK_TOKENS)  # put back at the end
    here: dict = {"__name__": "here"}
    exec(CHILD, here)
    here["score"](tmp_path, tmp_path / "whole")

    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    command = [sys.executable, "-c", CHILD, str(tmp_path), str(tmp_path / "killed")]
    killed = subprocess.Popen(command, env={**os.environ, **threads})
    journal = tmp_path / "killed" / ".lambada.paper.journal"
    deadline = time.monotonic() + 120
    while len(list(journal.glob("[!.]*.json"))) < 2:
        assert killed.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed" / "lambada.paper.json").exists()

    said = here["score"](tmp_path, tmp_path / "killed")
    assert any("had been answered before" in line for line in said)
    one, other = (json.loads((tmp_path / name / "lambada.paper.json").read_text()) for name in ("whole", "killed"))
    assert one["metrics"] == other["metrics"] and one["records_sha256"] == other["records_sha256"]
    assert set(one) - {name for name in one if one[name] == other[name]} <= {"seconds", "cost", "made", "sha256"}
    assert not journal.exists()
