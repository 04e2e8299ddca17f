"""Command lines that Hydra, a JSON file or the machine would fail at: one message, which names the key, and exit 2."""

import os
import time

import pytest

from zeroscale.cli import main, override_checks
from zeroscale.cli.compose import compose
from zeroscale.core.errors import ZeroscaleError

CHOICE = "the name of a choice belongs here"
DIGITS = "9" * 5000


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["tokenizer=inf"], f"tokenizer=inf: {CHOICE}: bpe, bytes, gpt2"),
        (["data=1"], CHOICE),
        (["data=true"], CHOICE),
        (["tracker=[[1]]"], CHOICE),
        (["tracker=[none]"], CHOICE),
        (["model=null"], CHOICE),
        (["model="], CHOICE),
        (["~model={}"], CHOICE),
        (["~model=1"], CHOICE),
        (["++model=1"], CHOICE),
        (["+sweeps=3"], CHOICE),
        (["+sweeps=null"], CHOICE),
        (["hydra/launcher=3"], CHOICE),
        (["trainer=[1e400]"], CHOICE),
        (["+tracker=${oc.select:nope,3}"], CHOICE),
        (["model='${study}'"], CHOICE),
        (["-m", "model=pocket-s,1"], CHOICE),
        ([f"seed={DIGITS}"], "a number of 5,000 digits"),
        ([f"seed=[1,{DIGITS}]"], "a number of 5,000 digits"),
        (["seed=" + "[" * 3000], "brackets in brackets"),
        (["seed=" + "{a:" * 300 + "1" + "}" * 300], "brackets in brackets"),
        (["hydra.mode=5"], "of Hydra's own settings"),
        (["hydra=null"], "of Hydra's own settings"),
        (["+hydra.sweeper.params.seed=3"], "of Hydra's own settings"),
        (["-m", "seed=range(0,1000000000)"], "1,000,000,000 jobs"),
        (["-m", "seed=range(0,1000000000)", "model.n_layer=1,2"], "2,000,000,000 jobs"),
        (["-m", "seed=shuffle(range(0,100000000000))"], "jobs"),
        (["-m", "seed=range(0,inf)"], "a range has"),
        (["-m", "seed=range(0,10,0)"], "a range has"),
        (["-m", "seed=interval(0,1)"], "an interval has no values"),
        (["seed=${seed}"], "nterpolation"),
        (["seed=${nope}"], "nope"),
        (["seed=${oc.env:ZEROSCALE_NOPE}"], "ZEROSCALE_NOPE"),
        (["seed=${now:}"], "the interpolation"),
        (["seed=${oc.select:}"], "the interpolation"),
        (["seed=${hydra:x}"], "the interpolation"),
        (["seed=${nope:1}"], "the interpolation"),
        (["=x"], "names no setting"),
        (["++x"], "write key=value"),
        ([""], "write key=value"),
        (["--config-name", "x"], "--config-name x"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_composed_is_one_message(overrides, words, capsys):
    assert main.main(["plan", *overrides]) == 2
    error = capsys.readouterr().err
    assert error.startswith("zeroscale: ") and words in error and "Traceback" not in error


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("optimizer.weight_decay=1e400", "optimizer.weight_decay"),
        ("optimizer.lr=inf", "optimizer.lr"),
        ("optimizer.betas=[0.9,nan]", "optimizer.betas"),
        ("price=inf", "price"),
        ("flops_budget=inf", "flops_budget"),
        ("trainer.threads=100000", "trainer.threads"),
        ("data.workers=100000", "data.workers"),
        ("cells_at_once=100000", "cells_at_once"),
        ("devices=999999999999999999999999", "devices"),
        ("trainer.devices=999999999999999999999999", "trainer.devices"),
        ("trainer.tokens=1" + "0" * 30, "trainer.tokens"),
        ("trainer.batch_tokens=1" + "0" * 30, "trainer.batch_tokens"),
        ("model.n_layer=1000000000", "model.n_layer"),
        ("model.n_positions=1000000000", "model.n_positions"),
        ("tokenizer.vocab_size=1000000000", "tokenizer.vocab_size"),
        ("study=" + "s" * 300, "study"),
        ("model.name=" + "m" * 300, "model.name"),
        ("output_dir=" + "é" * 128, "output_dir"),
        ("output_dir=" + "/x" * 3000, "output_dir"),
        ("output_dir=a\0b", "output_dir"),
        ("output_dir=caf\udce9", r"output_dir='caf\xe9'"),
        ("data_dir=\ud800", "data_dir"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_a_value_that_no_run_can_have_is_refused_by_its_key(override, key, capsys):
    before = time.process_time()
    assert main.main(["plan", override]) == 2
    assert f"  - {key}" in capsys.readouterr().err
    assert time.process_time() - before < 60  # it used not to end


@pytest.mark.parametrize(
    "command", ["eval checkpoint", "sample checkpoint", "fit runs", "report study", "verify bundle"]
)
def test_bytes_that_are_not_utf_8_are_named_with_their_key(command, capsys):
    name, key = command.split()
    assert main.main([name, f"{key}={os.fsdecode(b'caf' + bytes([0xE9]))}"]) == 2
    assert rf"{key}='caf\xe9'" in capsys.readouterr().err


def test_threads_and_resamples_of_the_other_commands_are_bounded_too(capsys):
    for command in (
        "eval checkpoint=x threads=100000",
        "sample checkpoint=x prompt=y threads=100000",
        "eval checkpoint=x devices=100000",
        "overlap workers=100000",
        "fit runs=x bootstrap=1000000000",
        "compare runs=[a,b] resamples=1000000000000000000000",
        "sample checkpoint=x samples=1000000000",
    ):
        assert main.main(command.split()) == 2
        assert "less than or equal to" in capsys.readouterr().err


def test_a_mapping_may_change_settings_inside_a_choice_and_sweeps_over_choices_go_on():
    (job,) = compose("plan", ["model={n_layer: 3}"]).configs
    assert job[1]["model"]["n_layer"] == 3 and job[1]["model"]["name"] == "pocket-s"
    jobs = compose("plan", ["model=pocket-s,pocket-m", "seed=range(0,2)"], multirun=True).configs
    assert len(jobs) == 4


def test_the_number_of_a_ranges_values_is_known_without_making_them():
    from hydra.core.override_parser.overrides_parser import OverridesParser

    for text, count in {
        "range(0,10,3)": 4,
        "range(10,0,-3)": 4,
        "range(5)": 5,
        "range(5,5)": 0,
        "range(0,1,0.25)": 4,
        "1,2,3": 3,
    }.items():
        (override,) = OverridesParser.create().parse_overrides([f"x={text}"])
        assert override_checks._number_of_values(override) == count == len(list(override.sweep_iterator()))


def test_a_name_that_is_a_pattern_is_a_name(tmp_path):
    from zeroscale.core.files import write_directory

    for name in ("**", "[a]", "*"):
        write_directory(tmp_path / name, lambda folder: (folder / "x").write_text("y"))
        write_directory(tmp_path / name, lambda folder: (folder / "x").write_text("z"))
        assert (tmp_path / name / "x").read_text() == "z"
    assert len(list(tmp_path.iterdir())) == 3


def test_a_sweep_of_nothing_is_a_message():
    with pytest.raises(ZeroscaleError, match="no jobs"):
        compose("plan", ["seed=range(5,5)"], multirun=True)
