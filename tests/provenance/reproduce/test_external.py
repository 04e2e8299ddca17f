"""Scores of a checkpoint that no run here made, compared with the checkpoint as it is now."""

from pathlib import Path

import pytest

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import sha256_json
from zeroscale.provenance.reproduce import external
from zeroscale.runs.resolve import CheckpointRef

FILES = {"config.json": "c", "vocab.json": "v", "model.safetensors.index.json": "i", "part1.safetensors": "w"}


def target(files: dict[str, str]) -> CheckpointRef:
    return CheckpointRef("m", Path("m"), Path("out"), sha256_json(files), None, "m", None, files)


def check(files: dict[str, str], origin: dict[str, object]) -> None:
    external._check_same_model(target(files), {"checkpoint": "m", **origin})


def test_the_files_that_differ_are_named():
    origin = {"weights_hash": sha256_json(FILES), "files": FILES}
    check(FILES, origin)
    with pytest.raises(ZeroscaleError, match=r"another model than the one that was scored: config\.json is not what"):
        check({**FILES, "config.json": "d"}, origin)


def test_scores_of_older_versions_are_known_by_their_weights_alone():
    origin = {"weights_hash": sha256_json({"part1.safetensors": "w"})}
    check(FILES, origin)
    check({**FILES, "config.json": "d"}, origin)
    with pytest.raises(ZeroscaleError, match="holds other weights than those that were scored"):
        check({**FILES, "part1.safetensors": "x"}, origin)
