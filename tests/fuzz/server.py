"""A process that has imported zeroscale, and forks a child for each command line: a crash, a hang or a segmentation
fault ends the child alone, and imports are paid for once.

Reads a job as a line of JSON on stdin and answers with one on stdout: see `runner.Runner.run`, which starts it.
"""

import contextlib
import gc
import io
import json
import os
import resource
import select
import signal
import sys
import traceback
from importlib import import_module
from pathlib import Path

# What most commands import; the rest comes in the child, which pays for it each time.
PRELOAD = [
    "hydra",
    "omegaconf",
    "torch",
    "pandas",
    "pyarrow.parquet",
    "scipy.optimize",
    "safetensors.torch",
    "tokenizers",
]
PRELOAD += ["hydra._internal.core_plugins.basic_sweeper", "transformers", "zeroscale.cli.compose", "zeroscale.eval.run"]
PRELOAD += [
    "zeroscale.data.prepare.prepare",
    "zeroscale.scaling.fit",
    "zeroscale.report.page",
    "zeroscale.report.dashboard",
]
PRELOAD += ["rich.console", "rich.live", "zeroscale.eval.compare", "zeroscale.eval.cards.registry", "zstandard"]
PRELOAD += [
    "evaluate",
    "datasets",
    "torch._dynamo",
    "zeroscale.eval.metrics.metrics",
    "zeroscale.eval.engine.run_requests",
]
PRELOAD += [
    "transformers.models.gpt2.modeling_gpt2",
    "transformers.models.llama.modeling_llama",
    "transformers.pipelines",
]
PRELOAD += [
    "zeroscale.eval.hf_adapter",
    "zeroscale.eval.score_table",
    "scipy.stats",
    "sacrebleu",
    "plotly.graph_objects",
]
PRELOAD += [
    "matplotlib.font_manager",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
]
COMMANDS = [
    "batch",
    "compare",
    "data",
    "eval",
    "export",
    "fit",
    "overlap",
    "plan",
    "report",
    "sample",
    "status",
    "train",
]
PRELOAD += [f"zeroscale.cli.commands.{name}" for name in COMMANDS]
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Audit events with the paths among their arguments.
PATHS = {"os.mkdir": 1, "os.rename": 2, "os.remove": 1, "os.rmdir": 1, "os.symlink": 2, "os.link": 2, "os.truncate": 1}


def main() -> None:
    sys.dont_write_bytecode = True
    channel = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    import zeroscale.cli.main  # noqa: F401

    for name in PRELOAD:
        with contextlib.suppress(ModuleNotFoundError):
            import_module(name)
    gc.collect()
    gc.freeze()
    print(json.dumps({"ready": True}), file=channel, flush=True)
    for line in sys.stdin:
        print(json.dumps(serve(json.loads(line))), file=channel, flush=True)


def serve(job: dict) -> dict:
    """Runs a job in a child and says how it ended."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            code = in_child(job)
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
            with contextlib.suppress(Exception):
                sys.stderr.flush()
            os._exit(code & 0xFF)
    handle = os.pidfd_open(child)
    ended, _, _ = select.select([handle], [], [], job["wall_seconds"])
    os.close(handle)
    # Its own children too: it leads a session of its own.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if not ended:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    _, status, used = os.wait4(child, 0)
    seconds = used.ru_utime + used.ru_stime
    killed = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    return {
        "code": os.WEXITSTATUS(status) if killed is None else None,
        "signal": killed if ended else None,
        "hung": not ended,
        "seconds": seconds,
        "peak_mib": used.ru_maxrss // 1024,
    }


def in_child(job: dict) -> int:
    os.setsid()
    os.chdir(job["cwd"])
    os.environ.update(job["env"])
    for number, name, flags in ((0, "stdin", os.O_RDONLY), (1, "stdout", os.O_WRONLY), (2, "stderr", os.O_WRONLY)):
        os.dup2(os.open(job[name], flags), number)
    # As Python makes them: what a terminal cannot show is an error on stdout and replaced on stderr.
    sys.stdin, sys.stdout, sys.stderr = (
        io.TextIOWrapper(open(number, mode, buffering=buffering, closefd=False), job["encoding"], errors)  # noqa: SIM115
        for number, mode, buffering, errors in (
            (0, "rb", -1, "strict"),
            (1, "wb", -1, "strict"),
            (2, "wb", -1, "backslashreplace"),
        )
    )
    sys.argv = ["zeroscale", *job["argv"]]
    import tempfile

    tempfile.tempdir = None
    limits(job)
    watch(job["root"], os.open(job["log"], os.O_WRONLY | os.O_APPEND))
    from zeroscale.cli.main import main as command

    code = command(job["argv"])
    assert isinstance(code, int), f"main returned {code!r}"
    return code


def limits(job: dict) -> None:
    size = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmSize"))
    space = int(size.split()[1]) * 1024 + job["memory_mib"] * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (space, space))
    resource.setrlimit(resource.RLIMIT_CPU, (job["cpu_seconds"], job["cpu_seconds"] + 5))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**28, 2**28))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def watch(root: str, log: int) -> None:
    """Writes a line for everything that Python itself writes outside of `root`, and for every connection."""

    def note(event: str, place: object) -> None:
        os.write(log, f"{event} {place!r}\n".encode("ascii", "backslashreplace"))

    def outside(place: object) -> bool:
        if not isinstance(place, str | bytes | os.PathLike):
            return False
        path = os.path.abspath(os.fsdecode(place))
        return not path.startswith((root + "/", "/dev/", "/proc/")) and path != root

    def hook(event: str, arguments: tuple) -> None:
        if event == "open":
            path, mode, flags = arguments
            if (isinstance(flags, int) and flags & WRITING) and outside(path):
                note(f"open({mode})", path)
        elif event in PATHS:
            for place in arguments[: PATHS[event]]:
                if outside(place):
                    note(event, place)
        elif event == "socket.connect":
            address = arguments[1]
            if isinstance(address, tuple) and address and address[0] not in ("127.0.0.1", "::1", "localhost"):
                note(event, address)
        elif event == "os.system":
            note(event, arguments)

    sys.addaudithook(hook)


if __name__ == "__main__":
    main()
