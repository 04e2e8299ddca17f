"""Several processes beside one engine."""

import functools
import os
import random
import signal

import numpy as np
import pytest

from zeroscale.core.errors import ZeroscaleError
from zeroscale.eval import load as loading
from zeroscale.eval.engine import requests as rq
from zeroscale.eval.engine import run_requests
from zeroscale.eval.engine.device_pool import Pool, _cost, split
from zeroscale.eval.engine.engine import Engine
from zeroscale.model import weights
from zeroscale.runs import resolve


def requests() -> list[rq.Request]:
    draw = random.Random(2)

    def words(size: int) -> tuple[int, ...]:
        return tuple(draw.randrange(256) for _ in range(size))

    story = words(50)
    found: list[rq.Request] = [rq.LogLikelihood(story, words(5)) for _ in range(10)]
    found += [rq.LogLikelihood(words(draw.randint(5, 90)), words(3)) for _ in range(20)]
    return [
        *found,
        *(rq.GenerateUntil(words(20), 6, rq.Stop("never")) for _ in range(6)),
        rq.RollingLogLikelihood(words(200), 64, 64, 256),
    ]


def load(where):
    return loading.load(resolve.resolve_checkpoint(str(where), where.parent))


@pytest.fixture(scope="module")
def pools(model, tokenizer, tmp_path_factory):
    """A list that holds the pool of these tests, and how to make one."""
    where = tmp_path_factory.mktemp("pool") / "tiny"
    weights.save_pretrained(model, where, eos=tokenizer.eos)
    tokenizer.save(where)
    made: list[Pool] = []
    yield made, lambda: Pool(functools.partial(load, where), ["cpu", "cpu"], threads=1)
    for pool in made:
        pool.close()


@pytest.fixture
def pool(pools):
    """Two processes, which the tests below ask in turn, in any order; new ones after a test that has lost one."""
    made, make = pools
    if not made or made[-1]._lost:
        made.append(make())
    return made[-1]


def test_two_processes_answer_as_one_engine(model, tokenizer, pool):
    engine = Engine(model, tokenizer)
    expected = engine.run(requests())
    done: list[tuple[int, int]] = []
    found = pool.run(requests(), lambda *share: done.append(share))
    for answer, other in zip(found, expected, strict=True):
        if isinstance(answer, rq.GenerateResult):
            assert answer == other
        else:
            np.testing.assert_allclose(answer.logprobs, other.logprobs, atol=1e-5, rtol=0)
    asked = [one.usage.tokens + one.usage.saved for one in (pool, engine)]
    assert asked[0] == asked[1] and pool.usage.saved > 0
    assert pool.usage.peak_memory > 2**24
    assert len(done) > 4 and done == sorted(done) and done[-1][0] == done[-1][1]


def test_after_a_fault_the_processes_answer_the_next_questions(model, tokenizer, pool):
    """And not with what was left over from those before."""
    wrong = [*requests(), rq.LogLikelihood((1, 300), (2,))]  # an id that no row of the embedding has
    with pytest.raises(ZeroscaleError, match="device cpu: IndexError"):
        pool.run(wrong)
    some = requests()[3:9]
    for answer, other in zip(pool.run(some), Engine(model, tokenizer).run(some), strict=True):
        np.testing.assert_allclose(answer.logprobs, other.logprobs, atol=1e-5, rtol=0)


def test_a_lost_process_ends_the_work_and_what_was_answered_is_kept(model, tokenizer, pool, tmp_path, monkeypatch):
    monkeypatch.setattr(run_requests, "CHUNK_TOKENS", 200)
    monkeypatch.setattr(run_requests, "CHUNK_BATCHES", 0)
    groups = [[request] for request in requests()]
    run, lots = pool.run, iter(range(4))

    def cut_off(*arguments):
        if next(lots, None) == 3:
            os.kill(pool._processes[1].pid, signal.SIGKILL)
        return run(*arguments)

    monkeypatch.setattr(pool, "run", cut_off)
    for _ in range(2):  # nor does the next card find a traceback, or the answers to this one's questions
        with pytest.raises(ZeroscaleError, match="the process of device 1 is lost"):
            run_requests.run_requests(groups, pool, tmp_path / "journal", "key")
    assert len(list((tmp_path / "journal").iterdir())) == 3

    engine = Engine(model, tokenizer)
    resumed = run_requests.run_requests(groups, engine, tmp_path / "journal", "key")
    assert resumed.from_before > 0.2
    for (answer,), other in zip(resumed.answers, Engine(model, tokenizer).run(requests()), strict=True):
        if isinstance(answer, rq.GenerateResult):
            assert answer == other
        else:
            np.testing.assert_allclose(answer.logprobs, other.logprobs, atol=1e-5, rtol=0)
    assert resumed.cost["tokens"] > engine.usage.tokens > 0


def test_shares_cost_about_the_same_and_keep_families_together():
    asked = requests()
    shares = split(asked, 3)
    assert sorted(index for share in shares for index in share) == list(range(len(asked)))
    assert len([share for share in shares if set(share) & set(range(10))]) <= 2, "ten endings of one story"
    costs = [sum(map(_cost, (asked[index] for index in share))) for share in shares]
    assert max(costs) < 1.3 * min(costs)
