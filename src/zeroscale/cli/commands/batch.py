"""`zeroscale batch`: what the batch of a step held, read from the run's settings and its corpus; nothing is trained."""

import hashlib
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic.dataclasses import dataclass

from zeroscale.config.raw import RawConfig
from zeroscale.config.types import STRICT, FilePath, Positive
from zeroscale.config.validate import build_config
from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.corpus import Corpus
from zeroscale.data.stream import TokenStream
from zeroscale.runs import layout
from zeroscale.runs.corpus import open_corpus
from zeroscale.runs.run import open_run


@dataclass(frozen=True, kw_only=True, config=STRICT)
class BatchConfig:
    """A run and a step of it."""

    study: FilePath | None = None
    """The study that a run is named in by a part of its name, or chosen by filters."""
    run: FilePath
    step: Positive
    """As metrics.jsonl counts: the first is 1."""
    rows: Positive | None
    """How many rows are printed; None: all."""


class Batch(NamedTuple):
    """The global batch of one optimizer step.

    Attributes:
        tokens: int64 [rows, context + 1]: inputs, and targets one ahead.
        windows, epochs: int64 [rows]: which window of the corpus each row is, in which pass over it.
    """

    tokens: np.ndarray
    windows: np.ndarray
    epochs: np.ndarray

    @property
    def sha256(self) -> str:
        """Hex sha256 of the tokens, row by row, as little-endian uint32."""
        return hashlib.sha256(self.tokens.astype("<u4").tobytes()).hexdigest()


def run(raw: RawConfig) -> int:
    """Prints the batch of a step."""
    show(build_config(BatchConfig, raw))
    return 0


def show(config: BatchConfig) -> None:
    """Prints a batch.

    Raises:
        ZeroscaleError: no run there, no such step, the corpus gone or not the one that the run was trained on.
    """
    run = open_run(Path(config.run), "run=")
    name, train = run.directory.resolve().name, run.config
    if config.step > train.steps:
        raise ZeroscaleError(f"step={config.step}: {name} has {train.steps:,} steps; the first is 1")
    corpus = open_corpus(run, layout.outputs_of(run.directory))
    stream = TokenStream(corpus, train.seed, train.context, train.trainer.batch_tokens)
    batch = batch_of(stream, corpus, config.step)
    if hasattr(sys.stdout, "reconfigure"):
        # A terminal that cannot show a character gets its number.
        sys.stdout.reconfigure(errors="backslashreplace")
    passes = (config.step - 1) * stream.rows / stream.n_windows
    print(f"{name}: step {config.step:,} of {train.steps:,}, seed {train.seed}")
    print(f"corpus  {corpus.directory} (fingerprint {corpus.fingerprint[:12]})")
    print(
        f"batch   {stream.rows:,} rows of {stream.context:,} tokens = {stream.rows * stream.context:,};"
        f" epoch {batch.epochs[0]}, {100 * (passes % 1):.2f} % of it done before"
    )
    print(f"sha256  {batch.sha256}")
    shown = stream.rows if config.rows is None else min(config.rows, stream.rows)
    for row in range(shown):
        _show_row(row, batch, corpus, stream.context)
    if shown < stream.rows:
        print(f"\n{stream.rows - shown:,} more rows: rows=null shows all")


def batch_of(stream: TokenStream, corpus: Corpus, step: int) -> Batch:
    """The batch of the step that metrics.jsonl calls `step`: the first is 1, and `batch_at` counts from 0."""
    windows = stream.windows_at(step - 1)
    epochs = ((step - 1) * stream.rows + np.arange(stream.rows)) // stream.n_windows
    return Batch(corpus.read_windows("train", windows * stream.context, stream.context + 1), windows, epochs)


def escaped(text: str) -> str:
    r"""Text on one line that commands no terminal: control characters and others without a picture by their numbers,
    a backslash doubled, so that what is shown can be read back."""
    return "".join(
        "\\\\" if character == "\\" else character if character.isprintable() else ascii(character)[1:-1]
        for character in text
    )


def _show_row(row: int, batch: Batch, corpus: Corpus, context: int) -> None:
    window = int(batch.windows[row])
    start = window * context
    print(
        f"\nrow {row}: window {window:,} of epoch {batch.epochs[row]}, training tokens {start:,} to {start + context:,}"
    )
    for span in corpus.documents("train", start, start + context + 1) or ():
        print(
            f"  document {span.number:,} ({escaped(span.name)}): tokens {span.first:,} to {span.last - 1:,}"
            f" of its {span.tokens:,}"
        )
    print(f"  {escaped(corpus.tokenizer.decode(batch.tokens[row].tolist()))}")
