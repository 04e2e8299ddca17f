"""docs/notebook.md runs as it stands, and docs/notebook.ipynb is that page with its outputs."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from conftest import ROOT, SMALL, environment, write_texts
from support.once import once

DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_notebook", DOCS / "run_notebook.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def train(folder: Path) -> None:
    """Two sizes that train in a second each, under the name of the pocket study."""
    write_texts(folder / "texts")
    sweep = ["-m", *SMALL, "model.d_model=8,16", "study=pocket", "optimizer.lr_reference_params=null"]
    command = [sys.executable, "-m", "zeroscale", "train", *sweep, "cards=[]"]
    subprocess.run(command, cwd=folder, env=environment(), check=True, capture_output=True, timeout=300)


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(once(tmp_path_factory, "notebook", train), tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


def test_every_cell_of_the_page_runs(script: ModuleType, folder: Path) -> None:
    cells = script.run_page()
    values = [value for kind, _, _, value in cells if kind == "code"]
    assert len(values) > 10 and (folder / "outputs" / "pocket" / "fit.json").is_file()
    shown = "\n".join(map(repr, values))
    for words in ("95 % interval", "SAMPLE, no benchmark", "second: ensemble", "<figure law>"):
        assert words in shown


def test_the_notebook_is_the_page_with_its_outputs(script: ModuleType) -> None:
    text = script.NOTEBOOK.read_text(encoding="utf-8")
    notebook = json.loads(text)
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in notebook["cells"]]
    assert cells == script.read_cells(), "docs/notebook.md has changed: run docs/run_notebook.py again"
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert all(cell["outputs"] for cell in code) and {output["output_type"] for output in outputs} <= {
        "stream",
        "execute_result",
    }
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
    assert not re.search(r"(?<![\w.*])/(?:home|root|tmp|work|Users|usr)/", text)
