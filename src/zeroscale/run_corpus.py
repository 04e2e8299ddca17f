"""A run's settings and the corpus that it was trained on, from what the run says of itself."""

from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from zeroscale.config.train import TrainSettings
from zeroscale.config.validate import build
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_json

if TYPE_CHECKING:
    from zeroscale.data.corpus import Corpus


def settings_of(cell: Path, key: str = "") -> TrainSettings:
    """A run's settings; `key=` stands before its name in a message.

    Raises:
        ZeroscaleError: it is no run, or its config.yaml cannot be read.
    """
    config = cell / "config.yaml"
    if not config.is_file():
        inside = sorted(path.parent.name for path in cell.glob("*/config.yaml"))
        hint = f"; it is a study, give one of its runs: {', '.join(inside[:4])}" if inside else ""
        raise ZeroscaleError(f"{key}{cell} is not a run: no config.yaml in it{hint}")
    try:
        raw = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ZeroscaleError(f"{config} is no YAML that can be read: {str(error).splitlines()[0]}") from error
    if not isinstance(raw, dict):
        raise ZeroscaleError(f"{config} should hold a run's settings, key by key")
    return build(TrainSettings, raw)


def corpus_of(cell: Path) -> Path:
    """The prepared corpus of a run, beside its study, where another may be named in its place with corpus=DIR.

    Raises:
        ZeroscaleError: it is gone, or is another than the run recorded.
    """
    return open_corpus(cell, settings_of(cell), cell.resolve().parents[1], True).directory


def open_corpus(cell: Path, settings: TrainSettings, outputs: Path, nameable: bool = False) -> "Corpus":
    """A run's corpus in `outputs`/corpora, compared with what the run recorded.

    Args:
        nameable: whether the user may give another with corpus=DIR.

    Raises:
        ZeroscaleError: it is gone, or is another than the run recorded.
    """
    from zeroscale.data.corpus import Corpus
    from zeroscale.data.prepare import prepare

    directory = prepare.corpus_directory(outputs / "corpora", settings.data, settings.tokenizer)
    recorded = None
    if (cell / "manifest.json").is_file():
        recorded = read_json(cell / "manifest.json").get("corpus", {}).get("fingerprint")
    if not directory.is_dir():
        told = f", which must have the fingerprint {recorded[:12]}" if recorded else ""
        either = "" if nameable else "or "
        raise ZeroscaleError(
            f"{directory}: the corpus of {cell} is gone; bring it back, {either}prepare it again with "
            f"`zeroscale data` and the data and tokenizer settings of {cell / 'config.yaml'}{told}"
            + (", or name another place with corpus=DIR" if nameable else "")
        )
    corpus = Corpus.open(directory)
    if recorded not in (None, corpus.fingerprint):
        raise ZeroscaleError(
            f"{directory} is not the corpus that {cell} was trained on (fingerprint {corpus.fingerprint[:12]}, not "
            f"{recorded[:12]}): restore it" + (", or name the right one with corpus=DIR" if nameable else "")
        )
    return corpus
