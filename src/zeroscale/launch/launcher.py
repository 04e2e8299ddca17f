"""A cell of a study → a child process: skipped when DONE, streamed while it runs, stopped when its parent stops.

A process per cell, because a process group lives as long as its process: two cells of different world sizes in one
process would share one. Ranks come from torchrun, never from Lightning's own launcher, which re-executes `sys.argv`.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from zeroscale.config.hashing import NOT_HASHED, as_dict
from zeroscale.config.train import TrainConfig
from zeroscale.core import machine, nodes
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import disk_errors, try_lock, write_text
from zeroscale.launch.process import (
    GRACE_SECONDS,
    die_with_parent,
    install_sigterm_handler,
    stop,
    stream,
    terminal_width,
)
from zeroscale.runs import layout, manifest, status
from zeroscale.runs.run import Run
from zeroscale.training import init_from

_BUSY = "another process is training it; wait for it, or stop it"


@dataclass(frozen=True)
class RunOutcome:
    """How a cell ended: `state` is skipped, done, failed, resumable or busy."""

    cell: Path
    state: str
    reason: str = ""

    @property
    def good(self) -> bool:
        return self.state in ("skipped", "done")


@dataclass(frozen=True)
class Placement:
    """Where a cell runs beside others: how many of them share the cores, the GPUs that are its own (None: all), and the
    threads of each rank where the settings leave them open (None: by the cores)."""

    at_once: int = 1
    gpus: tuple[str, ...] | None = None
    threads: int | None = None


SINGLE = Placement()
# The children of this process; once it is halted, no more of them.
_CHILDREN: set["subprocess.Popen[bytes]"] = set()
_HALTED = threading.Event()
# Trunks that failed in this process: their other branches need not try them again.
_FAILED_TRUNKS: dict[Path, RunOutcome] = {}


def run(settings: TrainConfig, place: Placement = SINGLE, stop_after: int | None = None) -> RunOutcome:
    """Trains and scores one cell in a child process; never raises for what happens inside the child.

    A cell that another process has claimed is `busy`, at once. With `stop_after` it is left after that step, as if it
    had been stopped there: `resumable`.

    Raises:
        ZeroscaleError: the cell's directory cannot be written.
        KeyboardInterrupt: passed on after the child has been stopped.
    """
    install_sigterm_handler()
    cell = layout.run_directory(settings)
    if Run(cell).is_finished_with(settings):
        return _done_already(cell)
    here = nodes.detect_nodes()
    if not cell.exists() and here.rank == 0:
        _say_what_changed(settings, cell)
    if here.rank:
        return _run(settings, cell, place, here, stop_after)
    claim = try_lock(cell / layout.LAUNCH_LOCK)
    if claim is None:
        return RunOutcome(cell, "busy", _BUSY)
    with claim:
        # Another process may have finished it a moment ago.
        return (
            _done_already(cell)
            if Run(cell).is_finished_with(settings)
            else _run(settings, cell, place, here, stop_after)
        )


def terminate_children() -> None:
    """Ends all children of this process in good order, and starts no more: for a sweep that runs several at once."""
    _HALTED.set()
    children = list(_CHILDREN)
    if children:
        print("\nstopping: writing checkpoints (Ctrl-C again to leave at once)", file=sys.stderr, flush=True)
    for child in children:
        child.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
        deadline = time.monotonic() + GRACE_SECONDS
        for child in children:
            child.wait(max(0.0, deadline - time.monotonic()))
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


def _done_already(cell: Path) -> RunOutcome:
    done = status.read_done(cell) or {}
    here = manifest.source()["revision"]
    other = done.get("revision") != here
    note = f" (made by source revision {done.get('revision') or 'unknown'}, this is {here})" if other else ""
    print(f"{cell.name}: done already, nothing to run{note}", flush=True)
    return RunOutcome(cell, "skipped", note.strip())


def _trunk(settings: TrainConfig, place: Placement) -> RunOutcome:
    cell = layout.run_directory(settings)
    if cell not in _FAILED_TRUNKS:
        outcome = run(settings, place)
        if outcome.state == "busy":
            # Claimed, and perhaps not yet locked by its worker: a moment, then it is asked again.
            time.sleep(1)
        if outcome.state != "failed":
            return outcome
        _FAILED_TRUNKS[cell] = outcome
    return _FAILED_TRUNKS[cell]


def _run(
    settings: TrainConfig, cell: Path, place: Placement, here: nodes.Nodes, stop_after: int | None = None
) -> RunOutcome:
    """Trains and scores a cell that is this process's own now."""
    if settings.init_from.run is not None:
        missing = init_from.wait(settings, lambda trunk: _trunk(trunk, place), lambda text: print(text, flush=True))
        if missing and _HALTED.is_set():
            return RunOutcome(cell, "resumable", missing)
        if missing:
            status.write(cell, "failed", missing)
            return RunOutcome(cell, "failed", missing)
    text = yaml.safe_dump(as_dict(settings), sort_keys=False, allow_unicode=True)
    write_text(cell / layout.CONFIG, "# The resolved settings of this run: enough to run it again.\n" + text)
    kind = machine.resolve_accelerator(settings.trainer.accelerator)
    ranks = here.local_world_size(settings.trainer.devices)
    worker = ["-m", "zeroscale.launch.worker", str(cell)]
    if settings.trainer.devices > 1:
        worker = ["-m", "torch.distributed.run", *here.torchrun(settings.trainer.devices), *worker]
    threads = settings.trainer.threads or place.threads
    environment = machine.child_environment(kind, threads, ranks, place.at_once, place.gpus)
    environment["ZEROSCALE_PARENT"] = str(os.getpid())
    environment["ZEROSCALE_STOP_AFTER"] = str(stop_after or 0)
    if settings.trainer.deterministic:
        # cuBLAS is deterministic with a workspace of its own only (torch's notes on reproducibility).
        environment.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # torchrun kills ranks that have not left after so long.
    environment.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(int(GRACE_SECONDS)))
    environment["ZEROSCALE_TERMINAL"] = str(terminal_width() if place.at_once == 1 else 0)
    with disk_errors(cell), open(cell / layout.rank_log(here.rank), "ab") as log:
        child = subprocess.Popen(
            [sys.executable, *worker],
            stdout=subprocess.PIPE,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env=environment,
            # A session of its own: Ctrl-C reaches this process alone, which then stops the child in good order.
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        _CHILDREN.add(child)
        if _HALTED.is_set():
            child.terminate()
        try:
            stream(child, log, place.at_once > 1)
            code = child.wait()
        except BaseException:
            stop(child)
            raise
        finally:
            _CHILDREN.discard(child)
    return _outcome(cell, code) if here.rank == 0 else _outcome_elsewhere(cell, code, here)


def _say_what_changed(settings: TrainConfig, cell: Path) -> None:
    """A new cell beside an unfinished one of the same model and seed: perhaps the user meant to go on with that."""
    from zeroscale.config.diff import differences

    found: list[tuple[list[str], Path]] = []
    for other in layout.run_directories(cell.parent):
        recorded = status.read(other)
        same = other.name.startswith(f"{settings.model.name}-seed{settings.seed}-")
        if same and recorded.state in ("resumable", "failed") and recorded.step:
            with contextlib.suppress(ZeroscaleError, OSError):
                found.append((differences(Run(other).settings, as_dict(settings)), other))
    if found:
        changed, other = min(found, key=lambda one: len(one[0]))
        print(
            f"{cell.name}: a new cell. {other.name} is unfinished (step {status.read(other).step}) and has other "
            f"settings: {'; '.join(changed)}. To go on with it, put them back; a run may change only "
            f"{', '.join(NOT_HASHED)}",
            flush=True,
        )


def _outcome_elsewhere(cell: Path, code: int, here: nodes.Nodes) -> RunOutcome:
    """What a machine other than the first says: how its own ranks ended, then what machine 0 made of the cell."""
    if code:
        how = (
            f"its processes on machine {here.rank} ended with exit code {code}; see {cell / layout.rank_log(here.rank)}"
        )
        return RunOutcome(cell, "failed", status.read(cell).reason or how)
    while (recorded := status.read(cell)).state == "running":
        # Machine 0 scores the last checkpoint; the next cell needs it.
        time.sleep(1)
    return RunOutcome(cell, recorded.state, recorded.reason)


def _outcome(cell: Path, code: int) -> RunOutcome:
    recorded = status.read(cell)
    if code == status.BUSY:
        # Another process has the cell: its status is that process's to write.
        return RunOutcome(cell, "busy", _BUSY)
    if code == 0 and recorded.state in ("done", "resumable"):
        return RunOutcome(cell, recorded.state, recorded.reason)
    if recorded.state == "failed":
        return RunOutcome(cell, "failed", recorded.reason)
    if _HALTED.is_set():
        # Stopped before it could answer: what it had done stands as its last checkpoint.
        return RunOutcome(cell, "resumable", "stopped on request")
    # The child left without a word: killed, out of memory, or torchrun could not start it.
    how = f"was killed by signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"ended with exit code {code}"
    hint = "; out of memory is the usual cause" if code == -signal.SIGKILL else ""
    reason = f"its process {how}{hint}; see {cell / layout.LOG}"
    with contextlib.suppress(ZeroscaleError):
        status.write(cell, "failed", reason, recorded.step)
    return RunOutcome(cell, "failed", reason)
