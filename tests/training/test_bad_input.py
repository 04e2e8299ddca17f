"""What a run meets that it must refuse, by the command line: one clear message each, and nothing is lost by it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import SMALL, environment, write_texts
from support.once import once

from zeroscale.core.files import sha256_file
from zeroscale.runs import status


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "zeroscale", *arguments], cwd=folder, env=environment(), capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory) -> Path:
    """A folder with a corpus and a run of which 15 of 20 steps are done."""
    return once(tmp_path_factory, "interrupted", interrupt)


def interrupt(folder: Path) -> None:
    write_texts(folder / "texts")
    result = command(folder, "train", *SMALL)
    assert result.returncode == 0, result.stderr
    (cell,) = (path.parent for path in folder.glob("outputs/single/*/DONE"))
    (cell / "DONE").unlink()
    shutil.rmtree(cell / "checkpoints" / "step-00000020")
    status.write(cell, "resumable", "stopped on request after step 15", 15)


@pytest.fixture
def folder(interrupted, tmp_path) -> Path:
    """A copy of it, to be damaged."""
    return shutil.copytree(interrupted, tmp_path / "copy")


def corpus(folder: Path) -> Path:
    (index,) = folder.glob("outputs/corpora/*/index.json")
    return index.parent


def change_a_text(folder: Path) -> None:
    with open(folder / "texts" / "003.txt", "a") as file:
        file.write("more\n")


def lose_a_shard(folder: Path) -> None:
    (corpus(folder) / "train-00000.bin").unlink()


def cut_a_shard(folder: Path) -> None:
    shard = corpus(folder) / "train-00000.bin"
    shard.write_bytes(shard.read_bytes()[:-2])


def change_a_token(folder: Path, token: int = 7) -> None:
    shard = corpus(folder) / "train-00000.bin"
    tokens = np.fromfile(shard, dtype="<u2")
    tokens[::16] = token
    tokens.tofile(shard)


def forge_tokens_beyond_the_vocabulary(folder: Path) -> None:
    change_a_token(folder, 300)
    index = corpus(folder) / "index.json"
    value = json.loads(index.read_text())
    value["splits"]["train"]["shards"][0]["sha256"] = sha256_file(corpus(folder) / "train-00000.bin")
    index.write_text(json.dumps(value))


def prepare_another_corpus(folder: Path) -> None:
    shutil.rmtree(corpus(folder))
    change_a_text(folder)


def meet_a_newer_version(folder: Path) -> None:
    (meta,) = folder.glob("outputs/single/*/checkpoints/step-00000015/meta.json")
    meta.write_text(json.dumps({**json.loads(meta.read_text()), "format": 99}))


def nothing(folder: Path) -> None:
    """The arguments are at fault."""


@pytest.mark.parametrize(
    ("damage", "arguments", "words"),
    [
        (change_a_text, [], "made from files that have changed since (003.txt has another size)"),
        (lose_a_shard, [], "train-00000.bin is missing: the corpus is damaged; delete"),
        (cut_a_shard, [], "the corpus is damaged; delete"),
        (change_a_token, [], "train-00000.bin has changed since it was written: delete"),
        (forge_tokens_beyond_the_vocabulary, [], "is 300, beyond the vocabulary of 257"),
        (prepare_another_corpus, [], "was trained with another corpus (fingerprint"),
        (meet_a_newer_version, [], "was written by a newer zeroscale (format 99, this one knows 2): update this one"),
        (nothing, ["data.val_fraction=1.0e-9"], "the validation split is empty: 30 documents"),
        (nothing, ["trainer.batch_tokens=250"], "trainer.batch_tokens=250 is not divisible by context × devices"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_it_is_one_message_and_the_checkpoints_stay(folder, damage, arguments, words):
    damage(folder)
    result = command(folder, "train", *SMALL, *arguments)
    assert result.returncode in (1, 2)
    assert words in result.stderr and "Traceback" not in result.stdout + result.stderr
    assert len([line for line in result.stderr.splitlines() if words in line]) == 1
    (cell,) = (path.parent.parent for path in folder.glob("outputs/single/*/checkpoints/step-00000015"))
    assert {path.name for path in (cell / "checkpoints").iterdir()} >= {"step-00000015"}
    if not arguments:
        assert status.read(cell).state == "failed" and words in status.read(cell).reason


def test_undamaged_it_goes_on(folder):
    result = command(folder, "train", *SMALL)
    assert result.returncode == 0 and "goes on from step 15" in result.stdout
