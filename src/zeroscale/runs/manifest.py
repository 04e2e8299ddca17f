"""manifest.json: what a run was made with, so that it can be made again."""

import functools
import importlib.metadata
import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zeroscale.config.train import TrainConfig
from zeroscale.core import machine
from zeroscale.core.files import read_json, sha256_file, sha256_json, write_bytes, write_json
from zeroscale.runs import source as sources

MANIFEST = "manifest.json"
DIFF = "source.diff"
FORMAT = 2
"""Of manifest.json; files without one are of format 1."""

# What a number can depend on.
PACKAGES = (
    "torch",
    "pytorch-lightning",
    "numpy",
    "tokenizers",
    "safetensors",
    "datasets",
    "evaluate",
    "sacrebleu",
    "rouge-score",
    "hydra-core",
    "pydantic",
    "wandb",
)
# Variables with which a user, or a cluster, changes what the libraries compute; recorded where they are set.
VARIABLES = (
    "ATEN_CPU_CAPABILITY",
    "CUBLAS_WORKSPACE_CONFIG",
    "DNNL_MAX_CPU_ISA",
    "MKL_CBWR",
    "MKL_NUM_THREADS",
    "NVIDIA_TF32_OVERRIDE",
    "ONEDNN_MAX_CPU_ISA",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
)
# What may be another when a stopped run goes on; all else is part of its settings.
VARYING = ("made", "command", "source", "packages", "hardware", "threads", "variables")


def source() -> dict[str, Any]:
    """The checkout that this package runs from: version, revision, dirty, rooms; an installed wheel has no revision."""
    return sources.read().facts()


def packages() -> dict[str, str]:
    """Installed versions of the packages that results depend on."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def surroundings(gpu: str | None, threads: int, found: sources.Source | None = None) -> dict[str, Any]:
    """What this process computes with, whatever it computes: the part of a manifest that may vary (`VARYING`)."""
    return {
        **_now(),
        "source": (found or sources.read()).facts(),
        "packages": packages(),
        "hardware": {**machine.describe(), "gpu": gpu, "kernels": _kernels()},
        "threads": threads,
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
    }


def _now() -> dict[str, str]:
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": os.environ.get("ZEROSCALE_COMMAND", ""),
    }


def _kernels() -> str | None:
    """Which of its CPU kernels torch chooses on this processor (AVX2, AVX512, …); None where torch is not loaded."""
    torch = sys.modules.get("torch")
    return torch.backends.cpu.get_cpu_capability() if torch else None


def scored_with() -> dict[str, Any]:
    """`surroundings` of a process that scores; source, versions and machine are those that it began with."""
    import torch

    return {**_surroundings_once(), **_now(), "threads": torch.get_num_threads()}


@functools.cache
def _surroundings_once() -> dict[str, Any]:
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return surroundings(gpu, torch.get_num_threads())


def make(
    settings: TrainConfig, *, gpu: str | None, threads: int, micro_batch_tokens: int, corpus: Any
) -> tuple[dict[str, Any], sources.Source]:
    """The manifest of a cell, before its first step, and the source that it names."""
    found = sources.read()
    counts = settings.params
    facts = {
        "format": FORMAT,
        "settings_hash": settings.hash(),
        **surroundings(gpu, threads, found),
        "devices": settings.trainer.devices,
        "micro_batch_tokens": micro_batch_tokens,
        "seed": settings.seed,
        "corpus": {
            "name": settings.data.name,
            "fingerprint": corpus.fingerprint,
            "n_train_tokens": corpus.n_train_tokens,
            "n_val_tokens": corpus.n_val_tokens,
        },
        "tokenizer": {"fingerprint": corpus.tokenizer.fingerprint, "vocab_size": corpus.tokenizer.vocab_size},
        "params": {"total": counts.total, "non_embedding": counts.non_embedding, "matmul": counts.matmul},
        "flops_per_token": settings.flops_per_token,
    }
    return facts, found


def write(cell: Path, facts: dict[str, Any], found: sources.Source, first_step: int) -> None:
    """Writes manifest.json and, for a dirty source tree, source.diff beside it.

    A run that goes on from its own step `first_step` keeps, under `earlier`, with what it was made until then; the
    uncommitted changes of that time stay as source.until-STEP.diff.
    """
    before = read_json(cell / MANIFEST) if first_step and (cell / MANIFEST).is_file() else None
    if isinstance(before, dict):
        earlier, went_on = _earlier(before, first_step)
        facts = {**facts, "earlier": earlier}
        if went_on and (cell / DIFF).is_file() and (cell / DIFF).read_bytes() != found.diff:
            (cell / DIFF).rename(cell / f"source.until-{first_step:08d}.diff")
    (cell / DIFF).unlink(missing_ok=True)
    if found.diff:
        write_bytes(cell / DIFF, found.diff)
    write_json(cell / MANIFEST, facts)


def _earlier(before: dict[str, Any], first_step: int) -> tuple[list[dict[str, Any]], bool]:
    """Who made which steps before `first_step`, and whether the process that wrote `before` made any of them."""
    stretches = [*before.get("earlier", []), {name: before[name] for name in VARYING if name in before}]
    kept: list[dict[str, Any]] = []
    went_on = False
    for stretch in stretches:
        until = min(stretch.get("until_step", first_step), first_step)
        if until > (kept[-1]["until_step"] if kept else 0):
            kept.append({**stretch, "until_step": until})
            went_on = "until_step" not in stretch
    return kept, went_on


def hashed_files(cell: Path) -> dict[str, str]:
    """sha256 of what a finished cell will not write again, by name: for DONE, so that a later change can be told.

    Checkpoints and results carry hashes of their own.
    """
    names = ["config.yaml", MANIFEST, "metrics.jsonl"]
    names += [path.name for path in cell.glob("source*.diff")]
    names += [f"tokenizer/{path.name}" for path in (cell / "tokenizer").glob("*") if path.is_file()]
    return {name: sha256_file(cell / name) for name in sorted(names) if (cell / name).is_file()}


def own_hash(content: dict[str, Any]) -> str:
    """sha256 over a JSON file's content but for its field of that name, by which a number edited by hand is told."""
    # By way of JSON, so that what was written and what is read back are one.
    return sha256_json({name: value for name, value in json.loads(json.dumps(content)).items() if name != "sha256"})
