"""The cores, GPUs and memory of this machine, and the numbers in its environment variables, whatever a shell, SLURM or
torchrun put there. Found without importing torch: for the launcher and `plan`."""

import itertools
import os
import platform
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

from zeroscale.core.errors import ZeroscaleError

MAX_THREADS = 1024
"""More than any machine has cores; at some ten thousand the thread pool of torch ends its process."""

THREAD_REFUSED = (
    "the system refuses another thread (`ulimit -u`, or the container's limit): raise it, or give fewer threads"
)

# What torchrun tells each of its ranks. A run of one device inside somebody else's torchrun or SLURM job is no rank.
OF_RANKS = ("RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "ROLE_WORLD_SIZE")


class MachineJson(TypedDict):
    """This machine as a run's manifest records it."""

    cpu: str
    cores: int
    memory_bytes: int | None
    system: str


def cpu_cores() -> int:
    """Number of cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> list[str]:
    """The NVIDIA devices this process may use, by the names that CUDA_VISIBLE_DEVICES takes; it restricts them too."""
    device_files = [path for path in Path("/dev").glob("nvidia*") if re.fullmatch(r"nvidia\d+", path.name)]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return [str(number) for number in range(len(device_files))]
    # CUDA stops at the first entry that names no device: "0,-1,1" shows device 0 alone.
    names = itertools.takewhile(
        lambda part: _names_a_device(part, len(device_files)), map(str.strip, visible.split(","))
    )
    return list(dict.fromkeys(names))[: len(device_files)]


def _names_a_device(name: str, count: int) -> bool:
    """Whether an entry of CUDA_VISIBLE_DEVICES is a device's number, or the beginning of a UUID."""
    return name.startswith(("GPU-", "MIG-")) or (re.fullmatch(r"[0-9]{1,6}", name) is not None and int(name) < count)


def gpu_count() -> int:
    """Number of NVIDIA devices this process may use."""
    return len(gpus())


def device_counts() -> dict[str, int]:
    """Number of devices by accelerator: `cpu` (cores) and `cuda`."""
    return {"cpu": cpu_cores(), "cuda": gpu_count()}


def resolve_accelerator(name: str) -> str:
    """`cuda` or `cpu` for `auto`, a GPU where there is one; any other name as it is."""
    if name != "auto":
        return name
    return "cuda" if gpu_count() else "cpu"


def describe() -> MachineJson:
    """This machine's processor, memory and system."""
    model = platform.processor() or platform.machine()
    memory = None
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        pass
    return {
        "cpu": model,
        "cores": cpu_cores(),
        "memory_bytes": memory,
        "system": f"{platform.system()} {platform.machine()}",
    }


# A CPU child's environment, unless the user has set these. Two OpenMP threads on a virtual machine stall a step 3 to 10
# times while they spin; big logits go back to the kernel and are faulted in again every step. Both measured.
CPU_ENVIRONMENT = {
    "OMP_WAIT_POLICY": "passive",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 32),
}


def child_environment(
    kind: str, threads: int | None, ranks: int, at_once: int = 1, gpus: tuple[str, ...] | None = None
) -> dict[str, str]:
    """The environment variables of a run's ranks: this process's, with the rules for CPUs above.

    Args:
        kind: `cpu` or `cuda`.
        threads: of each rank; None: OMP_NUM_THREADS, or an equal share of the cores.
        ranks: of the run on this machine.
        at_once: runs that share the cores.
        gpus: that the run may see; None: those of this process.
    """
    environment = {key: value for key, value in os.environ.items() if key not in OF_RANKS}
    if gpus is not None:
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
    if kind == "cpu":
        for key, value in CPU_ENVIRONMENT.items():
            environment.setdefault(key, value)
    # torchrun sets OMP_NUM_THREADS=1 where it is unset; hence always a number.
    count = threads or thread_count() or max(1, cpu_cores() // (ranks * at_once))
    environment["OMP_NUM_THREADS"] = str(count)
    # What a child prints is read as UTF-8, whatever the terminal is.
    environment["PYTHONIOENCODING"] = "utf-8:replace"
    return environment


def free_memory() -> int:
    """Bytes that can be allocated without swapping; 0 where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        pages = os.sysconf("SC_AVPHYS_PAGES") if "SC_AVPHYS_PAGES" in getattr(os, "sysconf_names", {}) else 0
        return pages * os.sysconf("SC_PAGE_SIZE") if pages else 0


def thread_count(environment: Mapping[str, str] | None = None) -> int | None:
    """OMP_NUM_THREADS as OpenMP reads it (5.2, section 21.2): of a list, one number for each nesting level, the first.

    None where it is unset, empty or no list of positive integers: libgomp ignores it then, and so do we. At most
    `MAX_THREADS`.
    """
    text = (os.environ if environment is None else environment).get("OMP_NUM_THREADS", "")
    numbers = [re.fullmatch(r"\s*\+?0*([1-9][0-9]{0,17})\s*", part, re.ASCII) for part in text.split(",")]
    first = numbers[0]
    return min(MAX_THREADS, int(first.group(1))) if first is not None and all(numbers) else None


def read_number(key: str, default: int | None = None, environment: Mapping[str, str] | None = None) -> int:
    """A variable that holds a number from 0 on; unset or empty, the default.

    Raises:
        ZeroscaleError: it holds something else, or nothing where there is no default.
    """
    text = (os.environ if environment is None else environment).get(key, "").strip()
    if not text and default is not None:
        return default
    if not text:
        raise ZeroscaleError(f"the environment variable {key} is not set, and is needed for several machines")
    if not re.fullmatch(r"[0-9]{1,18}", text):
        shown = text if len(text) <= 40 else text[:39] + "…"
        raise ZeroscaleError(f"{key}={shown} is not a number; this environment variable should be one")
    return int(text)


def check_threads(count: int) -> None:
    """Checks that the system lets this process start so many threads: where it does not, torch's own pool ends it.

    Raises:
        ZeroscaleError: it refuses one of them.
    """
    done, started = threading.Event(), list[threading.Thread]()
    try:
        for _ in range(count):
            thread = threading.Thread(target=done.wait, daemon=True)
            thread.start()
            started.append(thread)
    except RuntimeError as error:
        raise ZeroscaleError(f"{thread_refusal(error)}; {len(started)} of {count} could be started") from error
    finally:
        done.set()
        for thread in started:
            thread.join()


def thread_refusal(error: BaseException) -> str | None:
    """What a refused thread means, of Python's or of a Rust library's (whose panics are no Exceptions); None of another
    error."""
    of_python = isinstance(error, RuntimeError) and "can't start new thread" in str(error)
    if not of_python and not (type(error).__name__ == "PanicException" and "ThreadPoolBuildError" in str(error)):
        return None
    return THREAD_REFUSED
