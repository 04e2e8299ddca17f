"""Runs that go on from another's checkpoint: cooldowns of one WSD trunk, and what is refused."""

import json
from pathlib import Path

import pytest

from zeroscale import parents, status
from zeroscale.cli import compose
from zeroscale.errors import ZeroscaleError
from zeroscale.files import lock, sha256_file
from zeroscale.settings import TrainSettings
from zeroscale.strict import build

WSD = ["schedule=wsd", "schedule.warmup_tokens=256", "init_from.run=trunk", "init_from.trunk_tokens=5120"]


def settings(*overrides: str) -> TrainSettings:
    return build(TrainSettings, compose("train", list(overrides)).configs[0][1])


def done(folder: Path, study: str) -> list[Path]:
    return sorted((path.parent for path in folder.glob(f"outputs/{study}/*/DONE")), key=lambda p: p.stat().st_ctime_ns)


def rows(cell: Path) -> list[dict]:
    return [json.loads(line) for line in (cell / "metrics.jsonl").read_text().splitlines()]


def test_cooldowns_share_one_trunk_and_are_what_whole_runs_would_be(zeroscale, small, texts, tmp_path):
    # Decays begin at 3072 and 4096 tokens: multiples of 1024.
    sweep = ["train", "-m", *small, *WSD, "study=ladder", "trainer.tokens=3840,5120", "trainer.keep_every_tokens=1024"]
    output = zeroscale(*sweep).stdout
    (trunk,) = done(tmp_path, "ladder-trunk")
    branches = done(tmp_path, "ladder")
    assert len(branches) == 2 and output.count(f"{trunk.name}  step 20/20") == 1
    assert [int(line.split("step ")[1].split()[0]) for line in output.splitlines() if "goes on from" in line] == [
        12,
        16,
    ]
    assert {row["lr"] for row in rows(trunk)} == {rows(trunk)[-1]["lr"]}
    for branch, tokens in zip(branches, (3840, 5120), strict=True):
        whole = zeroscale("train", *small, *WSD[:2], f"trainer.tokens={tokens}", f"study=whole{tokens}")
        assert "goes on" not in whole.stdout
        (whole,) = done(tmp_path, f"whole{tokens}")
        final = f"checkpoints/step-{tokens // 256:08d}/model.safetensors"
        assert sha256_file(branch / final) == sha256_file(whole / final)
        assert [row["step"] for row in rows(branch)] == list(range(1, tokens // 256 + 1))
        manifest = json.loads((branch / "manifest.json").read_text())
        assert manifest["init_from"] == {
            "parent": json.loads((trunk / "manifest.json").read_text())["settings_hash"],
            "step": tokens // 256 - (tokens // 256) // 5,
        }


def test_a_trunk_that_dropped_the_step_costs_time_and_nothing_else(zeroscale, small, texts, tmp_path):
    arguments = ["train", *small, *WSD, "trainer.tokens=3840"]
    kept = zeroscale(*arguments, "study=kept", "trainer.keep_every_tokens=1024")
    assert "goes on from step 12" in kept.stdout
    dropped = zeroscale(*arguments, "study=dropped")
    assert "has kept no checkpoint of step 12" in dropped.stdout and "keep_every_tokens=3072" in dropped.stdout
    (one,), (two,) = done(tmp_path, "kept"), done(tmp_path, "dropped")
    final = "checkpoints/step-00000015/model.safetensors"
    assert one.name == two.name and sha256_file(one / final) == sha256_file(two / final)


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


def test_what_cannot_be_gone_on_from_is_named(zeroscale, small, texts, tmp_path):
    zeroscale("train", *small, "study=parent")
    (parent,) = done(tmp_path, "parent")
    on = ["train", *small, f"init_from.run={parent.relative_to(tmp_path)}", "study=on"]
    for arguments, words in (
        (["init_from.tokens=1280"], "has no checkpoint of step 5 (init_from.tokens=1280); it has steps: 15, 20"),
        (["init_from.tokens=3840", "optimizer=muon"], "optimizer.name was adamw, is muon"),
        (["init_from.tokens=3840", "seed=4"], "seed was 0, is 4"),
        (["init_from.tokens=3840", "data.val_fraction=0.3"], "another corpus"),
    ):
        assert words in zeroscale(*on, *arguments, code=1).stderr


def test_a_parent_that_is_being_trained_is_waited_for(tmp_path):
    wanted = settings(f"init_from.run={tmp_path}/parent", "init_from.tokens=1024")
    told: list[str] = []
    checkpoint = tmp_path / "parent" / "checkpoints" / "step-00000001" / "meta.json"
    with lock(tmp_path / "parent" / status.LOCK, 0, "busy"):

        def say(text: str) -> None:
            told.append(text)
            checkpoint.parent.mkdir(parents=True)
            checkpoint.write_text("{}")

        assert parents.wait(wanted, lambda _: pytest.fail("a named parent is nobody's to train"), say) == ""
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
