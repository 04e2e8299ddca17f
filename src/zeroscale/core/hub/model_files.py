"""Which files of a model's directory are read: configuration, tokenizer, and the weights that the index names.

A score belongs to all of them together (`hash_files`).
"""

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_json, sha256_file

CONFIG = "config.json"
CONFIG_FILES = (CONFIG, "generation_config.json")
# What the tokenizers of transformers read (VOCAB_FILES_NAMES of their classes), and ours.
TOKENIZER_FILES = (
    "vocab.json",
    "merges.txt",
    "encoder.json",
    "vocab.bpe",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.model",
    "zeroscale_tokenizer.json",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "sentencepiece.model",
    "spm.model",
    "bpe.codes",
    "dict.txt",
    "normalizer.json",
    "emoji.json",
    "tekken.json",
    "qwen.tiktoken",
    "tiktoken.model",
    "spm_char.model",
    "source.spm",
    "target.spm",
    "vocab-src.json",
    "vocab-tgt.json",
    "target_vocab.json",
    "prophetnet.tokenizer",
    "entity_vocab.json",
    "word_shape.json",
    "word_pronunciation.json",
    "byte_maps.json",
)
# In the order in which they are looked for, which is transformers': safetensors before pickles, whole before shards.
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")


def first_weights(names: Iterable[str]) -> str | None:
    """Of a directory's files the one that its weights are read from: all of them, or the index of their shards."""
    there = set(names)
    return next((name for name in WEIGHTS if name in there), None)


def is_index(name: str) -> bool:
    """Whether a name of `WEIGHTS` is that of an index."""
    return name.endswith(".index.json")


def weight_map(index: Path) -> dict[str, str]:
    """Tensor → shard, as an index says.

    Raises:
        ZeroscaleError: it is no index, or names a file outside of its directory.
    """
    content = read_json(index)
    shards = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(shards, dict) or not shards or not all(isinstance(shard, str) for shard in shards.values()):
        raise ZeroscaleError(f'{index}: "weight_map" must be an object that gives the file of each tensor')
    if outside := sorted({shard for shard in shards.values() if not _is_beside(shard)}):
        raise ZeroscaleError(f"{index}: weight_map must name files beside it, not {', '.join(map(repr, outside[:4]))}")
    return shards


def _is_beside(shard: str) -> bool:
    path = PurePosixPath(shard)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and shard.isprintable()


def weight_files(directory: Path) -> list[str]:
    """The files that a directory's weights are read from, an index first; [] where there are none.

    Raises:
        ZeroscaleError: the index is damaged, or names files that are not there.
    """
    first = first_weights(name for name in WEIGHTS if (directory / name).is_file())
    if first is None or not is_index(first):
        return [first] if first else []
    shards = sorted(set(weight_map(directory / first).values()))
    if absent := [shard for shard in shards if not (directory / shard).is_file()]:
        raise ZeroscaleError(f"{directory / first} names files that are not there: {', '.join(absent[:8])}")
    return [first, *shards]


def hash_files(directory: Path) -> dict[str, str]:
    """Name → sha256 of every file that decides what a directory's model answers: its configuration, its tokenizer, and
    the weights that are read.

    Raises:
        ZeroscaleError: it has no weights, or not all of them.
    """
    weights = weight_files(directory)
    if not weights:
        raise ZeroscaleError(f"{directory} has no weights: expected one of {', '.join(WEIGHTS)}")
    names = [name for name in (CONFIG, *TOKENIZER_FILES) if (directory / name).is_file()]
    return {name: sha256_file(directory / name) for name in [*names, *weights]}


def weights_only(hashes: Mapping[str, str]) -> dict[str, str]:
    """Of `hash_files` the files of weights, without an index: what the scores of older versions were known by."""
    left_out = {CONFIG, *TOKENIZER_FILES, *filter(is_index, WEIGHTS)}
    return {name: digest for name, digest in hashes.items() if name not in left_out}
