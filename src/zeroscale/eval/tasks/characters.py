"""The probability of the last part of one long file, per character: enwik8 (bytes) and text8."""

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

from pydantic import Field

from zeroscale.core.errors import ZeroscaleError
from zeroscale.eval.cards.rows import Row
from zeroscale.eval.engine.requests import RollingResult
from zeroscale.eval.tasks.base import Record
from zeroscale.eval.tasks.rolling import Part, RollingOptions, RollingTask

if TYPE_CHECKING:
    from zeroscale.eval.metrics.metrics import Measured

_READ = 1 << 20
# A UTF-8 character has 4 bytes at most: a cut leaves 3 of them at most.
_HALF_CHARACTER = 3


@dataclass(frozen=True)
class Passage:
    """The scored text in blocks of about as many bytes, what the bootstrap draws."""

    blocks: tuple[str, ...]


class CharactersOptions(RollingOptions):
    file_bytes: Annotated[int, Field(gt=0)]
    """The whole file's size; another size is refused."""
    last: Annotated[int, Field(gt=0)]
    """How many bytes at its end are scored."""
    alphabet: str | None
    """All characters that may occur; null: any."""
    block: Annotated[int, Field(gt=0)]
    """Bytes of a block, give or take a character that would be cut."""


class Characters(RollingTask[Passage, CharactersOptions, Part]):
    """One rolling request over the end of a file."""

    Options = CharactersOptions
    METRICS = ("bits_per_character", "bits_per_byte", "token_perplexity")

    def parse(self, paths: list[Path]) -> Iterator[Row]:  # type: ignore[override]
        """One row: the file's last part as text. A zip archive is read without being unpacked."""
        (path,) = paths
        where = f"{path}, from byte {self.options.file_bytes - self.options.last + 1:,} on"
        yield Row(where, {"text": _decoded(path, where, _tail(path, self.options.file_bytes, self.options.last))})

    def examples(self, rows: Sequence[Row]) -> list[Passage]:
        text = "".join(row.text("text") for row in rows)
        if self.options.alphabet is not None and (strange := set(text) - set(self.options.alphabet)):
            place, character = min((text.index(letter), letter) for letter in strange)
            raise rows[0].fault(
                f"character {place + 1:,} is {character!r}, but the file should hold {self.options.alphabet!r} alone"
            )
        size = len(text.encode())
        if size > self.options.last:
            raise rows[0].fault(f"{size:,} bytes of text, where {self.options.last:,} are scored")
        if size < self.options.last - 2 * _HALF_CHARACTER:
            self.notes.append(f"{size:,} bytes instead of the benchmark's {self.options.last:,}")
        return [Passage(tuple(block for row in rows for block in _blocks(row.text("text"), self.options.block)))]

    def select(self, examples: list[Passage], limit: int | None) -> list[Passage]:
        return [Passage(passage.blocks[:limit]) for passage in examples]

    def draw(self, examples: list[Passage], n: int, seed: int) -> list[Passage]:
        return [Passage(tuple(self.subsample(passage.blocks, n, seed))) for passage in examples]

    def parts(self, example: Passage) -> list[Part]:
        return [Part(block) for block in example.blocks]

    def record(self, example: Passage, answers: Sequence[RollingResult]) -> list[Record]:
        logprobs, tokens = self.part_scores(example, answers)
        return [
            {
                "logprob": float(logprobs[number]),
                "characters": len(block),
                "tokens": int(tokens[number]),
                "bytes": len(block.encode()),
                "truncated": 0,
            }
            for number, block in enumerate(example.blocks)
        ]

    @staticmethod
    def measure(records: Sequence[Record], options: CharactersOptions) -> "list[Measured]":
        from zeroscale.eval.metrics.metrics import BitsPerByte, Perplexity

        logprobs = [row["logprob"] for row in records]
        return [
            BitsPerByte("bits_per_character").measure(logprobs, [row["characters"] for row in records]),
            BitsPerByte("bits_per_byte").measure(logprobs, [row["bytes"] for row in records]),
            Perplexity("token_perplexity").measure(logprobs, [row["tokens"] for row in records]),
        ]


def _blocks(text: str, size: int) -> Iterator[str]:
    """Blocks of so many bytes, the last perhaps shorter. Each ends with a whole character: up to three bytes later."""
    content = text.encode()
    begin = 0
    while begin < len(content):
        end = begin + size
        while end < len(content) and content[end] & 0xC0 == 0x80:  # in the middle of a character
            end += 1
        yield content[begin:end].decode()
        begin = end


def _tail(path: Path, file_bytes: int, last: int) -> bytes:
    """The last bytes of a file (or of the one in a zip archive), after its size was checked."""
    if path.suffix == ".zip":
        return _zipped_tail(path, file_bytes, last)
    size = path.stat().st_size
    if size != file_bytes:
        raise _wrong_size(path, size, file_bytes)
    with open(path, "rb") as file:
        file.seek(file_bytes - last)
        return file.read()


def _zipped_tail(path: Path, file_bytes: int, last: int) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
            if len(names) != 1:
                raise ZeroscaleError(f"{path}: should hold one file, but holds {len(names)}")
            with archive.open(names[0]) as file:
                content, size = _end_of(file, last)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ZeroscaleError(f"{path}: not a whole zip archive ({error}); it was cut short or damaged") from error
    if size != file_bytes:
        raise _wrong_size(path, size, file_bytes)
    return content


def _end_of(file: IO[bytes], last: int) -> tuple[bytes, int]:
    """A stream's last bytes and its whole size, with no more of it in memory than that."""
    tail = b""
    size = 0
    while part := file.read(max(_READ, last)):
        size += len(part)
        tail = (tail + part)[-last:]
    return tail, size


def _wrong_size(path: Path, size: int, file_bytes: int) -> ZeroscaleError:
    what = "cut short" if size < file_bytes else "another file"
    return ZeroscaleError(f"{path}: holds {size:,} bytes, but the released file has {file_bytes:,}: {what}")


def _decoded(path: Path, where: str, content: bytes) -> str:
    """UTF-8 text; characters that the cut at either end goes through are left out."""
    begin = 0
    while begin < min(_HALF_CHARACTER, len(content)) and content[begin] & 0xC0 == 0x80:
        begin += 1
    try:
        return content[begin:].decode("utf-8")
    except UnicodeDecodeError as error:
        cut_off = error.reason == "unexpected end of data"
        if not cut_off:
            raise ZeroscaleError(f"{where}: not UTF-8 text (byte {begin + error.start + 1:,} of it)") from error
        return content[begin : begin + error.start].decode("utf-8")
