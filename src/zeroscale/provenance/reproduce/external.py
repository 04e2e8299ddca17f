"""Score a checkpoint that no run here made again: a Hugging Face directory, or a commit of the hub."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import sha256_json
from zeroscale.core.hub import model_files
from zeroscale.provenance import recorded_run
from zeroscale.provenance.reproduce import rescore
from zeroscale.runs import layout, manifest, resolve
from zeroscale.runs.manifest import Environment
from zeroscale.runs.resolve import Origin, read_origin
from zeroscale.runs.results import ResultFile, read_directory

if TYPE_CHECKING:
    from zeroscale.provenance.reproduce.request import ReproduceRequest

Say = Callable[[str], None]


def check(directory: Path) -> recorded_run.Check:
    """Compares every result and its records with their sha256."""
    checks = recorded_run.Check()
    for result in read_directory(directory / layout.EVALS):
        recorded_run.check_result(result.path, checks)
    return checks


def environments(results: list[ResultFile]) -> tuple[Environment, Environment]:
    """The environment in which the last result was scored, as far as it is recorded, and this one."""
    import torch

    recorded = next((result.made for result in reversed(results) if result.made), Environment())
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return recorded, manifest.environment(gpu, recorded.get("threads") or torch.get_num_threads())


def score_again(
    directory: Path, request: "ReproduceRequest", say: Say
) -> tuple[Path, list[ResultFile], list[ResultFile]]:
    """Where they were scored again, the recorded results, and the new ones.

    Raises:
        ZeroscaleError: there are none, or the checkpoint is gone, or its weights are others.
    """
    origin, recorded = read_origin(directory), read_directory(directory / layout.EVALS)
    if not recorded:
        raise ZeroscaleError(f"{directory} holds no results: there is nothing to compare with")
    if request.steps:
        raise ZeroscaleError(f"steps is for runs that are trained again; {directory} holds scores alone")
    target = resolve.resolve_checkpoint(origin["checkpoint"], request.out, origin.get("commit"))
    _check_same_model(target, origin)
    if target.out.parent.resolve() == directory.resolve():
        raise ZeroscaleError(f"out={request.out} is where the scores themselves lie; choose another directory")
    options: dict[str, Any] = {"output_dir": str(request.out)}
    for threads in sorted({_threads(result) for result in recorded}):
        group = [result for result in recorded if _threads(result) == threads]
        say(f"  scoring    {', '.join(result.name for result in group)}" + (f", {threads} threads" if threads else ""))
        rescore.score(group, target, request.data_dir, threads or None, options, say)
    return target.out.parent, recorded, read_directory(target.out)


def _threads(result: ResultFile) -> int:
    """CPU threads of all devices together; 0 where they were not recorded."""
    made = result.made or Environment()
    return (made.get("threads") or 0) * (made.get("devices") or 1)


def _check_same_model(target: resolve.CheckpointRef, origin: Origin) -> None:
    """Scores that were written before configuration and tokenizer counted are known by the hash of the weights alone.

    Raises:
        ZeroscaleError: the checkpoint holds another model than the one that was scored.
    """
    recorded = origin.get("files")
    if target.weights_hash == origin.get("weights_hash"):
        return
    if not isinstance(recorded, dict):
        if sha256_json(model_files.weights_only(target.files)) == origin.get("weights_hash"):
            return
        raise ZeroscaleError(
            f"{origin['checkpoint']} holds other weights than those that were scored (not sha256 "
            f"{str(origin.get('weights_hash'))[:12]}): bring them back"
        )
    changed = [name for name in sorted({*recorded, *target.files}) if recorded.get(name) != target.files.get(name)]
    raise ZeroscaleError(
        f"{origin['checkpoint']} holds another model than the one that was scored: {', '.join(changed)} is not what it"
        " was. Bring the files back"
    )
