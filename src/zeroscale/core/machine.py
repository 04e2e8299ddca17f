"""What this machine is, told without importing torch: the launcher and `plan` ask."""

import os
import platform
import re
from pathlib import Path
from typing import Any


def cpu_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> list[str]:
    """NVIDIA devices this process may use, as CUDA_VISIBLE_DEVICES names them: it narrows them as for CUDA itself."""
    nodes = [path for path in Path("/dev").glob("nvidia*") if re.fullmatch(r"nvidia\d+", path.name)]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return [str(number) for number in range(len(nodes))]
    return [part.strip() for part in visible.split(",") if part.strip() not in ("", "-1")][: len(nodes)]


def gpu_count() -> int:
    """How many they are."""
    return len(gpus())


def device_counts() -> dict[str, int]:
    """Devices by accelerator."""
    return {"cpu": cpu_cores(), "cuda": gpu_count()}


def accelerator(wanted: str) -> str:
    """`auto` resolved: a GPU where there is one."""
    if wanted != "auto":
        return wanted
    return "cuda" if gpu_count() else "cpu"


def describe() -> dict[str, Any]:
    """The hardware as the manifest records it."""
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
    """The environment of a cell's ranks: this process's, the CPU rules above, the threads of each rank (`at_once` cells
    share the cores), and the GPUs that it may see (None: those of this process)."""
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
    """Bytes that can be taken without swapping; 0 where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        pages = os.sysconf("SC_AVPHYS_PAGES") if "SC_AVPHYS_PAGES" in getattr(os, "sysconf_names", {}) else 0
        return pages * os.sysconf("SC_PAGE_SIZE") if pages else 0
