"""A cell of a study → a child process: skipped when DONE, streamed while it runs, stopped when its parent stops.

A process per cell, because a process group lives as long as its process: two cells of different world sizes in one
process would share one. Ranks come from torchrun, never from Lightning's own launcher, which re-executes `sys.argv`.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import yaml

from zeroscale import parents, status
from zeroscale.errors import ZeroscaleError
from zeroscale.files import disk_errors, write_text
from zeroscale.provenance import machine, manifest
from zeroscale.settings import NOT_HASHED, TrainSettings, as_dict

# How long a child may take to write its checkpoint and leave after SIGTERM.
GRACE_SECONDS = 30.0
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Outcome:
    """How a cell ended: `state` is skipped, done, failed, resumable or busy."""

    cell: Path
    state: str
    reason: str = ""

    @property
    def good(self) -> bool:
        return self.state in ("skipped", "done")


def directory(settings: TrainSettings) -> Path:
    """outputs/<study>/<cell>."""
    return Path(settings.output_dir) / settings.study / settings.cell


def die_with_parent(number: int = signal.SIGTERM) -> None:
    """Asks the kernel to signal this process when its parent dies, however it dies (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(number))


def finished(settings: TrainSettings) -> bool:
    """Whether the cell is done with these very settings and has been scored on every card asked for."""
    done = status.read_done(directory(settings))
    if done is None or done["settings_hash"] != settings.hash():
        return False
    return set(settings.cards) <= set(done["cards"]) and (
        not settings.cards or done["cards_from"] == settings.cards_from
    )


def run_cell(settings: TrainSettings) -> Outcome:
    """Trains and scores one cell in a child process; never raises for what happens inside the child.

    Raises:
        ZeroscaleError: the cell's directory cannot be written.
        KeyboardInterrupt: passed on after the child has been stopped.
    """
    cell = directory(settings)
    if finished(settings):
        done = status.read_done(cell) or {}
        here = manifest.source()["revision"]
        other = done.get("revision") != here
        note = f" (made by source revision {done.get('revision') or 'unknown'}, this is {here})" if other else ""
        print(f"{cell.name}: done already, nothing to run{note}", flush=True)
        return Outcome(cell, "skipped", note.strip())
    if settings.init_from.run is not None:
        missing = parents.wait(settings, run_cell, lambda text: print(text, flush=True))
        if missing:
            status.write(cell, "failed", missing)
            return Outcome(cell, "failed", missing)
    if not cell.exists():
        _say_what_changed(settings, cell)
    text = yaml.safe_dump(as_dict(settings), sort_keys=False, allow_unicode=True)
    write_text(cell / "config.yaml", "# The resolved settings of this run: enough to run it again.\n" + text)
    kind = machine.accelerator(settings.trainer.accelerator)
    ranks = settings.trainer.devices
    worker = ["-m", "zeroscale.worker", str(cell)]
    if ranks > 1:
        worker = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}", *worker]
    environment = machine.child_environment(kind, settings.trainer.threads, ranks)
    environment["ZEROSCALE_PARENT"] = str(os.getpid())
    environment["ZEROSCALE_TERMINAL"] = str(_terminal_width())
    with disk_errors(cell), open(cell / status.LOG, "ab") as log:
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
        try:
            _stream(child, log)
            code = child.wait()
        except BaseException:
            _stop(child)
            raise
    return _outcome(cell, code)


def _say_what_changed(settings: TrainSettings, cell: Path) -> None:
    """A new cell beside an unfinished one of the same model and seed: perhaps the user meant to go on with that."""
    from zeroscale.training.guards import differences

    found: list[tuple[list[str], Path]] = []
    for config in cell.parent.glob(f"{settings.model.name}-seed{settings.seed}-*/config.yaml"):
        recorded = status.read(config.parent)
        if recorded.state in ("resumable", "failed") and recorded.step:
            with contextlib.suppress(yaml.YAMLError, OSError):
                found.append((differences(yaml.safe_load(config.read_text()), as_dict(settings)), config.parent))
    if found:
        changed, other = min(found, key=lambda one: len(one[0]))
        print(
            f"{cell.name}: a new cell. {other.name} is unfinished (step {status.read(other).step}) and has other "
            f"settings: {'; '.join(changed)}. To go on with it, put them back; a run may change only "
            f"{', '.join(NOT_HASHED)}",
            flush=True,
        )


def _terminal_width() -> int:
    """Columns of the terminal that watches, 0 where none does."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns if sys.stdout.isatty() else 0
    except (OSError, ValueError):
        return 0


def _stream(child: subprocess.Popen[bytes], log: BinaryIO) -> None:
    """Passes the child's progress on as it comes, and keeps the plain lines in its log."""
    assert child.stdout is not None
    terminal = _terminal_width() > 0
    while chunk := os.read(child.stdout.fileno(), 65536):
        sys.stdout.write(chunk.decode("utf-8", errors="replace"))
        sys.stdout.flush()
        if not terminal:
            log.write(chunk)
            log.flush()


def _stop(child: subprocess.Popen[bytes]) -> None:
    """SIGTERM, which makes the worker write a checkpoint; SIGKILL to the whole session if it does not leave."""
    if child.poll() is None:
        print("\nstopping: writing a checkpoint (Ctrl-C again to leave at once)", file=sys.stderr, flush=True)
        child.terminate()
        drain = threading.Thread(target=lambda: child.stdout and child.stdout.read(), daemon=True)
        drain.start()
        with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            child.wait(GRACE_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def _outcome(cell: Path, code: int) -> Outcome:
    recorded = status.read(cell)
    if code == status.BUSY:
        # Another process has the cell: its status is that process's to write.
        return Outcome(cell, "busy", "another process is training it; wait for it, or stop it")
    if code == 0 and recorded.state in ("done", "resumable"):
        return Outcome(cell, recorded.state, recorded.reason)
    if recorded.state == "failed":
        return Outcome(cell, "failed", recorded.reason)
    # The child left without a word: killed, out of memory, or torchrun could not start it.
    how = f"was killed by signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"ended with exit code {code}"
    hint = "; out of memory is the usual cause" if code == -signal.SIGKILL else ""
    reason = f"its process {how}{hint}; see {cell / status.LOG}"
    with contextlib.suppress(ZeroscaleError):
        status.write(cell, "failed", reason, recorded.step)
    return Outcome(cell, "failed", reason)
