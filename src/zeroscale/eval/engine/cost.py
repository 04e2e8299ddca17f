"""What answering took: counted by the engine, stored in every result, printed in a line."""

import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass

# Of these the largest counts; all others add up.
LARGEST = ("peak_memory",)


@dataclass(frozen=True)
class Usage:
    """What answering took so far."""

    seconds: float = 0.0
    tokens: int = 0
    """Positions computed, padding left out."""
    padding: int = 0
    """Positions computed for nothing, to make rows equally long."""
    saved: int = 0
    """Positions that were asked for and not computed, because another request begins alike."""
    new_tokens: int = 0
    """Of `tokens`: those that were generated."""
    peak_memory: int = 0
    """Bytes that the process (on a GPU: torch there) had held at most by then; of several processes the largest."""

    def add(self, other: "Usage") -> "Usage":
        """Both as one: the largest peak, the sums of all else."""
        return Usage(
            self.seconds + other.seconds,
            self.tokens + other.tokens,
            self.padding + other.padding,
            self.saved + other.saved,
            self.new_tokens + other.new_tokens,
            max(self.peak_memory, other.peak_memory),
        )

    def since(self, earlier: "Usage") -> "Usage":
        """What came after `earlier`; the peak is that of the whole time."""
        return Usage(
            self.seconds - earlier.seconds,
            self.tokens - earlier.tokens,
            self.padding - earlier.padding,
            self.saved - earlier.saved,
            self.new_tokens - earlier.new_tokens,
            self.peak_memory,
        )


def add_costs(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, float]:
    """Two costs, as journals and results hold them, as one."""
    names = (*first, *(name for name in second if name not in first))
    return {
        name: max(first.get(name, 0), second.get(name, 0))
        if name in LARGEST
        else first.get(name, 0) + second.get(name, 0)
        for name in names
    }


def with_rate(cost: Mapping[str, float]) -> dict[str, float]:
    """The cost with `tokens_per_second`: tokens computed, over the seconds in the engine."""
    seconds = cost.get("seconds", 0.0)
    return {**cost, "tokens_per_second": cost.get("tokens", 0) / seconds if seconds else 0.0}


def describe(cost: Mapping[str, float]) -> str:
    """`12,345 tokens computed (1,234/s), 81 % saved by sharing, 2 % padding, peak memory 1.2 GiB`."""
    computed, saved, padding = (cost.get(name, 0) for name in ("tokens", "saved", "padding"))
    if not computed:
        return ""
    parts = [f"{computed:,.0f} tokens computed ({with_rate(cost)['tokens_per_second']:,.0f}/s)"]
    if saved:
        parts.append(f"{saved / (computed + saved):.0%} saved by sharing")
    if padding:
        parts.append(f"{padding / (computed + padding):.0%} padding")
    if peak := cost.get("peak_memory"):
        parts.append(f"peak memory {peak / 2**30:.1f} GiB")
    return ", ".join(parts)


def peak_memory(device: str) -> int:
    """Bytes that torch has had allocated at most on this GPU, or this process in memory."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.max_memory_allocated(device)
    # Linux counts in KiB, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
