import os
import subprocess
import sys
from dataclasses import fields

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from zeroscale.cli import compose, help, main
from zeroscale.cli.commands.batch import BatchConfig
from zeroscale.cli.commands.data import DataCommandConfig
from zeroscale.cli.commands.export import ExportConfig
from zeroscale.cli.commands.fit import FitConfig
from zeroscale.cli.commands.plan import PlanConfig
from zeroscale.cli.commands.provenance.bundle import BundleConfig
from zeroscale.cli.commands.provenance.explain import ExplainConfig
from zeroscale.cli.commands.provenance.reproduce import ReproduceConfig
from zeroscale.cli.commands.provenance.verify import VerifyConfig
from zeroscale.cli.commands.report import ReportConfig
from zeroscale.cli.commands.runs import RunsConfig
from zeroscale.cli.commands.sample import SampleConfig
from zeroscale.cli.commands.status import StatusConfig
from zeroscale.cli.commands.tidy.clean import CleanConfig
from zeroscale.cli.commands.tidy.remove import RemoveConfig
from zeroscale.config.commands.compare import CompareConfig
from zeroscale.config.commands.contamination import OverlapConfig
from zeroscale.config.commands.eval import EvalConfig
from zeroscale.config.train import TrainConfig
from zeroscale.config.validate import build_config
from zeroscale.core import paths
from zeroscale.core.errors import ZeroscaleError

GROUPS = sorted(path.name for path in paths.conf().iterdir() if path.is_dir())
CHOICES = [(group, path.stem) for group in GROUPS for path in sorted((paths.conf() / group).glob("*.yaml"))]
SWEEPS = sorted(path.stem for path in (paths.share() / "sweeps").glob("*.yaml"))
NEEDED = {"files": ["data.path=x"], "hub": ["data.dataset=a/b"]}


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_every_shipped_choice_composes_and_is_valid(group, choice):
    needed = NEEDED.get(choice, []) if group == "data" else []
    # The paper's context needs models and batches of its size.
    gpt2 = ["model=gpt2-small", "tokenizer=gpt2", "schedule.warmup_tokens=0"]
    fitting = {"trainer": {"gpt2": gpt2, "gpt2-two-nodes": gpt2}}
    extra = fitting.get(group, {}).get(choice, [])
    if group == "model" and choice.startswith("gpt2"):
        extra = ["tokenizer=gpt2"]
    (job,) = compose.compose("train", [f"{group}={choice}", *needed, *extra]).configs
    assert build_config(TrainConfig, job[1]).steps > 0


@pytest.mark.parametrize("sweep", SWEEPS)
def test_every_shipped_sweep_composes_into_valid_cells_of_its_own(sweep):
    jobs = compose.compose("train", [f"+sweeps={sweep}"])
    cells = [build_config(TrainConfig, config) for _, config in jobs.configs]
    assert jobs.sweep and len({cell.cell for cell in cells}) == len(cells) >= 2


def test_the_sweep_file_opens_with_its_command_cost_and_expectation():
    for sweep in SWEEPS:
        head = (paths.share() / "sweeps" / f"{sweep}.yaml").read_text()[:800]
        for word in (f"+sweeps={sweep}", "cost", "expect"):
            assert word in head


def test_every_command_has_settings_that_work():
    kinds = {
        "data": (DataCommandConfig, []),
        "batch": (BatchConfig, ["run=x", "step=1"]),
        "eval": (EvalConfig, []),
        "compare": (CompareConfig, ["runs=[x,y]"]),
        "sample": (SampleConfig, ["checkpoint=x", "prompt=y"]),
        "export": (ExportConfig, ["checkpoint=x", "out=y"]),
        "fit": (FitConfig, ["runs=x"]),
        "report": (ReportConfig, ["study=x"]),
        "status": (StatusConfig, ["study=x"]),
        "runs": (RunsConfig, ["study=x"]),
        "remove": (RemoveConfig, ["study=x"]),
        "clean": (CleanConfig, []),
        "reproduce": (ReproduceConfig, ["run=x"]),
        "explain": (ExplainConfig, ["study=x", "metric=lambada/acc"]),
        "bundle": (BundleConfig, ["study=x"]),
        "verify": (VerifyConfig, ["bundle=x"]),
        "overlap": (OverlapConfig, []),
    }
    assert set(kinds) | {"train", "plan"} == set(main.COMMANDS)
    for command, (kind, overrides) in kinds.items():
        (job,) = compose.compose(command, overrides).configs
        build_config(kind, job[1])
    (job,) = compose.compose("plan", []).configs
    build_config(PlanConfig, {field.name: job[1].pop(field.name) for field in fields(PlanConfig)})
    build_config(TrainConfig, job[1])


def test_no_key_bears_the_name_of_a_group_or_folder():
    # Hydra would take `evals=x` for the choice of a group, because the root is on its search path.
    folders = {path.name for path in paths.share().iterdir() if path.is_dir()} | {"evals", "outputs", "sweeps"}
    for command in main.COMMANDS:
        keys = yaml.safe_load((paths.conf() / f"{command}.yaml").read_text())
        own = set(keys) - {"defaults"}
        # A group's own name is how its choice is made; a folder's name can be no key at all.
        assert not own & (folders - set(GROUPS))


@settings(deadline=None, max_examples=60)
@example("\\\\${a}\\' \\")
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_free_text_reaches_the_settings_as_it_was_typed(text):
    if text[0] in "'\"[" or text in ("null", "???"):
        return  # already quoted, or a value of Hydra's own grammar: nothing, and a value that is still to be given
    overrides = main._overrides([f"runs={text}"], False)
    (job,) = compose.compose("fit", overrides).configs
    assert job[1]["runs"] == text


@pytest.mark.parametrize("key", ["data.split_on", "data.document_start", "data.path"])
def test_a_bracket_begins_a_mark_or_a_pattern_and_no_list(key):
    for typed, text in [("[EOS]", "[EOS]"), ("[A-Z]*.txt", "[A-Z]*.txt"), ("'[EOS]'", "[EOS]"), ('"[x]"', "[x]")]:
        overrides = main._overrides(["data=files", "data.path=x", f"{key}={typed}"], False)
        (job,) = compose.compose("data", overrides).configs
        assert job[1]["data"][key.removeprefix("data.")] == text


def test_with_multirun_a_comma_separates_free_text():
    overrides = main._overrides(["checkpoint=a b,c:d", "cards=core"], True)
    jobs = compose.compose("eval", overrides, True)
    assert [config["checkpoint"] for _, config in jobs.configs] == ["a b", "c:d"]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["modle=pocket-m"], "the nearest key is model"),
        (["trainer.tokns=5"], "the nearest key is trainer.tokens"),
        (["lr=0.1"], "optimizer.lr=0.003"),
        (["model=pocket-z"], "pocket-xs"),
        (["+sweeps=pokcet"], "pocket"),
        (["trainer.tokens=[1"], "cannot read"),
        (["seed=1,2"], "add -m"),
    ],
)
def test_an_override_that_cannot_be_placed_ends_with_a_hint(overrides, words):
    with pytest.raises(ZeroscaleError) as caught:
        compose.compose("train", overrides)
    assert words in str(caught.value)
    assert "\n\n" not in str(caught.value) and "http" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], "did you mean 'train'"),
        (["train", "--fast"], "unknown option --fast"),
        (["train", "model"], "write key=value"),
        (["fit"], "runs: missing"),
        (["fit", "runs=nowhere"], "nowhere"),
        (["report", "study=nowhere"], "nowhere"),
        (["batch", "run=nowhere", "step=1"], "run=nowhere is not a run"),
        (["batch", "run=nowhere"], "step: missing"),
        (["status", "study=nowhere"], "nowhere"),
        (["eval", "cards=core"], "checkpoint=PATH"),
        (["train", "cards=[lambda]", "cards_from=sample"], "lambada"),
        (["train", "cards=[lambada]", "data_dir=."], "lambada_test.jsonl"),
        (["train", "output_dir=/proc/no/such"], "/proc/no"),
    ],
)
def test_bad_input_is_one_message_and_a_non_zero_exit(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main.main(arguments) == 2
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_help_names_every_command_and_imports_nothing_heavy():
    code = "import sys; from zeroscale.cli import main; main.main(['--help']); print(sorted(sys.modules))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for command in main.COMMANDS:
        assert f"  {command} " in output
    for heavy in ("torch", "hydra", "pydantic", "numpy", "pandas", "pytorch_lightning", "wandb", "rich"):
        assert f"'{heavy}'" not in output


def test_plan_does_not_import_torch(tmp_path):
    code = "import sys; from zeroscale.cli import main; main.main(['plan', '+sweeps=pocket']); "
    code += "print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert result.stdout.splitlines()[-1] == "False" and "total of 4" in result.stdout
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("command", sorted(main.COMMANDS))
def test_each_command_explains_its_settings(command, capsys):
    assert main.main([command, "--help"]) == 0
    shown = capsys.readouterr().out
    keys = yaml.safe_load((paths.conf() / f"{command}.yaml").read_text())
    for key in keys:
        assert f"{key}:" in shown or f'"{key}":' in shown  # YAML reads a bare yes as true


@pytest.mark.parametrize("group", GROUPS)
def test_help_says_what_each_setting_of_a_group_means(group, capsys):
    assert main.main(["train", "--help"]) == 0
    shown = capsys.readouterr().out.partition(f"\n{group}.KEY=VALUE:\n")[2].partition(".KEY=VALUE:")[0]
    keys = {key for path in (paths.conf() / group).glob("*.yaml") for key in yaml.safe_load(path.read_text())}
    settings = help.settings_of(group)
    assert set(settings) == keys - {"defaults"}
    for key, (_, meaning) in settings.items():
        assert meaning and f"  {key}" in shown, key


@pytest.mark.parametrize("command", ["train", "data", "eval"])
def test_help_fits_a_terminal_of_80_columns(command, capsys):
    assert main.main([command, "--help"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
