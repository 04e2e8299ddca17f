"""The house's rules, read off the imports and the files: CONTRIBUTING.md says them in words."""

import ast
from functools import cache
from pathlib import Path

import pytest
import yaml

import zeroscale

SOURCE = Path(zeroscale.__file__).parent
ROOT = SOURCE.parent.parent
FILES = sorted(SOURCE.rglob("*.py"))
# A folder imports only those before it.
ORDER = ["core", "model", "config", "data", "runs", "eval", "training", "launch", "scaling", "report"]
ORDER += ["provenance", "cli"]


def name(path: Path) -> str:
    return path.relative_to(SOURCE).with_suffix("").as_posix()


def module(path: Path) -> str:
    """`zeroscale.model.gpt`; a package by its own name."""
    parts = ["zeroscale", *path.relative_to(SOURCE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(path): path for path in FILES}


@cache
def imports(path: Path) -> frozenset[str]:
    """Every module that a file imports, late ones and those for types included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{path}: a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in MODULES else node.module)
    return frozenset(found)


def users(*packages: str) -> set[str]:
    return {name(path) for path in FILES for imported in imports(path) if imported.split(".")[0] in packages}


def test_each_framework_is_known_in_its_own_rooms_only():
    hydras_place = ("cli/compose", "cli/composing/", "cli/override_checks")
    assert all(user.startswith(hydras_place) for user in users("hydra"))
    assert all(user.startswith(("config/", "cli/compose", "cli/composing/")) for user in users("omegaconf"))
    lightning = users("pytorch_lightning", "lightning_fabric", "lightning")
    assert all(user.startswith("training/") or user == "data/loader" for user in lightning)
    assert all(user.startswith(("training/trackers/", "report/wandb/")) for user in users("wandb"))
    assert not {user for user in users("torch") if user.startswith(("core/", "config/", "scaling/", "report/"))}


def test_the_decoder_knows_only_torch():
    decoder = {imported.split(".")[0] for imported in imports(SOURCE / "model" / "gpt.py")}
    assert not decoder & {"safetensors", "json", "os", "huggingface_hub", "transformers"}
    # Plans and settings count parameters and bytes where no torch is loaded.
    for path in ("__init__", "config", "flops", "memory"):
        assert not any(imported.split(".")[0] == "torch" for imported in imports(SOURCE / "model" / f"{path}.py"))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_room_imports_only_those_before_it(path: Path):
    room = path.relative_to(SOURCE).parts[0]
    for imported in imports(path):
        parts = imported.split(".")
        if parts[0] != "zeroscale" or len(parts) < 2 or parts[1] == "__version__":
            continue
        if room == "__main__.py":
            assert imported == "zeroscale.cli.main"
            continue
        if room == "__init__.py":
            continue  # it stands above all rooms; what it imports comes when a name is used
        assert ORDER.index(parts[1]) <= ORDER.index(room), f"{name(path)} imports {imported}"
        assert (room, parts[1]) != ("scaling", "eval"), f"{name(path)} imports {imported}"
        if (room, parts[1]) == ("report", "eval"):
            assert imported == "zeroscale.eval.published", f"{name(path)} imports {imported}"


def test_no_file_imports_itself_on_a_detour():
    done: set[str] = set()

    def visit(current: str, way: list[str]) -> None:
        assert current not in way, " -> ".join([*way[way.index(current) :], current])
        if current in done:
            return
        # The package itself stands above: rooms take its version alone (next test), and it imports only when asked.
        for imported in sorted(imports(MODULES[current]) & MODULES.keys() - {"zeroscale"}):
            if imported != current:
                visit(imported, [*way, current])
        done.add(current)

    for current in MODULES:
        visit(current, [])


def test_rooms_take_the_version_alone_of_the_package():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "zeroscale":
                names = {alias.name for alias in node.names} - {"__version__"}
                assert all(f"zeroscale.{inner}" in MODULES for inner in names), f"{name(path)} imports {names}"


def test_folders_are_small_and_the_root_is_bare():
    assert {path.name for path in SOURCE.glob("*.py")} == {"__init__.py", "__main__.py"}
    assert {path.name for path in SOURCE.iterdir() if any(path.glob("*.py"))} == set(ORDER)
    for folder in {path.parent for path in FILES}:
        assert len(list(folder.glob("*.py"))) <= 15, folder


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
