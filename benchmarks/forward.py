"""Tokens per second of a forward pass beside transformers, on the same random weights of GPT-2 small.

    OMP_WAIT_POLICY=passive MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=4294967296 \
        python benchmarks/forward.py

The two take turns, so that a busy machine slows both; the ratio is the median of the turns' ratios, and above 1
says that ours is faster. Reading the weights is timed too.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable

import torch
import transformers

from zeroscale.model.gpt import GPT
from zeroscale.model.weights import from_pretrained


def pair(directory: str) -> tuple[GPT, transformers.GPT2LMHeadModel]:
    """Ours and theirs with the same weights, random ones of GPT-2 small's shape."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.manual_seed(0)
    theirs = transformers.GPT2LMHeadModel(transformers.GPT2Config()).eval()
    theirs.save_pretrained(directory)
    start = time.perf_counter()
    ours = from_pretrained(directory)
    print(f"reading the weights: {time.perf_counter() - start:.2f} s")
    return ours, theirs


def take_turns(contestants: dict[str, Callable[[], object]], turns: int) -> dict[str, list[float]]:
    """Seconds of each turn of each contestant; a first turn warms up and is left out."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(turns + 1):
        for name, work in contestants.items():
            start = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - start)
    return {name: times[1:] for name, times in seconds.items()}


def show(seconds: dict[str, list[float]], tokens: int) -> None:
    for name, times in seconds.items():
        print(f"  {name:13} {tokens / statistics.median(times):9.1f} tokens/s")
    ratios = [theirs / ours for ours, theirs in zip(seconds["ours"], seconds["transformers"], strict=True)]
    print(f"  ours / transformers: {statistics.median(ratios):.2f} (turns from {min(ratios):.2f} to {max(ratios):.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--context", type=int, default=128)
    arguments = parser.parse_args()
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, {torch.get_num_threads()} threads")
    with tempfile.TemporaryDirectory() as directory, torch.inference_mode():
        ours, theirs = pair(directory)
        for batch in (1, 32):
            tokens = torch.randint(0, 50257, (batch, arguments.context))
            print(f"forward, batch {batch}, {arguments.context} tokens each, all logits")
            contestants = {"ours": lambda: ours(tokens), "transformers": lambda: theirs(tokens, use_cache=False)}  # noqa: B023
            show(take_turns(contestants, arguments.turns), tokens.numel())


if __name__ == "__main__":
    main()
