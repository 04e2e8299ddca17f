"""A run's settings and the corpus that it was trained on, from what the run says of itself."""

from pathlib import Path
from typing import TYPE_CHECKING

from zeroscale.config.train import TrainConfig
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_json
from zeroscale.runs.run import settings_of

if TYPE_CHECKING:
    from zeroscale.data.corpus import Corpus


def corpus_of(cell: Path) -> Path:
    """The prepared corpus of a run, beside its study, where another may be named in its place with corpus=DIR.

    Raises:
        ZeroscaleError: it is gone, or is another than the run recorded.
    """
    return open_corpus(cell, settings_of(cell), cell.resolve().parents[1], True).directory


def open_corpus(cell: Path, settings: TrainConfig, outputs: Path, nameable: bool = False) -> "Corpus":
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
