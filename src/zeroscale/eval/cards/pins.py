"""Whether data are the benchmark that a card means: the number of rows and a hash of their content, against its pin.

Names and revisions of data sets move; content does not. White space is not content here (the hub and the released
files differ in it), nor are fields that no example is made of.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from zeroscale.core import marks
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import sha256_json
from zeroscale.core.marks import Mark
from zeroscale.eval.cards.card import Card
from zeroscale.eval.cards.rows import Row, Rows
from zeroscale.eval.cards.schema import Fingerprint


class DataMismatch(ZeroscaleError):
    """The data are there, but they are not what the card pins."""


@dataclass(frozen=True)
class DataCheck:
    """Whether data are the benchmark. `words` belong to every score unless `benchmark` is true."""

    benchmark: bool
    """Content and number are as pinned."""
    words: str
    sha256: str


def digest(rows: Sequence[Row], columns: Sequence[str] | None) -> str:
    """sha256 over the rows in order: their `columns` (all, if None), each text with single spaces."""
    contents = [row.content if columns is None else {name: row.content.get(name) for name in columns} for row in rows]
    return sha256_json([_single_spaced(content) for content in contents])


def _single_spaced(value: object) -> object:
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, list | tuple):
        return [_single_spaced(item) for item in value]
    if isinstance(value, dict):
        return {str(name): _single_spaced(item) for name, item in value.items()}
    return value


def check(card: Card, data: Rows, columns: Sequence[str] | None, allow_other_data: bool = False) -> DataCheck:
    """Compares the rows with what the card pins.

    Raises:
        DataMismatch: they are not what the card pins, and that was not allowed; the message says both.
    """
    sha256 = digest(data.rows, columns)
    if data.source == "sample":
        return DataCheck(False, f"sample: {len(data.rows)} hand-written examples, not the benchmark", sha256)
    source = card.sources.files if data.source == "files" else card.sources.hub
    pin = source.pin if source else None
    difference = _difference(pin, len(data.rows), sha256, data.excerpt)
    if difference is None and pin is None:
        return DataCheck(False, f"{marks.NO_PIN} (sha256 here: {sha256})", sha256)
    if difference is None and pin is not None and pin.sha256 is None:
        words = f"as many {pin.called} as published ({pin.rows:,}); no copy was at hand to compare the content with"
        return DataCheck(False, words, sha256)
    if difference is None and pin is not None:
        return DataCheck(True, f"{pin.rows:,} {pin.called}, content as pinned", sha256)
    assert difference is not None
    if not allow_other_data:
        raise DataMismatch(
            f"card {card.name}: {', '.join(data.origin)} is not the benchmark: {difference}. Give the whole, released "
            "data, or score these all the same with allow_other_data=true; the result will say so."
        )
    return DataCheck(False, difference, sha256)


def _difference(pin: Fingerprint | None, rows: int, sha256: str, excerpt: str | None) -> str | None:
    """What sets the data apart from the pin; None where nothing does."""
    named = f" ({excerpt})" if excerpt else ""
    if pin is None:
        return marks.data_words(Mark.OTHER_DATA, excerpt) if excerpt else None
    if rows < pin.rows:
        return marks.data_words(Mark.PART, f"{rows:,} of {pin.rows:,} {pin.called}{named}")
    if rows > pin.rows:
        return marks.data_words(Mark.OTHER_DATA, f"{rows:,} {pin.called} where the benchmark has {pin.rows:,}{named}")
    if pin.sha256 is not None and sha256 != pin.sha256:
        detail = f"{rows:,} {pin.called}, but their sha256 is {sha256}, and the card pins {pin.sha256}{named}"
        return marks.data_words(Mark.OTHER_DATA, detail)
    return marks.data_words(Mark.OTHER_DATA, excerpt) if excerpt else None
