"""Texts are tokenised alike however many processes do it, and none of them outlives its parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.prepare import encode
from zeroscale.data.prepare.deduplicate import MinHasher
from zeroscale.data.prepare.encode import EncodeJob, encode_all
from zeroscale.data.tokenizer import Tokenizer


def some_batches(number: int = 12) -> list[SimpleNamespace]:
    return [SimpleNamespace(texts=[f"text {n} of batch {b} é\n" * (n % 5) for n in range(b)]) for b in range(number)]


def test_the_number_of_processes_does_not_matter():
    tokenizer = Tokenizer.train_bpe(["text of batch and more text"] * 3, 270)
    work = EncodeJob(tokenizer, 0.3, exact=True, hasher=MinHasher(0.8, 16))
    alone = list(encode_all(work, some_batches(), 1))
    for workers in (2, 3):
        beside = list(encode_all(work, some_batches(), workers))
        assert [batch.texts for batch, _ in beside] == [batch.texts for batch in some_batches()]
        for (_, first), (_, second) in zip(alone, beside, strict=True):
            for one, two in zip(first, second, strict=True):
                assert np.array_equal(one, two)
    batch, encoded = alone[-1]
    assert encoded.ids.dtype == "<u2" and encoded.ids.sum() > 0
    for text, part, size in zip(
        batch.texts, np.split(encoded.ids, np.cumsum(encoded.lengths)[:-1]), encoded.bytes, strict=True
    ):
        assert part.tolist() == [*tokenizer.encode(text), tokenizer.eos] and size == len(text.encode())
    assert set(encoded.split) == {"train", "val"}


def test_batches_are_read_no_further_than_the_work_needs():
    taken = []

    def endless():
        for number in range(10**9):
            taken.append(number)
            yield SimpleNamespace(texts=["a"])

    results = encode_all(EncodeJob(Tokenizer.bytes(), 0.5), endless(), 2)
    for _ in range(5):
        next(results)
    results.close()
    assert len(taken) <= 5 + 4


def test_a_process_that_is_killed_is_one_message(monkeypatch):
    started = []
    start = encode._start
    monkeypatch.setattr(encode, "_start", lambda: started.append(start()) or started[-1])
    results = encode_all(EncodeJob(Tokenizer.bytes(), 0.5), some_batches(50), 2)
    next(results)
    for child in started:
        child.kill()
        child.wait()
    with pytest.raises(ZeroscaleError, match=r"ended before its work did .*fewer data\.workers"):
        list(results)


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_goes_on_when_the_parent_is_killed(blow):
    code = """
import time
from types import SimpleNamespace
from zeroscale.data.prepare import encode
from zeroscale.data.tokenizer import Tokenizer
start = encode._start
def told():
    child = start()
    print(child.pid, flush=True)
    return child
encode._start = told
batches = (SimpleNamespace(texts=["some text " * 1000]) for _ in range(10**9))
for number, _ in enumerate(encode.encode_all(encode.EncodeJob(Tokenizer.bytes(), 0.5), batches, 2)):
    if number == 3:
        print("working", flush=True)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    children = [int(parent.stdout.readline()) for _ in range(2)]
    assert parent.stdout.readline() == "working\n"
    parent.send_signal(blow)
    _, said = parent.communicate(timeout=300)
    assert said == ""
    deadline = time.monotonic() + 20
    while any(alive(child) for child in children):
        assert time.monotonic() < deadline, "a child goes on without its parent"
        time.sleep(0.05)


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
