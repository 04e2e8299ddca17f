"""manifest.json: what a run was made with, so that it can be made again."""

import functools
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from zeroscale.config.train import Parent, TrainConfig
from zeroscale.core import json_records, machine
from zeroscale.core.files import read_object, sha256_file, sha256_json, write_bytes, write_json
from zeroscale.runs import layout, numerics
from zeroscale.runs import source as sources
from zeroscale.runs.identity import code
from zeroscale.runs.identity.code import CodeFacts
from zeroscale.runs.source import SourceFacts

if TYPE_CHECKING:
    from zeroscale.config.trainer import TrainerConfig
    from zeroscale.data.corpus import Corpus

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
# What may be another when a stopped run goes on; all else is part of its settings: the keys of `Environment`.
VARYING = ("made", "command", "source", "code", "packages", "hardware", "threads", "numerics", "variables")


class Hardware(TypedDict, total=False):
    """The machine: `gpu` is None on a CPU, `kernels` names the CPU kernels that torch chooses."""

    cpu: str
    cores: int
    memory_bytes: int | None
    system: str
    gpu: str | None
    kernels: str | None


class Environment(TypedDict, total=False):
    """With what a process computed: time, command, source, versions, machine. What was not recorded has no key."""

    made: str
    command: str
    source: SourceFacts
    code: CodeFacts
    packages: dict[str, str]
    hardware: Hardware
    threads: int
    devices: int
    numerics: numerics.Numerics
    variables: dict[str, str]


class EarlierPart(Environment, total=False):
    """With what the steps before `until_step` were made, where a run was stopped and went on."""

    until_step: int


class CorpusFacts(TypedDict, total=False):
    name: str
    fingerprint: str
    n_train_tokens: int
    n_val_tokens: int
    content: str
    """sha256 over the names and contents of the files that it was made from; none of a dataset of the hub."""


class TokenizerFacts(TypedDict, total=False):
    fingerprint: str
    vocab_size: int


class ParamCounts(TypedDict, total=False):
    """Parameters: all, without embeddings, in matrix products."""

    total: int
    non_embedding: int
    matmul: int


class Manifest(Environment, total=False):
    """manifest.json. What a version did not record yet has no key; the keys after `init_from` come with the end of
    training."""

    format: int
    settings_hash: str
    micro_batch_tokens: int
    seed: int
    corpus: CorpusFacts
    tokenizer: TokenizerFacts
    params: ParamCounts
    flops_per_token: float
    earlier: list[EarlierPart]
    init_from: Parent
    reductions: list[str]
    """What of the run is less than its settings ask for, in words."""
    train_seconds: float
    tokens_per_s: float
    mfu: float | None
    seconds: dict[str, float]
    peak_memory_bytes: int | None


def source() -> SourceFacts:
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


def environment(
    gpu: str | None,
    threads: int,
    source: sources.Source | None = None,
    trainer: "TrainerConfig | None" = None,
    environ: Mapping[str, str] = os.environ,
) -> Environment:
    """What this process computes with, whatever it computes: the part of a manifest that may vary (`VARYING`).

    Args:
        trainer: of a run, whose modes it then holds too.
        environ: the environment variables of the process that computes.
    """
    return {
        **_now(),
        "source": (source or sources.read()).facts(),
        "packages": packages(),
        "hardware": cast(Hardware, {**machine.describe(), "gpu": gpu, "kernels": _kernels()}),
        "threads": threads,
        "numerics": numerics.describe(trainer),
        "variables": numerics.variables(environ),
    }


def _now() -> Environment:
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": os.environ.get("ZEROSCALE_COMMAND", ""),
    }


def _kernels() -> str | None:
    """Which of its CPU kernels torch chooses on this processor (AVX2, AVX512, …); None where torch is not loaded."""
    torch: Any = sys.modules.get("torch")
    return torch.backends.cpu.get_cpu_capability() if torch else None


def scored_with() -> Environment:
    """`environment` of a process that scores; source, versions and machine are those that it began with."""
    import torch

    return {**_environment_at_start(), **_now(), "threads": torch.get_num_threads()}


@functools.cache
def _environment_at_start() -> Environment:
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return environment(gpu, torch.get_num_threads())


def make(
    settings: TrainConfig,
    *,
    gpu: str | None,
    threads: int,
    micro_batch_tokens: int,
    corpus: "Corpus",
    environ: Mapping[str, str] = os.environ,
) -> tuple[Manifest, sources.Source]:
    """The manifest of a run, before its first step, and the source that it names; arguments as `environment`."""
    source = sources.read()
    counts = settings.params
    manifest: Manifest = {
        "format": FORMAT,
        "settings_hash": settings.hash(),
        **environment(gpu, threads, source, settings.trainer, environ),  # type: ignore[typeddict-item]  # (a ** of some of the keys)
        "code": code.of(settings),
        "devices": settings.trainer.devices,
        "micro_batch_tokens": micro_batch_tokens,
        "seed": settings.seed,
        "corpus": {
            "name": settings.data.name,
            "fingerprint": corpus.fingerprint,
            "n_train_tokens": corpus.n_train_tokens,
            "n_val_tokens": corpus.n_val_tokens,
            **_content(corpus),
        },
        "tokenizer": {"fingerprint": corpus.tokenizer.fingerprint, "vocab_size": corpus.tokenizer.vocab_size},
        "params": {"total": counts.total, "non_embedding": counts.non_embedding, "matmul": counts.matmul},
        "flops_per_token": settings.flops_per_token,
    }
    return manifest, source


def _content(corpus: "Corpus") -> CorpusFacts:
    from zeroscale.data.corpus import SOURCE

    path = corpus.directory / SOURCE
    content = read_object(path).get("content") if path.is_file() else None
    return {"content": content} if isinstance(content, str) else {}


def write(run: Path, manifest: Manifest, source: sources.Source, first_step: int) -> None:
    """Writes manifest.json and, for a dirty source tree, source.diff beside it.

    A run that goes on from its own step `first_step` keeps, under `earlier`, with what it was made until then; the
    uncommitted changes of that time stay as source.until-STEP.diff.
    """
    path, diff = run / layout.MANIFEST, run / layout.SOURCE_DIFF
    before = json_records.read(Manifest, path) if first_step and path.is_file() else None
    if before is not None:
        earlier, went_on = _earlier(before, first_step)
        for part in earlier:
            if "code" in part and part["code"].get("hash") == manifest.get("code", {}).get("hash"):
                # Its files are listed once.
                part["code"] = {"hash": part["code"]["hash"]}
        manifest = {**manifest, "earlier": earlier}
        if went_on and diff.is_file() and diff.read_bytes() != source.diff:
            diff.rename(run / layout.diff_until(first_step))
    diff.unlink(missing_ok=True)
    if source.diff:
        write_bytes(diff, source.diff)
    write_json(path, manifest)


def _earlier(before: Manifest, first_step: int) -> tuple[list[EarlierPart], bool]:
    """Who made which steps before `first_step`, and whether the process that wrote `before` made any of them."""
    last = cast(EarlierPart, {name: before[name] for name in VARYING if name in before})  # type: ignore[literal-required]
    parts: list[EarlierPart] = []
    went_on = False
    for part in [*before.get("earlier", []), last]:
        until = min(part.get("until_step", first_step), first_step)
        if until > (parts[-1]["until_step"] if parts else 0):
            parts.append({**part, "until_step": until})
            went_on = "until_step" not in part
    return parts, went_on


def hashed_files(run: Path) -> dict[str, str]:
    """sha256 of what a finished run will not write again, by name: for DONE, so that a later change is detected.

    Checkpoints and results carry hashes of their own.
    """
    names = [layout.CONFIG, layout.MANIFEST, layout.METRICS, *(path.name for path in layout.source_diffs(run))]
    tokenizer = (run / layout.TOKENIZER).glob("*")
    names += [f"{layout.TOKENIZER}/{path.name}" for path in tokenizer if path.is_file()]
    return {name: sha256_file(run / name) for name in sorted(names) if (run / name).is_file()}


def own_hash(content: Mapping[str, object]) -> str:
    """sha256 over a JSON file's content but for its field of that name, by which an edit by hand is found."""
    # By way of JSON, so that what was written and what is read back are one.
    return sha256_json({name: value for name, value in json.loads(json.dumps(content)).items() if name != "sha256"})
