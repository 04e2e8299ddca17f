"""Where each file of a run and of a study lies: the only place that knows their names.

outputs/
  corpora/NAME/                     prepared corpora, shared by all studies
  eval/NAME/                        scores of a checkpoint that no run here made: source.json, evals/
  STUDY/
    results.csv  fit.json  sweep.json  report/  overlap/
    RUN/
      config.yaml  manifest.json  source.diff  status.json  metrics.jsonl  log.txt  DONE
      tokenizer/
      checkpoints/step-00000500/    model.safetensors, optimizer.safetensors, meta.json
      evals/step-00000500/          CARD.PROTOCOL.json, CARD.PROTOCOL.examples.parquet
"""

import os
import re
from pathlib import Path

from zeroscale.config.train import TrainConfig

# Of a run.
CONFIG = "config.yaml"
MANIFEST = "manifest.json"
SOURCE_DIFF = "source.diff"
SOURCE_DIFFS = "source*.diff"
STATUS = "status.json"
METRICS = "metrics.jsonl"
LOG = "log.txt"
DONE = "DONE"
# Held by the worker that trains the run, and by the process that starts the worker, which may die a moment before it.
WORKER_LOCK = ".lock"
LAUNCH_LOCK = ".claim"
TOKENIZER = "tokenizer"
CHECKPOINTS = "checkpoints"
EVALS = "evals"
REPRODUCTION = "reproduction.json"

# Of a checkpoint.
WEIGHTS = "model.safetensors"
OPTIMIZER = "optimizer.safetensors"
META = "meta.json"
# Of a checkpoint in Hugging Face's format, which is no run's.
HF_CONFIG = "config.json"

# Of a study.
LEDGER = "results.csv"
FIT = "fit.json"
SWEEP = "sweep.json"
SWEEP_LOCK = ".sweep.json.lock"
REPORT = "report"
OVERLAP = "overlap"
OVERLAP_RECORD = "overlap.json"

# Of the outputs' directory.
CORPORA = "corpora"
EXTERNAL = "eval"
# Beside the scores of a checkpoint that no run here made: where it comes from, and its weights' sha256.
ORIGIN = "source.json"

# What a page of a study is made from, as patterns below the study.
RECORDS = (FIT, "*/*.json", "*/*.jsonl", f"*/{CONFIG}", f"*/{DONE}", f"*/{EVALS}/step-*/*.json")

_STEP = re.compile(r"step-(\d{8,})")


def run_directory(config: TrainConfig) -> Path:
    """outputs/STUDY/RUN, where a run with this configuration lies."""
    return Path(config.output_dir) / config.study / config.cell


def step_name(step: int) -> str:
    """step-00000500: the directory of a checkpoint, and of its results."""
    return f"step-{step:08d}"


def step_of(directory: Path) -> int | None:
    """The optimizer steps that a directory's name stands for; None where it is named otherwise."""
    match = _STEP.fullmatch(directory.name)
    return int(match[1]) if match else None


def step_directories(parent: Path) -> dict[int, Path]:
    """The directories step-… in `parent` by step, in order."""
    try:
        with os.scandir(parent) as entries:
            names = [entry.name for entry in entries if entry.name.startswith("step-") and entry.is_dir()]
    except OSError:
        return {}
    by_step = {step_of(parent / name): parent / name for name in names}
    return {step: by_step[step] for step in sorted(step for step in by_step if step is not None)}


def checkpoint_directory(run: Path, step: int) -> Path:
    """RUN/checkpoints/step-00000500."""
    return run / CHECKPOINTS / step_name(step)


def results_directory(run: Path, step: int) -> Path:
    """RUN/evals/step-00000500."""
    return run / EVALS / step_name(step)


def result_files(directory: Path) -> list[Path]:
    """The results in a directory: CARD.PROTOCOL.json, in order of name."""
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return []
    return [directory / name for name in names if name.endswith(".json") and not name.startswith(".")]


def examples_file(result: Path) -> Path:
    """The row per example beside a result: CARD.PROTOCOL.examples.parquet."""
    return result.with_name(f"{result.stem}.examples.parquet")


def has_examples(directory: Path) -> bool:
    """Whether a directory holds results with their rows per example."""
    return any(directory.glob("[!.]*.examples.parquet"))


def diff_until(step: int) -> str:
    """source.until-00000500.diff: the uncommitted changes that the steps before this one were made with."""
    return f"source.until-{step:08d}.diff"


def source_diffs(run: Path) -> list[Path]:
    """source.diff and source.until-STEP.diff, as far as there are such."""
    return sorted(run.glob(SOURCE_DIFFS))


def rank_log(rank: int) -> str:
    """log.txt, and log-1.txt, … of the other machines that train a run together."""
    return f"log-{rank}.txt" if rank else LOG


def is_run(directory: Path) -> bool:
    """Whether a directory is a run's."""
    return (directory / CONFIG).is_file()


def is_checkpoint(directory: Path) -> bool:
    """Whether a directory is a checkpoint of ours, whole or not."""
    return (directory / META).is_file()


def is_external(directory: Path) -> bool:
    """Whether it is outputs/eval/NAME: the scores of a checkpoint that no run here made."""
    return (directory / ORIGIN).is_file() and not is_run(directory)


def run_directories(study: Path) -> list[Path]:
    """The runs in a study, whatever their state, in order of name."""
    return sorted(path.parent for path in study.glob(f"[!.]*/{CONFIG}"))


def run_of(checkpoint: Path) -> Path:
    """The run that a checkpoint (or a directory of results) belongs to."""
    return checkpoint.parent.parent


def results_of(checkpoint: Path) -> Path:
    """Where the results of a checkpoint lie: in its run's evals/, or in its own where it was copied out of its run."""
    run = run_of(checkpoint)
    return run / EVALS / checkpoint.name if is_run(run) else checkpoint / EVALS


def outputs_of(run: Path) -> Path:
    """The outputs' directory that a run lies in, as the user typed it where the path says it."""
    typed = len(run.parts) > 2 and ".." not in run.parts
    return (run if typed else run.resolve()).parent.parent


def corpora(outputs: Path) -> Path:
    """Where the prepared corpora of `outputs` lie."""
    return outputs / CORPORA
