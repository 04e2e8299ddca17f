"""Cells as child processes, for real: trained, failed, killed, resumed, skipped."""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from zeroscale.core.files import read_json, sha256_file
from zeroscale.launch import launcher
from zeroscale.runs import status

# So long that it is caught in the middle however late a busy machine comes to it: it is never trained to its end.
LONG = ["trainer.tokens=15360000", "trainer.checkpoint_every=20", "trainer.val_every=50"]
# What the fixture `trained` was trained with.
TRAINED = ["tokenizer=bpe", "tokenizer.vocab_size=300", "model.vocab_size=320", "cards=[lambada]", "cards_from=sample"]


def cells(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob("outputs/*/*/config.yaml"))


def rows(cell: Path) -> list[dict]:
    return [json.loads(line) for line in (cell / "metrics.jsonl").read_text().splitlines()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def gone(pid: int, seconds: float = 120) -> bool:
    deadline = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(pid)


def test_a_cell_leaves_everything_behind_and_is_not_run_twice(zeroscale, small, trained, tmp_path):
    (cell,) = cells(tmp_path)
    assert status.read(cell).state == "done" and status.read_done(cell)["cards"] == ["lambada"]
    config = yaml.safe_load((cell / "config.yaml").read_text())
    manifest = read_json(cell / "manifest.json")
    assert config["trainer"]["tokens"] == 5120
    assert manifest["settings_hash"][:8] == cell.name[-8:] and manifest["micro_batch_tokens"] == 256
    assert manifest["command"].startswith("zeroscale train model.n_layer=1 ") and "hydra" not in manifest["command"]
    assert manifest["params"]["total"] == 320 * 16 + 32 * 16 + 12 * 16 * 16 + 13 * 16 + 2 * 16
    logged = rows(cell)
    assert [row["step"] for row in logged] == list(range(1, 21))
    assert logged[-1]["train/loss"] < logged[0]["train/loss"] and logged[-1]["tokens"] == 5120
    assert [row["step"] for row in logged if "val/loss" in row] == [10, 20]
    said = (tmp_path / "said.txt").read_text()
    assert "step 20/20" in said and "done in" in said and "zeroscale report study=outputs/single" in said
    log = (cell / "log.txt").read_text()
    # What libraries say of themselves, of absent devices and of loaders is for nobody.
    words = ("GPU", "TPU", "Tip", "litlogger", "num_workers", "Trainer", "Warning", "wandb")
    assert not [word for word in words if word in log + said]
    held_out = read_json(cell / "evals" / "step-00000020" / "held_out.corpus.json")
    # One function measures both, so both are one number.
    assert held_out["metrics"]["loss"]["value"] == pytest.approx(logged[-1]["val/loss"], abs=1e-12)
    lambada = read_json(cell / "evals" / "step-00000020" / "lambada.paper.json")
    assert lambada["is_sample"] and lambada["n"] >= 12
    ledger = (tmp_path / "outputs" / "single" / "results.csv").read_text()
    assert "lambada/acc/low" in ledger and cell.name in ledger
    before = {path: path.stat().st_mtime_ns for path in cell.rglob("*") if path.is_file()}
    again = zeroscale("train", *small, *TRAINED)
    assert "done already" in again.stdout
    assert before == {path: path.stat().st_mtime_ns for path in cell.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_a_done_cell_asked_for_another_card_is_scored_and_not_trained_again(zeroscale, small, texts, tmp_path):
    zeroscale("train", *small)
    (cell,) = cells(tmp_path)
    weights = sha256_file(cell / "checkpoints" / "step-00000020" / "model.safetensors")
    lines = (cell / "metrics.jsonl").read_bytes()
    zeroscale("train", *small, "cards=[wikitext2]", "cards_from=sample")
    assert (cell / "evals" / "step-00000020" / "wikitext2.paper.json").is_file()
    assert sha256_file(cell / "checkpoints" / "step-00000020" / "model.safetensors") == weights
    assert (cell / "metrics.jsonl").read_bytes() == lines


def test_cards_are_scored_during_training_at_chosen_steps(zeroscale, small, trained, tmp_path):
    zeroscale("train", *small, *TRAINED, "trainer.score_every=10", "output_dir=scored")
    (cell,) = (path.parent for path in tmp_path.glob("scored/single/*/config.yaml"))
    scores = {
        step: read_json(cell / "evals" / f"step-{step:08d}" / "lambada.paper.json")["metrics"]["perplexity"]["value"]
        for step in (10, 20)
    }
    assert len(set(scores.values())) == 2
    # What was scored on the way does not change what is trained.
    final = Path("checkpoints") / "step-00000020" / "model.safetensors"
    assert sha256_file(trained / final) == sha256_file(cell / final)


def test_a_sweep_goes_on_past_a_failure_and_ends_with_a_table(zeroscale, small, texts, tmp_path):
    sweep = ["-m", *small, "data.path=nowhere,texts"]
    first = zeroscale("train", *sweep, code=1)
    done, failed = sorted(cells(tmp_path), key=lambda cell: status.read(cell).state)
    assert status.read(failed).state == "failed" and "nowhere" in status.read(failed).reason
    assert status.read(done).state == "done"
    table = first.stdout[first.stdout.rindex("val/loss") :]
    assert "path=texts" in table and "path=nowhere" in table and "failed" in table
    assert "retry_failed=true" in table and "zeroscale report study=outputs/single" in table
    assert "1 of 2 cells are not done" in first.stderr
    state = zeroscale("status", "study=outputs/single", code=1)
    assert "failed" in state.stdout and "nowhere" in state.stdout
    # A cause that is known is said in the table; nobody is sent to the log for it.
    assert "log.txt ends with" not in state.stdout and "Error" not in state.stdout
    shutil.copytree(texts, tmp_path / "nowhere")
    # What failed is listed, and tried again when asked for.
    second = zeroscale("train", *sweep, code=1)
    assert "1 run: done already" in second.stdout and "retry_failed=true tries it again" in second.stdout
    third = zeroscale("train", *sweep, "retry_failed=true")
    assert "1 run: done already" in third.stdout and "failed" not in third.stdout


@pytest.mark.parametrize(
    ("kills", "steps", "patience"),
    [(1, 600, 0.8), pytest.param(40, 4000, 0.5, marks=pytest.mark.slow, id="40 kills: about six minutes")],
)
def test_killed_anywhere_it_goes_on_to_the_same_bits(
    zeroscale, running, small, texts, tmp_path, kills, steps, patience
):
    """SIGKILL at random moments: in a step, in a checkpoint's writing, between two files."""
    draw = random.Random(0)
    # A checkpoint every few milliseconds: about half of the kills meet one that is being written.
    often = [f"trainer.tokens={256 * steps}", "trainer.checkpoint_every=5", "trainer.val_every=100"]
    arguments = ["train", *small, *often, "trainer.keep_every_tokens=25600", "trainer.keep_best=false"]
    zeroscale(*arguments, "output_dir=whole")
    (whole,) = (path.parent for path in tmp_path.glob("whole/single/*/DONE"))
    for _ in range(kills):
        run = running(*arguments)
        worker, cell = run.worker(), run.cell()
        before = size(cell / "metrics.jsonl")
        run.wait(lambda cell=cell, before=before: True if size(cell / "metrics.jsonl") != before else None)
        time.sleep(draw.random() * patience)
        os.kill(worker, signal.SIGKILL)
        output, _ = run.process.communicate()
        assert run.process.returncode == 1 and "SIGKILL" in output
        assert status.read(cell).state == "failed" and not (cell / "DONE").exists()
        # A kill in the middle of a line, and what lies after the checkpoint: both must go.
        with open(cell / "metrics.jsonl", "a") as file:
            file.write('{"step": 99')
    last = zeroscale(*arguments)
    assert "goes on from step" in last.stdout
    for name in ("model.safetensors", "optimizer.safetensors"):
        final = Path("checkpoints") / f"step-{steps:08d}" / name
        assert sha256_file(cell / final) == sha256_file(whole / final)
    assert [row["step"] for row in rows(cell)] == list(range(1, steps + 1))
    same = ("train/loss", "val/loss", "lr", "grad_norm", "spike")
    for ours, theirs in zip(rows(cell), rows(whole), strict=True):
        assert [ours.get(key) for key in same] == [theirs.get(key) for key in same]
    kept = {path.name for path in (whole / "checkpoints").iterdir()}
    assert {path.name for path in (cell / "checkpoints").iterdir()} == kept and len(kept) > 3


def test_other_settings_are_another_cell_and_an_unfinished_one_is_named(zeroscale, small, trained, monkeypatch):
    """What is said before a step is trained; no child is started."""
    (trained / "DONE").unlink()
    status.write(trained, "resumable", step=15)
    monkeypatch.setattr(launcher.subprocess, "Popen", no_child)
    changed = ["trainer.tokens=2560", "optimizer.weight_decay=0.2"]
    other = zeroscale("train", *small, *TRAINED, *changed, code=None)
    assert f"{trained.name} is unfinished" in other.stdout
    assert "optimizer.weight_decay was 0.1, is 0.2; trainer.tokens was 5120, is 2560" in other.stdout
    assert "a run may change only study" in other.stdout
    # What changes no result is no other cell.
    assert "a new run" not in zeroscale("train", *small, *TRAINED, "trainer.val_every=100", code=None).stdout


def no_child(*_, **__):
    raise OSError("no child is started here")


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else -1


def test_a_damaged_checkpoint_is_passed_over(zeroscale, small, trained):
    (trained / "DONE").unlink()
    before, newest = sorted((trained / "checkpoints").glob("step-*"))[-2:]
    with open(newest / "model.safetensors", "r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write(b"\xff\xff\xff\xff")
    output = zeroscale("train", *small, *TRAINED).stdout
    assert "is not what was written" in output and f"goes on from step {int(before.name[5:])}" in output


def test_a_run_does_not_go_on_over_a_damaged_record(zeroscale, small, trained, tmp_path):
    cell, small = trained, [*small, *TRAINED]
    (cell / "DONE").unlink()
    shutil.rmtree(cell / "checkpoints" / "step-00000020")
    metrics = cell / "metrics.jsonl"
    damaged = metrics.read_bytes().replace(b'{"step": 3,', b'{"step": 3 ') + b'{"step": 21, "tra'
    metrics.write_bytes(damaged)
    for command in (["train", *small], ["status", "study=outputs/single"]):
        result = zeroscale(*command, code=None)
        said = " ".join((result.stderr + result.stdout).split())  # `status` breaks lines to the terminal's width
        assert result.returncode and "metrics.jsonl, line 3, is damaged" in said
        assert metrics.read_bytes() == damaged
    metrics.write_bytes(damaged.replace(b'{"step": 3 ', b'{"step": 3,'))
    zeroscale("train", *small)
    assert [row["step"] for row in rows(cell)] == list(range(1, 21))


def test_sigterm_and_ctrl_c_leave_a_checkpoint_and_no_child(running, small, texts, tmp_path):
    for number in (signal.SIGTERM, signal.SIGINT):
        run = running("train", *small, *LONG, f"seed={int(number)}")
        worker = run.worker()
        cell = run.wait(lambda n=number: next(iter(tmp_path.glob(f"outputs/single/*seed{int(n)}-*")), None))
        run.wait(lambda cell=cell: True if (cell / "metrics.jsonl").exists() and rows(cell) else None)
        run.process.send_signal(number)
        output, _ = run.process.communicate(timeout=300)
        assert gone(worker)
        recorded = status.read(cell)
        assert recorded.state == "resumable" and recorded.step > 0, recorded
        assert (cell / "checkpoints" / f"step-{recorded.step:08d}" / "meta.json").is_file()
        assert run.process.returncode == 128 + number
        assert "Traceback" not in output


def test_the_parents_death_stops_the_child(running, small, texts):
    run = running("train", *small, *LONG)
    worker = run.worker()
    cell = run.checkpoint(1).parent.parent
    run.process.kill()
    assert gone(worker)
    # With nobody left to read what it says, it still leaves in good order.
    recorded = status.read(cell)
    assert recorded.state == "resumable" and recorded.step > 20
    assert (cell / "checkpoints" / f"step-{recorded.step:08d}" / "meta.json").is_file()


@pytest.mark.slow
def test_two_ranks_train_what_one_does(zeroscale, small, texts, tmp_path):
    zeroscale("train", *small, "trainer.accelerator=cpu")
    zeroscale("train", *small, "trainer.accelerator=cpu", "trainer.devices=2", OMP_NUM_THREADS="1")
    zeroscale("train", *small, "trainer.accelerator=cpu", "trainer.micro_batch_tokens=64")
    one, two, parts = sorted(cells(tmp_path), key=lambda cell: cell.stat().st_ctime_ns)
    assert yaml.safe_load((two / "config.yaml").read_text())["trainer"]["devices"] == 2
    for other in (two, parts):
        for ours, theirs in zip(rows(other), rows(one), strict=True):
            assert ours["train/loss"] == pytest.approx(theirs["train/loss"], rel=2e-5)
            assert ours["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=2e-4)
        assert rows(other)[-1]["val/loss"] == pytest.approx(rows(one)[-1]["val/loss"], rel=2e-5)


def test_no_place_to_write_is_one_message(zeroscale, small, texts, tmp_path):
    (tmp_path / "file").write_text("")
    for arguments in (["train", *small], ["train", "-m", *small, "seed=0,1"]):
        result = zeroscale(*arguments, "output_dir=file/x", code=2)
        assert "a part of the path is a file" in result.stderr


def test_a_full_disk_ends_the_run_with_one_message_and_the_next_goes_on(zeroscale, small, texts, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=500k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        arguments = ["train", *small, "trainer.keep_checkpoints=100", f"output_dir={disk}"]
        result = zeroscale(*arguments, code=None)
        assert result.returncode in (1, 2) and "the disk is full" in result.stdout + result.stderr
        for checkpoint in disk.glob("single/*/checkpoints/step-*"):
            assert (checkpoint / "meta.json").is_file()
        assert not list(disk.rglob("DONE"))
        subprocess.run(["mount", "-o", "remount,size=50m", str(disk)], check=True)
        zeroscale(*arguments)
        assert list(disk.rglob("DONE"))
    finally:
        subprocess.run(["umount", str(disk)], check=False)


@pytest.mark.slow
def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before_it(zeroscale, running, small, texts, tmp_path):
    """As on a full disk, without the right to mount one: no file may grow beyond 80 kB."""
    arguments = ["train", *small, *LONG, "trainer.tokens=153600", "model.d_model=32", "trainer.keep_checkpoints=100"]
    zeroscale(*arguments, "output_dir=whole")
    run = running(*arguments)
    run.checkpoint(2)
    os.kill(run.worker(), signal.SIGKILL)
    run.process.communicate()
    (cell,) = cells(tmp_path)
    before = sorted(path.name for path in (cell / "checkpoints").glob("step-*"))
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (80_000, hard))
    try:
        result = zeroscale(*arguments, code=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert "larger than the limit" in result.stderr and status.read(cell).state == "failed"
    assert sorted(path.name for path in (cell / "checkpoints").iterdir()) == before
    zeroscale(*arguments)
    final = "checkpoints/step-00000600/model.safetensors"
    (whole,) = tmp_path.glob(f"whole/single/*/{final}")
    assert sha256_file(cell / final) == sha256_file(whole)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no .txt"),
        pytest.param(b"", "empty", marks=pytest.mark.slow),
        pytest.param(b"caf\xe9 au lait", "UTF-8", marks=pytest.mark.slow),
    ],
)
def test_a_corpus_that_cannot_be_read_is_one_message_and_leaves_nothing(zeroscale, small, tmp_path, content, words):
    (tmp_path / "texts").mkdir()
    if content is not None:
        (tmp_path / "texts" / "a.txt").write_bytes(content)
    result = zeroscale("train", *small, code=1)
    assert words in result.stderr and "texts" in result.stderr
    assert not [path for path in (tmp_path / "outputs" / "corpora").glob("*") if path.is_dir()]


def test_a_wandb_login_that_fails_is_one_message(zeroscale, small, texts, tmp_path):
    result = zeroscale("train", *small, "tracker=wandb", "tracker.mode=online", code=1, WANDB_MODE="online")
    assert "W&B does not" in result.stderr and "tracker.mode=offline" in result.stderr
    (cell,) = cells(tmp_path)
    assert status.read(cell).state == "failed" and not (cell / "checkpoints").exists()


def test_wandb_offline_is_one_run_per_cell_grouped_by_study(zeroscale, small, texts, tmp_path):
    zeroscale("train", *small, "tracker=wandb", "tracker.mode=offline", WANDB_MODE="offline")
    (cell,) = cells(tmp_path)
    (record,) = cell.glob("wandb/offline-run-*/run-*.wandb")
    content = record.read_bytes()
    identity = (cell / "wandb_id").read_text().strip()
    assert record.stem == f"run-{identity}"
    for word in (b"single", cell.name.encode(), b"val/bits_per_byte", b"tokens"):
        assert word in content


def test_an_outcome_without_a_word_says_how_the_process_ended(tmp_path):
    cell = tmp_path / "cell"
    status.write(cell, "running", step=7)
    outcome = launcher._outcome(cell, -signal.SIGKILL)
    assert outcome.state == "failed" and "SIGKILL" in outcome.reason and "out of memory" in outcome.reason
    recorded = status.read(cell)
    assert (recorded.state, recorded.reason, recorded.step) == ("failed", outcome.reason, 7)
