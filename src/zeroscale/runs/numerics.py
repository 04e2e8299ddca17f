"""What decides how this process rounds, beside versions and threads: processor, instructions, libraries, limits.

Two machines of one name can differ in it: a virtual machine calls its processor `Intel(R) Xeon(R) Processor` whatever
it is, and a hypervisor may hide instructions. MKL, oneDNN and torch choose their kernels by what they find here.
"""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from zeroscale.config.trainer import TrainerConfig

# Variables with which a user, or a cluster, changes what the libraries compute; recorded where they are set.
VARIABLES = (
    "ATEN_CPU_CAPABILITY",
    "CUBLAS_WORKSPACE_CONFIG",
    "DISABLE_ADDMM_CUDA_LT",
    "DNNL_CPU_ISA_HINTS",
    "DNNL_DEFAULT_FPMATH_MODE",
    "DNNL_MAX_CPU_ISA",
    "KMP_DETERMINISTIC_REDUCTION",
    "MKL_CBWR",
    "MKL_DEBUG_CPU_TYPE",
    "MKL_DYNAMIC",
    "MKL_ENABLE_INSTRUCTIONS",
    "MKL_NUM_THREADS",
    "NCCL_ALGO",
    "NCCL_PROTO",
    "NPY_DISABLE_CPU_FEATURES",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_DYNAMIC",
    "OMP_THREAD_LIMIT",
    "ONEDNN_CPU_ISA_HINTS",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_NUM_THREADS",
    "TORCHDYNAMO_DISABLE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "TORCH_BLAS_PREFER_CUBLASLT",
)
# Flags of /proc/cpuinfo that stand for instructions with which numbers are added and multiplied: x86, then Arm.
_INSTRUCTIONS = re.compile(r"sse|ssse|avx|amx|fma|f16c|asimd|sve|bf16|i8mm|fphp")
_CPUINFO = Path("/proc/cpuinfo")
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


class Numerics(TypedDict, total=False):
    """The numerical surroundings. What the system does not say has no key; without torch loaded nothing of it has."""

    processor: str
    """Vendor, family, model, stepping: what a name leaves open."""
    instructions: list[str]
    caches: str
    """Sizes of a core's caches, by which libraries cut products into blocks."""
    mkl: str
    onednn: str
    cuda: str
    cudnn: int
    interop_threads: int
    deterministic: bool
    """`trainer.deterministic`; of a scored result it is in its key."""
    compile: str
    """`eager`, or `trainer.compile_mode`."""


def describe(trainer: "TrainerConfig | None" = None) -> Numerics:
    """The numerical surroundings of this process, and of a run with these settings."""
    return {**_processor(), **_libraries(), **_modes(trainer)}


def variables(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Those of `VARIABLES` that are set."""
    return {name: environ[name] for name in VARIABLES if name in environ}


def _modes(trainer: "TrainerConfig | None") -> Numerics:
    if trainer is None:
        return {}
    return {"deterministic": trainer.deterministic, "compile": trainer.compile_mode if trainer.compile else "eager"}


def _processor() -> Numerics:
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0].splitlines()
    except OSError:
        return {}
    facts = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    x86 = ("vendor_id", "cpu family", "model", "stepping")
    names = x86 if "vendor_id" in facts else ("cpu implementer", "cpu part", "cpu variant", "cpu revision")
    found: Numerics = {"processor": " ".join(f"{name} {facts[name]}" for name in names if name in facts)}
    flags = (facts.get("flags") or facts.get("features") or "").split()
    found["instructions"] = sorted({flag for flag in flags if _INSTRUCTIONS.match(flag)})
    if caches := _caches():
        found["caches"] = caches
    return found


def _caches() -> str:
    """`L1 Data 32K, L1 Instruction 32K, L2 Unified 512K, L3 Unified 32768K`."""
    sizes = []
    try:
        for folder in sorted(_CACHES.glob("index*")):
            level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
            sizes.append(f"L{level} {kind} {size}")
    except OSError:
        return ""
    return ", ".join(sizes)


def _libraries() -> Numerics:
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return {}
    found: Numerics = {"interop_threads": torch.get_num_interop_threads()}
    text = torch.__config__.parallel_info()
    if version := re.search(r"Math Kernel Library Version (.+?) for ", text):
        found["mkl"] = version[1]
    if version := re.search(r"MKL-DNN (.+?) \(", text):
        found["onednn"] = version[1]
    if torch.version.cuda:
        found["cuda"] = torch.version.cuda
        if torch.backends.cudnn.is_available():
            found["cudnn"] = torch.backends.cudnn.version()
    return found
