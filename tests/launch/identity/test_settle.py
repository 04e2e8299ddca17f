"""One cell for one content and one code, however a path is spelt, wherever the study lies, whoever edits the model."""

import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from conftest import ROOT, write_texts

from zeroscale.core.files import read_json, write_json
from zeroscale.launch import launcher
from zeroscale.runs import status
from zeroscale.runs.identity import code
from zeroscale.runs.run import Run
from zeroscale.runs.study import Study

# What the fixture `trained` was trained with.
TRAINED = ["tokenizer=bpe", "tokenizer.vocab_size=300", "model.vocab_size=320", "cards=[lambada]", "cards_from=sample"]


@pytest.fixture(autouse=True)
def no_children(trained, monkeypatch):
    """A run that is found is not trained: the one test that trains says so."""

    def refuse(*_, **__):
        raise OSError("a child was started")

    monkeypatch.setattr(
        launcher, "subprocess", SimpleNamespace(Popen=refuse, PIPE=subprocess.PIPE, DEVNULL=subprocess.DEVNULL)
    )


@pytest.fixture
def train(zeroscale, small):
    """train(PATH, …, cwd=…): the command of `trained` with another spelling of its corpus' path."""
    others = [text for text in small if not text.startswith("data.path=")]

    def run(path: str, *arguments: str, **options):
        return zeroscale("train", *others, *TRAINED, f"data.path={path}", *arguments, **options)

    return run


def cells(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.glob("outputs/*/*/config.yaml"))


def record(cell: Path, **changes) -> None:
    """Changes what a cell's manifest holds."""
    write_json(cell / "manifest.json", {**read_json(cell / "manifest.json"), **changes})


class TestSpellings:
    @pytest.mark.parametrize("spelling", ["texts", "texts/", "./texts", "{here}/texts", "../{name}/texts", "link"])
    def test_of_one_corpus_are_one_cell(self, train, trained, tmp_path, spelling):
        (tmp_path / "link").symlink_to("texts")
        said = train(spelling.format(here=tmp_path, name=tmp_path.name)).stdout
        assert "done already" in said
        assert cells(tmp_path) == [trained.name] and len(list(tmp_path.glob("outputs/corpora/*/index.json"))) == 1

    @pytest.mark.parametrize("old", ["./texts", "{here}/texts/"])
    def test_a_cell_of_before_is_found_under_every_spelling(self, train, trained, tmp_path, old):
        old = respell(trained, old.format(here=tmp_path))
        for spelling in ("texts", "./texts", f"{tmp_path}/texts"):
            assert "done already" in train(spelling).stdout
        assert cells(tmp_path) == [old.name]

    def test_a_copy_of_the_texts_is_the_same_corpus(self, train, trained, tmp_path):
        shutil.copytree(tmp_path / "texts", tmp_path / "elsewhere")
        assert "done already" in train("elsewhere").stdout

    def test_other_text_is_another_cell(self, train, trained, tmp_path):
        write_texts(tmp_path / "others", seed=1)
        said = train("others", code=None)
        assert "a child was started" in said.stderr and len(cells(tmp_path)) == 2

    def test_a_sweep_over_two_spellings_is_one_cell_twice(self, train, trained, tmp_path):
        (tmp_path / "link").symlink_to("texts")
        for arguments in ([], ["study=new"]):
            said = train("texts,link", "-m", *arguments, code=2).stderr
            assert "two jobs of this sweep are the same cell" in said
        assert not (tmp_path / "outputs" / "new").exists()

    def test_a_plan_names_the_cell_that_is_there(self, zeroscale, small, trained, tmp_path):
        (tmp_path / "link").symlink_to("texts")
        others = [text for text in small if not text.startswith("data.path=")]
        said = zeroscale("plan", *others, *TRAINED, "data.path=link").stdout
        assert trained.name in said

    def test_an_unfinished_cell_goes_on_with_the_files_where_they_lie_now(self, train, trained, tmp_path):
        """config.yaml keeps the spelling that the cell began with, and with it its hash."""
        (trained / "DONE").unlink()
        (tmp_path / "texts").rename(tmp_path / "moved")
        assert "a child was started" in train("moved", code=None).stderr
        config = yaml.safe_load((trained / "config.yaml").read_text())
        assert config["data"]["path"] == "texts" and config["places"] == {"data.path": f"{tmp_path}/moved"}
        assert Run(trained).config.cell == trained.name
        assert Run(trained).config.here.data.path == f"{tmp_path}/moved"
        assert cells(tmp_path) == [trained.name]


def respell(cell: Path, path: str) -> Path:
    """A cell as an earlier version made it, which took a path as it was typed; its corpus likewise."""
    from zeroscale.data.prepare.prepare import corpus_directory

    before = Run(cell).config
    now = before.with_paths({"data.path": path})
    config = yaml.safe_load((cell / "config.yaml").read_text())
    config["data"]["path"] = path
    (cell / "config.yaml").write_text(yaml.safe_dump(config))
    done = read_json(cell / "DONE")
    write_json(cell / "DONE", {**done, "settings_hash": now.hash()})
    manifest = {**read_json(cell / "manifest.json"), "settings_hash": now.hash()}
    del manifest["code"], manifest["corpus"]["content"]
    write_json(cell / "manifest.json", manifest)
    corpora = cell.parent.parent / "corpora"
    names = [corpus_directory(corpora, each.data, each.tokenizer) for each in (before, now)]
    names[0].rename(names[1])
    index = read_json(names[1] / "index.json")
    index["settings"]["data.path"] = path
    write_json(names[1] / "index.json", index)
    return cell.rename(cell.with_name(now.cell))


class TestMovedStudy:
    @pytest.mark.parametrize("with_corpora", [True, False])
    @pytest.mark.parametrize("spelling", ["texts", "{there}/texts"])
    def test_is_the_same_cell(self, train, trained, tmp_path, with_corpora, spelling):
        there = tmp_path / "there"
        move(tmp_path, there, with_corpora)
        if spelling != "texts":
            (there / "texts").rename(tmp_path / "texts")
        said = train(spelling.format(there=tmp_path), cwd=there).stdout
        assert "done already" in said and cells(there) == [trained.name]

    def test_of_before_is_known_by_its_tokens(self, train, trained, tmp_path):
        """It recorded no hash of its files: the corpus is prepared, as a new cell would need it, and is the same."""
        old, there = respell(trained, "./texts"), tmp_path / "there"
        move(tmp_path, there, False)
        (there / "texts").rename(there / "moved")
        assert "done already" in train("moved", cwd=there).stdout
        assert cells(there) == [old.name]

    def test_without_its_texts_is_taken_as_it_is(self, train, trained, tmp_path):
        there = tmp_path / "there"
        move(tmp_path, there, True)
        shutil.rmtree(there / "texts")
        assert "done already" in train("texts", cwd=there).stdout


def move(here: Path, there: Path, with_corpora: bool) -> None:
    (there / "outputs").mkdir(parents=True)
    (here / "outputs" / "single").rename(there / "outputs" / "single")
    (here / "texts").rename(there / "texts")
    if with_corpora:
        (here / "outputs" / "corpora").rename(there / "outputs" / "corpora")


class TestChangedText:
    @pytest.mark.parametrize("with_corpus", [True, False])
    def test_under_the_same_path_is_refused_with_what_to_do(self, train, trained, tmp_path, with_corpus):
        (tmp_path / "texts" / "000.txt").write_text("Something else.\n")
        if not with_corpus:
            shutil.rmtree(tmp_path / "outputs" / "corpora")
        said = train("texts", code=2).stderr
        assert "data.path=texts holds other text now than it did for pocket-s, which is finished" in said
        assert "data.name=files-2" in said and "put its files back" in said
        assert ("000.txt has another size" in said) == with_corpus
        assert status.read_done(trained) is not None

    def test_under_another_path_is_another_cell(self, train, trained, tmp_path):
        shutil.copytree(tmp_path / "texts", tmp_path / "more")
        (tmp_path / "more" / "new.txt").write_text("Something else.\n")
        assert "a child was started" in train("more", code=None).stderr and len(cells(tmp_path)) == 2


@pytest.fixture
def edited(trained):
    """A finished cell whose model and optimizer were other code."""
    files = {**code.read()["files"], "model/gpt.py": "0" * 16, "training/optimizer.py": "1" * 16}
    record(trained, code={"hash": "f" * 64, "files": files, "bytes": "e" * 64})
    return trained


class TestOtherCode:
    def test_a_new_cell_records_its_code(self, trained):
        recorded = Run(trained).manifest["code"]
        assert recorded["hash"] == code.read()["hash"] == Run(trained).code_hash
        assert recorded["files"] == code.read()["files"]

    def test_is_refused_with_the_files_and_the_choices(self, train, edited, tmp_path):
        said = train("texts", code=2).stderr
        assert "1 finished run was trained by other code than this" in said
        assert "- pocket-s: model/gpt.py, training/optimizer.py" in said and edited.name in said
        for choice in ("keep", "rerun", "adopt"):
            assert f"on_code_change={choice}" in said
        assert cells(tmp_path) == [edited.name]

    def test_is_refused_before_a_sweep_begins_for_all_cells_at_once(self, train, edited, tmp_path):
        other = shutil.copytree(edited, edited.with_name("other"))
        config = yaml.safe_load((other / "config.yaml").read_text())
        config["seed"] = 1
        (other / "config.yaml").write_text(yaml.safe_dump(config))
        other = other.rename(other.with_name(Run(other).config.cell))
        write_json(other / "DONE", {**read_json(other / "DONE"), "settings_hash": Run(other).config.hash()})
        said = train("texts", "-m", "seed=0,1,2", code=2).stderr
        assert (
            "2 finished runs were trained by other code" in said
            and "- pocket-s seed=0, pocket-s seed=1: model/gpt.py" in said
        )
        assert len(cells(tmp_path)) == 2 and not (edited.parent / "sweep.json").exists()

    def test_keep_trusts_it_this_time(self, train, edited):
        said = train("texts", "on_code_change=keep").stdout
        assert "pocket-s: kept, though other code trained it (differing: model/gpt.py, training/optimizer.py)" in said
        assert "done already" in said
        train("texts", code=2)

    def test_adopt_records_that_its_result_is_accepted(self, train, edited):
        before = (edited / "manifest.json").read_bytes()
        assert "accepted under this code" in train("texts", "on_code_change=adopt").stdout
        assert "done already" in train("texts").stdout
        assert Run(edited).code_hash == code.read()["hash"]
        assert (edited / "manifest.json").read_bytes() == before
        # Its own code still counts as its own, and a third is asked for again.
        third = {**code.read(), "hash": "d" * 64, "bytes": "c" * 64}
        write_json(edited / "DONE", {**read_json(edited / "DONE"), "adopted": [third["hash"]]})
        train("texts", code=2)

    def test_rerun_trains_it_beside_the_old_and_finds_both(self, train, edited, monkeypatch, tmp_path):
        monkeypatch.undo()
        said = train("texts", "on_code_change=rerun").stdout
        beside = edited.with_name(f"{edited.name}-code{code.read()['hash'][:8]}")
        assert f"trained anew by this code, in {beside.name}" in said
        assert cells(tmp_path) == [edited.name, beside.name]
        assert Run(beside).done and Run(beside).code_hash == code.read()["hash"]
        for _ in range(2):
            assert "done already" in train("texts").stdout
        assert "done already" in train("./texts", "on_code_change=rerun").stdout
        # Several codes are an axis of the study.
        axes = Study(edited.parent).axes
        assert [axis.key for axis in axes.varied] == ["code"]
        assert {axes.label(run) for run in axes.runs} == {f"pocket-s code={run.code_hash[:8]}" for run in axes.runs}
        # Back at the old code, the old cell is the one.
        record(edited, code=code.read())
        record(beside, code={**code.read(), "hash": "9" * 64, "bytes": "8" * 64})
        assert "done already" in train("texts").stdout

    def test_a_cell_of_before_stays_valid_and_is_named(self, train, trained):
        manifest = read_json(trained / "manifest.json")
        del manifest["code"]
        write_json(trained / "manifest.json", manifest)
        said = train("texts").stdout
        assert "pocket-s was made before the code that trains was recorded: taken as done" in said
        assert "done already" in said and Run(trained).code_hash is None

    def test_an_unknown_choice_names_the_known(self, train, trained):
        said = train("texts", "on_code_change=ask", code=2).stderr
        assert "on_code_change='ask'" in said and "rerun" in said


def test_editing_the_model_is_noticed_by_the_next_command(zeroscale, small, trained, tmp_path):
    """In a copy of the package, by a process of its own: a comment changes nothing, an initial weight does."""
    copy = tmp_path / "copy"
    for part in ("src", "conf", "evals", "sweeps"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    model = copy / "src" / "zeroscale" / "model" / "gpt.py"
    source = model.read_text()
    model.write_text(f"# A comment.\n{source}")
    command = ["train", *small, *TRAINED]
    assert "done already" in zeroscale(*command, PYTHONPATH=str(copy / "src")).stdout
    model.write_text(f"{source}\nEDITED = 1\n")
    said = zeroscale(*command, code=2, PYTHONPATH=str(copy / "src"))
    assert "- pocket-s: model/gpt.py\n" in said.stderr and "on_code_change=adopt" in said.stderr
