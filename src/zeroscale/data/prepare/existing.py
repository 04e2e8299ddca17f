"""Find a prepared corpus by what it holds, under whatever spelling of its paths it was prepared."""

from collections.abc import Iterator
from pathlib import Path

from zeroscale.config.data import DataConfig
from zeroscale.config.model import TokenizerConfig
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_object
from zeroscale.data.corpus import INDEX
from zeroscale.data.prepare.prepare import SPELT, corpus_directory, identity_of, is_made_of


def find(root: Path, data: DataConfig, tokenizer: TokenizerConfig) -> Path:
    """Where the corpus of these settings lies in `root`: under the name of this spelling of its paths, or, where none
    is, a corpus that was made from the same text under another; else where it would be made."""
    own = corpus_directory(root, data, tokenizer)
    if own.exists():
        return own
    return next((path for path in _like(root, data, tokenizer) if is_made_of(path, data)), own)


def find_recorded(root: Path, data: DataConfig, tokenizer: TokenizerConfig, fingerprint: str | None) -> Path:
    """As `find`, where a fingerprint says which corpus it is, so that its text need not be here."""
    own = corpus_directory(root, data, tokenizer)
    if fingerprint is None or fingerprint_of(own) == fingerprint:
        return own
    return next((path for path in _like(root, data, tokenizer) if fingerprint_of(path) == fingerprint), own)


def fingerprint_of(directory: Path) -> str | None:
    """A prepared corpus' fingerprint; None where there is none, or its index is damaged."""
    try:
        return str(read_object(directory / INDEX)["fingerprint"])
    except (ZeroscaleError, OSError, KeyError):
        return None


def _like(root: Path, data: DataConfig, tokenizer: TokenizerConfig) -> Iterator[Path]:
    """The corpora of these settings but for the spelling of paths."""
    wanted = _unspelt(identity_of(data, tokenizer))
    for index in sorted(Path(root).glob(f"{data.name}-*/{INDEX}")):
        try:
            settings = read_object(index).get("settings")
        except ZeroscaleError:
            continue
        if isinstance(settings, dict) and _unspelt(settings) == wanted:
            yield index.parent


def _unspelt(identity: dict[str, object]) -> dict[str, object]:
    return {key: "a path" if key in SPELT else value for key, value in identity.items()}
