"""A few steps of a run's real training loop, on tokens drawn at random: how fast this machine is.

In a child process, with the threads and the environment that the run's worker would have.
"""

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from zeroscale.config.hashing import as_dict
from zeroscale.config.train import TrainConfig, model_config
from zeroscale.config.validate import build_config
from zeroscale.core import machine
from zeroscale.core.errors import ZeroscaleError
from zeroscale.launch.speed.speed import Speed, threads_of

if TYPE_CHECKING:
    from zeroscale.data.loader import MicroBatch

SECONDS = 2.0
"""Of timed steps, for each size."""
FEWEST = 3
"""Timed steps at least, however long they take."""
_TIMEOUT = 600.0


def from_measurement(configs: Sequence[TrainConfig], at_once: int = 1) -> list[Speed]:
    """For each run, the speed of its first steps, those that compile or touch memory first left out; the ends are the
    slowest and the fastest step. Runs whose steps are the same are measured once.

    Raises:
        ZeroscaleError: a run on several devices, of which one process cannot tell; or it does not train here.
    """
    measured: dict[str, Speed] = {}
    speeds = []
    for config in configs:
        if config.trainer.devices > 1:
            raise ZeroscaleError(
                f"measure=true measures one device, and {config.cell} is to have trainer.devices="
                f"{config.trainer.devices}; measure=auto takes the hours from earlier runs"
            )
        content = as_dict(config)
        trainer = {key: value for key, value in content["trainer"].items() if not key.startswith(("tokens", "val_"))}
        key = json.dumps([content["model"], config.vocab_size, content["optimizer"]["name"], trainer])
        if key not in measured:
            rates = _rates(config, at_once)
            measured[key] = Speed.of(rates, measured=True)
        speeds.append(measured[key])
    return speeds


def _rates(config: TrainConfig, at_once: int) -> list[float]:
    """Tokens per second of each timed step."""
    kind = machine.resolve_accelerator(config.trainer.accelerator)
    threads = threads_of(config, kind, at_once)
    environment = machine.child_environment(kind, threads, 1, at_once)
    try:
        child = subprocess.run(
            [sys.executable, "-m", "zeroscale.launch.speed.measure"],
            input=json.dumps(as_dict(config)),
            env=environment,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ZeroscaleError(f"{config.cell}: no three steps in {_TIMEOUT:.0f} s: too slow to be measured") from None
    if child.returncode:
        last = (child.stderr.strip().splitlines() or [f"exit code {child.returncode}"])[-1]
        raise ZeroscaleError(f"{config.cell}: a step could not be measured here: {last}")
    rates: list[float] = json.loads(child.stdout.splitlines()[-1])
    return rates


def time_steps(config: TrainConfig, seconds: float = SECONDS) -> list[float]:
    """Tokens per second of the steps after the first, in this process: `seconds` of them, and at least `FEWEST`."""
    from types import SimpleNamespace

    import torch

    from zeroscale.model.gpt import GPT
    from zeroscale.training import build
    from zeroscale.training.train import TrainingLoop

    kind = machine.resolve_accelerator(config.trainer.accelerator)
    ends: list[float] = []
    loop = TrainingLoop(log=lambda module, result: ends.append(time.perf_counter()))
    module = build.module(config, GPT(model_config(config, config.vocab_size), config.seed), loop)
    module.to(kind)
    # What Lightning's Trainer tells of the ranks, of which there is one.
    module.trainer = SimpleNamespace(world_size=1, global_rank=0)  # type: ignore[assignment]
    module.train()
    module.configure_optimizers()
    module.on_train_start()
    torch.manual_seed(config.seed)
    loop.run(module, _batches(config, kind, ends, seconds))
    steps = [end - begin for begin, end in itertools.pairwise(ends)]
    return [config.trainer.batch_tokens / step for step in steps]


def _batches(config: TrainConfig, kind: str, ends: Sequence[float], seconds: float) -> Iterator[list["MicroBatch"]]:
    import torch

    from zeroscale.data.batch_layout import layout_for

    batch_layout = layout_for(config, kind)
    shape = (batch_layout.micro_rows, config.context + 1)
    while len(ends) <= FEWEST or ends[-1] - ends[0] < seconds:
        drawn = [torch.randint(config.vocab_size, shape) for _ in range(batch_layout.accumulation)]
        yield [(tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()) for tokens in drawn]


def main() -> None:
    """Reads a run's settings from standard input, and prints the rates of its steps."""
    from zeroscale.model.threads import use_threads

    config = build_config(TrainConfig, json.load(sys.stdin))
    if threads := machine.thread_count():
        use_threads(threads)
    from zeroscale.training import build

    build.quiet_libraries()
    print(json.dumps(time_steps(config)))


if __name__ == "__main__":
    main()
