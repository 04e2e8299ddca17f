"""Where a number comes from: what the page shows when somebody asks for it, by run and by result file.

A number of a table carries `from`: {run, step, path, column}; a figure's point carries the same in its customdata. The
page looks the rest up here: each run's settings, source, corpus and tokenizer, each result's card, data and weights.
Long strings stand once in a list, and are referred to by their index in it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypedDict

from zeroscale.core import format
from zeroscale.core.format import NOTHING, number
from zeroscale.core.tables import Cell, Table
from zeroscale.report.tables.study_tables import command
from zeroscale.report.views import benchmarks
from zeroscale.report.views.benchmarks import Card, latest
from zeroscale.report.views.results import ResultView
from zeroscale.report.views.study import RunView, StudyView

# Columns of the results' table that are the ledger's, by their heading.
LEDGER = {
    "parameters": "params_non_embedding",
    "tokens": "tokens",
    "compute": "flops",
    "validation loss": "val/loss",
    "bits per byte": "val/bits_per_byte",
}
RUN = ("settings hash", "seed", "source", "corpus", "tokenizer", "command")
RESULT = ("card hash", "data hash", "weights hash", "tokenizer", "data", "harness version")


class ResultSources(TypedDict):
    """Of a result file; `facts` are indices of strings, in the order of `RESULT`."""

    run: str
    step: int
    facts: list[int]


class Sources(TypedDict):
    """What origins.js looks up: by run the indices of strings, in the order of `RUN`, and by path each result's."""

    labels: dict[str, tuple[str, ...]]
    strings: list[str]
    runs: dict[str, list[int]]
    results: dict[str, ResultSources]


class FileSource(TypedDict):
    """Where a number of fit.json comes from: (label, text) pairs."""

    facts: list[list[str]]


class StringTable:
    """Each text once: `index` gives its place in `texts`."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._indices: dict[str, int] = {}

    def index(self, text: str) -> int:
        if text not in self._indices:
            self._indices[text] = len(self.texts)
            self.texts.append(text)
        return self._indices[text]


def describe(runs: Iterable[RunView]) -> Sources:
    """Every run's and its latest results' sources."""
    strings = StringTable()
    facts_of_runs: dict[str, list[int]] = {}
    results: dict[str, ResultSources] = {}
    for run in runs:
        facts_of_runs[run.name] = [strings.index(text) for text in _of_run(run)]
        for result in latest(run).values():
            facts = [strings.index(text) for text in _of_result(result)]
            results[result.path] = {"run": run.name, "step": result.step, "facts": facts}
    return {
        "labels": {"run": RUN, "result": RESULT},
        "strings": strings.texts,
        "runs": facts_of_runs,
        "results": results,
    }


def _of_run(run: RunView) -> list[str]:
    manifest = run.manifest

    def part(name: str, key: str) -> str:
        value = manifest.get(name)
        return str((value if isinstance(value, dict) else {}).get(key) or "")

    source = part("source", "revision")
    dirty = {"True": ", with uncommitted changes", "False": ""}.get(part("source", "dirty"), "") if source else ""
    corpus = f"{part('corpus', 'name')} {part('corpus', 'fingerprint')}".strip()
    return [
        str(manifest.get("settings_hash") or ""),
        str(manifest.get("seed", run.settings.get("seed", ""))),
        source + dirty,
        corpus,
        part("tokenizer", "fingerprint"),
        command(run),
    ]


def _of_result(result: ResultView) -> list[str]:
    content = result.content
    hashes = [str(content.get(name) or "") for name in ("card_hash", "data_hash", "weights_hash", "tokenizer")]
    return [*hashes, str(content.get("data") or content.get("source") or ""), str(content.get("version") or "")]


def attach(table: Table, study: StudyView, cards: list[Card]) -> Table:
    """The results' table with the `source` of every number. The rows' first cells name the runs."""
    runs = {run.name: run for run in study.runs}
    places = {
        (card.card, point.run): {
            "run": point.run,
            "step": point.step,
            "path": point.path,
            "metric": benchmarks.column(point.path, card.panels[0].metric),
        }
        for card in cards
        if card.panels
        for point in card.panels[0].points
    }

    def sourced(row: Sequence[Cell]) -> list[Cell]:
        run = runs.get(row[0].origin)
        if run is None:
            return list(row)
        cells = []
        for column, cell in zip(table.columns, row, strict=True):
            if column.label not in LEDGER:
                source: Mapping[str, object] | None = places.get((column.label, run.name))
            else:
                source = _ledger_source(run, LEDGER[column.label]) if cell.text != NOTHING else None
            cells.append(cell if source is None else replace(cell, source=source))
        return cells

    return replace(table, rows=[sourced(row) for row in table.rows])


def _ledger_source(run: RunView, column: str) -> dict[str, object]:
    place = f"results.csv, line {run.row.get('line')}, column {column}"
    source: dict[str, object] = {"run": run.name, "step": number(run.row.get("step")), "place": place}
    return source | ({"metric": column} if column == "val/loss" else {})


def of_fit(study: StudyView, law: str, keys: str) -> FileSource | None:
    """Of a number of fit.json: `keys` lead to it inside the law."""
    fitted = study.fit.laws.get(law) if study.fit else None
    source = of_file(study)
    if fitted is None or source is None:
        return None
    method = fitted.intervals.method if fitted.intervals else None
    facts = [
        ["place in it", f"laws, {law}, {keys}"],
        ["fitted to", format.count(len(fitted.points), "run") if fitted.points else ""],
        ["interval", f"95 %: {method}" if method else ""],
    ]
    file, *rest = source["facts"]
    return {"facts": [file, *(fact for fact in facts if fact[1]), *rest]}


def of_file(study: StudyView) -> FileSource | None:
    """Of fit.json as a whole: which file, made when, from what, by which command."""
    if study.fit is None:
        return None
    digest = study.fit.results_sha256
    facts = [
        ["file", f"{study.shown_path}/fit.json"],
        ["command", study.fit.command or ""],
        ["made", study.fit.created or ""],
        ["results.csv then", f"sha256 {digest}" if digest else ""],
    ]
    return {"facts": [fact for fact in facts if fact[1]]}
