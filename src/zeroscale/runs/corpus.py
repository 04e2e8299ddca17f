"""The corpus that a run was trained on, from what the run records."""

from pathlib import Path
from typing import TYPE_CHECKING

from zeroscale.core.errors import ZeroscaleError
from zeroscale.runs import layout
from zeroscale.runs.run import Run

if TYPE_CHECKING:
    from zeroscale.data.corpus import Corpus


def corpus_of(run: Run) -> Path:
    """The prepared corpus of a run, beside its study, where another may be named in its place with corpus=DIR.

    Raises:
        ZeroscaleError: it is gone, or is another than the run recorded.
    """
    return open_corpus(run, run.outputs, True).directory


def open_corpus(run: Run, outputs: Path, nameable: bool = False) -> "Corpus":
    """A run's corpus in `outputs`/corpora, compared with what the run recorded.

    Args:
        nameable: whether the user may give another with corpus=DIR.

    Raises:
        ZeroscaleError: it is gone, or is another than the run recorded.
    """
    from zeroscale.data.corpus import Corpus
    from zeroscale.data.prepare import existing

    recorded = run.manifest.get("corpus", {}).get("fingerprint")
    directory = existing.find_recorded(layout.corpora(outputs), run.config.data, run.config.tokenizer, recorded)
    if not directory.is_dir():
        fingerprint = f", which must have the fingerprint {recorded[:12]}" if recorded else ""
        either = "" if nameable else "or "
        raise ZeroscaleError(
            f"{directory}: the corpus of {run.directory} is gone; bring it back, {either}prepare it again with "
            f"`zeroscale data` and the data and tokenizer settings of {run.directory / layout.CONFIG}{fingerprint}"
            + (", or name another place with corpus=DIR" if nameable else "")
        )
    corpus = Corpus.open(directory)
    if recorded is not None and recorded != corpus.fingerprint:
        raise ZeroscaleError(
            f"{directory} is not the corpus that {run.directory} was trained on (fingerprint "
            f"{corpus.fingerprint[:12]}, not {recorded[:12]}): restore it"
            + (", or name the right one with corpus=DIR" if nameable else "")
        )
    return corpus
