"""The report's tables for a spreadsheet, a page of Markdown, and a paper (LaTeX, booktabs)."""

from pathlib import Path
from typing import Any

from zeroscale.core.tables import Table, as_csv, as_latex, as_markdown
from zeroscale.report.tables import law_tables, paper_tables, study_tables
from zeroscale.report.views.benchmarks import Card
from zeroscale.report.views.size_law import read_law
from zeroscale.report.views.study import StudyView

KINDS = ("csv", "md", "tex")


def every(study: StudyView, cards: list[Card]) -> dict[str, tuple[str, Table]]:
    """By file name: (caption, table), of those that the study can fill."""
    found: dict[str, tuple[str, Table | None]] = {
        "results": (
            "Every run: size, compute, loss, and each benchmark's main score.",
            study_tables.results(study, cards),
        ),
        "benchmarks": ("Every score beside published ones.", paper_tables.beside_paper(study, cards)),
        "law": ("The law over size.", paper_tables.by_size(read_law(study))),
        "cost": ("Throughput and cost.", study_tables.cost(study)),
        "provenance": ("What each run was made with.", _whole(study_tables.provenance(study))),
    }
    for one in law_tables.tables(study.fit or {}):
        found[f"laws_{one['name']}"] = (f"{one['title']}. {one['lede']}", one["table"])
    return {name: (caption, table) for name, (caption, table) in found.items() if table and table["rows"]}


def write(folder: Path, study: StudyView, cards: list[Card]) -> list[Path]:
    """Writes NAME.csv, NAME.md and NAME.tex of each table."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, (caption, table) in every(study, cards).items():
        texts = {"csv": as_csv(table), "md": as_markdown(table, caption), "tex": as_latex(table, caption)}
        for kind in KINDS:
            path = folder / f"{name}.{kind}"
            path.write_text(texts[kind], encoding="utf-8")
            written.append(path)
    return written


def _whole(provenance: dict[str, Any]) -> Table:
    """What all runs share is a column like the others in a file."""
    table, shared = provenance["table"], provenance["shared"]
    rows = [{"cells": [*row["cells"], *shared]} for row in table["rows"]]
    return {"columns": [*table["columns"], *({"label": one["label"]} for one in shared)], "rows": rows}
