"""The command line in this process: as real as in one of its own, without the seconds of its imports."""

import contextlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from zeroscale.cli import main


def run(arguments: list[str], folder: Path, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs `zeroscale …` in a folder, with these environment variables; what it leaves in this process is put back.

    Children that the command starts are real ones.
    """
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2)]
    with _restored(), contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environ)
        code = main.main(arguments)
    said = [stream.buffer.getvalue().decode("utf-8", "replace") for stream in streams]  # type: ignore[attr-defined]
    return subprocess.CompletedProcess(arguments, code, *said)


@contextlib.contextmanager
def _restored():
    where, variables = Path.cwd(), dict(os.environ)
    threads = sys.modules["torch"].get_num_threads() if "torch" in sys.modules else None
    try:
        yield
    finally:
        os.chdir(where)
        os.environ.clear()
        os.environ.update(variables)
        time.tzset()
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(threads or int(os.environ["OMP_NUM_THREADS"]))
