"""Write checkpoints beside training: one thread, one job at a time, in order; its errors are raised in training."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class AsyncCheckpointWriter:
    """Runs jobs in the background, each after the one before it.

    `wait` and `check` raise what a job raised, in the thread that trains: a full disk ends the run there.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._job: Future[None] | None = None

    def submit(self, job: Callable[[], None]) -> None:
        """Starts a job; the one before it must have been waited for."""
        assert self._job is None, "wait() before submit(): jobs share the snapshot's buffers"
        self._job = self._pool.submit(job)

    def wait(self) -> None:
        """Returns when the running job is done."""
        job, self._job = self._job, None
        if job is not None:
            job.result()

    def check(self) -> None:
        """Raises what the running job has already failed with."""
        if self._job is not None and self._job.done():
            self.wait()

    def close(self) -> None:
        """Waits, raises nothing, and ends the thread: a job that has begun is finished, whatever ended the run."""
        job, self._job = self._job, None
        if job is not None:
            job.exception()
        self._pool.shutdown()
