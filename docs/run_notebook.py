"""Runs the cells of docs/notebook.md and writes them with their outputs to docs/notebook.ipynb.

    python docs/run_notebook.py FOLDER        # a folder that holds outputs/pocket

The file follows nbformat 4.5 (nbformat.readthedocs.io), so that neither Jupyter nor nbformat has to be installed.
"""

import ast
import base64
import contextlib
import hashlib
import io
import json
import os
import re
import sys
from pathlib import Path

PAGE = Path(__file__).with_name("notebook.md")
NOTEBOOK = Path(__file__).with_name("notebook.ipynb")
_CODE = re.compile(r"```python\n(.*?)```\n?", re.DOTALL)


def read_cells() -> list[tuple[str, str]]:
    """(markdown or code, text) of the page, in order."""
    parts = _CODE.split(PAGE.read_text(encoding="utf-8"))
    cells = [("code" if number % 2 else "markdown", part.strip()) for number, part in enumerate(parts)]
    return [(kind, text) for kind, text in cells if text]


def run_cell(code: str, names: dict[str, object]) -> tuple[str, object]:
    """Runs a cell; returns what it printed and the value of its last line, as a notebook shows it."""
    tree = ast.parse(code)
    last = ast.Expression(tree.body.pop().value) if isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(tree, "<cell>", "exec"), names)
        value = eval(compile(last, "<cell>", "eval"), names) if last else None
    return printed.getvalue(), value


def run_page() -> list[tuple[str, str, str, object]]:
    """(kind, text, printed, value) of each cell, run in one namespace in the working directory."""
    names: dict[str, object] = {"__name__": "__main__"}
    return [(kind, text, *(run_cell(text, names) if kind == "code" else ("", None))) for kind, text in read_cells()]


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _outputs(printed: str, value: object, count: int) -> list[dict[str, object]]:
    outputs: list[dict[str, object]] = []
    if printed:
        outputs.append({"output_type": "stream", "name": "stdout", "text": _lines(printed)})
    if value is not None:
        data: dict[str, object] = {"text/plain": _lines(repr(value))}
        if html := getattr(value, "_repr_html_", lambda: None)():
            data["text/html"] = _lines(html)
        if png := getattr(value, "_repr_png_", lambda: None)():
            data["image/png"] = base64.b64encode(png).decode("ascii")
        outputs.append({"output_type": "execute_result", "execution_count": count, "data": data, "metadata": {}})
    return outputs


def write_notebook(cells: list[tuple[str, str, str, object]]) -> None:
    """Writes docs/notebook.ipynb."""
    content, count = [], 0
    for number, (kind, text, printed, value) in enumerate(cells):
        name = hashlib.sha256(f"{number} {text}".encode()).hexdigest()[:8]
        cell: dict[str, object] = {"cell_type": kind, "id": name, "metadata": {}, "source": _lines(text)}
        if kind == "code":
            count += 1
            cell |= {"execution_count": count, "outputs": _outputs(printed, value, count)}
        content.append(cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    notebook = {"cells": content, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    NOTEBOOK.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    write_notebook(run_page())
