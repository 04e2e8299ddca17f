"""conf/data: what a corpus is made from."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from zeroscale.config.types import STRICT, Name, Positive, RecordedPath, Share, Text, Threads


def _check_pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from error
    return value


def _check_mark(value: str) -> str:
    if not value.strip():
        raise ValueError("white space is no mark")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("no text: it holds bytes that are not UTF-8") from error
    return value


Pattern = Annotated[str, Field(min_length=1), AfterValidator(_check_pattern)]
ValFraction = Annotated[float, Field(gt=0, lt=1)]
"""Share of the documents, chosen by a hash of their content, that is never trained on."""
Mark = Annotated[str, Field(min_length=1), AfterValidator(_check_mark)]
"""Characters between texts, such as `<|endoftext|>`."""
Site = Annotated[str, Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class StdlibData:
    """The text of the running Python's own library: no network needed."""

    kind: Literal["stdlib"]
    name: Name
    val_fraction: ValFraction
    max_bytes: Positive | None = None
    """Bytes of UTF-8 after which the corpus ends."""
    workers: Threads | None = None
    """Processes that tokenise; None: one for each core."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FilesData:
    """A directory or glob of text, JSON lines (compressed too) and Parquet files."""

    kind: Literal["files"]
    name: Name
    path: Annotated[RecordedPath, Field(min_length=1)]
    val_fraction: ValFraction
    text_field: str = "text"
    """Where a row keeps its text."""
    url_field: str | None = None
    """Where a row keeps its address, which `leave_out_sites` needs."""
    document_start: Pattern | None = None
    """Rows are joined to one text from one that this expression matches to the next."""
    split_on: Mark | None = None
    """Texts are split at each of these marks, which belongs to none of them."""
    leave_out_sites: tuple[Site, ...] = ()
    """Texts from these sites are left out."""
    leave_out_ngrams: Annotated[RecordedPath, Field(min_length=1)] | None = None
    """A directory with the n-grams of benchmarks: documents that hold `leave_out_from` of them are left out."""
    leave_out_from: Positive = 1
    drop_exact_duplicates: bool = False
    """White space aside."""
    near_duplicate_threshold: Share | None = None
    """Jaccard similarity of five-word shingles from which on a later document is dropped."""
    near_duplicate_permutations: Annotated[int, Field(ge=16, le=1024)] = 128
    """Of MinHash."""
    max_bytes: Positive | None = None
    """Bytes of UTF-8 after which the corpus ends."""
    workers: Threads | None = None
    """Processes that tokenise; None: one for each core."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class HubData:
    """A dataset of the Hugging Face hub, by name."""

    kind: Literal["hub"]
    name: Name
    dataset: Text
    split: str
    val_fraction: ValFraction
    config: str | None = None
    revision: str | None = None
    """A commit pins the content."""
    text_field: str = "text"
    """Where a row keeps its text."""
    url_field: str | None = None
    """Where a row keeps its address, which `leave_out_sites` needs."""
    document_start: Pattern | None = None
    """Rows are joined to one text from one that this expression matches to the next."""
    split_on: Mark | None = None
    """Texts are split at each of these marks, which belongs to none of them."""
    streaming: bool = True
    """Read over the network; False: download first."""
    leave_out_sites: tuple[Site, ...] = ()
    """Texts from these sites are left out."""
    leave_out_ngrams: Annotated[RecordedPath, Field(min_length=1)] | None = None
    """A directory with the n-grams of benchmarks: documents that hold `leave_out_from` of them are left out."""
    leave_out_from: Positive = 1
    drop_exact_duplicates: bool = False
    """White space aside."""
    near_duplicate_threshold: Share | None = None
    """Jaccard similarity of five-word shingles from which on a later document is dropped."""
    near_duplicate_permutations: Annotated[int, Field(ge=16, le=1024)] = 128
    """Of MinHash."""
    max_documents: Positive | None = None
    """Rows."""
    max_bytes: Positive | None = None
    """Bytes of UTF-8 after which the corpus ends."""
    workers: Threads | None = None
    """Processes that tokenise; None: one for each core."""


AnyData = StdlibData | FilesData | HubData
DataConfig = Annotated[AnyData, Field(discriminator="kind")]
