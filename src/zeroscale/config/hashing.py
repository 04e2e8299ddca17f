"""The settings hash: what of a run's settings can change what it computes."""

import copy
import dataclasses
from typing import TYPE_CHECKING

from zeroscale.config.raw import RawConfig

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# What cannot change what a run computes: places, logging, and what is measured on the way or afterwards.
# Everything else is part of the settings hash.
NOT_HASHED = (
    "study",
    "output_dir",
    "tracker",
    "cards",
    "cards_from",
    "data_dir",
    "data.workers",
    "model.name",
    "trainer.log_every",
    "trainer.val_every",
    "trainer.checkpoint_every",
    "trainer.keep_checkpoints",
    "trainer.score_every",
    "trainer.keep_every_tokens",
    "trainer.keep_best",
    "init_from",  # its parent's hash and step stand for it
)
# What of a run belongs to its directory and is no setting: where the files of its paths lie now, and the code that its
# name ends in. In config.yaml where it is set.
OF_DIRECTORY = ("places", "code")
# Paths that are hashed as they were typed. What they name counts by its content (`launch.identity.same_content`).
PATHS = ("data.path", "data.leave_out_ngrams", "tokenizer.path")
# Settings that came later, with the value at which a run is what it was before them: left out of the hash while they
# hold it, so that a finished run keeps its name.
NEUTRAL: RawConfig = {
    "data.url_field": None,
    "data.document_start": None,
    "data.split_on": None,
    "data.leave_out_sites": [],
    "data.leave_out_ngrams": None,
    "data.leave_out_from": 1,
    "data.drop_exact_duplicates": False,
    "data.near_duplicate_threshold": None,
    "data.near_duplicate_permutations": 128,
    "optimizer.momentum": 0.95,
    "optimizer.options": {},
    "schedule.decay_fraction": 0.2,
    "schedule.decay": "sqrt",
    "schedule.options": {},
    "trainer.compile_mode": "default",
    "trainer.activation_checkpointing": False,
    "trainer.deterministic": False,
}


def hashed(settings: RawConfig) -> RawConfig:
    """The part of `as_dict`'s value that can change a result."""
    part = copy.deepcopy({key: value for key, value in settings.items() if key not in OF_DIRECTORY})
    for key in (*NOT_HASHED, *NEUTRAL):
        *parents, last = key.split(".")
        node = part
        for parent in parents:
            node = node.get(parent, {})
        if key in NOT_HASHED or node.get(last) == NEUTRAL[key]:
            node.pop(last, None)
    return part


def without_paths(part: RawConfig) -> RawConfig:
    """`hashed` settings with one word for every path that is set."""
    part = copy.deepcopy(part)
    for group, leaf in (key.split(".") for key in PATHS):
        if part.get(group, {}).get(leaf) is not None:
            part[group][leaf] = "a path"
    return part


def as_dict(settings: "DataclassInstance") -> RawConfig:
    """Plain dicts, lists and scalars: what config.yaml and the hash hold."""

    def plain(value: object) -> object:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, list | tuple) else value

    values = dataclasses.asdict(settings).items()
    return {key: plain(value) for key, value in values if value or key not in OF_DIRECTORY}
