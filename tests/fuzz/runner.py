"""Runs a command line on made-up input and names what must not happen: `Attempt` in, faults out."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import sha1
from pathlib import Path

from conftest import ROOT, environment
from fuzz import truth

# Of all commands: 0, 1 (not all could be done), 2 (bad input); `reproduce` has 3 and 4 too (conf/reproduce.yaml).
CODES = frozenset({0, 1, 2})
CPU_SECONDS, WALL_SECONDS, MEMORY_MIB = 40, 150, 6144


@dataclass(frozen=True)
class Attempt:
    """A command line on the files of its folder, and what it may do there."""

    argv: list[str]
    note: str = ""
    """What was done to the input, in words."""
    writes: tuple[str, ...] = ("outputs/*",)
    """Patterns of files that the command may write or change, below its folder."""
    codes: frozenset[int] = CODES
    encoding: str = "utf-8"
    """Of the terminal."""
    check: Callable[[Path, str], Iterable[str]] | None = None
    """What must be true after exit code 0: (folder, stdout) to faults."""
    wall_seconds: int = WALL_SECONDS
    strict: bool = True
    """Whether the JSON and CSV that it writes are its own; else they are copies of what others wrote."""


@dataclass(frozen=True)
class Outcome:
    """How a command line ended, and the faults in that."""

    attempt: Attempt
    code: int | None
    stdout: str
    stderr: str
    seconds: float
    faults: list[str] = field(default_factory=list)

    def text(self) -> str:
        said = (self.stdout[-600:] + "\n" + self.stderr[-2500:]).strip()
        argv = " ".join(
            text if len(text := repr(part)) < 200 else f"{text[:100]}… ({len(part)})" for part in self.attempt.argv
        )
        lines = [f"zeroscale {argv}", f"  input: {self.attempt.note}"]
        return "\n".join([*lines, *(f"  fault: {fault}" for fault in self.faults), f"  it said: {said}"])


class Runner:
    """A server of the test process, started with the first attempt."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[str] | None = None
        self._home = tempfile.mkdtemp(prefix="fuzz-home-")

    def close(self) -> None:
        if self._server is not None:
            assert self._server.stdin is not None
            self._server.stdin.close()
            self._server.wait(30)
        shutil.rmtree(self._home, ignore_errors=True)

    def attempt(self, build: Callable[[Path], Attempt]) -> Outcome:
        """Builds an attempt in a new folder, runs it and looks at what it did."""
        root = Path(tempfile.mkdtemp(prefix="fuzz-")).resolve()
        try:
            for name in ("work", "home", "tmp"):
                (root / name).mkdir()
            attempt = build(root / "work")
            before = snapshot(root)
            answer, stdout, stderr, log = self._run(attempt, root)
            after = snapshot(root)
            faults = [*_ending(attempt, answer, stdout, stderr), *_places(attempt, before, after), *log]
            if answer["code"] == 0:
                new = [root / os.fsdecode(name) for name in after if before.get(name) != after[name]]
                faults += truth.files(new, root / "work") if attempt.strict else []
                if attempt.check is not None:
                    faults += attempt.check(root / "work", stdout)
            return Outcome(attempt, answer["code"], stdout, stderr, answer["seconds"], faults)
        finally:
            shutil.rmtree(root, ignore_errors=True)

    def _run(self, attempt: Attempt, root: Path) -> tuple[dict, str, str, list[str]]:
        with tempfile.TemporaryDirectory(prefix="fuzz-io-") as folder:
            io = {name: f"{folder}/{name}" for name in ("stdin", "stdout", "stderr", "log")}
            for name, path in io.items():
                # Somebody, or `yes`, answers every question with y.
                Path(path).write_text("y\n" * 500 if name == "stdin" else "")
            env = {"HOME": str(root / "home"), "TMPDIR": str(root / "tmp"), "PWD": str(root / "work")}
            job = {"argv": attempt.argv, "cwd": str(root / "work"), "root": str(root), "env": env, **io}
            job |= {"cpu_seconds": CPU_SECONDS, "wall_seconds": attempt.wall_seconds, "memory_mib": MEMORY_MIB}
            answer = self._ask({**job, "encoding": attempt.encoding})
            stdout, stderr, log = (
                Path(io[name]).read_bytes()[-200_000:].decode("utf-8", "replace")
                for name in ("stdout", "stderr", "log")
            )
        return answer, stdout, stderr, [f"outside of its folder: {line}" for line in dict.fromkeys(log.splitlines())]

    def _ask(self, job: dict) -> dict:
        if self._server is None or self._server.poll() is not None:
            # What libraries read as they are imported: their caches are the server's.
            caches = {name: self._home for name in ("HOME", "MPLCONFIGDIR", "TORCHINDUCTOR_CACHE_DIR", "TMPDIR")}
            extra = {"PYTHONPATH": str(ROOT / "src"), "OPENBLAS_NUM_THREADS": "1", **caches}
            self._server = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("server.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=self._home,
                env=environment(**extra),
                text=True,
            )
            assert self._read()["ready"]
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(job) + "\n")
        self._server.stdin.flush()
        return self._read()

    def _read(self) -> dict:
        assert self._server is not None and self._server.stdout is not None
        line = self._server.stdout.readline()
        assert line, "the server of the fuzzer has died"
        return json.loads(line)


def snapshot(root: Path) -> dict[bytes, str]:
    """Every file, folder and link below `root` with its content's hash; links are not followed."""
    found: dict[bytes, str] = {}
    pending = [os.fsencode(root)]
    top = len(pending[0]) + 1
    while pending:
        for entry in os.scandir(pending.pop()):
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                pending.append(entry.path)
                found[entry.path[top:]] = "folder"
            elif stat.S_ISLNK(mode):
                found[entry.path[top:]] = f"link {os.readlink(entry.path)!r}"
            elif stat.S_ISREG(mode):
                with open(entry.path, "rb") as handle:
                    found[entry.path[top:]] = sha1(handle.read(2**24)).hexdigest()
            else:
                found[entry.path[top:]] = "special"
    return found


def _ending(attempt: Attempt, answer: dict, stdout: str, stderr: str) -> list[str]:
    """What is wrong with how it ended."""
    faults = []
    if answer["hung"]:
        faults.append(f"had not ended after {attempt.wall_seconds} s")
    elif answer["signal"] is not None:
        reason = " (too much time)" if answer["signal"] == 24 else ""
        faults.append(
            f"ended by signal {answer['signal']}{reason}, {answer['seconds']:.0f} s, {answer['peak_mib']} MiB"
        )
    elif answer["code"] not in attempt.codes:
        faults.append(f"exit code {answer['code']}")
    if "Traceback (most recent call last)" in stdout + stderr:
        faults.append("a traceback")
    if answer["code"] == 2 and not stderr.strip():
        faults.append("exit code 2 without a message")
    if answer["code"] == 2 and re.search(r"\b(MemoryError|RecursionError|Cannot allocate memory)\b", stderr):
        faults.append("memory was taken before the input was refused")
    return faults


def _places(attempt: Attempt, before: dict[bytes, str], after: dict[bytes, str]) -> list[str]:
    """What was written, changed or removed where the command has no business."""
    faults = []
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) == after.get(name):
            continue
        place = os.fsdecode(name)
        if after.get(name) == "folder" and name not in before and place.startswith("work/outputs"):
            continue
        inner = place.removeprefix("work/")
        if place.startswith("home/.cache") or place.startswith("home/.config/matplotlib"):
            continue
        if place.startswith("work/") and any(fnmatchcase(inner, pattern) for pattern in attempt.writes):
            continue
        what = "removed" if name not in after else "changed" if name in before else "new"
        faults.append(f"{what}: {place!r}")
    if len(faults) > 6:
        faults = [*faults[:6], f"… and {len(faults) - 6} more"]
    return faults
