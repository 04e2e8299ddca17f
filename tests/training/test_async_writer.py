import threading

import pytest

from zeroscale.training.async_writer import AsyncCheckpointWriter


def test_jobs_run_beside_the_caller_and_in_order():
    done: list[int] = []
    gate = threading.Event()
    writer = AsyncCheckpointWriter()
    writer.submit(lambda: (gate.wait(10), done.append(1)))
    assert done == []
    gate.set()
    writer.wait()
    writer.submit(lambda: done.append(2))
    writer.close()
    assert done == [1, 2]


def test_what_a_job_raises_is_raised_where_training_is():
    def full() -> None:
        raise OSError(28, "No space left on device")

    writer = AsyncCheckpointWriter()
    writer.submit(full)
    with pytest.raises(OSError, match="No space"):
        writer.wait()
    writer.check()
    writer.submit(full)
    while True:
        try:
            writer.check()
        except OSError:
            break
    writer.close()


def test_closing_finishes_what_was_begun_and_raises_nothing():
    done: list[int] = []
    writer = AsyncCheckpointWriter()
    writer.submit(lambda: done.append(1))
    writer.close()
    assert done == [1]
    broken = AsyncCheckpointWriter()
    broken.submit(lambda: 1 / 0)
    broken.close()
