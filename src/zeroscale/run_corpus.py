"""The corpus that a run was trained on, from what the run says of itself."""

from pathlib import Path

import yaml

from zeroscale.errors import ZeroscaleError
from zeroscale.files import read_json
from zeroscale.settings import TrainSettings
from zeroscale.strict import build


def settings_of(cell: Path) -> TrainSettings:
    """A run's settings.

    Raises:
        ZeroscaleError: it is no run, or its config.yaml cannot be read.
    """
    config = cell / "config.yaml"
    if not config.is_file():
        raise ZeroscaleError(f"{cell} is not a run: no config.yaml in it")
    try:
        raw = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ZeroscaleError(f"{config} is no YAML that can be read: {str(error).splitlines()[0]}") from error
    if not isinstance(raw, dict):
        raise ZeroscaleError(f"{config} should hold a run's settings, key by key")
    return build(TrainSettings, raw)


def corpus_of(cell: Path) -> Path:
    """The prepared corpus of a run, beside its study.

    Raises:
        ZeroscaleError: it is gone, or is another than the run recorded.
    """
    from zeroscale.data import prepare
    from zeroscale.data.tokens import Corpus

    settings = settings_of(cell)
    directory = prepare.corpus_directory(cell.resolve().parents[1] / "corpora", settings.data, settings.tokenizer)
    recorded = None
    if (cell / "manifest.json").is_file():
        recorded = read_json(cell / "manifest.json").get("corpus", {}).get("fingerprint")
    if not directory.is_dir():
        told = f" with the fingerprint {recorded[:12]}" if recorded else ""
        raise ZeroscaleError(
            f"{directory}: the corpus of {cell} is gone; bring it back, prepare it again with `zeroscale data` and the "
            f"data and tokenizer settings of {cell / 'config.yaml'}, or name another place with corpus=DIR{told}"
        )
    fingerprint = Corpus.open(directory).fingerprint
    if recorded not in (None, fingerprint):
        raise ZeroscaleError(
            f"{directory} is not the corpus that {cell} was trained on (fingerprint {fingerprint[:12]}, not "
            f"{recorded[:12]}): restore it, or name the right one with corpus=DIR"
        )
    return directory
