"""The table of peaks: known devices under the names drivers give them, and nothing for the rest."""

import pytest

from zeroscale.core.accelerators import HARDWARE, find, peak_flops


@pytest.mark.parametrize(
    ("device", "dtype", "peak"),
    [
        # Dense peaks of NVIDIA's data sheets.
        ("Tesla V100-SXM2-32GB", "fp16", 125.0e12),
        ("NVIDIA A100-SXM4-80GB", "bf16", 312.0e12),
        ("NVIDIA A100 80GB PCIe", "bf16", 312.0e12),
        ("NVIDIA H100 80GB HBM3", "bf16-mixed", 989.4e12),
        ("h100", "bf16", 989.4e12),
        ("H100_SXM", "fp16-mixed", 989.4e12),
        ("NVIDIA H200", "bf16-true", 989.4e12),
        ("NVIDIA B200", "bf16", 2250.0e12),
    ],
)
def test_known_devices_have_their_dense_peak(device, dtype, peak):
    assert peak_flops(device, dtype) == peak


@pytest.mark.parametrize(
    "device",
    [
        "cpu",
        "",
        "NVIDIA A10",  # not an A100
        "NVIDIA A1000",
        "NVIDIA H100 PCIe",  # 756 TFLOP/s, not the SXM board's 989
        "NVIDIA H100 NVL",
        "NVIDIA GH200 480GB",
        "NVIDIA H100 80GB HBM3 MIG 1g.10gb",  # a slice has a seventh of the cores
        "NVIDIA H20",
        "AMD Instinct MI300X",
    ],
)
def test_unknown_hardware_has_no_peak(device):
    assert peak_flops(device, "bf16") is None


def test_a_dtype_without_a_listed_peak_has_none():
    assert peak_flops("V100", "bf16") is None
    assert peak_flops("NVIDIA H100 80GB HBM3", "fp32") is None


def test_every_entry_is_found_by_its_own_name():
    assert [find(entry.name) for entry in HARDWARE] == list(HARDWARE)
