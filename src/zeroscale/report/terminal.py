"""The report in a terminal of 80 to 120 columns: the law and its doubts, every run, the scores beside the paper's."""

import os
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from zeroscale.core import format
from zeroscale.core.tables import Table
from zeroscale.report.sections import headline, run_health, scaling_laws, score_notes
from zeroscale.report.sweep import answers
from zeroscale.report.sweep import view as sweep
from zeroscale.report.tables import law_tables, paper_tables, study_tables
from zeroscale.report.views import benchmarks, size_law
from zeroscale.report.views.fit_file import LAW_LABELS
from zeroscale.report.views.loss_curves import curves
from zeroscale.report.views.study import StudyView, read_study
from zeroscale.runs.where import Wanted

NARROWEST, WIDEST = 80, 120
MAX_RUNS = 20  # more than these are in results.csv

Block = list[str]


def terminal_width() -> int:
    """Of the terminal, or what COLUMNS says, within what a table needs and an eye follows."""
    return min(WIDEST, max(NARROWEST, shutil.get_terminal_size((100, 24)).columns))


def use_colours() -> bool:
    """On a terminal only (https://no-color.org); a file or a pipe gets the bare text."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def report(paths: Sequence[Path], filters: Mapping[str, Wanted] | None = None) -> str:
    """The studies one after the other, for the terminal that this is; nothing is written into them.

    Raises:
        ZeroscaleError: a folder is no study, or a file in it is damaged.
    """
    width, colours = terminal_width(), use_colours()
    return "\n".join(render(read_study(Path(path), keep=False, filters=filters), width, colours) for path in paths)


def render(study: StudyView, width: int = 100, colours: bool = False) -> str:
    """All of it, no line longer than `width` columns; headings in bold where `colours`."""
    cards = benchmarks.read_cards(study)
    by_size = size_law.read_law(study)
    varied = sweep.read(study)
    parts: list[Block] = [_summary(study, by_size, varied, width), _warnings(study, by_size, width)]
    if varied and (chosen := answers.chosen(varied)):
        parts.append(_headed("Chosen settings", _table(chosen, width), colours))
    parts += [_headed(title, body, colours) for title, body in _sections(study, cards, by_size, width)]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _headed(title: str, body: Block, colours: bool) -> Block:
    return [f"\x1b[1m{title}\x1b[0m" if colours else title.upper(), *body] if body else []


def _summary(study: StudyView, by_size: size_law.Law, varied: sweep.Sweep | None, width: int) -> Block:
    """What the first screen of the page says."""
    done = sum(run.done for run in study.runs)
    held = None if scaling_laws.leading(scaling_laws.laws_of(study)) else size_law.hold_out_sentence(by_size)
    answered: Block = []
    for one in answers.answers(study, varied) if varied else []:
        answered += _wrapped(f"{one.question}: {one.answer}", width)
        answered += [line for command in one.commands for line in _command(command, width)]
    first = [
        f"{study.name}: {done} of {study.total} runs done ({study.shown_path}).",
        headline.verdict(study, by_size),
    ]
    last = [
        *(f"{fact['label']}: {fact['value']}; {fact['note']}" for fact in scaling_laws.facts(study)),
        held,
    ]
    before, after = ([line for text in part if text for line in _wrapped(text, width)] for part in (first, last))
    return [*before, *answered, *after]


def _command(text: str, width: int) -> Block:
    """A command over several lines, to be pasted as it stands."""
    if any(" " in word for word in shlex.split(text)):
        return [f"  {text}"]  # a line that ended within quotes would be another command
    lines = textwrap.wrap(text, width - 4, break_long_words=False, break_on_hyphens=False)
    return [f"  {line} \\" for line in lines[:-1]] + [f"  {lines[-1]}"]


def _warnings(study: StudyView, by_size: size_law.Law, width: int) -> Block:
    warnings = scaling_laws.warnings(study, by_size) + headline.faults(study, by_size, curves(study.runs))
    for run in study_tables.unfinished(study):
        warnings.append(f"{run['run']} is {run['state']} at step {run['step']}: {run['reason']} ({run['log']})")
    for entry in study.fit.not_fitted if study.fit else ():
        warnings.append(f"Not fitted: {LAW_LABELS.get(str(entry.law), entry.law)}: {entry.reason}.")
    return [line for text in warnings for line in _wrapped(f"! {text}", width, indent="  ")]


def _sections(
    study: StudyView, cards: list[benchmarks.Card], by_size: size_law.Law, width: int
) -> Iterator[tuple[str, Block]]:
    if by_size.form:
        first = _wrapped(f"{by_size.shown_form}; intervals: {by_size.method or 'none'}", width)
        yield "Law over size", first + _table(paper_tables.by_size(by_size), width)
    for section in law_tables.tables(study.fit):
        yield section.title, _wrapped(section.lede, width) + _table(section.table, width)
    results = study_tables.results(study, [])
    rows = results.rows
    more = [f"The {MAX_RUNS} largest of {len(rows)} runs; all of them: {study.shown_path}/results.csv"]
    largest = replace(results, rows=rows[-MAX_RUNS:])
    yield "Runs", (more if len(rows) > MAX_RUNS else []) + _table(largest, width)
    yield "How they behaved, the worst first", _table(_run_health(study), width)
    beside = paper_tables.beside_paper(study, cards, runs=4 if width < 100 else 6, brief=True)
    note = f"{score_notes.sample_note(cards)} Every metric: {study.shown_path}/report/tables/benchmarks.md"
    yield "Scores beside the paper's", _wrapped(note, width) + _table(beside, width)


def _run_health(study: StudyView) -> Table:
    table = run_health.table(study, run_health.run_health(study))
    return replace(table, rows=table.rows[:MAX_RUNS])


def _wrapped(text: str, width: int, indent: str = "") -> Block:
    return textwrap.wrap(
        format.printable(text), width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    ) or [""]


def _table(table: Table | None, width: int) -> Block:
    if not table or not table.rows:
        return []
    return table.fitted_text(width, keys=2 if table.columns[0].label == "benchmark" else 1)
