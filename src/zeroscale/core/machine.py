"""The cores, GPUs and memory of this machine, found without importing torch: for the launcher and `plan`."""

import os
import platform
import re
from pathlib import Path
from typing import TypedDict


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
    return [part.strip() for part in visible.split(",") if part.strip() not in ("", "-1")][: len(device_files)]


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
    environment = dict(os.environ)
    if gpus is not None:
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
    if kind == "cpu":
        for key, value in CPU_ENVIRONMENT.items():
            environment.setdefault(key, value)
    # torchrun sets OMP_NUM_THREADS=1 where it is unset; hence always a number.
    count = threads or int(os.environ.get("OMP_NUM_THREADS", 0)) or max(1, cpu_cores() // (ranks * at_once))
    environment["OMP_NUM_THREADS"] = str(count)
    return environment


def free_memory() -> int:
    """Bytes that can be allocated without swapping; 0 where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        pages = os.sysconf("SC_AVPHYS_PAGES") if "SC_AVPHYS_PAGES" in getattr(os, "sysconf_names", {}) else 0
        return pages * os.sysconf("SC_PAGE_SIZE") if pages else 0
