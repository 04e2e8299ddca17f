"""The files of a tokenizer, read by type and shape, whatever kind of tokenizer they make."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_lines
from zeroscale.core.parsing import json_text, regular_file

LAYOUTS = (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe"))
TOKENIZER = "tokenizer.json"
CONFIG = "tokenizer_config.json"
SPECIALS = "special_tokens_map.json"
ADDED = "added_tokens.json"
STAMP = "zeroscale_tokenizer.json"
# Token ids are unsigned numbers of 32 bits in the `tokenizers` library.
MAX_ID = 2**32 - 1
NAMED_TOKENS = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")

Merges: TypeAlias = list[tuple[str, str]]
Object: TypeAlias = dict[str, object]


@dataclass(frozen=True)
class AddedToken:
    """A token added to a vocabulary. The name of a special one in a text is text; any other is taken out of it."""

    content: str
    id: int
    special: bool


@dataclass(frozen=True)
class TokenizerJson:
    """A tokenizer.json: its model's vocabulary and merges (None where it has none), its added tokens, and all of it."""

    file: Path
    vocabulary: dict[str, int] | None
    merges: Merges | None
    added: tuple[AddedToken, ...]
    content: Object

    @property
    def model(self) -> Object:
        model = self.content["model"]
        assert isinstance(model, dict)
        return model


@dataclass(frozen=True)
class TokenizerConfig:
    """tokenizer_config.json over special_tokens_map.json, empty where neither is there."""

    settings: Object
    named: tuple[tuple[str, str | None], ...]
    """bos_token, eos_token and their like with their texts, as often as one of the files mentions them."""
    added: tuple[AddedToken, ...]


def layout(directory: Path) -> tuple[str, str] | None:
    """The names of the vocabulary and its merges; None where no such pair is there.

    Raises:
        ZeroscaleError: there is no such directory.
    """
    if not directory.is_dir():
        raise ZeroscaleError(f"{directory}: no such directory, so no tokenizer")
    return next((pair for pair in LAYOUTS if all((directory / name).is_file() for name in pair)), None)


def read_pair(directory: Path, names: tuple[str, str]) -> tuple[dict[str, int], Merges]:
    """A vocabulary and its merges. Only `\\n` ends a line of the latter."""
    vocabulary_file, merges_file = (directory / name for name in names)
    lines = [line for line in read_lines(merges_file) if line]
    merges = _merges(lines[1:] if lines and lines[0].startswith("#version") else lines, merges_file)
    return _vocabulary(_json(vocabulary_file), vocabulary_file), merges


def read_tokenizer_json(file: Path) -> TokenizerJson:
    """A tokenizer.json, its shape checked as far as it is looked into here."""
    content = _object(file)
    model = content.get("model")
    if not isinstance(model, dict):
        raise ZeroscaleError(f"{file}: not a tokenizer: it has no object named model")
    for part in ("normalizer", "pre_tokenizer", "post_processor", "decoder", "truncation", "padding"):
        if not isinstance(content.get(part), dict | None):
            raise ZeroscaleError(f"{file}: {part} should be an object or null, not {_shown(content[part])}")
    vocabulary, merges = model.get("vocab"), model.get("merges")
    if isinstance(merges, list) and not isinstance(vocabulary, dict):
        raise ZeroscaleError(f"{file}: its vocabulary should be an object, token to id, not {_shown(vocabulary)}")
    if not isinstance(merges, list | None):
        raise ZeroscaleError(f"{file}: its merges should be a list, not {_shown(merges)}")
    return TokenizerJson(
        file,
        _vocabulary(vocabulary, file) if isinstance(vocabulary, dict) else None,
        _merges(merges, file) if merges is not None else None,
        tuple(_added(content.get("added_tokens", []), file)),
        content,
    )


def read_config(directory: Path) -> TokenizerConfig:
    """What tokenizer_config.json and special_tokens_map.json say."""
    named: list[tuple[str, str | None]] = []
    settings: Object = {}
    for file in (directory / SPECIALS, directory / CONFIG):
        if file.is_file():
            content = _object(file)
            named += _named(content, file)
            settings |= content
    if not isinstance(settings.get("tokenizer_class"), str | None):
        shown = _shown(settings["tokenizer_class"])
        raise ZeroscaleError(f"{directory / CONFIG}: tokenizer_class should be a name, not {shown}")
    return TokenizerConfig(settings, tuple(named), tuple(_decoder(settings, directory / CONFIG)))


def read_added(directory: Path) -> dict[str, int]:
    """The tokens of added_tokens.json with their ids; none where there is no such file."""
    file = directory / ADDED
    return _vocabulary(_json(file), file) if file.is_file() else {}


def read_stamp(directory: Path) -> tuple[str, int] | None:
    """Fingerprint and size of the tokenizer that zeroscale saved in a directory; None where it saved none."""
    file = directory / STAMP
    if not file.is_file():
        return None
    content = _object(file)
    fingerprint, size = content.get("fingerprint"), content.get("vocab_size")
    if not isinstance(fingerprint, str) or not isinstance(size, int):
        raise ZeroscaleError(f"{file}: should hold a fingerprint and a vocab_size")
    return fingerprint, size


def check(directory: Path) -> None:
    """Refuses damaged files of whatever tokenizer lies in a directory; where none does there is nothing to refuse.

    Raises:
        ZeroscaleError: a file is not UTF-8, no JSON, or of the wrong shape.
    """
    if (directory / TOKENIZER).is_file():
        read_tokenizer_json(directory / TOKENIZER)
    if (names := layout(directory)) is not None:
        _vocabulary(_json(directory / names[0]), directory / names[0])
        read_lines(directory / names[1])  # other tokenizers write a count after each merge (BioGPT's)
    read_config(directory)
    read_added(directory)


def _json(file: Path) -> object:
    return json_text.parse(regular_file.read(file), file, strict=False)


def _object(file: Path) -> Object:
    content = _json(file)
    if not isinstance(content, dict):
        raise ZeroscaleError(f"{file}: should hold one JSON object, not {_shown(content)}")
    return content


def _vocabulary(content: object, file: Path) -> dict[str, int]:
    if not isinstance(content, dict):
        raise ZeroscaleError(f"{file}: should hold one JSON object, token to id, not {_shown(content)}")
    owners: dict[int, str] = {}
    for token, number in content.items():
        _check_characters(token, file)
        if not _is_id(number):
            raise ZeroscaleError(f"{file}: should map each token to its id, but {token!r} to {_shown(number)}")
        if number in owners:
            raise ZeroscaleError(f"{file}: {owners[number]!r} and {token!r} have one id, {number}")
        owners[number] = token
    return content


def _merges(merges: Iterable[object], file: Path) -> Merges:
    """Merges as pairs, from "a b" or ["a", "b"]: files hold either."""
    pairs = []
    for number, merge in enumerate(merges, start=1):
        tokens = merge.split(" ") if isinstance(merge, str) else merge
        if not isinstance(tokens, list) or len(tokens) != 2 or not all(isinstance(t, str) and t for t in tokens):
            shown = repr(merge[:80]) if isinstance(merge, str) else _shown(merge)
            raise ZeroscaleError(f"{file}: merge {number} should be two tokens, not {shown}")
        _check_characters(tokens[0] + tokens[1], file)
        pairs.append((tokens[0], tokens[1]))
    return pairs


def _added(entries: object, file: Path) -> Iterable[AddedToken]:
    if not isinstance(entries, list):
        raise ZeroscaleError(f"{file}: added_tokens should be a list, not {_shown(entries)}")
    for number, entry in enumerate(entries, 1):
        yield _added_token(entry, entry.get("id") if isinstance(entry, dict) else None, f"added token {number}", file)


def _decoder(settings: Object, file: Path) -> Iterable[AddedToken]:
    """The tokens of tokenizer_config.json's added_tokens_decoder, whose ids are texts."""
    entries = settings.get("added_tokens_decoder") or {}
    if not isinstance(entries, dict):
        raise ZeroscaleError(f"{file}: added_tokens_decoder should be an object, id to token, not {_shown(entries)}")
    for key, entry in entries.items():
        number = int(key) if key.isascii() and key.isdecimal() and len(key) < 11 else None
        yield _added_token(entry, number, f"added_tokens_decoder, {key[:20]!r}", file)


def _added_token(entry: object, number: object, what: str, file: Path) -> AddedToken:
    text = entry.get("content") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(text, str) or not text or not _is_id(number):
        raise ZeroscaleError(f"{file}: {what} should be an object with a text `content`, with an id, not {entry!r:.80}")
    _check_characters(text, file)
    assert isinstance(number, int)
    return AddedToken(text, number, entry.get("special") is True)


def _named(content: Object, file: Path) -> Iterable[tuple[str, str | None]]:
    for name in NAMED_TOKENS:
        if name in content:
            token = content[name]
            text = token.get("content", token) if isinstance(token, dict) else token
            if not isinstance(text, str | None):
                raise ZeroscaleError(f"{file}: {name} should be a text, not {_shown(text)}")
            _check_characters(text or "", file)
            yield name, text


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_ID


def _check_characters(text: str, file: Path) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ZeroscaleError(f"{file}: {text!r} holds half a surrogate pair, which is no character") from error


def _shown(value: object) -> str:
    names = {dict: "an object", list: "a list", type(None): "null"}
    return names.get(type(value)) or repr(value)[:60]
