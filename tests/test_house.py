"""The house's rules, read off the imports and the files."""

import ast
from pathlib import Path

import pytest
import yaml

import zeroscale

SOURCE = Path(zeroscale.__file__).parent
ROOT = SOURCE.parent.parent
FILES = sorted(SOURCE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Every module that a file imports, late imports included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def name(path: Path) -> str:
    return path.relative_to(SOURCE).with_suffix("").as_posix()


def users(*packages: str) -> set[str]:
    return {name(path) for path in FILES for module in imports(path) if module.split(".")[0] in packages}


def test_each_framework_is_known_in_its_own_rooms_only():
    assert users("hydra") <= {"cli"}
    assert users("omegaconf") <= {"cli", "settings"}
    lightning = users("pytorch_lightning", "lightning_fabric", "lightning")
    assert all(user.startswith("training/") or user in ("build", "data/module") for user in lightning)
    assert users("wandb") <= {"training/tracker", "report/wandb_report"}


def test_the_model_knows_only_torch():
    allowed = {"zeroscale.model", "zeroscale.core.errors", "zeroscale.core.files"}
    for path in (SOURCE / "model").glob("*.py"):
        for module in imports(path):
            if module.startswith("zeroscale."):
                assert any(module == known or module.startswith(known + ".") for known in allowed), (path, module)
    decoder = {module.split(".")[0] for module in imports(SOURCE / "model" / "gpt.py")}
    assert not decoder & {"safetensors", "json", "os", "huggingface_hub", "transformers"}


def test_rooms_are_used_in_one_direction():
    floors = ["cli", "usage", "commands", "scores", "launch", "worker", "scoring", "build"]
    rooms = {
        "model": {"training", "data", "harness", "scaling", "report", "provenance"},
        "data": {"training", "harness", "scaling", "report", "model"},
        "harness": {"training", "data", "scaling", "report"},
        "scaling": {"training", "data", "harness", "model", "report"},
        "report": {"training", "data", "harness", "model"},
        "provenance": {"data", "harness", "model", "report"},
    }
    for path in FILES:
        room = name(path).split("/")[0]
        for module in imports(path):
            parts = module.split(".")
            if parts[0] != "zeroscale" or len(parts) < 2:
                continue
            assert parts[1] not in rooms.get(room, set()), f"{name(path)} imports {module}"
            if room in rooms:
                assert parts[1] not in floors, f"{name(path)} imports {module}"


def test_no_pickle_is_trusted():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                assert any(k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in node.keywords), path


def test_files_stay_readable():
    for path in FILES:
        assert path.stem not in ("utils", "helpers", "common")
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 340, path


def test_yaml_numbers_are_numbers():
    # YAML reads 8.8e13 as a string: it wants 8.8e+13.
    def walk(node: object, where: str) -> None:
        if isinstance(node, dict):
            for key, value in node.items():
                walk(value, f"{where}.{key}")
        elif isinstance(node, list):
            for value in node:
                walk(value, where)
        elif isinstance(node, str):
            with pytest.raises(ValueError):
                float(node)
                pytest.fail(f"{where}: {node!r} is a string")

    for folder in ("conf", "evals", "sweeps"):
        for path in (ROOT / folder).rglob("*.yaml"):
            walk(yaml.safe_load(path.read_text(encoding="utf-8")), str(path))


def test_the_lock_names_no_address_and_no_torch():
    for path in (ROOT / "lock").glob("*.txt"):
        text = path.read_text()
        assert "://" not in text
        if path.stem != "torch":
            assert "\ntorch==" not in text and "--hash=sha256:" in text
