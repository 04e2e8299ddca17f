"""`~` in every key that holds a path, of every command; the settings hash keeps what was typed."""

import dataclasses
import importlib
import os
import pwd
import typing
from pathlib import Path

import pytest

from zeroscale.cli import main
from zeroscale.cli.commands import COMMANDS
from zeroscale.cli.compose import compose, quote_homes
from zeroscale.cli.help import FREE_TEXT
from zeroscale.config.commands.compare import CompareConfig
from zeroscale.config.commands.eval import EvalConfig
from zeroscale.config.train import TrainConfig
from zeroscale.config.validate import build_config
from zeroscale.core import paths
from zeroscale.core.errors import ZeroscaleError

PATHS = {*["bundle", "checkpoint", "corpus", "data_dir", "data_path", "index", "ngrams", "out", "output_dir"]}
PATHS |= {*["prompts_file", "run", "runs", "studies", "study"]}
NOT_PATHS = {(command, "study") for command in ("train", "plan", "export")}  # a name, of `TrainConfig`


@pytest.fixture
def home(monkeypatch, tmp_path) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def nowhere(monkeypatch):
    """A user without a home: HOME is not set, and the list of users has no entry."""

    def unknown(_):
        raise KeyError

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


def test_the_sign_stands_for_the_home_folder_as_in_a_shell(home):
    assert paths.expand_home("~") == str(home) and paths.expand_home("~/a b/c") == f"{home}/a b/c"
    assert paths.expand_home("~root/x") == os.path.join(pwd.getpwnam("root").pw_dir, "x")
    for path in ("a/~/b", "./~/x", "x~", "", "openai-community/gpt2"):
        assert paths.expand_home(path) == path


def test_an_unknown_user_or_home_is_a_message_and_other_paths_are_nobodys_concern(nowhere):
    with pytest.raises(ZeroscaleError, match="no user 'nosuch'"):
        paths.expand_home("~nosuch/x")
    for path in ("~", "~/x"):
        with pytest.raises(ZeroscaleError, match="HOME is not set"):
            paths.expand_home(path)
    assert paths.expand_home("x/~") == "x/~"


def path_fields():
    """(command, key, its type written out) of every command's settings."""
    for name, command in COMMANDS.items():
        module = importlib.import_module(f"zeroscale.cli.commands.{command.module}")
        for kind in vars(module).values():
            if isinstance(kind, type) and dataclasses.is_dataclass(kind) and kind.__name__.endswith("Config"):
                for key, hint in typing.get_type_hints(kind, include_extras=True).items():
                    yield name, key, repr(hint)


def test_every_key_that_is_called_as_a_path_is_one():
    called = [field for field in path_fields() if field[1] in PATHS and field[:2] not in NOT_PATHS]
    assert len(called) > 30
    assert [field for field in called if "check_length" not in field[2]] == []


def test_keys_of_a_path_reach_hydra_as_free_text():
    single = {key for _, key, hint in path_fields() if "check_length" in hint}
    assert single - {"cards", "studies"} <= FREE_TEXT


@pytest.mark.parametrize(
    ("command", "kind", "overrides", "get", "value"),
    [
        ("eval", EvalConfig, ["checkpoint=~/m"], lambda c: c.checkpoint, "~/m"),
        ("eval", EvalConfig, ["checkpoint='~/a b,c=d'"], lambda c: c.checkpoint, "~/a b,c=d"),
        ("eval", EvalConfig, ["cards=[lambada,~/my.yaml]"], lambda c: c.cards[1], "~/my.yaml"),
        ("eval", EvalConfig, ["cards=~/my.yaml"], lambda c: c.cards[0], "~/my.yaml"),
        ("compare", CompareConfig, ["runs=[~/a,'~/b']"], lambda c: c.runs[1], "~/b"),
        ("compare", CompareConfig, ["studies=[x, ~/b]"], lambda c: c.studies[1], "~/b"),
        ("train", TrainConfig, ["output_dir=~/runs"], lambda c: c.output_dir, "~/runs"),
        ("train", TrainConfig, ["data_dir=~"], lambda c: c.data_dir, "~"),
        (
            "train",
            TrainConfig,
            ["init_from.run=~/s/a=b", "init_from.tokens=1024"],
            lambda c: c.init_from.run,
            "~/s/a=b",
        ),
    ],
)
def test_it_is_expanded_wherever_it_is_given(home, command, kind, overrides, get, value):
    quoted = main._overrides(overrides, False)
    (job,) = compose(command, quoted).configs
    assert get(build_config(kind, job[1])) == value.replace("~", str(home))


def test_each_value_of_a_multirun_is_expanded(home):
    multirun, quoted = True, main._overrides(["checkpoint=~/a,~/b"], True)
    jobs = compose("eval", quoted, multirun).configs
    assert [build_config(EvalConfig, raw).checkpoint for _, raw in jobs] == [f"{home}/a", f"{home}/b"]


def test_what_the_settings_hash_holds_stays_as_it_was_typed(home):
    def train(*overrides):
        (job,) = compose("train", main._overrides(list(overrides), False)).configs
        return build_config(TrainConfig, job[1])

    files = train("data=files", "data.path=~/texts", "tokenizer=gpt2", "tokenizer.path=~/gpt2")
    assert (files.data.path, files.tokenizer.path) == ("~/texts", "~/gpt2")
    assert (
        files.hash()
        == train(
            "data=files",
            "data.path=~/texts",
            "tokenizer=gpt2",
            "tokenizer.path=~/gpt2",
            "output_dir=~/x",
            "data_dir=~/y",
        ).hash()
    )


def test_such_a_path_without_a_home_is_one_message_before_training(nowhere, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    for given in (["data=files", "data.path=~/x"], ["tokenizer=gpt2", "tokenizer.path=~/x"], ["output_dir=~/x"]):
        assert main.main(["train", *given]) == 2
        assert "HOME is not set" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_rate_of_a_study_in_the_home_folder(home, capsys):
    assert main.main(["plan", "optimizer.lr=study:~/s"]) == 2
    assert f"{home}/s has no finished run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ("[~/a,b]", "['~/a',b]"),
        ("[ ~/a , '~/b' ]", "[ '~/a' , '~/b' ]"),
        ("study:~/x", "'study:~/x'"),
        ("{a: ~/b, c: d}", "{a: '~/b', c: d}"),
        ("choice(~/a,~/b)", "choice('~/a','~/b')"),
        ("~", "'~'"),
        ("'~'", "'~'"),
        ("x,'", "x,'"),
    ],
)
def test_a_bare_element_is_quoted_for_hydra(value, quoted):
    assert quote_homes(value) == quoted
