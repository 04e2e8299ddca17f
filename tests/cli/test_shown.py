"""What a command line comes to, shown: `show`, `--cfg`, `--info`, `--config-name`, completion in the shell."""

import shutil
import subprocess

import pytest
import yaml

from zeroscale.cli import main, shell
from zeroscale.cli.composing import completion
from zeroscale.core import paths
from zeroscale.core.own import folder as own_folder


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty working directory, and no folder of the user's own."""
    monkeypatch.delenv(own_folder.VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def own(here, monkeypatch, capsys):
    """A folder of the user's own as the working directory."""
    assert main.main(["init", "own"]) == 0
    capsys.readouterr()
    monkeypatch.chdir(here / "own")
    return here / "own"


def shown(capsys, *arguments: str) -> dict[str, tuple[str, str]]:
    """key → (value, origin) of `zeroscale show`."""
    assert main.main(["show", *arguments]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if " = " in line]
    parts = [line.split("  # ") for line in lines]
    return {part[0].split(" = ")[0]: (part[0].split(" = ")[1].strip(), part[1]) for part in parts}


def test_show_names_the_line_or_the_override_of_every_value(capsys, own):
    found = shown(capsys, "train", "+sweeps=mine", "model=tiny", "optimizer=lion", "trainer.tokens=65536", "seed=3")
    assert found["seed"] == ("3", "override seed=3")
    assert found["trainer.tokens"] == ("65536", "override trainer.tokens=65536")
    assert found["tracker.entity"] == ("null", "default of its dataclass")
    for key, path in [
        ("study", "./sweeps/mine.yaml"),
        ("trainer.batch_tokens", "./sweeps/mine.yaml"),
        ("model.n_layer", "./conf/model/tiny.yaml"),
        ("optimizer.name", "./conf/optimizer/lion.yaml"),
        ("optimizer.eps", "conf/optimizer/adamw.yaml"),
        ("retry", ""),
        ("output_dir", "conf/train.yaml"),
    ]:
        if not path:
            assert key not in found
            continue
        file, _, line = found[key][1].rpartition(":")
        assert file == path, key
        root = own if path.startswith("./") else paths.share()
        written = (root / path).read_text().splitlines()[int(line) - 1]
        assert written.strip().startswith(key.rpartition(".")[2] + ":")


def test_show_says_what_a_rule_made(capsys):
    value, origin = shown(capsys, "plan", "optimizer=porian")["optimizer.lr"]
    assert float(value) > 0 and origin.startswith('"porian" by conf/optimizer/porian.yaml:')


def test_show_lists_the_runs_of_a_sweep_and_takes_commands_only(capsys):
    assert main.main(["show", "train", "-m", "seed=1,2"]) == 0
    said = capsys.readouterr().out
    assert "# 2 runs:" in said and "seed = 1 " in said and "override seed=1" in said
    assert main.main(["show", "trian"]) == 2
    assert "did you mean 'train'" in capsys.readouterr().err
    assert main.main(["show", "--help"]) == 0


def test_cfg_prints_what_is_composed(capsys):
    assert main.main(["train", "--cfg", "job", "model=pocket-m"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["model"]["name"] == "pocket-m"
    assert main.main(["train", "--cfg", "job", "--package", "optimizer"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["name"] == "adamw"
    assert main.main(["train", "--cfg=hydra"]) == 0
    assert set(yaml.safe_load(capsys.readouterr().out)) == {"hydra"}
    assert main.main(["train", "--cfg", "jobs"]) == 2
    assert main.main(["train", "--cfg"]) == 2
    assert main.main(["train", "--cfg", "job", "-p", "seed"]) == 2


def test_info_prints_where_hydra_looks(capsys, own):
    assert main.main(["train", "--info", "searchpath"]) == 0
    said = capsys.readouterr().out
    assert said.index(str(own / "conf")) < said.index(str(paths.conf()))
    assert main.main(["train", "--info", "colours"]) == 2


def test_another_primary_file_and_another_search_path(capsys, own, here):
    text = (paths.conf() / "train.yaml").read_text().replace("seed: 0", "seed: 7")
    (own / "conf" / "long.yaml").write_text(text)
    assert shown(capsys, "train", "-cn", "long")["seed"][0] == "7"
    assert main.main(["train", "-cn", "nowhere"]) == 2
    assert "there is no conf/nowhere.yaml" in capsys.readouterr().err
    (here / "more" / "model").mkdir(parents=True)
    shutil.copy(own / "conf" / "model" / "tiny.yaml", here / "more" / "model" / "further.yaml")
    path = f"hydra.searchpath=[file://{here / 'more'}]"
    assert shown(capsys, "train", path, "model=further")["model.name"][0] == '"tiny"'


def test_options_of_hydra_that_do_not_work_say_what_to_do(capsys):
    for option, words in [("--config-path", "--config-dir DIR"), ("--hydra-help", "zeroscale COMMAND --help")]:
        assert main.main(["train", option, "x"]) == 2
        assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("zeroscale tr", ["train"]),
        ("zeroscale show ver", ["verify"]),
        ("zeroscale train model=pocket-", ["model=pocket-l", "model=pocket-m", "model=pocket-s", "model=pocket-xs"]),
        ("zeroscale train model=pocket-m trainer.batch", ["trainer.batch_tokens="]),
        ("zeroscale train +sweeps=pocket-", ["+sweeps=pocket-wsd"]),
        ("zeroscale train [", []),
        ("zeroscale nothing x", []),
    ],
)
def test_the_shell_is_told_what_can_follow(line, words):
    assert shell.answers(line) == words


def test_completion_knows_the_users_own_choices(own):
    assert shell.answers("zeroscale train model=ti") == ["model=tiny"]
    assert shell.answers("zeroscale train +sweeps=m") == ["+sweeps=mine"]


@pytest.mark.parametrize("name", sorted(completion.SCRIPTS))
def test_completion_is_installed_by_a_script_that_its_shell_can_read(name, capsys):
    assert main.main(["-sc", f"install={name}"]) == 0
    script = capsys.readouterr().out
    assert f"-sc query={name}" in script
    if shutil.which(name):
        subprocess.run([name, "-n"], input=script, text=True, check=True)
    assert main.main(["train", "-sc", f"uninstall={name}"]) == 0
    assert main.main(["-sc", "install=csh"]) == 2
