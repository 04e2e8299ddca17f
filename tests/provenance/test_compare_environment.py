"""What is other here than there, and whether it can matter."""

import copy

import pytest

from zeroscale.provenance.compare_environment import compare

MANIFEST = {
    "source": {"version": "0.1.0", "revision": "a" * 40, "dirty": False, "rooms": {"model": "1", "report": "2"}},
    "packages": {"python": "3.11.7", "torch": "2.13.0", "sacrebleu": "2.6.0", "wandb": "0.31.0"},
    "hardware": {"cpu": "X", "cores": 2, "memory_bytes": 8, "system": "Linux x86_64", "gpu": None, "kernels": "AVX512"},
    "threads": 2,
    "numerics": {
        "processor": "vendor_id AuthenticAMD cpu family 25",
        "instructions": ["amx_bf16", "avx2"],
        "caches": "L2 Unified 512K",
        "mkl": "2024.2",
        "onednn": "v3.12.0",
        "interop_threads": 2,
        "deterministic": False,
        "compile": "eager",
    },
    "variables": {},
    "corpus": {"fingerprint": "c" * 64},
    "tokenizer": {"fingerprint": "d" * 64},
    "micro_batch_tokens": 1024,
}


def other(path: str, value: object) -> dict:
    changed = copy.deepcopy(MANIFEST)
    *parents, last = path.split(".")
    node = changed
    for parent in parents:
        node = node[parent]
    node[last] = value
    return changed


def test_one_machine_and_source_differ_in_nothing():
    found = compare(MANIFEST, copy.deepcopy(MANIFEST))
    assert not found.different and not found.unknown
    assert {"source", "torch", "threads", "corpus", "tokenizer", "cpu kernels"} <= set(found.same)


@pytest.mark.parametrize(
    ("path", "value", "what", "matters"),
    [
        ("packages.torch", "2.14.0", "torch", "yes"),
        ("packages.sacrebleu", "3.0", "sacrebleu", "scores"),
        ("packages.wandb", "1.0", "wandb", "no"),
        ("packages.python", "3.12.1", "python", "yes"),
        ("hardware.cores", 64, "cores", "no"),
        ("hardware.cpu", "Y", "cpu", "yes"),
        ("hardware.gpu", "H100", "gpu", "yes"),
        ("hardware.kernels", "AVX2", "cpu kernels", "yes"),
        ("threads", 4, "threads", "yes"),
        ("variables", {"MKL_CBWR": "COMPATIBLE"}, "MKL_CBWR", "yes"),
        ("numerics.processor", "vendor_id GenuineIntel cpu family 6", "processor", "yes"),
        ("numerics.instructions", ["avx2", "avx512f"], "instructions", "yes"),
        ("numerics.caches", "L2 Unified 2M", "caches", "yes"),
        ("numerics.mkl", "2025.1", "mkl", "yes"),
        ("numerics.onednn", "v3.13.0", "onednn", "yes"),
        ("numerics.deterministic", True, "deterministic", "yes"),
        ("numerics.compile", "max-autotune", "compile", "yes"),
        ("numerics.interop_threads", 64, "interop_threads", "no"),
        ("corpus.fingerprint", "e" * 64, "corpus", "yes"),
        ("source.rooms", {"model": "9", "report": "2"}, "src/zeroscale/model", "yes"),
        ("source.rooms", {"model": "1", "report": "9"}, "src/zeroscale/report", "no"),
        ("source.rooms", {"model": "1", "report": "2", "eval": "3"}, "src/zeroscale/eval", "scores"),
    ],
)
def test_each_difference_is_named_with_what_it_can_do(path, value, what, matters):
    (found,) = compare(MANIFEST, other(path, value)).different
    assert (found.what, found.matters) == (what, matters)
    assert found.recorded != found.here and found.why in found.words


def test_a_run_of_the_former_rooms_is_compared_room_by_room_under_todays_names():
    rooms = {".": "1", "model": "2", "data": "3", "harness": "4", "overlap": "5", "reproduce": "6", "commands": "7"}
    today = {"model": "8", "data": "3", "eval": "9", "provenance": "9", "cli": "9", "core": "9", "report": "2"}
    found = {one.what: one for one in compare(other("source.rooms", rooms), other("source.rooms", today)).different}
    assert "src/zeroscale/data" not in found and "src/zeroscale/harness" not in found
    assert found["src/zeroscale/eval"].matters == "scores"
    assert found["src/zeroscale/eval"].recorded == "harness@4+overlap@5"
    assert found["src/zeroscale/provenance"].matters == found["src/zeroscale/cli"].matters == "no"
    assert found["src/zeroscale/core"].recorded == ".@1" and found["src/zeroscale/core"].matters == "yes"
    assert found["src/zeroscale/model"].matters == "yes"


def test_another_revision_of_the_same_content_is_the_same_source():
    assert "source" in compare(MANIFEST, other("source.revision", None)).same
    assert "source" in compare(MANIFEST, other("source.dirty", True)).same


def test_an_old_manifest_is_compared_by_its_revision_and_says_what_it_does_not_know():
    old = copy.deepcopy(MANIFEST)
    del old["source"]["rooms"], old["hardware"]["kernels"], old["variables"], old["micro_batch_tokens"]
    del old["numerics"]
    found = compare(old, MANIFEST)
    assert "source" in found.same and set(found.unknown) == {
        "cpu kernels",
        "environment variables",
        "micro_batch_tokens",
        "numerics",
    }
    old["source"]["dirty"] = True
    assert [one.what for one in compare(old, MANIFEST).different] == ["source"]


def test_without_a_manifest_everything_is_unknown():
    found = compare({}, MANIFEST)
    assert not found.same and {"source", "torch", "hardware", "threads", "corpus"} <= set(found.unknown)


def test_of_instructions_what_the_other_lacks_is_named():
    (found,) = compare(MANIFEST, other("numerics.instructions", ["avx2", "avx512f"])).different
    assert (found.recorded, found.here) == ("amx_bf16", "avx512f")
    (found,) = compare(MANIFEST, other("numerics.instructions", ["avx2"])).different
    assert (found.recorded, found.here) == ("amx_bf16", "none")


def test_on_a_gpu_the_processor_beside_it_is_no_matter():
    there, here = (other("hardware.gpu", "H100") for _ in range(2))
    here["hardware"] |= {"cpu": "Y", "kernels": "AVX2"}
    here["numerics"] |= {"processor": "Y", "instructions": ["sve"], "onednn": "v4"}
    different = compare(there, here).different
    assert len(different) == 5 and {one.matters for one in different} == {"no"}
    here["numerics"]["cuda"] = "13.0"
    assert [one.what for one in compare(there, here).can_matter] == ["cuda"]
