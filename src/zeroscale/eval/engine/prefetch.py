"""A card's requests, made while those of the card before it are being answered; and how far the answering is."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from zeroscale.eval.engine.requests import GenerateUntil, Request

One = TypeVar("One")
Made = TypeVar("Made")

# A line of progress at most this often.
SAY_SECONDS = 10.0


def prefetch(ones: Sequence[One], make: Callable[[One], Made]) -> Iterator[tuple[One, Callable[[], Made]]]:
    """Each of them with a call that waits for what `make` makes of it, or raises what that raised.

    A thread makes the next one in the meantime: tokenising needs Python and the tokenizer's own threads, computing a
    GPU. At most one is made before it is asked for, so that no more than two cards' requests are held.
    """
    thread = ThreadPoolExecutor(1, thread_name_prefix="requests")
    try:
        coming = [thread.submit(make, one) for one in ones[:1]]
        for place, one in enumerate(ones):
            this = coming[-1]
            coming = [thread.submit(make, other) for other in ones[place + 1 : place + 2]]
            yield one, this.result
    finally:
        thread.shutdown(wait=False, cancel_futures=True)


def with_logprobs(requests: Sequence[Request], wanted: bool) -> list[Request]:
    """A generation tells its tokens' log-probabilities only where that is asked: it takes one more pass."""
    if not wanted:
        return list(requests)
    return [replace(one, logprobs=True) if isinstance(one, GenerateUntil) else one for one in requests]


def progress_printer(card: str, say: Callable[[str], None] | None) -> Callable[[float], None] | None:
    """Turns the share that is done into a line now and then, with the time left."""
    if say is None:
        return None
    started = last = time.monotonic()
    begin: float | None = None

    def tick(share: float) -> None:
        nonlocal last, begin
        now = time.monotonic()
        begin = share if begin is None else begin  # what an earlier attempt did tells nothing of this one's speed
        if share < 1 and share > begin and now - last >= SAY_SECONDS:
            last = now
            say(f"{card}: {share:.0%}, {(now - started) * (1 - share) / (share - begin):.0f} s left")

    return tick
