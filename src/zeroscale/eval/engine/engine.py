"""Answers requests: sorted by length, batched by a budget of tokens, the head only where a score is needed.

What requests share at their beginnings is computed once. Neither the order of the requests nor the size of a batch
changes an answer beyond rounding; with `deterministic` not even that.
"""

import time
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from zeroscale.eval.engine import batch_size
from zeroscale.eval.engine import requests as rq
from zeroscale.eval.engine.backend import Progress
from zeroscale.eval.engine.cost import Usage, peak_memory
from zeroscale.eval.engine.fixed_threads import DEFAULT, fixed_threads
from zeroscale.eval.engine.generate import generate_all
from zeroscale.eval.engine.loglikelihood import WindowScores, score_windows, too_long

if TYPE_CHECKING:
    from zeroscale.model.protocol import LanguageModel, TextTokenizer


class Engine:
    """Answers requests for one model and tokenizer; `usage` adds up over the calls.

    Args:
        batch_tokens: positions of a batch; None: as many as the free memory holds, within reason. Halved for good where
            they do not fit.
        share: compute once what requests have in common at their beginnings.
        deterministic: one request at a time, nothing shared and on a CPU a fixed number of threads, so that an answer
            is the same to the bit whatever else is asked, and in whatever process.
        threads: that number; None: one.
    """

    devices = 1

    def __init__(
        self,
        model: "LanguageModel",
        tokenizer: "TextTokenizer",
        batch_tokens: int | None = None,
        share: bool = True,
        deterministic: bool = False,
        threads: int | None = None,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.share = share
        self.deterministic = deterministic
        self.n_positions = model.config.n_positions
        self.device = next(model.parameters()).device
        self.fixed_threads = (threads or DEFAULT) if deterministic and self.device.type == "cpu" else None
        self.batch_tokens = batch_tokens or batch_size.batch_tokens(model, self.device)
        self.usage = Usage()

    @property
    def threads(self) -> int:
        """CPU threads that answers are computed with."""
        return self.fixed_threads or torch.get_num_threads()

    def run(self, requests: Sequence[rq.Request], progress: Progress | None = None) -> list[rq.Answer]:
        """Answers in the order of the requests, whatever that order is.

        Raises:
            ZeroscaleError: when a log-probability is not finite, which means that the weights are broken; when not even
                one request fits the memory.
        """
        started = time.monotonic()
        training = self.model.training
        self.model.eval()
        try:
            with torch.inference_mode(), fixed_threads(self.fixed_threads):
                answers = self._answers(requests, progress)
        finally:
            self.model.train(training)
            self.add_usage(seconds=time.monotonic() - started)
            self.usage = self.usage.add(Usage(peak_memory=peak_memory(str(self.device))))
        return [answers[index] for index in range(len(requests))]

    def _answers(self, requests: Sequence[rq.Request], progress: Progress | None) -> dict[int, rq.Answer]:
        windows: list[rq.Window] = []
        owners: dict[int, tuple[slice, int, int]] = {}
        generations: dict[int, rq.GenerateUntil] = {}
        for index, request in enumerate(requests):
            begin = len(windows)
            if isinstance(request, rq.LogLikelihood):
                window, truncated, unscored = rq.loglikelihood_window(request, self.n_positions)
                windows.append(window)
                owners[index] = (slice(begin, begin + 1), truncated, unscored)
            elif isinstance(request, rq.RollingLogLikelihood):
                windows.extend(rq.rolling_windows(request, self.n_positions))
                owners[index] = (slice(begin, len(windows)), 0, 0)
            else:
                generations[index] = request
        count = _Count(len(windows) + len(generations), progress)
        scored = score_windows(self, windows, count.add)
        answers: dict[int, rq.Answer] = {
            index: _scored(requests[index], scored[where], truncated, unscored)
            for index, (where, truncated, unscored) in owners.items()
        }
        return answers | generate_all(self, generations, count.add)

    def add_usage(
        self, *, tokens: int = 0, padding: int = 0, saved: int = 0, new_tokens: int = 0, seconds: float = 0.0
    ) -> None:
        """Adds to `usage`."""
        self.usage = self.usage.add(Usage(seconds, tokens, padding, saved, new_tokens))

    def shrink_batches(self, tokens: int, divisible: bool) -> None:
        """Takes at most `tokens` positions in a batch from now on, because the memory did not suffice."""
        if not divisible:
            raise too_long(2 * tokens)
        self.batch_tokens = max(1, min(self.batch_tokens, tokens))
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    @cached_property
    def newlines(self) -> frozenset[int]:
        """Ids whose text holds a line's end."""
        ids = range(self.tokenizer.vocab_size)
        return frozenset(token for token in ids if "\n" in self.tokenizer.decode([token]))


def _scored(request: rq.Request, scores: list[WindowScores], truncated: int, unscored: int) -> rq.Answer:
    if isinstance(request, rq.RollingLogLikelihood):
        parts = [logprobs for logprobs, _, _ in scores]
        return rq.RollingResult(np.concatenate(parts) if parts else np.zeros(0), len(parts))
    return rq.LogLikelihoodResult(*scores[0], truncated=truncated, unscored=unscored)


class _Count:
    """Counts the requests that are done, and reports them."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self.done, self.total, self.progress = 0, total, progress

    def add(self, more: int) -> None:
        self.done += more
        if self.progress:
            self.progress(self.done, self.total)
