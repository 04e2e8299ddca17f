"""Child processes: their signals, their output, their end with their parent's."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, BinaryIO

from zeroscale.training.progress_events import Pace, read_event

if TYPE_CHECKING:
    from zeroscale.launch.progress.display import Display

# How long a child may take to write its checkpoint and leave after SIGTERM; GPT-2 XL's are 19 GB.
GRACE_SECONDS = 300.0
_PR_SET_PDEATHSIG = 1
# Loaded before any fork: in a child of a process with threads only what is there already may be called.
_C = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(number: int = signal.SIGTERM) -> None:
    """Asks the kernel to signal this process when its parent dies, however it dies (Linux)."""
    if _C is not None:
        _C.prctl(_PR_SET_PDEATHSIG, int(number))


def install_sigterm_handler() -> None:
    """From now on SIGTERM ends this process as Ctrl-C does, after its children have written their checkpoints: clusters
    kill whatever is left of a step when its first process has ended. For the main thread; others' handlers stay."""

    def leave(number: int, _: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise SystemExit(128 + number)

    alone = threading.current_thread() is threading.main_thread()
    if alone and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, leave)


def stream(child: subprocess.Popen[bytes], name: str, log: BinaryIO, display: "Display") -> None:
    """Shows what a run's worker tells, and keeps it in the run's log: of its steps a line now and then."""
    assert child.stdout is not None
    pace = Pace()
    for content in child.stdout:
        line = content.decode("utf-8", errors="replace").rstrip("\n")
        event = read_event(line)
        if event is None:
            display.say_once(line)
        else:
            display.event(name, event)
            line = event.text
            if (progress := event.progress) is not None:
                if progress.step < progress.steps and not pace.is_due():
                    continue
                line = f"{name}  {progress.line}"
        log.write(f"{line}\n".encode())
        log.flush()


def stop(child: subprocess.Popen[bytes]) -> None:
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
