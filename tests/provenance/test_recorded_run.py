"""Run directories that are not as they were written: each named, with what can still be checked."""

import json

import pytest

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_json, write_json
from zeroscale.provenance import recorded_run


def test_a_run_left_alone_is_as_written_to_the_last_file(run):
    checks = recorded_run.check(run)
    assert not checks.faults and not checks.unknown
    # What DONE vouches for, two checkpoints of two files, two results with their records.
    vouched = read_json(run / "DONE")["sha256"]
    assert {"config.yaml", "manifest.json", "metrics.jsonl", "tokenizer/tokenizer.json"} <= set(vouched)
    assert checks.good == len(vouched) + 4 + 4


def edit_text(name: str, old: str, new: str):
    def edit(run):
        path = run / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))

    return edit


def edit_score(run):
    path = run / "evals" / "step-00000020" / "lambada.paper.json"
    content = read_json(path)
    content["metrics"]["acc"]["value"] = 0.99
    write_json(path, content)


def flip_a_bit(name: str):
    def flip(run):
        content = bytearray((run / name).read_bytes())
        content[len(content) // 2] ^= 1
        (run / name).write_bytes(bytes(content))

    return flip


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (edit_text("metrics.jsonl", '"train/loss": 5', '"train/loss": 4'), "metrics.jsonl has been changed since"),
        (edit_text("manifest.json", '"threads": 1', '"threads": 8'), "manifest.json has been changed since"),
        (edit_score, "lambada.paper.json has been changed since it was written (its own sha256 says so)"),
        (flip_a_bit("evals/step-00000020/lambada.paper.examples.parquet"), "lambada.paper.examples.parquet has been"),
        (flip_a_bit("checkpoints/step-00000020/model.safetensors"), "model.safetensors has been changed since"),
        (lambda run: (run / "tokenizer" / "tokenizer.json").unlink(), "tokenizer.json is gone"),
    ],
)
def test_a_file_changed_after_the_fact_is_named_and_the_rest_vouched_for(run, damage, words):
    before = recorded_run.check(run).good
    damage(run)
    checks = recorded_run.check(run)
    assert len(checks.faults) == 1 and words in checks.faults[0]
    assert checks.good == before - 1


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (edit_text("config.yaml", "lr: 0.006", "lr: 0.007"), "optimizer.lr was 0.006, is 0.007"),
        (edit_text("config.yaml", "seed: 0", "seed: 0\nwarp: 9"), "warp: unknown key"),
        (edit_text("config.yaml", "seed: 0", "seed: [0"), "is not valid YAML"),
        (edit_text("manifest.json", '"format": 2', '"format": 99'), "written by a newer zeroscale (format 99"),
        (edit_text("metrics.jsonl", '{"step": 2,', '{"step": 2 '), "line 2, is damaged"),
    ],
)
def test_a_run_that_cannot_be_made_again_is_refused_in_one_message(run, damage, words):
    damage(run)
    with pytest.raises(ZeroscaleError) as error:
        recorded_run.read(run)
    assert words in str(error.value)
    assert "What can still be checked: " in str(error.value) and "files are as the recorded" in str(error.value)


def test_what_is_no_part_of_a_result_may_be_another(run):
    edit_text("config.yaml", "log_every: 1", "log_every: 2")(run)
    read = recorded_run.read(run)
    assert read.config.trainer.log_every == 2 and any("config.yaml" in fault for fault in read.checks.faults)


def test_without_a_manifest_or_done_the_checkpoints_still_say_what_was_trained(run):
    (run / "manifest.json").unlink()
    (run / "DONE").unlink()
    read = recorded_run.read(run)
    assert read.manifest == {} and read.metrics[20]["step"] == 20
    assert any("the run is not finished" in one for one in read.checks.unknown)
    edit_text("config.yaml", "lr: 0.006", "lr: 0.007")(run)
    with pytest.raises(ZeroscaleError, match="is not what the run was trained with"):
        recorded_run.read(run)


def test_a_run_of_before_the_hashes_is_read_and_says_that_it_cannot_be_vouched_for(run):
    done = read_json(run / "DONE")
    del done["sha256"]
    write_json(run / "DONE", done)
    for path in run.glob("evals/*/*.json"):
        content = {name: value for name, value in read_json(path).items() if name not in ("sha256", "made")}
        path.write_text(json.dumps(content))
    manifest = read_json(run / "manifest.json")
    old = {name: value for name, value in manifest.items() if name not in ("format", "made", "variables")}
    write_json(run / "manifest.json", old)
    read = recorded_run.read(run)
    assert not read.checks.faults and len(read.checks.unknown) == 3 and len(read.results) == 2


def test_a_result_of_a_newer_version_and_a_folder_that_is_no_run(run, tmp_path):
    with pytest.raises(ZeroscaleError, match="is not a run"):
        recorded_run.read(tmp_path)
    (run / "evals" / "step-00000020" / "lambada.paper.json").write_text("[]")
    with pytest.raises(ZeroscaleError, match="should hold a JSON object"):
        recorded_run.read(run)
