"""Peak FLOP/s of accelerators, dense, from vendors' data sheets. No MFU is computed for a device that is not listed.

Data sheets print the peak with sparsity first, which is twice the dense one; taken for it, it halves the MFU (as in
Lightning 2.6.6 for the H200).
"""

import re
from dataclasses import dataclass

MIB = 2**20


@dataclass(frozen=True)
class Hardware:
    """One accelerator; `peaks` in dense FLOP/s by dtype, `memory_bytes` in total as nvidia-smi shows it."""

    name: str
    peaks: dict[str, float]
    memory_bytes: int | None
    pattern: str
    """Regular expression for the whole name, as `torch.cuda.get_device_name()` or people give it, after `_normal`."""


def _tensor_cores(peak: float) -> dict[str, float]:
    # From Ampere on, bf16 and fp16 run at the same rate.
    return {"bf16": peak, "fp16": peak}


# PCIe and NVL boards, Grace superchips and MIG slices have other peaks than these and are left out on purpose.
# fp32 is left out too: whether it runs as TF32 is a choice of the program, and the two peaks differ eightfold.
HARDWARE = (
    # 125 TFLOP/s: NVIDIA V100 data sheet, SXM2; no bf16.
    Hardware("V100_SXM_16GB", {"fp16": 125.0e12}, 16_384 * MIB, r"v100 sxm\d? 16gb"),
    Hardware("V100_SXM_32GB", {"fp16": 125.0e12}, 32_768 * MIB, r"v100 sxm\d? 32gb"),
    Hardware("V100", {"fp16": 125.0e12}, None, r"v100( sxm\d?)?"),
    # 312 TFLOP/s: NVIDIA A100 data sheet, PCIe and SXM alike.
    Hardware("A100_40GB", _tensor_cores(312.0e12), 40_960 * MIB, r"a100( sxm\d?| pcie)? 40gb( pcie)?"),
    Hardware("A100_80GB", _tensor_cores(312.0e12), 81_920 * MIB, r"a100( sxm\d?| pcie)? 80gb( pcie)?"),
    Hardware("A100", _tensor_cores(312.0e12), None, r"a100( sxm\d?| pcie)?"),
    # 989.4 TFLOP/s: NVIDIA H100 data sheet, SXM (1,978.9 with sparsity); the H200 has the same cores.
    Hardware("H100_SXM", _tensor_cores(989.4e12), 81_559 * MIB, r"h100( sxm\d?)?( 80gb( hbm3)?)?"),
    Hardware("H200_SXM", _tensor_cores(989.4e12), 143_771 * MIB, r"h200( sxm\d?)?( 141gb( hbm3e)?)?"),
    # 2,250 TFLOP/s: NVIDIA B200 (HGX) data sheet, dense.
    Hardware("B200", _tensor_cores(2250.0e12), 183_359 * MIB, r"b200( sxm\d?)?( 1[89]\dgb( hbm3e)?)?"),
)


def _normal(name: str) -> str:
    """ "NVIDIA A100-SXM4-80GB" → "a100 sxm4 80gb"; "H100_SXM" → "h100 sxm"."""
    words = re.sub(r"[^a-z0-9.]+", " ", name.lower()).split()
    return " ".join(word for word in words if word not in ("nvidia", "tesla"))


def find(device_name: str) -> Hardware | None:
    """The table's entry for a device, by the driver's name for it or a common one; None where there is none."""
    normal = _normal(device_name)
    return next((entry for entry in HARDWARE if re.fullmatch(entry.pattern, normal)), None)


def peak_flops(device_name: str, dtype: str) -> float | None:
    """Dense peak in FLOP/s; None where the table has none.

    Args:
        device_name: as `torch.cuda.get_device_name()` says, or a name of the table ("H100_SXM").
        dtype: of the matrix products: "bf16", "fp16" or "fp32", with or without Lightning's "-mixed" or "-true".
    """
    entry = find(device_name)
    return None if entry is None else entry.peaks.get(dtype.removesuffix("-mixed").removesuffix("-true"))
