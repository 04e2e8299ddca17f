"""Settings of every command but `train`, whose own are in `zeroscale.settings`."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from zeroscale.settings import DataSettings, Names, TokenizerSettings

_STRICT = ConfigDict(extra="forbid", strict=True)
Positive = Annotated[int, Field(gt=0)]
Text = Annotated[str, Field(min_length=1)]

_ESCAPES = {"\\n": "\n", "\\t": "\t", "\\\\": "\\"}


def _unescaped(value: Any) -> Any:
    r"""A string alone is a list of one; \n, \t and \\ mean what they mean in most languages."""
    if not isinstance(value, list | tuple):
        value = [value]
    return tuple(
        re.sub(r"\\[nt\\]", lambda match: _ESCAPES[match.group()], one) if isinstance(one, str) else one
        for one in value
    )


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class SampleSettings:
    """A checkpoint, prompts, and how the next token is chosen."""

    checkpoint: Text
    revision: str | None
    prompt: str | None
    prompts_file: Text | None
    out: Text | None
    max_new_tokens: Positive
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    top_k: Positive | None
    top_p: Annotated[float, Field(gt=0, le=1)] | None
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    samples: Positive
    stop: Annotated[tuple[Text, ...], BeforeValidator(_unescaped)]
    batch_size: Positive
    accelerator: Literal["auto", "cpu", "cuda"]
    threads: Positive | None


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class ExportSettings:
    """A run, or one of its checkpoints, and the directory to make of it."""

    checkpoint: Text
    out: Text


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class PlanSettings:
    """What `plan` needs beside a cell's own settings."""

    hardware: str | None
    mfu: Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class DataCommand:
    """A corpus to prepare."""

    data: DataSettings
    tokenizer: TokenizerSettings
    output_dir: str


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class EvalSettings:
    """Checkpoints to score: a run, one of its checkpoints, a Hugging Face directory, a hub name; or a whole study."""

    checkpoint: str | None
    revision: str | None
    study: str | None
    cards: Names
    cards_from: Literal["files", "hub", "sample"] | None
    data_dir: str | None
    protocol: Literal["paper"]
    limit: Positive | None
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    bootstrap: Annotated[int, Field(ge=100)]
    batch_tokens: Positive
    accelerator: Literal["auto", "cpu", "cuda"]
    threads: Positive | None
    output_dir: str


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class FitSettings:
    """Runs to fit a law to: a study's directory, or a CSV with the columns params, tokens, loss."""

    runs: Annotated[str, Field(min_length=1)]
    out: str | None
    convention: Literal["non_embedding", "total", "matmul"]
    bootstrap: Annotated[int, Field(ge=100)]
    seed: Annotated[int, Field(ge=0, lt=2**31)]


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class StudySettings:
    """A study's directory: what `report` and `status` need."""

    study: Annotated[str, Field(min_length=1)]
