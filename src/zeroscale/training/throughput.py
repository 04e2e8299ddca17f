"""Tokens per second and the share of the hardware's peak, over training time alone."""

import time

from zeroscale.scaling import hardware


class Stopwatch:
    """Seconds spent in optimizer steps; validation, scoring and checkpoints are left out.

    `seconds` goes on from an earlier part of the run; `lap()` gives the tokens per second since the last lap.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self._started: float | None = None
        self._lap_seconds = seconds
        self._lap_tokens = 0

    def start(self) -> None:
        """Begins a step, unless it has begun already."""
        if self._started is None:
            self._started = time.perf_counter()

    def stop(self, tokens: int) -> None:
        """Ends a step that trained on `tokens` tokens (all devices together)."""
        if self._started is not None:
            self.seconds += time.perf_counter() - self._started
            self._started = None
        self._lap_tokens += tokens

    def lap(self) -> float:
        """Tokens per second since the last lap."""
        elapsed = self.seconds - self._lap_seconds
        rate = self._lap_tokens / elapsed if elapsed > 0 else 0.0
        self._lap_seconds, self._lap_tokens = self.seconds, 0
        return rate


def mfu(tokens_per_s: float, flops_per_token: float, device: str | None, devices: int, precision: str) -> float | None:
    """Model FLOPs utilisation (Chowdhery et al. 2022, appendix B): model FLOP/s over the devices' dense peak.

    None for hardware whose peak we do not know: never a guess.
    """
    peak = hardware.peak_flops(device, "bf16" if precision.startswith("bf16") else "fp32") if device else None
    return tokens_per_s * flops_per_token / (peak * devices) if peak else None
