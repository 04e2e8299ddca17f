"""Whether a directory's tokenizer is GPT-2's kind: a vocabulary and merges under GPT-2's pre-tokeniser, and nothing
more. If it is not, something says what more there is, so that it is honoured elsewhere or refused by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.hub.model_files import TOKENIZER_FILES
from zeroscale.data import tokenizer_files as files
from zeroscale.data.tokenizer_files import Merges, TokenizerConfig, TokenizerJson

END_OF_TEXT = "<|endoftext|>"
# Of these transformers either makes GPT-2's own tokenizer or takes tokenizer.json as it is.
_CLASSES = (None, "GPT2Tokenizer", "GPT2TokenizerFast", "PreTrainedTokenizerFast", "TokenizersBackend")
_FLAGS = ("add_prefix_space", "add_bos_token", "add_eos_token", "auto_map")
# Of other kinds: SentencePiece's models, WordPiece's vocab.txt.
_KNOWN = (
    *(name for layout in files.LAYOUTS for name in layout),
    files.CONFIG,
    files.SPECIALS,
    files.ADDED,
    files.STAMP,
)
_OTHERS = [name for name in TOKENIZER_FILES if name not in _KNOWN]
_MODEL_OPTIONS = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges")


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's character for each byte value, in GPT-2's order of ids: printable bytes first, then the others.

    Source: `bytes_to_unicode` in OpenAI's gpt-2/src/encoder.py.
    """
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)]
    others = [value for value in range(256) if value not in printable]
    characters = [chr(value) for value in printable] + [chr(256 + n) for n in range(len(others))]
    return dict(zip(characters, printable + others, strict=True))


BYTE_OF = _byte_alphabet()


@dataclass(frozen=True)
class TokenizerParts:
    """A vocabulary with merges, and what more than GPT-2 the files ask for, each part in words."""

    vocabulary: dict[str, int]
    merges: Merges
    more: tuple[str, ...]


def read_vocabulary(directory: Path) -> tuple[dict[str, int], Merges]:
    """Tokens with their ids, added ones included, and merges: of vocab.json + merges.txt, encoder.json + vocab.bpe, or
    tokenizer.json, the first that is there.

    Raises:
        ZeroscaleError: none is there, or one is damaged.
    """
    names = files.layout(directory)
    if names is not None:
        return files.read_pair(directory, names)
    file = _tokenizer_file(directory)
    content = files.read_tokenizer_json(file)
    if content.vocabulary is None or content.merges is None:
        raise ZeroscaleError(f"{file}: not a byte-level BPE tokenizer: it has no vocabulary with merges")
    return {**content.vocabulary, **{token.content: token.id for token in content.added}}, content.merges


def read(directory: Path, rows: int | None = None) -> TokenizerParts:
    """What all files say together. As in transformers tokenizer.json goes before vocab.json with merges.txt.

    Args:
        rows: of the model's vocabulary. Tokens beyond it that no text gives ([PAD], say) are left out.

    Raises:
        ZeroscaleError: there is no tokenizer of this kind, or a file is damaged.
    """
    names = files.layout(directory)
    config = files.read_config(directory)
    more = _beyond_config(config, files.read_added(directory))
    if not (directory / files.TOKENIZER).is_file() and names is not None:
        vocabulary, merges = files.read_pair(directory, names)
        return TokenizerParts(_known(vocabulary, merges, rows), merges, tuple(more))
    if not (directory / files.TOKENIZER).is_file() and (others := [n for n in _OTHERS if (directory / n).is_file()]):
        return TokenizerParts({}, [], (f"it is in {others[0]}", *more))
    content = files.read_tokenizer_json(_tokenizer_file(directory))
    more += _beyond_json(content)
    if content.vocabulary is None or content.merges is None:
        return TokenizerParts({}, [], (*more, "it has no vocabulary with merges"))
    added = {token.content: token.id for token in content.added}
    if names is not None:
        other, merges = files.read_pair(directory, names)
        if merges != content.merges or {**other, **added} != {**content.vocabulary, **added}:
            more.append(f"{files.TOKENIZER} and {names[0]} are not the same tokenizer")
    vocabulary = _known({**content.vocabulary, **added}, content.merges, rows)
    return TokenizerParts(vocabulary, content.merges, tuple(more))


def _known(vocabulary: dict[str, int], merges: Merges, rows: int | None) -> dict[str, int]:
    """The vocabulary less the tokens beyond a model of so many rows that no text gives: those that no merge makes."""
    if rows is None or max(vocabulary.values(), default=0) < rows:
        return vocabulary
    made = {END_OF_TEXT, *(left + right for left, right in merges)}
    return {t: i for t, i in vocabulary.items() if i < rows or len(t) == 1 or t in made}


def fault(vocabulary: dict[str, int], merges: Sequence[tuple[str, str]]) -> str | None:
    """Why a vocabulary with merges is no byte-level BPE with `<|endoftext|>`; None where it is one.

    Above all it finds the empty tokenizers that other loaders return without a word.
    """
    if sorted(vocabulary.values()) != list(range(len(vocabulary))):
        return "the ids are not 0, 1, 2, … without a gap"
    if missing := [value for character, value in BYTE_OF.items() if character not in vocabulary]:
        return f"{len(missing)} of the 256 bytes have no token of their own"
    if END_OF_TEXT not in vocabulary:
        return f"there is no {END_OF_TEXT}"
    if strange := [t for t in vocabulary if t != END_OF_TEXT and not all(c in BYTE_OF for c in t)]:
        return f"{strange[0]!r} is neither {END_OF_TEXT} nor written in GPT-2's byte alphabet"
    if lost := [pair for pair in merges if not {*pair, "".join(pair)} <= vocabulary.keys()]:
        return f"the merge {' '.join(lost[0])!r} has no token in the vocabulary"
    if len(vocabulary) > 257 and not merges:
        return "there are no merges"
    return None


def _tokenizer_file(directory: Path) -> Path:
    file = directory / files.TOKENIZER
    if not file.is_file():
        expected = ", ".join(" + ".join(layout) for layout in files.LAYOUTS)
        raise ZeroscaleError(f"{directory}: no tokenizer in here; it should hold {expected}, or {files.TOKENIZER}")
    return file


def _beyond_json(json: TokenizerJson) -> list[str]:
    model, content = json.model, json.content
    found = [] if model.get("type") in (None, "BPE") else [f"its model is of type {model['type']!r}"]
    found += [f"its model has {name} {model[name]!r}" for name in _MODEL_OPTIONS if model.get(name)]
    plain = {
        "normalizer": content.get("normalizer") is None,
        "pre_tokenizer": splits_as_gpt2(content.get("pre_tokenizer")),
        "post_processor": _adds_nothing(content.get("post_processor")),
        "decoder": _is_byte_level(content.get("decoder")),
    }
    found += [f"its {part} is {_kind(content.get(part))}" for part, is_plain in plain.items() if not is_plain]
    return found + [f"its added token {token.content!r} is not special" for token in json.added if not token.special]


def _beyond_config(config: TokenizerConfig, added: dict[str, int]) -> list[str]:
    kind = config.settings.get("tokenizer_class")
    found = [] if kind in _CLASSES else [f"its tokenizer_class is {kind}"]
    found += [f"it has {name} in {files.CONFIG}" for name in _FLAGS if config.settings.get(name)]
    named = [(name, text) for name, text in config.named if name in ("bos_token", "eos_token", "unk_token")]
    found += [f"its {name} is {text!r}" for name, text in named if text not in (None, END_OF_TEXT)]
    found += [f"its added token {token.content!r} is not special" for token in config.added if not token.special]
    return found + [f"it has {text!r} in {files.ADDED}" for text in added if text != END_OF_TEXT]


def splits_as_gpt2(part: object) -> bool:
    """Whether a pre_tokenizer of tokenizer.json is GPT-2's."""
    if not isinstance(part, dict) or part.get("type") != "ByteLevel":
        return False
    return part.get("add_prefix_space", True) is False and part.get("use_regex", True) is True


def _is_byte_level(part: object) -> bool:
    return isinstance(part, dict) and part.get("type") == "ByteLevel"


def _adds_nothing(part: object) -> bool:
    if part is None or _is_byte_level(part):
        return True
    pieces = part.get("single") if isinstance(part, dict) and part.get("type") == "TemplateProcessing" else None
    return isinstance(pieces, list) and all(isinstance(piece, dict) and [*piece] == ["Sequence"] for piece in pieces)


def _kind(part: object) -> str:
    """A part by its type, and where it is GPT-2's with other options, by them too."""
    if not isinstance(part, dict):
        return "missing"
    options = {key: value for key, value in part.items() if key in ("add_prefix_space", "use_regex")}
    return " ".join([str(part.get("type")), *(f"{key}={value}" for key, value in options.items())])
