"""Settings of `eval`."""

from typing import Literal

from pydantic.dataclasses import dataclass

from zeroscale.config.types import (
    STRICT,
    Accelerator,
    CardNames,
    CardSource,
    FilePath,
    PathOrEmpty,
    Positive,
    Protocol,
    Resamples,
    Seed,
    Threads,
)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class EvalConfig:
    """Checkpoints to score: a run, one of its checkpoints, a Hugging Face directory, a hub name; or a whole study."""

    checkpoint: PathOrEmpty | None
    run: PathOrEmpty | None
    """The same as `checkpoint`."""
    revision: str | None
    """Of a hub name: a branch, a tag or a commit."""
    study: PathOrEmpty | None
    """A study's directory, instead of `checkpoint`."""
    checkpoints: Literal["last", "all"]
    """Which of a run."""
    cards: CardNames | None
    cards_from: CardSource | None
    """Where the benchmarks' data come from; None: files with `data_dir`, else as the run was scored."""
    data_dir: PathOrEmpty | None
    """The folder of the benchmarks' own files."""
    corpus: FilePath | None
    """The prepared corpus of memorisation cards; None: the run's own."""
    allow_other_data: bool
    """Score files that are not the benchmark's pinned data; the result is marked."""
    protocol: Protocol
    limit: Positive | None
    """Score only the first examples of each card; the result is marked."""
    rescore: bool
    """Compute metrics again from the stored records, without a model."""
    token_logprobs: bool
    """Store the log-probability of every scored token with the records."""
    seed: Seed
    """Of sampling and bootstrap."""
    bootstrap: Resamples
    batch_tokens: Positive | None
    """Token positions of a batch of requests; None: by the free memory."""
    dtype: Literal["fp32", "bf16", "fp16"]
    """Of weights and hidden states; log-probabilities are fp32."""
    deterministic: bool
    """Score each request alone on a fixed number of threads, so that its bits depend on nothing else."""
    devices: Threads
    """Processes that share the requests, one for each GPU or part of the CPU's threads."""
    accelerator: Accelerator
    threads: Threads | None
    """CPU threads; None: every core. With `deterministic` the fixed number of each device; None: one."""
    out: FilePath | None
    """A directory for the table of all checkpoints."""
    output_dir: PathOrEmpty
    """Scores of checkpoints that are no runs lie in its folder eval/."""
