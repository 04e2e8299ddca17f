"""`import zeroscale as zs`: the names are there, nothing is imported before one is used, type checkers see them."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import zeroscale as zs

SOURCE = Path(zs.__file__)


def test_every_name_is_there():
    for name in zs.__all__:
        assert getattr(zs, name) is not None and name in dir(zs)
    assert zs.__doc__ and all(getattr(zs, name).__doc__ for name in zs.__all__)
    with pytest.raises(AttributeError, match="no attribute 'evalute'"):
        _ = zs.evalute


def test_editors_are_told_of_the_same_names():
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    told = {alias.name for node in ast.walk(block) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert told == set(zs.__all__) == set(zs._MODULES)
    assert (SOURCE.parent / "py.typed").is_file()


def test_importing_costs_nothing():
    code = "import sys, time; t = time.process_time(); import zeroscale; seconds = time.process_time() - t\n"
    code += "dir(zeroscale); print(seconds, *sorted({name.split('.')[0] for name in sys.modules}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, *modules = result.stdout.split()
    assert not {"torch", "numpy", "pandas", "pydantic", "yaml", "scipy"} & set(modules)
    # Some 25 ms of processor time.
    assert float(seconds) < 0.5


def test_laws_need_no_torch():
    code = "import sys, zeroscale as zs; zs.fit_power_law([1e6, 1e7, 1e8], [5.0, 4.0, 3.2], bootstrap=50)\n"
    code += "print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False"]
