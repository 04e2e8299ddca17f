"""`write(study)`: the report as a folder that opens from disk.

index.html, style.css and the scripts are fixed files of this package; everything that belongs to the study is in
data.js and examples/, as data. A browser does not fetch() from disk, so data travels as scripts; the page asks no
network for anything.
"""

import hashlib
import importlib.util
import json
import os
import shutil
from collections.abc import Sequence
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import write_directory
from zeroscale.report import page
from zeroscale.report.page import PageData
from zeroscale.runs import layout

ASSETS = ("index.html", "style.css")
SCRIPTS = ("app.js", "charts.js", "curves.js", "dom.js", "examples.js", "laws.js", "origins.js", "tables.js")
LONGEST_NAME = 80


def write(study: Path | Sequence[Path], out: Path | None = None, live: float | None = None) -> Path:
    """Makes `<study>/report/` whole, replacing an earlier one; returns its index.html.

    The same files in the studies give the same report, byte for byte. Several studies come on one page, by default
    in a folder beside them that is called after them. With `out` nothing is written into a study. `live` makes a page
    that looks for a newer one every so many seconds, and leaves out the static figures and tables, which take seconds.

    Raises:
        ZeroscaleError: a folder is no study, or the report cannot be written.
    """
    studies = [Path(study)] if isinstance(study, str | os.PathLike) else [Path(one) for one in study]
    if not studies:
        raise ZeroscaleError("study: missing; give it as study=outputs/pocket, or several as study=[one,other]")
    if out is not None:
        _refuse_other(Path(out))
    found = page.read(studies, keep=out is None)
    target = place(found) if out is None else Path(out)
    write_directory(target, lambda folder: _fill(folder, found, target, live))
    return target / "index.html"


def place(found: PageData) -> Path:
    """Where a report goes if nobody says: into the study, or beside several. A `+` is in no study's own name."""
    if found.alone:
        return found.parts[0].directory / layout.REPORT
    names = [name.replace("/", "-") for name in found.names]
    joined = "+".join(names)
    if len(joined) > LONGEST_NAME:
        digest = hashlib.sha256(joined.encode()).hexdigest()[:8]
        joined = f"{names[0][:40]}+{len(names) - 1}-more-{digest}"
    return found.study.directory / joined / layout.REPORT


def _refuse_other(out: Path) -> None:
    """A report replaces a report, and nothing else."""
    if out.exists() and not (out / "data.js").is_file() and (not out.is_dir() or any(out.iterdir())):
        raise ZeroscaleError(f"out={out} is there and is no report: give a folder that is new, empty, or a report's")


def _fill(folder: Path, found: PageData, target: Path, live: float | None) -> None:
    assets = package_files("zeroscale.report") / "assets"
    for name in (*ASSETS, *SCRIPTS):
        (folder / name).write_bytes((assets / name).read_bytes())
    shutil.copyfile(plotly_script(), folder / "plotly.min.js")
    listed = _write_examples(folder / "examples", page.read_examples(found))
    shown = page.describe(found, listed)
    shown["static"] = _write_static(folder, found) if found.alone and live is None else []
    shown["links"] = _links(found, target, live)
    if live is not None:
        stamp = hashlib.sha256(script(shown).encode()).hexdigest()[:16]
        shown["live"] = {"every": live, "stamp": stamp}
        (folder / "stamp.js").write_text(f'window.zeroscaleStamp = "{stamp}";\n', encoding="utf-8")
    (folder / "data.js").write_text(script(shown), encoding="utf-8")


def _write_static(folder: Path, found: PageData) -> list[str]:
    """The figures and tables for papers; returns the names of the files, as the page links them."""
    from zeroscale.report.figures import matplotlib_files
    from zeroscale.report.tables import table_files

    study = found.parts[0]
    written = matplotlib_files.write(folder / "figures", study, found.laws[0], found.drawn, found.cards) or []
    written += table_files.write(folder / "tables", study, found.cards)
    return sorted(path.relative_to(folder).as_posix() for path in written)


def _links(found: PageData, target: Path, live: float | None) -> dict[str, str | None]:
    """results.csv and fit.json as the page reaches them: beside it while it is served, else on the way from its folder
    to the study's."""
    links: dict[str, str | None] = {}
    for key, name in (("results", layout.LEDGER), ("fit", layout.FIT)):
        path = found.parts[0].directory / name
        there = found.alone and path.is_file()
        links[key] = None if not there else name if live is not None else _way(path, target)
    return links


def _way(path: Path, target: Path) -> str:
    return Path(os.path.relpath(path.resolve(), target.resolve())).as_posix()


def _write_examples(folder: Path, cards: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A script for each card, which the page loads when it is chosen; returns what data.js lists of them."""
    listed = []
    if cards:
        folder.mkdir()
    for number, card in enumerate(cards):
        text = _json(card["examples"])
        wrapped = f"(window.zeroscaleExamples = window.zeroscaleExamples || {{}})[{number}] = {text};\n"
        (folder / f"{number}.js").write_bytes(wrapped.encode("utf-8", "replace"))
        answers = [answer for example in card["examples"] for answer in example["answers"]]
        facts = {"file": f"examples/{number}.js", "shown": len(card["examples"])}
        facts |= {"judged": any(answer["right"] is not None for answer in answers)}
        runs = list(dict.fromkeys((answer["run"], answer["cell"]) for answer in answers))
        listed.append({key: card[key] for key in card if key != "examples"} | facts | {"runs": runs})
    return listed


def plotly_script() -> Path:
    """plotly's own script, out of the installed plotly package (found without importing it)."""
    spec = importlib.util.find_spec("plotly")
    folders = list(spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        path = Path(folder) / "package_data" / "plotly.min.js"
        if path.is_file():
            return path
    raise ZeroscaleError("the report needs plotly's script: install the package `plotly` (6 or later) again")


def script(shown: dict[str, Any]) -> str:
    """A JavaScript file that only sets `window.zeroscale`."""
    return f"window.zeroscale = {_json(shown)};\n".encode("utf-8", "replace").decode("utf-8")


def _json(value: Any) -> str:
    """No `<` and no line separator of Unicode stands in it unescaped, so that no text of a run can end a script or
    break a string, even were the data ever put into the page itself.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character, escape in (("<", "\\u003c"), (">", "\\u003e"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029")):
        text = text.replace(character, escape)
    return text
