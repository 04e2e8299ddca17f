"""Weights of Hugging Face directories: which file gives which tensor, under which names, and what is refused before
memory is taken for it."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.hub import model_files
from zeroscale.model.weights import from_pretrained

TOKENS = torch.arange(20).view(2, 10)
FIRST = "transformer.h.0.mlp.c_fc.weight"


@torch.no_grad()
def check_same(directory: Path, theirs) -> None:
    torch.testing.assert_close(from_pretrained(directory)(TOKENS), theirs(TOKENS).logits, rtol=1e-4, atol=1e-5)


def tensors_of(directory: Path) -> dict[str, Tensor]:
    path = directory / "model.safetensors"
    tensors = safetensors.torch.load_file(path)
    path.unlink()
    return {name: tensor.clone() for name, tensor in tensors.items()}


def write_shards(
    directory: Path, shards: dict[str, dict[str, Tensor]], given: dict[str, str], kind: str = "safetensors"
) -> None:
    for name, tensors in shards.items():
        if kind == "safetensors":
            safetensors.torch.save_file(tensors, directory / name, metadata={"format": "pt"})
        else:
            torch.save(tensors, directory / name)
    index = "model.safetensors.index.json" if kind == "safetensors" else "pytorch_model.bin.index.json"
    (directory / index).write_text(json.dumps({"metadata": {}, "weight_map": given}))


def split(tensors: dict[str, Tensor], names: list[str]) -> tuple[dict[str, dict[str, Tensor]], dict[str, str]]:
    """The tensors dealt to shards of these names, and the map that says so."""
    given = {tensor: names[number % len(names)] for number, tensor in enumerate(sorted(tensors))}
    return {name: {t: tensors[t] for t in given if given[t] == name} for name in names}, given


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
@pytest.mark.parametrize("names", [["part1", "part2"], ["b", "a", "model-1"], ["10", "9"], ["sub/one", "two"]], ids=str)
def test_the_index_decides_whatever_shards_are_called_and_whatever_else_they_hold(saved, names, kind):
    theirs, directory = saved()
    (directory / "sub").mkdir()
    names = [f"{name}.{kind}" for name in names]
    shards, given = split(tensors_of(directory), names)
    for name, shard in shards.items():  # in each a stale copy of what another gives, and something that nobody names
        stale = [tensor for tensor in given if given[tensor] != name]
        shard |= {tensor: torch.full_like(shards[given[tensor]][tensor], 7.0) for tensor in stale[:3]}
        shard["left.over"] = torch.ones(2)
    write_shards(directory, shards, given, kind)
    check_same(directory, theirs)
    first = model_files.WEIGHTS[1 if kind == "safetensors" else 3]
    assert model_files.weight_files(directory) == [first, *sorted(names)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({FIRST: "gone.safetensors"}, "names files that are not there: gone.safetensors"),
        ({FIRST: "../a.safetensors"}, r"weight_map must name files beside it, not '\.\./a\.safetensors'"),
        ({FIRST: "/etc/passwd"}, "weight_map must name files beside it, not '/etc/passwd'"),
        ({FIRST: ".."}, r"must name files beside it, not '\.\.'"),
        ({FIRST: ""}, "must name files beside it, not ''"),
        ({FIRST: "a\0.safetensors"}, r"must name files beside it, not 'a\\x00"),
        ({FIRST: 3}, '"weight_map" must be an object that gives the file of each tensor'),
        ({"transformer.h.9.x": "a.safetensors"}, "to shards that do not hold them: transformer.h.9.x is not in a.safe"),
        ({FIRST: "b.safetensors"}, f"do not hold them: {FIRST} is not in b.safetensors"),
    ],
    ids=str,
)
def test_an_index_that_does_not_fit_its_shards_is_refused(saved, change, words):
    _, directory = saved()
    tensors = tensors_of(directory)
    given = dict.fromkeys(tensors, "a.safetensors")
    shards = {"a.safetensors": tensors, "b.safetensors": {"one": torch.ones(1)}}
    write_shards(directory, shards, {**given, **change})
    with pytest.raises(ZeroscaleError, match=words):
        from_pretrained(directory)


@pytest.mark.parametrize("content", ["[]", "null", "{}", '{"weight_map": []}', '{"weight_map": {}}', "{", "[" * 5000])
def test_an_index_of_another_shape_is_refused(saved, content):
    _, directory = saved()
    (directory / "model.safetensors").unlink()
    (directory / "model.safetensors.index.json").write_text(content)
    with pytest.raises(ZeroscaleError, match=r"index\.json(:| is not valid)"):
        from_pretrained(directory)


def test_the_whole_file_comes_before_an_index_and_safetensors_before_pickles(saved):
    """transformers' order (`_get_resolved_checkpoint_files`)."""
    theirs, directory = saved()
    (directory / "model.safetensors.index.json").write_text("stale")
    (directory / "pytorch_model.bin").write_bytes(b"stale")
    assert model_files.weight_files(directory) == ["model.safetensors"]
    check_same(directory, theirs)


def under(prefix: str) -> Callable[[str], str]:
    return lambda name: prefix + name


NAMES: dict[str, Callable[[str], str]] = {
    "bare": lambda name: name.removeprefix("transformer."),
    "data parallel": under("module."),
    "compiled": under("_orig_mod."),
    "lightning": under("model."),
    "all of them": under("model._orig_mod.module."),
    "bare and wrapped": lambda name: "module." + name.removeprefix("transformer."),
    "compiled inside": lambda name: name.replace("transformer.", "transformer._orig_mod."),
    "fsdp": lambda name: name.replace("transformer.h.", "transformer.h._fsdp_wrapped_module."),
}


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("rename", NAMES.values(), ids=NAMES)
def test_names_with_known_prefixes_are_the_same_tensors(saved, rename, tied):
    theirs, directory = saved(tie_word_embeddings=tied)
    tensors = tensors_of(directory) | {"transformer.h.0.attn.bias": torch.ones(1, 1, 32, 32, dtype=torch.bool)}
    renamed = {rename(name): tensor for name, tensor in tensors.items()}
    safetensors.torch.save_file(renamed, directory / "model.safetensors", metadata={"format": "pt"})
    check_same(directory, theirs)


def test_two_names_of_one_tensor_must_agree(saved):
    theirs, directory = saved()
    tensors = tensors_of(directory)
    twice = {**tensors, "wpe.weight": tensors["transformer.wpe.weight"].clone()}
    safetensors.torch.save_file(twice, directory / "model.safetensors", metadata={"format": "pt"})
    check_same(directory, theirs)
    twice["wpe.weight"] += 1
    safetensors.torch.save_file(twice, directory / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ZeroscaleError, match=r"wpe\.weight.* are one tensor by name, and differ"):
        from_pretrained(directory)


def test_either_of_a_tied_pair_is_enough(saved):
    """safetensors' own `save_model` keeps lm_head.weight; transformers loads it."""
    transformers = pytest.importorskip("transformers")
    theirs, directory = saved()
    safetensors.torch.save_model(theirs, str(directory / "model.safetensors"), metadata={"format": "pt"})
    names = set(safetensors.torch.load_file(directory / "model.safetensors"))
    assert "lm_head.weight" in names and "transformer.wte.weight" not in names
    check_same(directory, theirs)
    check_same(directory, transformers.GPT2LMHeadModel.from_pretrained(directory).eval())


@pytest.mark.parametrize("left", ["transformer.wte.weight", "lm_head.weight"])
def test_of_an_untied_pair_both_are_needed(saved, left):
    _, directory = saved(tie_word_embeddings=False)
    tensors = tensors_of(directory)
    safetensors.torch.save_file({n: t for n, t in tensors.items() if n != left}, directory / "model.safetensors")
    with pytest.raises(ZeroscaleError, match=f"missing: {left}"):
        from_pretrained(directory)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_floating_point_types_are_read_as_their_numbers(saved, dtype):
    theirs, directory = saved()
    tensors = {name: tensor.to(dtype) for name, tensor in tensors_of(directory).items()}
    safetensors.torch.save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    theirs.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, strict=False)
    check_same(directory, theirs)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.bool, torch.int64, torch.float8_e4m3fn], ids=str)
@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_other_types_are_no_weights(saved, dtype, kind):
    _, directory = saved()
    tensors = tensors_of(directory)
    tensors[FIRST] = torch.zeros(tensors[FIRST].shape).to(dtype)
    if kind == "bin":
        torch.save(tensors, directory / "pytorch_model.bin")
    else:
        safetensors.torch.save_file(tensors, directory / "model.safetensors")
    with pytest.raises(ZeroscaleError, match=f"no plain floating-point numbers: {FIRST} is of type"):
        from_pretrained(directory)


ODD: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "sparse": (lambda t: t.to_sparse(), r"is sparse \(sparse_coo\)"),
    "csr": (lambda t: t.to_sparse_csr(), r"is sparse \(sparse_csr\)"),
    "quantised": (lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8), "is of type qint8"),
    "meta": (lambda t: t.to("meta"), "is without numbers"),
    "complex": (lambda t: t.to(torch.complex64), "is of type complex64"),
    "expanded": (lambda t: torch.zeros(1).expand(t.shape), "is larger than what the file holds of it"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ODD)
def test_tensors_of_other_kinds_are_named(saved, name):
    change, words = ODD[name]
    _, directory = saved()
    tensors = tensors_of(directory)
    torch.save({**tensors, FIRST: change(tensors[FIRST])}, directory / "pytorch_model.bin")
    with pytest.raises(ZeroscaleError, match=f"{FIRST} {words}"):
        from_pretrained(directory)


@pytest.mark.parametrize("content", [{1: torch.ones(1)}, {"a": [torch.ones(1)]}, [torch.ones(1)], 3, None], ids=str)
def test_a_pickle_of_another_shape_is_refused(saved, content):
    _, directory = saved()
    (directory / "model.safetensors").unlink()
    torch.save(content, directory / "pytorch_model.bin")
    with pytest.raises(ZeroscaleError, match="does not hold a dictionary of tensors"):
        from_pretrained(directory)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_damaged_files_are_named(saved, name):
    _, directory = saved()
    tensors = tensors_of(directory)
    if name.endswith("bin"):
        torch.save(tensors, directory / name)
    else:
        safetensors.torch.save_file(tensors, directory / name)
    whole = (directory / name).read_bytes()
    huge = (2**62).to_bytes(8, "little") + whole[8:]
    for content in (
        b"",
        b"{}",
        whole[:7],
        whole[:100],
        whole[: len(whole) // 2],
        huge,
        bytes(1000),
        b"\x80\x02}q\x00.",
    ):
        (directory / name).write_bytes(content)
        with pytest.raises(ZeroscaleError, match=name.replace(".", r"\.")):
            from_pretrained(directory)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_devices_and_pipes_are_no_files(saved, name):
    _, directory = saved()
    for make in (lambda path: path.symlink_to("/dev/zero"), os.mkfifo, Path.mkdir, lambda path: path.symlink_to("x")):
        (directory / name).rename(directory / "kept")
        make(directory / name)
        with pytest.raises(ZeroscaleError, match=r"holds no weights: expected|has no config\.json"):
            from_pretrained(directory)
        (directory / name).rmdir() if (directory / name).is_dir() else (directory / name).unlink()
        (directory / "kept").rename(directory / name)


@pytest.mark.parametrize("key", ["n_layer", "num_hidden_layers", "n_embd", "vocab_size", "n_positions", "n_inner"])
@pytest.mark.parametrize("value", [1, 10**9, 2**31 - 1])
def test_sizes_that_the_weights_do_not_have_end_at_once(saved, key, value):
    _, directory = saved()
    content = json.loads((directory / "config.json").read_text())
    content.pop({"num_hidden_layers": "n_layer"}.get(key, key), None)
    (directory / "config.json").write_text(json.dumps({**content, key: value, "n_head": 1}))
    if (key, value) == ("vocab_size", 1):
        assert from_pretrained(directory).config.vocab_size == 1  # the other rows are padding
        return
    with pytest.raises(ZeroscaleError, match=r"the weights hold 3 layers|wrong shape|but wte\.weight has 211 rows"):
        from_pretrained(directory)
