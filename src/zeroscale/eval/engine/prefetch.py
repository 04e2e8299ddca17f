"""A card's requests, made while those of the card before it are being answered; and how far the answering is."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from zeroscale.core.format import duration
from zeroscale.eval.engine.requests import GenerateUntil, Request

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

# A line of progress at most this often, and not before a thirtieth of the time so far.
SAY_SECONDS = 2.0
LEFT = " left"
"""What a line of progress ends with, and no other."""


def prefetch(items: Sequence[ItemT], make: Callable[[ItemT], ResultT]) -> Iterator[tuple[ItemT, Callable[[], ResultT]]]:
    """Each item with a call that waits for `make(item)`, and raises what that raised.

    A thread computes the next one in the meantime: tokenising needs Python and the tokenizer's own threads, computing a
    GPU. At most one is made before it is asked for, so that no more than two cards' requests are held.
    """
    thread = ThreadPoolExecutor(1, thread_name_prefix="requests")
    try:
        pending = [thread.submit(make, item) for item in items[:1]]
        for place, item in enumerate(items):
            current = pending[-1]
            pending = [thread.submit(make, following) for following in items[place + 1 : place + 2]]
            yield item, current.result
    finally:
        thread.shutdown(wait=False, cancel_futures=True)


def with_logprobs(requests: Sequence[Request], enabled: bool) -> list[Request]:
    """The requests; if enabled, each generation with the log-probabilities of its tokens, which takes one more pass."""
    if not enabled:
        return list(requests)
    return [replace(request, logprobs=True) if isinstance(request, GenerateUntil) else request for request in requests]


def progress_printer(card: str, examples: int, say: Callable[[str], None] | None) -> Callable[[float], None] | None:
    """Turns the share that is done into a line now and then: "lambada: 40 % of 5,153 examples, 0:12 left"."""
    if say is None:
        return None
    started = last = time.monotonic()
    begin: float | None = None

    def tick(share: float) -> None:
        nonlocal last, begin
        now = time.monotonic()
        begin = share if begin is None else begin  # what an earlier attempt did tells nothing of this one's speed
        if share < 1 and share > begin and now - last >= max(SAY_SECONDS, (now - started) / 30):
            last = now
            left = duration((now - started) * (1 - share) / (share - begin), "clock")
            say(f"{card}: {100 * share:.0f} % of {examples:,} examples, {left}{LEFT}")

    return tick
