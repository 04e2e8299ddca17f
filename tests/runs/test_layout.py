"""runs/layout.py alone knows the names of a run's and a study's files: nobody else builds such a path."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import zeroscale
from zeroscale.runs import layout

SOURCE = Path(zeroscale.__file__).parent
# The rooms before `runs` cannot import it. Of these only config/size_rules reads runs: the rates of finished ones.
BEFORE = ("core", "model", "config", "data")
FILES = [path for path in sorted(SOURCE.rglob("*.py")) if path.relative_to(SOURCE).parts[0] not in BEFORE]
NAMES = {value for name, value in vars(layout).items() if name.isupper() and isinstance(value, str)}
# Words of their own besides: they name a file where they are joined to a path.
WORDS = {layout.CHECKPOINTS, layout.EVALS, layout.EXTERNAL, layout.REPORT, layout.CORPORA, layout.OVERLAP}
WORDS.add(layout.TOKENIZER)


def text_of(node: ast.expr) -> str:
    """A string, or how an f-string begins."""
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def paths_built(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in NAMES - WORDS:
            yield f"{node.lineno}: {node.value!r}"
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            first = text_of(node.right).split("/")[0]
            if first in NAMES or first.startswith("step-"):
                yield ast.unparse(node)
        elif (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("glob", "rglob")
        ):
            if {part for argument in node.args for part in text_of(argument).split("/")} & NAMES:
                yield ast.unparse(node)
        elif isinstance(node, ast.Attribute | ast.Subscript):
            text = ast.unparse(node)
            if text.endswith(".parent.parent") or ".parents[" in text:
                yield text


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_no_other_file_names_what_a_run_or_a_study_holds(path: Path):
    if path == SOURCE / "runs" / "layout.py":
        return
    found = list(paths_built(ast.parse(path.read_text(encoding="utf-8"))))
    assert not found


def test_steps_and_directories_stand_for_each_other(tmp_path):
    for name in ("step-00000500", "step-00000020", "step-123456789", "step-5", ".step-00000001.7.tmp", "step-0000000x"):
        (tmp_path / name).mkdir()
    (tmp_path / "step-00000099").touch()
    assert list(layout.step_directories(tmp_path)) == [20, 500, 123456789]
    assert layout.step_name(500) == "step-00000500" and layout.step_of(Path("step-5")) is None


def test_a_checkpoints_results_lie_in_its_run_or_beside_it(tmp_path):
    run = tmp_path / "pocket" / "s"
    step = layout.checkpoint_directory(run, 20)
    step.mkdir(parents=True)
    assert layout.results_of(step) == step / "evals"
    (run / "config.yaml").touch()
    assert layout.results_of(step) == run / "evals" / "step-00000020" == layout.results_directory(run, 20)
    assert layout.run_directories(tmp_path / "pocket") == [run]
