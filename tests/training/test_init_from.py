"""Runs that go on from another's checkpoint: cooldowns of one WSD trunk, and what is refused."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import SMALL, environment, write_texts
from support.once import once

from zeroscale.cli.compose import compose
from zeroscale.config.train import TrainConfig
from zeroscale.config.validate import build_config
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import lock, sha256_file
from zeroscale.runs import checkpoint, layout
from zeroscale.training import init_from
from zeroscale.training.build import corpus as build_corpus

WSD = ["schedule=wsd", "schedule.warmup_tokens=256", "init_from.run=trunk", "init_from.trunk_tokens=5120"]


def settings(*overrides: str) -> TrainConfig:
    return build_config(TrainConfig, compose("train", list(overrides)).configs[0][1])


def done(folder: Path, study: str) -> list[Path]:
    return sorted((path.parent for path in folder.glob(f"outputs/{study}/*/DONE")), key=lambda p: p.stat().st_ctime_ns)


def rows(cell: Path) -> list[dict]:
    return [json.loads(line) for line in (cell / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def ladder(tmp_path_factory) -> Path:
    """Two cooldowns of one trunk, and the same lengths trained whole; what was said is in said.txt."""
    return once(tmp_path_factory, "ladder", train_ladder)


def train_ladder(folder: Path) -> None:
    write_texts(folder / "texts")
    # Decays begin at 3072 and 4096 tokens: multiples of 1024.
    lengths = "trainer.tokens=3840,5120"
    said = command(folder, "-m", *SMALL, *WSD, "study=ladder", lengths, "trainer.keep_every_tokens=1024")
    (folder / "said.txt").write_text(said)
    assert "goes on" not in command(folder, "-m", *SMALL, *WSD[:2], "study=whole", lengths)


def command(folder: Path, *arguments: str) -> str:
    result = subprocess.run(
        [sys.executable, "-m", "zeroscale", "train", *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_cooldowns_share_one_trunk_and_are_what_whole_runs_would_be(ladder):
    (trunk,) = done(ladder, "ladder-trunk")
    branches, wholes = done(ladder, "ladder"), done(ladder, "whole")
    said = (ladder / "said.txt").read_text()
    assert len(branches) == 2 and said.count(f"{trunk.name}  step 20/20") == 1
    went_on = [line for line in said.splitlines() if "goes on from" in line]
    assert [int(line.split("step ")[1].split()[0]) for line in went_on] == [12, 16]
    assert {row["lr"] for row in rows(trunk)} == {rows(trunk)[-1]["lr"]}
    for branch, whole, tokens in zip(branches, wholes, (3840, 5120), strict=True):
        final = f"checkpoints/step-{tokens // 256:08d}/model.safetensors"
        assert sha256_file(branch / final) == sha256_file(whole / final)
        assert [row["step"] for row in rows(branch)] == list(range(1, tokens // 256 + 1))
        manifest = json.loads((branch / "manifest.json").read_text())
        assert manifest["init_from"] == {
            "parent": json.loads((trunk / "manifest.json").read_text())["settings_hash"],
            "step": tokens // 256 - (tokens // 256) // 5,
        }


def test_a_trunk_that_dropped_the_step_costs_time_and_nothing_else(ladder, tmp_path):
    """A trunk has kept its last checkpoints alone, and a branch is to leave it earlier."""
    copy = shutil.copytree(ladder, tmp_path / "copy")
    (trunk,) = done(copy, "ladder-trunk")
    (branch, _), (kept, _) = done(copy, "ladder"), done(ladder, "ladder")
    for path in checkpoint.all_of(trunk)[:-1]:
        shutil.rmtree(path)
    shutil.rmtree(branch)
    said = command(copy, *SMALL, *WSD, "study=ladder", "trainer.tokens=3840")
    assert "has kept no checkpoint of step 12" in said and "keep_every_tokens=3072" in said
    final = "checkpoints/step-00000015/model.safetensors"
    assert sha256_file(branch / final) == sha256_file(kept / final)


def test_the_parents_hash_and_step_are_in_the_branchs_hash():
    branch = settings(*WSD[:3], "init_from.trunk_tokens=1048576", "schedule.warmup_tokens=196608")
    assert branch.parent() == {"parent": branch.trunk().hash(), "step": 819}
    longer = settings(*WSD[:3], "init_from.trunk_tokens=2097152", "schedule.warmup_tokens=196608")
    named = settings("init_from.run=outputs/pocket/pocket-s-seed0-6570236b", "init_from.tokens=524288")
    assert named.parent() == {"parent": "pocket-s-seed0-6570236b", "step": 512}
    elsewhere = settings("init_from.run=/other/pocket-s-seed0-6570236b/", "init_from.tokens=524288")
    earlier = settings("init_from.run=outputs/pocket/pocket-s-seed0-6570236b", "init_from.tokens=262144")
    assert named.hash() == elsewhere.hash()
    assert len({branch.hash(), longer.hash(), named.hash(), earlier.hash(), settings().hash()}) == 5
    assert branch.trunk().study == "single-trunk" and branch.trunk().init_from.run is None


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (
            ["init_from.tokens=1280"],
            r"no checkpoint of step 5 \(init_from.tokens=1280\); it has steps: 4, 8, 12, 16, 20",
        ),
        (["optimizer=muon"], "optimizer.name was adamw, is muon"),
        (["seed=4"], "seed was 0, is 4"),
        (["data.val_fraction=0.3"], "another corpus"),
    ],
)
def test_what_cannot_be_gone_on_from_is_named(ladder, tmp_path, monkeypatch, overrides, words):
    monkeypatch.chdir(ladder)
    (trunk,) = done(Path(), "ladder-trunk")
    on = settings(*SMALL, f"init_from.run={trunk}", "init_from.tokens=4096", f"output_dir={tmp_path}", *overrides)
    corpus = build_corpus(on.data, on.tokenizer, str(tmp_path))
    with pytest.raises(ZeroscaleError, match=words):
        init_from.start(on, corpus, print)


def test_a_refusal_by_the_command_is_one_message(ladder, zeroscale, tmp_path):
    copy = shutil.copytree(ladder, tmp_path / "copy")
    (trunk,) = done(copy, "ladder-trunk")
    on = ["train", *SMALL, f"init_from.run={trunk.relative_to(copy)}", "init_from.tokens=4096", "seed=4", "study=on"]
    assert "seed was 0, is 4" in zeroscale(*on, code=1, cwd=copy).stderr


def test_a_parent_that_is_being_trained_is_waited_for(tmp_path):
    wanted = settings(f"init_from.run={tmp_path}/parent", "init_from.tokens=1024")
    told: list[str] = []
    meta = tmp_path / "parent" / "checkpoints" / "step-00000001" / "meta.json"
    with lock(tmp_path / "parent" / layout.WORKER_LOCK, 0, "busy"):

        def say(text: str) -> None:
            told.append(text)
            meta.parent.mkdir(parents=True)
            meta.write_text("{}")

        assert init_from.wait(wanted, lambda _: pytest.fail("a named parent is nobody's to train"), say) == ""
    assert len(told) == 1 and "waits for step 1" in told[0]


def test_a_trunk_that_fails_fails_its_branches(zeroscale, small, texts, tmp_path):
    arguments = ["train", *small, *WSD, "trainer.tokens=3840", "data.path=nowhere"]
    result = zeroscale(*arguments, code=1)
    assert "its trunk" in result.stderr and "nowhere" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["init_from.tokens=1024"], "init_from.tokens needs init_from.run"),
        (["init_from.run=outputs/a/b"], "needs init_from.tokens, fewer than trainer.tokens=1048576"),
        (["init_from.run=outputs/a/b", "init_from.tokens=1000"], "init_from.tokens=1000 is not a whole number of"),
        (["init_from.run=trunk"], "belongs to schedule=wsd, not to cosine"),
        (["init_from.run=trunk", "schedule=wsd"], "init_from.trunk_tokens of at least 838656"),
        (["schedule=wsd", "schedule.warmup_tokens=900000"], "does not end before the decay begins, at 838656"),
        (["trainer.keep_every_tokens=1000"], "is not a whole number of batches"),
        (["trainer.keep_best=true", "trainer.val_every=100"], "must be a multiple of trainer.val_every=100"),
    ],
)
def test_settings_that_cannot_work_are_faults(overrides, words):
    with pytest.raises(ZeroscaleError, match=words):
        settings(*overrides)
