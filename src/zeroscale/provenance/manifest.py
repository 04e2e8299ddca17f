"""manifest.json: what a run was made with, so that it can be made again."""

import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

from zeroscale import __version__, paths
from zeroscale.provenance import machine
from zeroscale.settings import TrainSettings

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


def source() -> dict[str, Any]:
    """The checkout that this package runs from: {"revision", "dirty", "diff"}; an installed wheel has none."""
    root = paths.share()
    if not (root / ".git").exists():
        return {"version": __version__, "revision": None, "dirty": None, "diff": ""}

    def git(*arguments: str) -> str:
        result = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
        return result.stdout if result.returncode == 0 else ""

    # Only what can change a result; a README edit makes no run dirty.
    parts = ["src", "conf", "evals", "sweeps"]
    diff = git("diff", "HEAD", "--", *parts)
    untracked = git("ls-files", "--others", "--exclude-standard", "--", *parts)
    return {
        "version": __version__,
        "revision": git("rev-parse", "HEAD").strip() or None,
        "dirty": bool(diff or untracked),
        "diff": diff,
    }


def packages() -> dict[str, str]:
    """Installed versions of the packages that results depend on."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def make(
    settings: TrainSettings, *, command: str, gpu: str | None, threads: int, micro_batch_tokens: int, corpus: Any
) -> dict[str, Any]:
    """The manifest of a cell, before its first step."""
    revision = source()
    counts = settings.params
    return {
        "settings_hash": settings.hash(),
        "command": command,
        "source": {key: value for key, value in revision.items() if key != "diff"},
        "packages": packages(),
        "hardware": {**machine.describe(), "gpu": gpu},
        "threads": threads,
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


def write_diff(directory: Path) -> None:
    """Keeps the uncommitted changes of a dirty source tree beside the run, as source.diff."""
    from zeroscale.files import write_text

    difference = source()["diff"]
    if difference:
        write_text(directory / "source.diff", difference)
