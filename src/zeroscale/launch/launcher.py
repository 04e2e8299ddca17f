"""Train a run in a child process: skipped when DONE, streamed while it runs, stopped when its parent stops.

A process per run, because a process group lives as long as its process: two runs of different world sizes in one
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
from zeroscale.core.jsonl import last_bytes
from zeroscale.launch.process import (
    GRACE_SECONDS,
    die_with_parent,
    install_sigterm_handler,
    stop,
    stream,
)
from zeroscale.launch.progress.display import Display
from zeroscale.runs import layout, manifest, status
from zeroscale.runs.run import Run
from zeroscale.training import init_from
from zeroscale.training.progress_events import EVENTS_VARIABLE

_BUSY = "another process is training it; wait for it, or stop it"


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended: `state` is skipped, done, failed, resumable or busy."""

    directory: Path
    state: str
    reason: str = ""

    @property
    def good(self) -> bool:
        return self.state in ("skipped", "done")


@dataclass(frozen=True)
class Placement:
    """The resources of a run: how many runs share the cores, the GPUs reserved for it (None: all), and the threads of
    each rank where the configuration leaves them open (None: by the number of cores)."""

    at_once: int = 1
    gpus: tuple[str, ...] | None = None
    threads: int | None = None


SINGLE = Placement()
# The children of this process; none is started once it is halted.
_CHILDREN: set["subprocess.Popen[bytes]"] = set()
_HALTED = threading.Event()
# Trunks that failed in this process: their other branches do not try them again.
_FAILED_TRUNKS: dict[Path, RunOutcome] = {}


def rank_environment(config: TrainConfig, placement: Placement, kind: str, ranks: int) -> dict[str, str]:
    """The environment variables of a run's ranks, as far as they change what is computed.

    Args:
        kind: `cpu` or `cuda`.
        ranks: of the run on this machine.
    """
    threads = config.trainer.threads or placement.threads
    environment = machine.child_environment(kind, threads, ranks, placement.at_once, placement.gpus)
    if config.trainer.deterministic:
        # cuBLAS is deterministic with a workspace of its own only (torch's notes on reproducibility).
        environment.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return environment


def run(
    config: TrainConfig,
    placement: Placement = SINGLE,
    stop_after: int | None = None,
    display: Display | None = None,
) -> RunOutcome:
    """Train and score one run in a child process; errors inside the child are an outcome, not an exception.

    A run that another process has locked is `busy`, at once. With `stop_after` it is stopped after that step:
    `resumable`.

    Args:
        display: shows the progress; without it the run has one of its own.

    Raises:
        ZeroscaleError: the run's directory cannot be written.
        KeyboardInterrupt: passed on after the child has been stopped.
    """
    install_sigterm_handler()
    if display is None:
        with Display.of([config]) as display:
            return run(config, placement, stop_after, display)
    directory = layout.run_directory(config)
    if Run(directory).is_finished_with(config):
        return _skip_finished(directory, display)
    cluster = nodes.detect_nodes()
    if not directory.exists() and cluster.rank == 0:
        _report_changed_settings(config, directory, display)
    if cluster.rank:
        return _train(config, directory, placement, cluster, display, stop_after)
    launch_lock = try_lock(directory / layout.LAUNCH_LOCK)
    if launch_lock is None:
        return RunOutcome(directory, "busy", _BUSY)
    with launch_lock:
        # Another process may have finished it a moment ago.
        return (
            _skip_finished(directory, display)
            if Run(directory).is_finished_with(config)
            else _train(config, directory, placement, cluster, display, stop_after)
        )


def terminate_children() -> None:
    """Stop all children of this process with SIGTERM, then SIGKILL, and start no more."""
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


def _skip_finished(directory: Path, display: Display) -> RunOutcome:
    note = ""
    if "code" not in Run(directory).manifest:
        # Of an earlier version, which recorded the revision alone.
        done = status.read_done(directory)
        made_by, revision = done.get("revision") if done else None, manifest.source()["revision"]
        if made_by != revision:
            note = f" (made by source revision {made_by or 'unknown'}, this is {revision})"
    display.skip(directory.name, note)
    return RunOutcome(directory, "skipped", note.strip())


def _train_trunk(config: TrainConfig, placement: Placement, display: Display) -> RunOutcome:
    directory = layout.run_directory(config)
    if directory not in _FAILED_TRUNKS:
        outcome = run(config, placement, display=display)
        if outcome.state == "busy":
            # Locked by a launcher whose worker may not hold its own lock yet: look again in a moment.
            time.sleep(1)
        if outcome.state != "failed":
            return outcome
        _FAILED_TRUNKS[directory] = outcome
    return _FAILED_TRUNKS[directory]


def _train(
    config: TrainConfig,
    directory: Path,
    placement: Placement,
    cluster: nodes.Nodes,
    display: Display,
    stop_after: int | None = None,
) -> RunOutcome:
    """Train and score a run that no other launcher has locked."""
    if config.init_from.run is not None:
        missing = init_from.wait(config, lambda trunk: _train_trunk(trunk, placement, display), display.say)
        if missing and _HALTED.is_set():
            return RunOutcome(directory, "resumable", missing)
        if missing:
            status.write(directory, "failed", missing)
            return RunOutcome(directory, "failed", missing)
    text = yaml.safe_dump(as_dict(config), sort_keys=False, allow_unicode=True)
    write_text(directory / layout.CONFIG, "# The resolved settings of this run: enough to run it again.\n" + text)
    kind = machine.resolve_accelerator(config.trainer.accelerator)
    ranks = cluster.local_world_size(config.trainer.devices)
    worker = ["-m", "zeroscale.launch.worker", str(directory)]
    if config.trainer.devices > 1:
        worker = ["-m", "torch.distributed.run", *cluster.torchrun(config.trainer.devices), *worker]
    environment = rank_environment(config, placement, kind, ranks)
    environment["ZEROSCALE_PARENT"] = str(os.getpid())
    environment["ZEROSCALE_STOP_AFTER"] = str(stop_after or 0)
    # torchrun kills ranks that have not left after so long.
    environment.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(int(GRACE_SECONDS)))
    environment[EVENTS_VARIABLE] = "1"
    with disk_errors(directory), open(directory / layout.rank_log(cluster.rank), "ab") as log:
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
        display.begin(directory.name)
        if _HALTED.is_set():
            child.terminate()
        try:
            stream(child, directory.name, log, display)
            code = child.wait()
        except BaseException:
            stop(child)
            raise
        finally:
            _CHILDREN.discard(child)
    outcome = _outcome(directory, code) if cluster.rank == 0 else _outcome_on_other_machine(directory, code, cluster)
    display.end(directory.name, outcome.state, outcome.reason)
    return outcome


def _report_changed_settings(config: TrainConfig, directory: Path, display: Display) -> None:
    """Print how a new run differs from an unfinished one of the same model and seed, which the user may have meant."""
    from zeroscale.config.diff import differences

    unfinished: list[tuple[list[str], Path]] = []
    for other in layout.run_directories(directory.parent):
        recorded = status.read(other)
        same = other.name.startswith(f"{config.model.name}-seed{config.seed}-")
        if same and recorded.state in ("resumable", "failed") and recorded.step:
            with contextlib.suppress(ZeroscaleError, OSError):
                unfinished.append((differences(Run(other).settings, as_dict(config)), other))
    if unfinished:
        changed, other = min(unfinished, key=lambda pair: len(pair[0]))
        display.say(
            f"{directory.name}: a new run. {other.name} is unfinished (step {status.read(other).step}) and has other "
            f"settings: {'; '.join(changed)}. To go on with it, put them back; a run may change only "
            f"{', '.join(NOT_HASHED)}"
        )


def _outcome_on_other_machine(directory: Path, code: int, cluster: nodes.Nodes) -> RunOutcome:
    """The outcome on a machine other than the first: how its own ranks ended, else what machine 0 records."""
    if code:
        log = directory / layout.rank_log(cluster.rank)
        message = f"its processes on machine {cluster.rank} ended with exit code {code}; see {log}"
        return RunOutcome(directory, "failed", status.read(directory).reason or message)
    while (recorded := status.read(directory)).state == "running":
        # Machine 0 scores the last checkpoint; the next run needs it.
        time.sleep(1)
    return RunOutcome(directory, recorded.state, recorded.reason)


def _outcome(directory: Path, code: int) -> RunOutcome:
    recorded = status.read(directory)
    if code == status.BUSY:
        # Another process has locked the run, and writes its status.
        return RunOutcome(directory, "busy", _BUSY)
    if code == 0 and recorded.state in ("done", "resumable"):
        return RunOutcome(directory, recorded.state, recorded.reason)
    if recorded.state == "failed":
        return RunOutcome(directory, "failed", recorded.reason)
    if _HALTED.is_set():
        # Stopped before it recorded its state: its last checkpoint stands.
        return RunOutcome(directory, "resumable", "stopped on request")
    # The child recorded nothing: killed, out of memory, or torchrun could not start it.
    end = f"was killed by signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"ended with exit code {code}"
    hint = "; out of memory is the usual cause" if code == -signal.SIGKILL else ""
    if not hint and "Thread creation failed" in last_bytes(directory / layout.LOG)[0].decode("utf-8", "replace"):
        # libgomp's word, which ends the process.
        hint = f"; {machine.THREAD_REFUSED}"
    reason = f"its process {end}{hint}; see {directory / layout.LOG}"
    with contextlib.suppress(ZeroscaleError):
        status.write(directory, "failed", reason, recorded.step)
    return RunOutcome(directory, "failed", reason)
