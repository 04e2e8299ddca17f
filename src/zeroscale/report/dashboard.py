"""`write(study)`: the report as a folder that opens from disk.

index.html, style.css and the scripts are fixed files of this package; everything that belongs to the study is in
data.js and examples/, as data. A browser does not fetch() from disk, so data travels as scripts; the page asks no
network for anything.
"""

import hashlib
import importlib.util
import json
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from importlib.resources import files as package_files
from pathlib import Path

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import write_directory
from zeroscale.report import page
from zeroscale.report.page import Json, PageData
from zeroscale.report.sections.examples import CardExamples
from zeroscale.runs import layout, where
from zeroscale.runs.where import Wanted

ASSETS = ("index.html", "style.css")
SCRIPTS = (
    "app.js",
    "charts.js",
    "curves.js",
    "dom.js",
    "examples.js",
    "laws.js",
    "origins.js",
    "sweep.js",
    "tables.js",
)
MAX_NAME_LENGTH = 80
MAX_RUNS_DRAWN = 200
"""Of more runs the static figures are drawn on demand."""


def write(
    study: Path | Sequence[Path],
    out: Path | None = None,
    live: float | None = None,
    filters: Mapping[str, Wanted] | None = None,
    figures: bool | None = None,
) -> Path:
    """Makes `<study>/report/` whole, replacing an earlier one; returns its index.html.

    The same files in the studies give the same report, byte for byte. Several studies come on one page, by default
    in a folder beside them that is called after them. With `out` nothing is written into a study. `live` makes a page
    that looks for a newer one every so many seconds, and leaves out the static figures and tables, which take seconds.
    `figures` says whether there are static figures, by default up to `MAX_RUNS_DRAWN` runs: those of a thousand take
    a minute, the page itself seconds.

    With `filters` only runs with these settings are shown, on a page of its own beside the study's.

    What is left out, because its file is damaged, is said on standard error and on the page.

    Raises:
        ZeroscaleError: a folder is no study, or the report cannot be written.
    """
    studies = [Path(study)] if isinstance(study, str | os.PathLike) else [Path(path) for path in study]
    if not studies:
        raise ZeroscaleError("study: missing; give it as study=outputs/pocket, or several as study=[one,other]")
    if out is not None:
        _refuse_other(Path(out))
    data = page.read(studies, keep=out is None and not filters, filters=filters)
    if live is None:
        for text in (text for study in data.studies for text in study.left_out):
            print(text, file=sys.stderr)
    target = report_directory(data, filters) if out is None else Path(out)
    write_directory(target, lambda folder: _fill(folder, data, target, live, figures))
    return target / "index.html"


def report_directory(data: PageData, filters: Mapping[str, Wanted] | None = None) -> Path:
    """Where a report goes by default: into the study, or beside several. A `+` is in no study's own name. That of some
    runs only does not take the place of the whole study's."""
    if data.is_single:
        name = f"{layout.REPORT}-{_safe(where.text(filters))}" if filters else layout.REPORT
        return data.studies[0].directory / name
    names = [name.replace("/", "-") for name in data.names]
    joined = "+".join(names)
    if len(joined) > MAX_NAME_LENGTH:
        digest = hashlib.sha256(joined.encode()).hexdigest()[:8]
        joined = f"{names[0][:40]}+{len(names) - 1}-more-{digest}"
    return data.merged.directory / joined / layout.REPORT


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._=,-]+", "-", text.replace("where.", ""))[:MAX_NAME_LENGTH]


def _refuse_other(out: Path) -> None:
    """A report replaces a report, and nothing else."""
    if out.exists() and not (out / "data.js").is_file() and (not out.is_dir() or any(out.iterdir())):
        raise ZeroscaleError(f"out={out} is there and is no report: give a folder that is new, empty, or a report's")


def _fill(folder: Path, data: PageData, target: Path, live: float | None, figures: bool | None) -> None:
    assets = package_files("zeroscale.report") / "assets"
    for name in (*ASSETS, *SCRIPTS):
        (folder / name).write_bytes((assets / name).read_bytes())
    shutil.copyfile(plotly_script(), folder / "plotly.min.js")
    content = page.describe(data, _write_examples(folder / "examples", page.read_examples(data)))
    content["static"] = _write_static(folder, data, figures) if data.is_single and live is None else []
    content["links"] = _links(data, target, live)
    if live is not None:
        stamp = hashlib.sha256(script(content).encode()).hexdigest()[:16]
        content["live"] = {"every": live, "stamp": stamp}
        (folder / "stamp.js").write_text(f'window.zeroscaleStamp = "{stamp}";\n', encoding="utf-8")
    (folder / "data.js").write_text(script(content), encoding="utf-8")


def _write_static(folder: Path, data: PageData, drawn: bool | None) -> list[str]:
    """The figures and tables for papers; returns the names of the files, as the page links them."""
    from zeroscale.report.figures import matplotlib_files
    from zeroscale.report.tables import table_files

    study = data.studies[0]
    written: list[Path] = []
    if len(study.runs) <= MAX_RUNS_DRAWN if drawn is None else drawn:
        written += matplotlib_files.write(folder / "figures", study, data.laws[0], data.curves, data.cards) or []
    written += table_files.write(folder / "tables", study, data.cards)
    return sorted(path.relative_to(folder).as_posix() for path in written)


def _links(data: PageData, target: Path, live: float | None) -> dict[str, str | None]:
    """results.csv and fit.json as the page reaches them: beside it while it is served, else on the way from its folder
    to the study's."""
    links: dict[str, str | None] = {}
    for key, name in (("results", layout.LEDGER), ("fit", layout.FIT)):
        path = data.studies[0].directory / name
        exists = data.is_single and path.is_file()
        links[key] = None if not exists else name if live is not None else _relative(path, target)
    return links


def _relative(path: Path, target: Path) -> str:
    return Path(os.path.relpath(path.resolve(), target.resolve())).as_posix()


def _write_examples(folder: Path, cards: list[CardExamples]) -> list[Json]:
    """A script for each card, which the page loads when it is chosen; returns what data.js lists of them."""
    entries: list[Json] = []
    if cards:
        folder.mkdir()
    for index, card in enumerate(cards):
        text = _json(card["examples"])
        wrapped = f"(window.zeroscaleExamples = window.zeroscaleExamples || {{}})[{index}] = {text};\n"
        (folder / f"{index}.js").write_bytes(wrapped.encode("utf-8", "replace"))
        answers = [answer for example in card["examples"] for answer in example["answers"]]
        entry: Json = {key: value for key, value in card.items() if key != "examples"}
        entry |= {"file": f"examples/{index}.js", "shown": len(card["examples"])}
        entry["judged"] = any(answer["right"] is not None for answer in answers)
        entry["runs"] = list(dict.fromkeys((answer["run"], answer["cell"]) for answer in answers))
        entries.append(entry)
    return entries


def plotly_script() -> Path:
    """plotly's own script, out of the installed plotly package (found without importing it)."""
    spec = importlib.util.find_spec("plotly")
    folders = list(spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        path = Path(folder) / "package_data" / "plotly.min.js"
        if path.is_file():
            return path
    raise ZeroscaleError("the report needs plotly's script: install the package `plotly` (6 or later) again")


def script(content: Json) -> str:
    """A JavaScript file that only sets `window.zeroscale`."""
    return f"window.zeroscale = {_json(content)};\n".encode("utf-8", "replace").decode("utf-8")


def _json(value: object) -> str:
    """No `<` and no line separator of Unicode stands in it unescaped, so that no text of a run can end a script or
    break a string, even were the data ever put into the page itself.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character, escape in (("<", "\\u003c"), (">", "\\u003e"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029")):
        text = text.replace(character, escape)
    return text
