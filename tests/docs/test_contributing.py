"""CONTRIBUTING.md names rooms, files and functions that exist."""

import ast
import re
from pathlib import Path

import zeroscale

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def names_in(path: Path) -> set[str]:
    """What a module defines at its top."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {ast.unparse(target) for target in targets}
    return names


def test_every_room_has_its_sentence():
    source = Path(zeroscale.__file__).parent
    rooms = {path.name for path in source.iterdir() if any(path.glob("*.py"))}
    assert set(re.findall(r"^\| `(\w+)` \| ", PAGE, re.MULTILINE)) == rooms


def test_functions_on_the_way_of_a_run_and_of_a_score_exist():
    rows = re.findall(r"\| `(src/\S+\.py)` \| `(\w+)` \|", PAGE)
    assert len(rows) > 20
    for path, name in rows:
        assert name in names_in(ROOT / path), f"{path} defines no {name}"


def test_files_of_the_recipes_exist_and_hold_what_is_named():
    paths = set(re.findall(r"`((?:src|conf|evals|tests|benchmarks|docs|lock)/[\w./-]*)`", PAGE))
    assert len(paths) > 40
    for path in paths:
        # NAME stands for the new thing: its folder is there.
        place = ROOT / path if "NAME" not in path else (ROOT / path).parent
        assert place.exists(), path
    for path, name in re.findall(r"`(src/\S+\.py)`: [^`]*(?:an entry of|in) `([A-Za-z_]+)`", PAGE):
        assert name in names_in(ROOT / path), f"{path} defines no {name}"
