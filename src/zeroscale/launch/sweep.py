"""Train the runs of a sweep, several at once on this machine; a run that is busy elsewhere is tried again later.

Hydra's joblib launcher is not used: its order is fixed, so that a run which another shell trains could not be left for
later; a Ctrl-C makes it kill every child at once (SIGKILL), without a checkpoint; and its processes outlive a killed
parent. Threads that each wait for a child have none of these.
"""

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from zeroscale.config.train import TrainConfig
from zeroscale.core import machine, nodes
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import try_lock
from zeroscale.launch import launcher, process
from zeroscale.launch.launcher import Placement, RunOutcome
from zeroscale.launch.progress.display import Display
from zeroscale.runs import layout, status
from zeroscale.runs.run import Run
from zeroscale.training import init_from

_POLL_SECONDS = 1.0
NOT_RETRIED = "; retry_failed=true tries it again"


class Gpus:
    """Assign GPUs to runs. Each is reserved by a lock that all sweeps on this machine use."""

    def __init__(self, ids: Sequence[str], folder: Path | None = None) -> None:
        """`ids` as CUDA_VISIBLE_DEVICES names them."""
        self._ids = tuple(ids)
        self._folder = folder or Path(tempfile.gettempdir()) / f"zeroscale-{os.getuid()}"
        self._held: dict[str, contextlib.ExitStack] = {}

    def take(self, count: int) -> tuple[str, ...] | None:
        """Reserve `count` GPUs; None where fewer are free."""
        taken: dict[str, contextlib.ExitStack] = {}
        for gpu in self._ids:
            if len(taken) == count or gpu in self._held:
                continue
            stack = try_lock(self._folder / f"gpu-{gpu.replace('/', '-')}")
            if stack is not None:
                taken[gpu] = stack
        if len(taken) < count:
            for stack in taken.values():
                stack.close()
            return None
        self._held |= taken
        return tuple(taken)

    def give_back(self, ids: Sequence[str]) -> None:
        """Release GPUs."""
        for gpu in ids:
            self._held.pop(gpu).close()


class Sweep:
    """Train runs, each in a child process, until every one is done, has failed, or this process is stopped.

    A run that another process is training, or whose trunk is being trained, is left for later. A run that had failed
    before is trained again only with `retry_failed`; one that fails now is not tried again.
    """

    def __init__(self, configs: Sequence[TrainConfig], at_once: int = 1, retry_failed: bool = False) -> None:
        self._pending = list(enumerate(configs))
        self._outcomes: dict[int, RunOutcome] = {}
        self._count = len(configs)
        self._at_once = min(at_once, len(configs))
        self._retry = retry_failed
        self._began = time.time()
        self._gpus = Gpus(machine.gpus())
        self._display = Display.of(configs, self._at_once)
        self._changed = threading.Condition()
        self._halted = False
        self._printed: set[str] = set()
        self._fault: BaseException | None = None

    def run(self) -> list[RunOutcome]:
        """The outcomes, in the order of the runs.

        Raises:
            KeyboardInterrupt: after the children have written their checkpoints and left.
            SystemExit: likewise, on SIGTERM.
        """
        process.install_sigterm_handler()
        with self._display:
            self._run_all()
        if self._fault is not None:
            raise self._fault
        return [self._outcomes[number] for number in range(self._count)]

    def _run_all(self) -> None:
        workers = [threading.Thread(target=self._work, daemon=True) for _ in range(self._at_once)]
        for worker in workers:
            worker.start()
        try:
            for worker in workers:
                while worker.is_alive():
                    worker.join(0.2)
        except BaseException:
            with self._changed:
                self._halted = True
                self._changed.notify_all()
            launcher.terminate_children()
            for worker in workers:
                worker.join(2)
            raise

    def _work(self) -> None:
        try:
            while (next_run := self._next()) is not None:
                number, config, placement = next_run
                try:
                    outcome = launcher.run(config, placement, display=self._display)
                except (ZeroscaleError, OSError) as error:
                    outcome = RunOutcome(layout.run_directory(config), "failed", str(error))
                    self._display.end(config.cell, outcome.state, outcome.reason)
                self._record_outcome(number, config, placement, outcome)
        except BaseException as error:
            with self._changed:
                self._fault = error
                self._halted = True
                self._changed.notify_all()

    def _next(self) -> tuple[int, TrainConfig, Placement] | None:
        """The next run that can start now, and its placement; None when there is nothing left to wait for."""
        with self._changed:
            while self._pending and not self._halted:
                for item in list(self._pending):
                    placement = self._placement(*item)
                    if placement is not None:
                        self._pending.remove(item)
                        return (*item, placement)
                if self._pending:
                    # Busy elsewhere (so its locks are asked again), or without a GPU.
                    self._changed.wait(_POLL_SECONDS)
            return None

    def _placement(self, number: int, config: TrainConfig) -> Placement | None:
        """The placement of a run; None where it cannot start yet, or has failed for good."""
        directory = layout.run_directory(config)
        if not Run.of(config).is_finished_with(config):
            # Machines that train a run together go through the sweep in step; the first of them holds the locks.
            directories = self._required_directories(config, directory) if nodes.detect_nodes().rank == 0 else []
            locked = next((path for path in directories if status.is_locked(path)), None)
            if locked is not None:
                name, busy = self._display.label(config.cell), f"{locked.parent.name}/{locked.name}"
                self._print_once(f"{name}: later, for {busy} is being trained")
                return None
            recorded = status.read(directory)
            if recorded.state == "failed" and (not self._retry or recorded.time >= self._began):
                why = ""
                if recorded.time < self._began:
                    why = NOT_RETRIED
                    self._print_once(f"{self._display.label(config.cell)}: failed: {recorded.reason}{why}")
                self._outcomes[number] = RunOutcome(directory, "failed", recorded.reason + why)
                self._pending.remove((number, config))
                return None
        if machine.resolve_accelerator(config.trainer.accelerator) != "cuda":
            return Placement(self._at_once)
        gpus = self._gpus.take(nodes.detect_nodes().local_world_size(config.trainer.devices))
        if gpus is None:
            self._print_once(f"{self._display.label(config.cell)}: waits for {config.trainer.devices} free GPUs")
            return None
        return Placement(self._at_once, gpus)

    def _required_directories(self, config: TrainConfig, directory: Path) -> list[Path]:
        """The directories that no other process may be training: the run's own, and its trunk's until it has the
        checkpoint to start from."""
        if config.init_from.run is None:
            return [directory]
        parent = init_from.directory(config)
        ready = layout.is_checkpoint(layout.checkpoint_directory(parent, config.first_step))
        return [directory] if ready else [directory, parent]

    def _record_outcome(self, number: int, config: TrainConfig, placement: Placement, outcome: RunOutcome) -> None:
        with self._changed:
            if placement.gpus is not None:
                self._gpus.give_back(placement.gpus)
            if outcome.state == "busy" and not self._halted:
                self._pending.append((number, config))
            else:
                self._outcomes[number] = outcome
            self._changed.notify_all()

    def _print_once(self, text: str) -> None:
        if text not in self._printed:
            self._printed.add(text)
            self._display.say(text)
