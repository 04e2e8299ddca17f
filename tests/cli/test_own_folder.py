"""A folder of the user's own: what `zeroscale init` writes is found, wins, trains and scores."""

import json
from pathlib import Path

import pytest
import yaml

from zeroscale.cli import compose, init_folder, main
from zeroscale.config.train import TrainConfig
from zeroscale.config.validate import build_config
from zeroscale.core import paths
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.own import folder as own_folder
from zeroscale.core.own.code import place_of
from zeroscale.eval.cards import registry

TEMPLATE = init_folder.template()
FILES = sorted(path for path in TEMPLATE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
CHOICES = [(path.parent.name, path.stem) for path in FILES if path.parent.parent.name == "conf"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that `zeroscale init` made, as the working directory."""
    monkeypatch.delenv(own_folder.VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    assert main.main(["init", "own"]) == 0
    monkeypatch.chdir(tmp_path / "own")
    return tmp_path / "own"


def cell(*overrides: str) -> TrainConfig:
    (job,) = compose.compose("train", list(overrides)).configs
    return build_config(TrainConfig, job[1])


def test_init_writes_every_file_and_its_readme_names_each(folder):
    assert sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file()) == sorted(
        path.relative_to(TEMPLATE) for path in FILES
    )
    text = (folder / "README.md").read_text()
    for path in (path for path in FILES if path.name != "README.md"):
        assert path.name in text or path.parent.name in text, path


def test_init_overwrites_nothing(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert main.main(["init", "own"]) == 0  # all is there already, as it would be written
    (folder / "optimizers.py").write_text("mine")
    (folder / "README.md").unlink()
    assert main.main(["init", "own"]) == 2
    assert "holds optimizers.py already" in capsys.readouterr().err
    assert (folder / "optimizers.py").read_text() == "mine" and not (folder / "README.md").exists()
    for arguments in (["init"], ["init", "a", "b"], ["init", "--force"], ["init", "own/optimizers.py/x"]):
        assert main.main(arguments) == 2


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_every_choice_of_it_is_found_beside_the_shipped_ones(folder, group, choice):
    assert cell(f"{group}={choice}").steps > 0
    assert choice in own_folder.choices(group) and len(own_folder.choices(group)) > 1


def test_its_sweep_makes_runs_of_its_own(folder):
    jobs = compose.compose("train", ["+sweeps=mine"])
    cells = [build_config(TrainConfig, config) for _, config in jobs.configs]
    assert len({cell.cell for cell in cells}) == 4
    assert {cell.optimizer.name for cell in cells} == {"adamw", "optimizers:Lion"}


def test_its_files_win_on_the_same_name_and_are_none_elsewhere(folder, monkeypatch):
    (folder / "conf" / "model" / "pocket-s.yaml").write_text(
        (folder / "conf" / "model" / "tiny.yaml").read_text().replace("name: tiny", "name: pocket-s")
    )
    card = (paths.evals() / "lambada.yaml").read_text()
    (folder / "evals" / "lambada.yaml").write_text(card.replace("title: ", "title: My "))
    assert cell("model=pocket-s").model.n_layer == 1
    (lambada,) = registry.resolve(["lambada"])
    assert lambada.title.startswith("My ") and registry.is_own(lambada)
    monkeypatch.chdir(folder.parent)
    assert cell("model=pocket-s").model.n_layer == 2
    assert not registry.is_own(*registry.resolve(["lambada"]))
    with pytest.raises(ZeroscaleError, match="Could not find 'model/tiny'"):
        cell("model=tiny")


def test_from_elsewhere_the_option_and_the_variable_name_it(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv(own_folder.VARIABLE, "own")
    assert cell("model=tiny").model.name == "tiny"
    monkeypatch.delenv(own_folder.VARIABLE)
    for option in (["--config-dir", "own"], ["-cd", "own"], ["--config-dir=own"]):
        assert main.main(["plan", *option, "+sweeps=mine"]) == 0
        assert "total of 4" in capsys.readouterr().out
        monkeypatch.delenv(own_folder.VARIABLE)
    assert main.main(["plan", "--config-dir", "nowhere"]) == 2
    assert "zeroscale init DIR" in capsys.readouterr().err


def test_a_bare_folder_of_groups_is_taken_too_and_its_other_folders_are_no_groups(tmp_path, monkeypatch):
    (tmp_path / "bare" / "model").mkdir(parents=True)
    (tmp_path / "bare" / "model" / "mine.yaml").write_text((TEMPLATE / "conf" / "model" / "tiny.yaml").read_text())
    monkeypatch.setenv(own_folder.VARIABLE, str(tmp_path / "bare"))
    assert cell("model=mine").model.n_layer == 1


def test_no_folder_of_it_is_taken_for_a_group(folder):
    for name in ("study", "runs", "seed", "texts"):
        (folder / name).mkdir()
    assert cell("study=other", "seed=3").seed == 3


def test_cards_and_suites_of_it(folder):
    assert [card.name for card in registry.resolve(["small"])] == ["animals", "lambada"]
    (animals,) = registry.resolve(["animals"])
    assert registry.is_own(animals) and animals.sample_path.is_file()


def test_its_python_trains_is_recorded_and_its_card_scores(folder, zeroscale, small, texts):
    arguments = [*small, f"data.path={texts}", "model=tiny", "optimizer=lion", "schedule=steps"]
    arguments += ["optimizer.options.cautious=true", "cards=[animals]", "cards_from=sample"]
    zeroscale("train", *arguments, cwd=folder)
    (run,) = folder.glob("outputs/single/tiny-*")
    manifest = json.loads((run / "manifest.json").read_text())
    assert {"optimizers.py", "schedules.py"} <= set(manifest["code"]["files"])
    (result,) = run.glob("evals/*/animals.paper.json")
    assert json.loads(result.read_text())["n"] == len(
        (TEMPLATE / "evals/samples/animals.jsonl").read_text().splitlines()
    )
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    rates = [row["lr"] for row in rows if "lr" in row]
    assert rates[-1] == pytest.approx(max(rates) * 0.3**2)
    recorded = yaml.safe_load((run / "config.yaml").read_text())
    assert recorded["optimizer"]["name"] == "optimizers:Lion" and recorded["optimizer"]["options"] == {"cautious": True}


def test_the_code_of_a_run_is_that_of_its_python_and_what_it_imports(folder):
    from zeroscale.runs.identity import code

    (folder / "optimizers.py").write_text("from parts import signs\n\n\ndef Lion(params, lr):\n    return signs\n")
    (folder / "parts").mkdir()
    (folder / "parts" / "__init__.py").write_text("from . import inner\n\nsigns = 1\n")
    (folder / "parts" / "inner.py").write_text("import math\n")
    files = code.own_files(cell("optimizer=lion"))
    assert set(files) == {"optimizers.py", "parts/__init__.py", "parts/inner.py"}
    assert code.own_files(cell()) == {}


@pytest.mark.parametrize(
    ("name", "source", "words"),
    [
        ("missing:Lion", None, "there is no missing.py in"),
        ("optimizers:Tiger", None, "there is no Tiger in"),
        ("mine:Lion", "Lion = 3\n", "is no class and no function"),
        ("mine:Lion", "def Lion(params):\n    return 1\n", "it is called as Lion(groups, lr"),
        ("mine:Lion", "def Lion(params, lr):\n    return 1\n", "gave int, which is no torch.optim.Optimizer"),
        ("mine:Lion", "import math\n\n\ndef Lion(params, lr):\n    return math.sqrt(-1)\n", "mine.py, line 5"),
        ("mine:Lion", "x = 1\ny = undefined\n", "mine.py, line 2"),
    ],
)
def test_a_fault_of_it_is_one_message_that_names_the_place(folder, name, source, words):
    from zeroscale.model.config import GPTConfig
    from zeroscale.model.gpt import GPT
    from zeroscale.training.optimizer import optimizers

    if source is not None:
        (folder / "mine.py").write_text(source)
    model = GPT(GPTConfig(vocab_size=32, n_positions=8, n_layer=1, d_model=8, n_head=2))
    with pytest.raises(Exception) as caught:
        optimizers(model, cell(f"optimizer.name={name}").optimizer, 0.1)
    if isinstance(caught.value, ZeroscaleError):
        assert words in str(caught.value)
    else:
        assert place_of(caught.value) == words


def test_its_fault_ends_the_run_with_its_place_and_a_missing_file_before_any_run(folder, zeroscale, small, texts):
    (folder / "optimizers.py").write_text("x = 1\ny = undefined\n")
    given = [*small, f"data.path={texts}", "optimizer=lion"]
    said = zeroscale("train", *given, cwd=folder, code=1).stderr
    assert "NameError: name 'undefined' is not defined (optimizers.py, line 2)" in said
    (folder / "optimizers.py").unlink()
    assert "there is no optimizers.py in" in zeroscale("train", *given, "study=new", cwd=folder, code=2).stderr
    assert not (folder / "outputs" / "new").exists()


def test_without_a_folder_the_message_says_how_to_get_one(tmp_path, monkeypatch):
    from zeroscale.training.lr_schedule import Position, lr_at

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(own_folder.VARIABLE, raising=False)
    schedule = cell("schedule.name=schedules:steps").schedule
    with pytest.raises(ZeroscaleError, match="zeroscale init DIR makes it"):
        lr_at(500, peak=1.0, steps=1000, batch_tokens=1024, schedule=schedule)
    assert Position(0, 1, 1, 0).tokens == 1
    with pytest.raises(ZeroscaleError, match="adamw, muon, or module:name"):
        cell("optimizer.name=lion")
