"""docs/moved-modules.md names modules and names that exist; the old modules are gone."""

import ast
import re
from functools import cache
from pathlib import Path

import zeroscale

SOURCE = Path(zeroscale.__file__).parent
PAGE = (SOURCE.parents[1] / "docs" / "moved-modules.md").read_text(encoding="utf-8")
MODULES, NAMES = (part.split("\n## ")[0] for part in PAGE.split("\n## ")[1:3])


def rows(part: str) -> list[list[str]]:
    """The cells of a table, without backticks."""
    lines = [line for line in part.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.replace("`", "").strip("|").split("|")] for line in lines]


def file_of(module: str) -> Path:
    path = SOURCE / Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def names_in(module: str) -> set[str]:
    """What a module defines at its top, without importing it."""
    return set(re.findall(r"^(?:class |def )?(\w+)(?: =|:|\(|\[)", file_of(module).read_text(), re.MULTILINE))


def test_the_new_modules_exist():
    table = rows(MODULES)
    assert len(table) > 200
    for _, places in table:
        for place in places.split(", "):
            assert file_of(place).is_file(), place
            ast.parse(file_of(place).read_text(encoding="utf-8"))


def test_the_new_names_exist():
    table = rows(NAMES)
    assert len(table) > 100
    for module, _, name in table:
        assert name.split(".")[0] in names_in(module), f"{module}.{name}"
