"""The numerical surroundings as a manifest records them."""

from types import SimpleNamespace

import torch

from zeroscale.runs import manifest, numerics

X86 = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 143
model name\t: Intel(R) Xeon(R) Processor
stepping\t: 8
flags\t\t: fpu sse4_2 sme smep avx2 fma avx512f avx512_bf16 amx_bf16 amx_tile

processor\t: 1
flags\t\t: fpu
"""
ARM = """processor\t: 0
Features\t: fp asimd asimdhp sve bf16 i8mm
CPU implementer\t: 0x41
CPU part\t: 0xd40
"""


def test_of_a_processor_family_and_instructions_are_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(numerics, "_CPUINFO", tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text(X86)
    found = numerics.describe()
    assert found["processor"] == "vendor_id GenuineIntel cpu family 6 model 143 stepping 8"
    assert found["instructions"] == ["amx_bf16", "amx_tile", "avx2", "avx512_bf16", "avx512f", "fma", "sse4_2"]
    (tmp_path / "cpuinfo").write_text(ARM)
    found = numerics.describe()
    assert found["processor"] == "cpu implementer 0x41 cpu part 0xd40"
    assert found["instructions"] == ["asimd", "asimdhp", "bf16", "i8mm", "sve"]
    (tmp_path / "cpuinfo").unlink()
    assert "processor" not in numerics.describe(), "a system that does not say"


def test_the_libraries_are_those_that_torch_names():
    found, said = numerics.describe(), torch.__config__.show()
    assert f"Math Kernel Library Version {found['mkl']} for" in said or "mkl" not in found
    assert f"MKL-DNN {found['onednn']} (" in said or "onednn" not in found
    assert ("mkl" in found) == torch.backends.mkl.is_available()
    assert ("onednn" in found) == torch.backends.mkldnn.is_available()


def test_a_manifest_holds_limits_and_modes_beside_the_threads(monkeypatch):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    trainer = SimpleNamespace(deterministic=True, compile=True, compile_mode="default")
    found = manifest.environment(None, 3, trainer=trainer)
    assert found["threads"] == 3 and found["variables"]["ONEDNN_MAX_CPU_ISA"] == "AVX2"
    assert found["numerics"]["deterministic"] is True and found["numerics"]["compile"] == "default"
    of_ranks = manifest.environment(None, 3, environ={"MKL_CBWR": "AVX2", "PATH": "x"})
    assert of_ranks["variables"] == {"MKL_CBWR": "AVX2"} and "compile" not in of_ranks["numerics"]
