"""The report's tables for a spreadsheet, a page of Markdown, and a paper (LaTeX, booktabs)."""

from dataclasses import replace
from pathlib import Path

from zeroscale.core.tables import Table
from zeroscale.report.tables import law_tables, paper_tables, study_tables
from zeroscale.report.views.benchmarks import Card
from zeroscale.report.views.size_law import read_law
from zeroscale.report.views.study import StudyView


def every(study: StudyView, cards: list[Card]) -> dict[str, Table]:
    """By file name, those that the study can fill."""
    tables: dict[str, Table | None] = {
        "results": study_tables.results(study, cards),
        "benchmarks": paper_tables.beside_paper(study, cards),
        "law": paper_tables.by_size(read_law(study)),
        "cost": study_tables.cost(study),
        "provenance": study_tables.provenance(study).whole(),
    }
    for law in law_tables.tables(study.fit):
        tables[f"laws_{law.name}"] = replace(law.table, caption=f"{law.title}. {law.lede}")
    return {name: table for name, table in tables.items() if table and table.rows}


def write(folder: Path, study: StudyView, cards: list[Card]) -> list[Path]:
    """Writes NAME.csv, NAME.md and NAME.tex of each table."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, table in every(study, cards).items():
        for kind, text in {"csv": table.csv(), "md": table.markdown(), "tex": table.latex()}.items():
            path = folder / f"{name}.{kind}"
            path.write_text(text, encoding="utf-8")
            written.append(path)
    return written
