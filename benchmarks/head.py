"""The head's cross-entropy, forward and backward, beside plain logits and torch's linear_cross_entropy.

    OMP_WAIT_POLICY=passive MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=4294967296 \
        python benchmarks/head.py

The contestants take turns, so that a busy machine slows all of them; times are medians, ratios are per turn.
A ratio above 1 says that ours is faster.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from zeroscale.model.loss import head_cross_entropy

SHAPES = [(2048, 64, 2048), (2048, 128, 2048), (2048, 256, 2048), (1024, 768, 50257)]


def contestants() -> dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]]:
    found = {"ours": head_cross_entropy, "plain": lambda h, w, t: functional.cross_entropy(functional.linear(h, w), t)}
    if hasattr(torch.nn, "LinearCrossEntropyOptions"):  # torch 2.13 on
        options = torch.nn.LinearCrossEntropyOptions()
        found["torch, chunked"] = lambda h, w, t: functional.linear_cross_entropy(h, w, t, options=options)
        found["torch, default"] = functional.linear_cross_entropy
    return found


def measure(tokens: int, d_model: int, vocabulary: int, turns: int) -> dict[str, list[float]]:
    """Seconds of each turn of each contestant; the first turn warms up and is left out."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(tokens, d_model, generator=generator).requires_grad_()
    weight = torch.randn(vocabulary, d_model, generator=generator).mul_(0.02).requires_grad_()
    targets = torch.randint(0, vocabulary, (tokens,), generator=generator)
    seconds: dict[str, list[float]] = {name: [] for name in contestants()}
    for _ in range(turns + 1):
        for name, loss in contestants().items():
            hidden.grad = weight.grad = None
            start = time.perf_counter()
            loss(hidden, weight, targets).backward()
            seconds[name].append(time.perf_counter() - start)
    return {name: times[1:] for name, times in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=9)
    turns = parser.parse_args().turns
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, forward + backward, median of {turns} turns")
    for shape in SHAPES:
        seconds = measure(*shape, turns)
        print("tokens {}, d_model {}, vocabulary {}".format(*shape))
        for name, times in seconds.items():
            ratio = statistics.median(theirs / ours for theirs, ours in zip(times, seconds["ours"], strict=True))
            print(f"  {name:15} {statistics.median(times) * 1e3:9.1f} ms   {ratio:.2f} x ours")


if __name__ == "__main__":
    main()
