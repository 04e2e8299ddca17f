"""Checkpoints as directories: model.safetensors, trainer.pt, meta.json with a sha256 of each; whole or absent."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import CheckpointIO
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from zeroscale.errors import ZeroscaleError
from zeroscale.files import read_json, sha256_file, write_directory, write_json

WEIGHTS = "model.safetensors"
STATE = "trainer.pt"
META = "meta.json"
FORMAT = 1
_PREFIX = "model."


def path_of(cell: Path, step: int) -> Path:
    """checkpoints/step-00000500."""
    return cell / "checkpoints" / f"step-{step:08d}"


def step_of(path: Path) -> int:
    """The optimizer steps behind a checkpoint, from its name."""
    return int(path.name.removeprefix("step-"))


@contextmanager
def _full_disk_is_an_os_error(directory: Path, needed: int) -> Iterator[None]:
    """torch and safetensors tell of a full disk in errors of their own; this gives them the kernel's name for it."""
    try:
        yield
    except (RuntimeError, SafetensorError) as error:
        if shutil.disk_usage(directory).free < needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(directory)) from error
        raise


class DirectoryIO(CheckpointIO):
    """Lightning's checkpoints in our layout. `describe(step)` gives what meta.json says beside the hashes."""

    def __init__(self, describe: Callable[[int], dict[str, Any]]) -> None:
        self._describe = describe

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        step = int(checkpoint["global_step"])
        tensors = {name.removeprefix(_PREFIX): value.contiguous() for name, value in checkpoint["state_dict"].items()}
        state = {key: value for key, value in checkpoint.items() if key != "state_dict"}

        def fill(directory: Path) -> None:
            with _full_disk_is_an_os_error(directory, sum(value.nbytes for value in tensors.values())):
                save_file(tensors, directory / WEIGHTS)
                torch.save(state, directory / STATE)
            hashes = {name: sha256_file(directory / name) for name in (WEIGHTS, STATE)}
            write_json(directory / META, {"format": FORMAT, "step": step, **self._describe(step), "sha256": hashes})

        write_directory(Path(path), fill)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: Any = None) -> dict[str, Any]:
        directory = Path(path)
        state = torch.load(directory / STATE, map_location=map_location or "cpu", weights_only=True)
        weights = load_file(directory / WEIGHTS)
        state["state_dict"] = {_PREFIX + name: value for name, value in weights.items()}
        return state

    def remove_checkpoint(self, path: Any) -> None:
        shutil.rmtree(path, ignore_errors=True)


def verify(directory: Path) -> dict[str, Any]:
    """meta.json of a whole checkpoint.

    Raises:
        ZeroscaleError: a file is missing or is not what was written, or a newer version wrote it.
    """
    if not (directory / META).is_file():
        raise ZeroscaleError(f"{directory} is not a checkpoint: it has no {META}")
    meta = read_json(directory / META)
    if meta.get("format", 0) > FORMAT:
        raise ZeroscaleError(f"{directory} was written by a newer zeroscale (format {meta['format']}); update this one")
    for name, expected in meta["sha256"].items():
        if not (directory / name).is_file():
            raise ZeroscaleError(f"{directory} is not whole: {name} is missing")
        if sha256_file(directory / name) != expected:
            raise ZeroscaleError(f"{directory / name} is not what was written: its sha256 differs from {META}'s")
    return meta


def all_of(cell: Path) -> list[Path]:
    """The cell's checkpoints by step, oldest first."""
    return sorted((cell / "checkpoints").glob("step-" + "[0-9]" * 8))


def latest(cell: Path, say: Callable[[str], None]) -> Path | None:
    """The newest whole checkpoint; a bad one is passed over with a word for the one before it."""
    for path in reversed(all_of(cell)):
        try:
            verify(path)
            return path
        except ZeroscaleError as error:
            say(f"{error}; trying the checkpoint before it")
    return None


def prune(cell: Path, keep: int) -> None:
    """Leaves the last `keep` checkpoints."""
    for path in all_of(cell)[:-keep]:
        shutil.rmtree(path, ignore_errors=True)
