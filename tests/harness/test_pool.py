"""Several processes beside one engine."""

import functools
import os
import random
import signal

import numpy as np
import pytest

from zeroscale import scoring
from zeroscale.errors import ZeroscaleError
from zeroscale.harness import requests as rq
from zeroscale.harness.engine import Engine
from zeroscale.harness.pool import Pool, _cost, split
from zeroscale.model import weights


def requests() -> list[rq.Request]:
    draw = random.Random(2)

    def words(size: int) -> tuple[int, ...]:
        return tuple(draw.randrange(256) for _ in range(size))

    story = words(50)
    found: list[rq.Request] = [rq.Continuation(story, words(5)) for _ in range(10)]
    found += [rq.Continuation(words(draw.randint(5, 90)), words(3)) for _ in range(20)]
    return [
        *found,
        *(rq.Generation(words(20), 6, rq.Stop("never")) for _ in range(6)),
        rq.Rolling(words(200), 64, 64, 256),
    ]


@pytest.fixture
def load(model, tokenizer, tmp_path):
    weights.save_pretrained(model, tmp_path / "tiny", eos=tokenizer.eos)
    tokenizer.save(tmp_path / "tiny")
    return functools.partial(scoring.load, scoring.find(str(tmp_path / "tiny"), tmp_path))


def test_two_processes_answer_as_one_engine(model, tokenizer, load):
    expected = Engine(model, tokenizer).run(requests())
    exact = Engine(model, tokenizer, deterministic=True).run(requests())
    for options, reference, tolerance in (({}, expected, 1e-5), ({"deterministic": True}, exact, 0)):
        with Pool(load, ["cpu", "cpu"], threads=1, **options) as pool:
            found = pool.run(requests())
            assert pool.cost.tokens > 0
        for answer, other in zip(found, reference, strict=True):
            if isinstance(answer, rq.Generated):
                assert answer == other
            else:
                np.testing.assert_allclose(answer.logprobs, other.logprobs, atol=tolerance, rtol=0)


def test_a_lost_process_ends_the_work_with_a_message(load):
    with Pool(load, ["cpu", "cpu"], threads=1) as pool:
        pool.run(requests()[:4])
        os.kill(pool._processes[1].pid, signal.SIGKILL)
        with pytest.raises(ZeroscaleError, match="the process of device 1 is lost"):
            pool.run(requests())


def test_shares_cost_about_the_same_and_keep_families_together():
    asked = requests()
    shares = split(asked, 3)
    assert sorted(index for share in shares for index in share) == list(range(len(asked)))
    assert len([share for share in shares if set(share) & set(range(10))]) <= 2, "ten endings of one story"
    costs = [sum(map(_cost, (asked[index] for index in share))) for share in shares]
    assert max(costs) < 1.3 * min(costs)
