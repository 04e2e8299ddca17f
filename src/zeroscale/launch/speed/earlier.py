"""The speed of runs that were trained on this machine before, from their manifests."""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from zeroscale.config.train import TrainConfig
from zeroscale.core import machine
from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.batch_layout import layout_for
from zeroscale.launch.speed.speed import Speed, threads_of
from zeroscale.runs import layout
from zeroscale.runs.manifest import Manifest
from zeroscale.runs.run import Run
from zeroscale.training.throughput import STEP

_SAME_TRAINER = ("precision", "compile", "strategy", "activation_checkpointing", "batch_tokens")
"""Settings of the trainer that change how fast it is."""


def from_earlier_runs(outputs: Path, configs: Sequence[TrainConfig], at_once: int = 1) -> list[Speed | None]:
    """For each run, the speed of the finished ones in `outputs` that had the same size, trainer settings, optimizer,
    threads and devices, on a machine like this one; None where there are none.

    Validation and checkpoints count as far as those runs spent time on them.
    """
    found: dict[int, list[float]] = {number: [] for number in range(len(configs))}
    for run, manifest in _runs_here(outputs):
        rate = _rate(manifest)
        for number, config in enumerate(configs):
            if rate and _is_same(run, manifest, config, at_once):
                found[number].append(rate)
    return [Speed.of(rates, measured=False) if rates else None for rates in found.values()]


def _runs_here(outputs: Path) -> Iterator[tuple[Run, Manifest]]:
    """The runs in all studies of `outputs` that were made on a machine like this one; damaged ones are left out."""
    here = machine.describe()
    for path in sorted(outputs.glob(f"[!.]*/[!.]*/{layout.MANIFEST}")):
        run = Run(path.parent)
        try:
            manifest = run.manifest
        except ZeroscaleError:
            continue
        hardware = manifest.get("hardware", {})
        same = all(hardware.get(key) == here[key] for key in ("cpu", "cores", "system"))
        # torch knows the GPU's name, and is imported only where there is something to compare it with.
        if same and hardware.get("gpu") == _gpu():
            yield run, manifest


@cache
def _gpu() -> str | None:
    if not machine.gpu_count():
        return None
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def _rate(manifest: Manifest) -> float | None:
    """Tokens per second, the time for validation, scores and checkpoints included."""
    rate, phases = manifest.get("tokens_per_s"), manifest.get("seconds", {})
    steps = sum(phases.get(phase, 0.0) for phase in STEP)
    return rate * steps / sum(phases.values()) if rate and steps else rate


def _is_same(run: Run, manifest: Manifest, config: TrainConfig, at_once: int) -> bool:
    kind = machine.resolve_accelerator(config.trainer.accelerator)
    if (
        manifest.get("flops_per_token") != config.flops_per_token
        or manifest.get("params", {}).get("total") != config.params.total
        or manifest.get("devices") != config.trainer.devices
        or manifest.get("micro_batch_tokens") != layout_for(config, kind).micro_rows * config.context
        or (kind == "cpu" and manifest.get("threads") != threads_of(config, kind, at_once))
    ):
        return False
    try:
        recorded = run.config
    except ZeroscaleError:
        return False
    return (
        all(getattr(recorded.trainer, key) == getattr(config.trainer, key) for key in _SAME_TRAINER)
        and recorded.optimizer.name == config.optimizer.name
        and machine.resolve_accelerator(recorded.trainer.accelerator) == kind
    )
