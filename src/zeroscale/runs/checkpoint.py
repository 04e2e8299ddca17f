"""Checkpoints as directories on disk: where they lie, whether they are whole, which are kept.

Reading one needs neither torch nor Lightning; `training.train_state` writes and restores them.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from zeroscale.core import json_records
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import sha256_file
from zeroscale.runs import layout
from zeroscale.runs.layout import META

FORMAT = 2
_CONTINUED_FROM = 2
"""The oldest format that a run goes on from; older ones can be scored."""


# The keys with a slash are none that a class could have. What a version did not record has no key.
Meta = TypedDict(
    "Meta",
    {
        "format": NotRequired[int],
        "settings": NotRequired[dict[str, Any]],
        "settings_hash": NotRequired[str],
        "tokenizer": NotRequired[str],
        "corpus": NotRequired[str],
        "step": NotRequired[int],
        "tokens": NotRequired[int],
        "val/loss": NotRequired[float | None],
        "on_request": NotRequired[bool],
        "sha256": dict[str, str],
    },
)
"""meta.json of a checkpoint: fingerprints of its tokenizer and corpus, and the sha256 of its files by name."""


class NewerFormat(ZeroscaleError):
    """A later version of this package wrote the checkpoint: to pass it over would be to train over it."""


def step_of(path: Path) -> int:
    """The optimizer steps behind a checkpoint, from its name."""
    step = layout.step_of(path)
    assert step is not None, path
    return step


def meta(directory: Path) -> Meta:
    """meta.json of a checkpoint, whose files may be others by now.

    Raises:
        ZeroscaleError: it is missing or damaged.
    """
    return json_records.read(Meta, directory / META)


def verify(directory: Path) -> Meta:
    """meta.json of a whole checkpoint.

    Raises:
        ZeroscaleError: a file is missing or is not what was written.
        NewerFormat: a newer version wrote it.
    """
    if not (directory / META).is_file():
        raise ZeroscaleError(f"{directory} is not a checkpoint: it has no {META}")
    found = meta(directory)
    if found.get("format", 0) > FORMAT:
        raise NewerFormat(
            f"{directory} was written by a newer zeroscale (format {found.get('format')}, this one knows {FORMAT}): "
            "update this one, or choose another output_dir"
        )
    if layout.WEIGHTS not in found["sha256"]:
        raise ZeroscaleError(f"{directory / META}: sha256 has no {layout.WEIGHTS}, so the weights cannot be verified")
    for name, expected in found["sha256"].items():
        if not (directory / name).is_file():
            raise ZeroscaleError(f"{directory} is not whole: {name} is missing")
        if sha256_file(directory / name) != expected:
            raise ZeroscaleError(f"{directory / name} is not what was written: its sha256 differs from {META}'s")
    return found


def read_meta(directory: Path) -> Meta:
    """`verify` for a run that goes on from here: an older format has no optimizer state that this version reads."""
    found = verify(directory)
    if found.get("format", 0) < _CONTINUED_FROM:
        raise ZeroscaleError(
            f"{directory} was written by an older zeroscale (format {found.get('format')}): it can be scored, but not "
            f"trained on; remove {layout.run_of(directory)} to start anew"
        )
    return found


def all_of(run: Path) -> list[Path]:
    """The run's checkpoints by step, oldest first, whole or not."""
    return list(layout.step_directories(run / layout.CHECKPOINTS).values())


def latest(run: Path, say: Callable[[str], None], at_most: int | None = None) -> Path | None:
    """The newest whole checkpoint (of at most so many steps); a bad one is passed over with a word for the one before.

    Raises:
        NewerFormat: the newest was written by a newer version.
    """
    for path in reversed(all_of(run)):
        if at_most is not None and step_of(path) > at_most:
            continue
        try:
            verify(path)
            return path
        except NewerFormat:
            raise
        except ZeroscaleError as error:
            say(f"{error}; trying the checkpoint before it")
    return None


@dataclass(frozen=True)
class RetentionPolicy:
    """Which checkpoints stay: the last `last`, those at every `every_tokens` tokens, and the best on held-out text.

    A checkpoint written because of a stop signal stays until the next one exists and counts for none of these, so that
    an interrupted run leaves the same checkpoints as an uninterrupted one.
    """

    last: int
    every_tokens: int | None = None
    best: bool = False

    def keep(self, run: Path) -> set[Path]:
        """Those of the run's checkpoints that stay."""
        paths = all_of(run)
        metas = {path: _meta(path) for path in paths}
        regular = [path for path in paths if not metas[path].get("on_request")]
        keep = {*regular[-self.last :], *paths[-1:]}
        if self.every_tokens is not None:
            keep |= {path for path in regular if metas[path].get("tokens", 1) % self.every_tokens == 0}
        measured = {path: metas[path].get("val/loss") for path in regular}
        losses = {path: loss for path, loss in measured.items() if loss is not None}
        if self.best and losses:
            keep.add(min(losses, key=losses.__getitem__))
        return keep


def _meta(path: Path) -> Meta:
    try:
        return meta(path)
    except ZeroscaleError:
        return {"sha256": {}}


def prune(run: Path, policy: RetentionPolicy) -> None:
    """Removes what the policy does not keep."""
    keep = policy.keep(run)
    for path in all_of(run):
        if path not in keep:
            remove(path)


def remove(path: Path) -> None:
    """Removes a checkpoint: out of sight at once, so that a kill in the middle leaves no half of one."""
    hidden = path.with_name(f".{path.name}.old.tmp")
    shutil.rmtree(hidden, ignore_errors=True)
    try:
        path.rename(hidden)
    except FileNotFoundError:
        return
    shutil.rmtree(hidden, ignore_errors=True)


def remove_partial(run: Path) -> None:
    """Clears away what a killed process left half-written or half-removed."""
    for leftover in (run / layout.CHECKPOINTS).glob(".step-*.tmp"):
        shutil.rmtree(leftover, ignore_errors=True)
