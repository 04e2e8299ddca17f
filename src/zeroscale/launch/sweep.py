"""The cells of a sweep, several at once on this machine: what is busy elsewhere is come back to, what failed is kept.

Hydra's joblib launcher is not used: its order is fixed, so that a cell which another shell trains could not be left for
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
from zeroscale.core.files import try_lock, write_json
from zeroscale.launch import launcher, process
from zeroscale.launch.launcher import Placement, RunOutcome
from zeroscale.runs import layout, status
from zeroscale.runs.run import Run
from zeroscale.training import init_from

_POLL_SECONDS = 1.0
NOT_RETRIED = "; retry_failed=true tries it again"


def write_record(study: Path, cells: Sequence[TrainConfig], labels: Sequence[str]) -> None:
    """Notes which cells the study's last sweep consists of, so that `status` knows those that have not begun.

    Raises:
        ZeroscaleError: the study's directory cannot be written.
    """
    listed = [
        {"cell": cell.cell, "settings": label, "steps": cell.steps} for cell, label in zip(cells, labels, strict=True)
    ]
    write_json(study / layout.SWEEP, {"command": os.environ.get("ZEROSCALE_COMMAND", ""), "cells": listed})


class Gpus:
    """Deals out GPUs. Each is held by a lock that every sweep on this machine knows: two shells never share one."""

    def __init__(self, ids: Sequence[str], folder: Path | None = None) -> None:
        """`ids` as CUDA_VISIBLE_DEVICES names them."""
        self._ids = tuple(ids)
        self._folder = folder or Path(tempfile.gettempdir()) / f"zeroscale-{os.getuid()}"
        self._held: dict[str, contextlib.ExitStack] = {}

    def take(self, count: int) -> tuple[str, ...] | None:
        """So many GPUs, or None where fewer are free now."""
        taken: dict[str, contextlib.ExitStack] = {}
        for one in self._ids:
            if len(taken) == count or one in self._held:
                continue
            stack = try_lock(self._folder / f"gpu-{one.replace('/', '-')}")
            if stack is not None:
                taken[one] = stack
        if len(taken) < count:
            for stack in taken.values():
                stack.close()
            return None
        self._held |= taken
        return tuple(taken)

    def give_back(self, ids: Sequence[str]) -> None:
        """They are free again."""
        for one in ids:
            self._held.pop(one).close()


class Sweep:
    """Runs cells, each in a child process, until every one is done, has failed, or this process is stopped.

    A cell that another process is training, or whose trunk is being trained, is left for later. A cell that had failed
    before is run again only with `retry_failed`; one that fails now is not run again.
    """

    def __init__(self, cells: Sequence[TrainConfig], at_once: int = 1, retry_failed: bool = False) -> None:
        self._pending = list(enumerate(cells))
        self._outcomes: dict[int, RunOutcome] = {}
        self._count = len(cells)
        self._at_once = min(at_once, len(cells))
        self._retry = retry_failed
        self._began = time.time()
        self._gpus = Gpus(machine.gpus())
        self._changed = threading.Condition()
        self._halted = False
        self._told: set[str] = set()
        self._fault: BaseException | None = None

    def run(self) -> list[RunOutcome]:
        """The outcomes, in the cells' order.

        Raises:
            KeyboardInterrupt: after the children have written their checkpoints and left.
            SystemExit: likewise, on SIGTERM.
        """
        process.install_sigterm_handler()
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
        if self._fault is not None:
            raise self._fault
        return [self._outcomes[number] for number in range(self._count)]

    def _work(self) -> None:
        try:
            while (found := self._next()) is not None:
                number, cell, place = found
                try:
                    outcome = launcher.run(cell, place)
                except (ZeroscaleError, OSError) as error:
                    outcome = RunOutcome(layout.run_directory(cell), "failed", str(error))
                self._ended(number, cell, place, outcome)
        except BaseException as error:
            with self._changed:
                self._fault = error
                self._halted = True
                self._changed.notify_all()

    def _next(self) -> tuple[int, TrainConfig, Placement] | None:
        """The next cell that can run here and now, and where; None when there is nothing left to wait for."""
        with self._changed:
            while self._pending and not self._halted:
                for item in list(self._pending):
                    place = self._place(*item)
                    if place is not None:
                        self._pending.remove(item)
                        return (*item, place)
                if self._pending:
                    # Busy elsewhere (so its locks are asked again), or without a GPU.
                    self._changed.wait(_POLL_SECONDS)
            return None

    def _place(self, number: int, cell: TrainConfig) -> Placement | None:
        """Where the cell can run; None where it cannot yet, or has failed for good."""
        directory = layout.run_directory(cell)
        if not Run.of(cell).is_finished_with(cell):
            # Machines that train a cell together go through the sweep in step; the first of them holds the locks.
            needs = self._needs(cell, directory) if nodes.detect_nodes().rank == 0 else []
            busy = next((one for one in needs if status.is_locked(one)), None)
            if busy is not None:
                self._say(f"{cell.cell}: later, for {busy.parent.name}/{busy.name} is being trained")
                return None
            recorded = status.read(directory)
            if recorded.state == "failed" and (not self._retry or recorded.time >= self._began):
                why = ""
                if recorded.time < self._began:
                    why = NOT_RETRIED
                    self._say(f"{cell.cell}: failed: {recorded.reason}{why}")
                self._outcomes[number] = RunOutcome(directory, "failed", recorded.reason + why)
                self._pending.remove((number, cell))
                return None
        if machine.resolve_accelerator(cell.trainer.accelerator) != "cuda":
            return Placement(self._at_once)
        gpus = self._gpus.take(nodes.detect_nodes().local_world_size(cell.trainer.devices))
        if gpus is None:
            self._say(f"{cell.cell}: waits for {cell.trainer.devices} free GPUs")
            return None
        return Placement(self._at_once, gpus)

    def _needs(self, cell: TrainConfig, directory: Path) -> list[Path]:
        """The directories that nobody else may be training: the cell's own, and its trunk's until it can be left."""
        if cell.init_from.run is None:
            return [directory]
        parent = init_from.directory(cell)
        ready = layout.is_checkpoint(layout.checkpoint_directory(parent, cell.first_step))
        return [directory] if ready else [directory, parent]

    def _ended(self, number: int, cell: TrainConfig, place: Placement, outcome: RunOutcome) -> None:
        with self._changed:
            if place.gpus is not None:
                self._gpus.give_back(place.gpus)
            if outcome.state == "busy" and not self._halted:
                self._pending.append((number, cell))
            else:
                self._outcomes[number] = outcome
            self._changed.notify_all()
        if not outcome.good and outcome.state != "busy":
            print(f"{outcome.cell.name}: {outcome.state}: {outcome.reason}", flush=True)

    def _say(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            print(text, flush=True)
