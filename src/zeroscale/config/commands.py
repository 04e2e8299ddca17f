"""Settings of every command but `train`, whose own are in `zeroscale.config.train`."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from zeroscale.config.data import DataConfig
from zeroscale.config.model import TokenizerConfig
from zeroscale.config.trainer import TrackerConfig
from zeroscale.config.types import CardNames

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


def _listed(value: Any) -> Any:
    """One alone is a list of one."""
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class SampleConfig:
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
class ExportConfig:
    """A run, or one of its checkpoints, and the directory to make of it."""

    checkpoint: Text
    out: Text


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class LaunchConfig:
    """What `train` needs beside a cell's own settings."""

    flops_budget: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    cells_at_once: Positive = 1
    retry_failed: bool = False


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class PlanConfig:
    """What `plan` needs beside a cell's own settings."""

    hardware: str | None
    devices: Positive | None
    mfu: Annotated[float, Field(gt=0, le=1)]
    price: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class DataCommandConfig:
    """A corpus to prepare, or benchmark data to fetch."""

    data: DataConfig
    tokenizer: TokenizerConfig
    output_dir: str
    cards: CardNames | None
    data_dir: str | None


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class BatchConfig:
    """A run and a step of it."""

    run: Text
    step: Positive
    rows: Positive | None


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class EvalConfig:
    """Checkpoints to score: a run, one of its checkpoints, a Hugging Face directory, a hub name; or a whole study."""

    checkpoint: str | None
    run: str | None
    revision: str | None
    study: str | None
    checkpoints: Literal["last", "all"]
    cards: CardNames | None
    cards_from: Literal["files", "hub", "sample"] | None
    data_dir: str | None
    corpus: Text | None
    allow_other_data: bool
    protocol: Literal["paper", "lm-eval"]
    limit: Positive | None
    rescore: bool
    token_logprobs: bool
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    bootstrap: Annotated[int, Field(ge=100)]
    batch_tokens: Positive | None
    dtype: Literal["fp32", "bf16", "fp16"]
    deterministic: bool
    devices: Positive
    accelerator: Literal["auto", "cpu", "cuda"]
    threads: Positive | None
    out: Text | None
    output_dir: str


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class FitColumns:
    """What a CSV calls its columns."""

    params: Text
    tokens: Text | None
    loss: Text
    flops: Text
    seed: Text


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class CompareLaws:
    """How two studies are compared by their laws."""

    law: Literal["auto", "chinchilla", "vpnls", "compute"]
    budgets: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...]
    convention: Literal["non_embedding", "total", "matmul"]
    flops: Literal["auto", "exact", "6nd"]
    paired: Literal["auto", "yes", "no"]
    bootstrap: Annotated[int, Field(ge=100)]
    columns: FitColumns


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class CompareConfig:
    """Two runs, checkpoints, directories or hub names that have been scored, and the cards to compare them on; or two
    studies or CSVs of runs, each with a law of its own."""

    runs: tuple[Text, ...]
    studies: tuple[Text, ...]
    laws: CompareLaws
    cards: CardNames | None
    protocol: Literal["paper", "lm-eval"]
    resamples: Annotated[int, Field(ge=100)]
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    out: Text | None
    output_dir: str


Ends = Annotated[tuple[float | None, float | None], Field(strict=False)] | None


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class FitKeep:
    """Ends outside which runs are left out."""

    params: Ends
    tokens: Ends
    loss: Ends
    flops: Ends


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class FitIsoflop:
    """What belongs to an isoFLOP curve's parabola."""

    window: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    tolerance: Annotated[float, Field(gt=0, lt=1)]


LawName = Literal["auto", "all", "power", "chinchilla", "vpnls", "isoflop", "envelope", "kaplan", "benchmarks"]


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class FitConfig:
    """Runs to fit laws to, a study's directory or a CSV with the columns params, tokens, loss; and which laws, how."""

    runs: Annotated[str, Field(min_length=1)]
    law: Annotated[tuple[LawName, ...], BeforeValidator(_listed), Field(min_length=1)]
    out: str | None
    convention: Literal["non_embedding", "total", "matmul"]
    flops: Literal["auto", "exact", "6nd"]
    checkpoints: Literal["last", "all"]
    bootstrap: Annotated[int, Field(ge=100)]
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    delta: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    budgets: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...]
    leave_out: tuple[str, ...]
    keep: FitKeep
    isoflop: FitIsoflop
    columns: FitColumns
    chance: dict[str, Annotated[float, Field(ge=0, lt=1)]] | None
    tokens_per_step: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class ReportConfig:
    """One study or several, and how the report is shown: as a page, live on loopback, as text, in a tracker."""

    study: Annotated[tuple[Text, ...], BeforeValidator(_listed), Field(min_length=1)]
    out: Text | None
    format: Literal["page", "text"]
    watch: bool
    port: Annotated[int, Field(ge=0, lt=2**16)]
    tracker: TrackerConfig


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class StatusConfig:
    """A study's directory, and how often its table is drawn anew."""

    study: Annotated[str, Field(min_length=1)]
    every: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class ReproduceConfig:
    """A run, or all of a study, to be made again and compared."""

    run: Text | None
    study: Text | None
    steps: Positive | None
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    data_dir: str | None
    data_path: Text | None
    prepare_corpus: bool
    out: Text | None
    output_dir: Text


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class ExplainConfig:
    """A number: of a cell, as results.csv calls it, or without a cell a parameter of fit.json."""

    study: Text
    cell: Text | None
    metric: Text
    step: Positive | None


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class BundleConfig:
    """A study to be packed into one file."""

    study: Text
    out: Text | None
    weights: bool


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class VerifyConfig:
    """A bundle to be checked, and where it is to be opened."""

    bundle: Text
    out: Text | None


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class OwnTraining:
    """A benchmark's own training split: alternatives in data_dir, globs; and how much of it counts."""

    files: Annotated[tuple[Text, ...], Field(min_length=1)]
    first_bytes: Positive | None = None


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class OverlapConfig:
    """A corpus, cards, and what is asked of both: what they share, and scores without it."""

    corpus: Text | None
    text_field: Text
    split: Literal["train", "val", "all"]
    cards: CardNames | None
    cards_from: Literal["files", "hub", "sample"] | None
    data_dir: Text | None
    allow_other_data: bool
    protocol: Literal["paper", "lm-eval"]
    n: Annotated[int, Field(gt=0, le=100)]
    above: Annotated[float, Field(ge=0, lt=1)]
    study: Text | None
    run: Text | None
    index: Text | None
    false_positives: Annotated[float, Field(gt=0, lt=1)]
    ngrams: Text | None
    own_training: dict[str, OwnTraining] | None
    workers: Positive | None
    out: Text | None
    output_dir: Text
