"""Where a run's time goes, and the share of the hardware's peak that it reaches."""

import resource
import time

from zeroscale.core import accelerators

# What a training step consists of. Validation, scores and checkpoints are counted apart.
STEP = ("data", "compute", "log")
APART = ("validate", "score", "checkpoint")


class Stopwatch:
    """Seconds by phase. Every moment since `begin` belongs to one phase: `mark` gives what has passed to it.

    `data` is waiting for a batch (and for the loop around it), `compute` the passes and the optimizer, `log` writing
    the step down. `seconds` sums those three and goes on from an earlier part of the run; `lap` and `rate` are tokens
    per second over them alone. `checkpoint` is what training waits for: copying the state to the host, and the writer
    before, if it has not finished.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self.phases = dict.fromkeys((*STEP, *APART), 0.0)
        self._before = seconds
        self._last: float | None = None
        self._lap = (self.seconds, 0)
        self._first: tuple[float, int] | None = None
        self._tokens = 0

    @property
    def seconds(self) -> float:
        """Training seconds of the whole run."""
        phases = self.phases
        return self._before + phases["data"] + phases["compute"] + phases["log"]

    def begin(self) -> None:
        """Training starts now; the time before (imports, the corpus) belongs to no phase."""
        self._last = time.perf_counter()

    def mark(self, phase: str) -> None:
        """Gives the time since the last mark to a phase."""
        now = time.perf_counter()
        if self._last is not None:
            self.phases[phase] += now - self._last
        self._last = now

    def count(self, tokens: int) -> None:
        """A step of so many tokens (over all devices) is done."""
        self._tokens += tokens
        if self._first is None:
            self._first = (self.seconds, self._tokens)

    def lap(self) -> float:
        """Tokens per second since the last lap."""
        seconds, tokens = self._lap
        self._lap = (self.seconds, self._tokens)
        elapsed = self.seconds - seconds
        return (self._tokens - tokens) / elapsed if elapsed > 0 else 0.0

    def rate(self) -> float:
        """Tokens per second of this process, its first step left out: compiling and first touches are in that one."""
        if self._first is None:
            return 0.0
        seconds, tokens = self._first
        elapsed = self.seconds - seconds
        return (self._tokens - tokens) / elapsed if elapsed > 0 else 0.0

    def shares(self) -> dict[str, float]:
        """Each phase's share of this process' time since `begin`."""
        total = sum(self.phases.values())
        return {phase: seconds / total for phase, seconds in self.phases.items()} if total else {}


def mfu(tokens_per_s: float, flops_per_token: float, device: str | None, devices: int, precision: str) -> float | None:
    """Model FLOPs utilisation (Chowdhery et al. 2022, appendix B): model FLOP/s over the devices' dense peak.

    Full attention is counted (12 L d T a token), recomputation by activation checkpointing is not. None for hardware
    whose peak we do not know: never a guess.
    """
    peak = accelerators.peak_flops(device, "bf16" if precision.startswith("bf16") else "fp32") if device else None
    return tokens_per_s * flops_per_token / (peak * devices) if peak else None


def peak_memory_bytes(cuda: bool) -> int:
    """The most memory that was held: on the GPU by torch's tensors, else by this process (resident)."""
    if cuda:
        import torch

        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def format_throughput(stopwatch: Stopwatch, share_of_peak: float | None, memory_bytes: int) -> str:
    """A run's throughput in one line."""
    shares = ", ".join(f"{name} {100 * share:.1f} %" for name, share in stopwatch.shares().items() if share >= 0.0005)
    utilisation = "no MFU (peak unknown)" if share_of_peak is None else f"MFU {100 * share_of_peak:.1f} %"
    return f"{stopwatch.rate():,.0f} tokens/s ({shares}), {utilisation}, peak memory {memory_bytes / 2**30:.2f} GiB"
