"""Scores of a checkpoint that is no run of ours, made again: of a Hugging Face directory, or of a commit of the hub."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_json
from zeroscale.provenance import recorded_run
from zeroscale.provenance.reproduce import rescore
from zeroscale.runs import layout, manifest, resolve
from zeroscale.runs.results import ResultFile, read_directory

if TYPE_CHECKING:
    from zeroscale.provenance.reproduce.request import ReproduceRequest

Say = Callable[[str], None]


def check(directory: Path) -> recorded_run.Check:
    """Compares every result and its records with their sha256."""
    checks = recorded_run.Check()
    for one in read_directory(directory / layout.EVALS):
        recorded_run.check_result(one.path, checks)
    return checks


def surroundings(results: list[ResultFile]) -> tuple[dict[str, Any], dict[str, Any]]:
    """With what the last of them was scored, as far as it is recorded, and with what it would be here."""
    import torch

    then = next((made for one in reversed(results) if (made := one.content.get("made"))), {})
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return then, manifest.environment(gpu, then.get("threads") or torch.get_num_threads())


def score_again(
    directory: Path, wanted: "ReproduceRequest", say: Say
) -> tuple[Path, list[ResultFile], list[ResultFile]]:
    """Where they were scored again, the recorded results, and the new ones.

    Raises:
        ZeroscaleError: there are none, or the checkpoint is gone, or its weights are others.
    """
    origin, then = read_json(directory / layout.ORIGIN), read_directory(directory / layout.EVALS)
    if not then:
        raise ZeroscaleError(f"{directory} holds no results: there is nothing to compare with")
    if wanted.steps:
        raise ZeroscaleError(f"steps is for runs that are trained again; {directory} holds scores alone")
    target = resolve.resolve_checkpoint(origin["checkpoint"], wanted.out, origin.get("commit"))
    if target.weights_hash != origin["weights_hash"]:
        raise ZeroscaleError(
            f"{origin['checkpoint']} holds other weights than those that were scored (sha256 "
            f"{target.weights_hash[:12]}, not {origin['weights_hash'][:12]}): bring them back"
        )
    if target.out.parent.resolve() == directory.resolve():
        raise ZeroscaleError(f"out={wanted.out} is where the scores themselves lie; choose another directory")
    asked: dict[str, Any] = {"output_dir": str(wanted.out)}
    for threads in sorted({(one.content.get("made") or {}).get("threads") or 0 for one in then}):
        these = [one for one in then if ((one.content.get("made") or {}).get("threads") or 0) == threads]
        say(f"  scoring    {', '.join(one.name for one in these)}" + (f", {threads} threads" if threads else ""))
        rescore.score(these, target, wanted.data_dir, threads or None, asked, say)
    return target.out.parent, then, read_directory(target.out)
