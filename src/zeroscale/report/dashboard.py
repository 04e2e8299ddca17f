"""`write(study)`: the report as a folder that opens from disk.

index.html, style.css and app.js are fixed files of this package; everything that belongs to the study is in data.js,
as data. A browser does not fetch() from disk, so data travels as a script; the page asks no network for anything.
"""

import importlib.util
import json
import shutil
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from zeroscale.errors import ZeroscaleError
from zeroscale.files import write_directory
from zeroscale.report import axes, benchmarks, examples, law, law_page, specs, tables, words
from zeroscale.report.curves import Curve, curves
from zeroscale.report.record import Cell, Study, read_study

ASSETS = ("index.html", "style.css", "app.js", "charts.js", "laws.js")
SIZES_WITH_EXAMPLES = 8


def write(study: Path) -> Path:
    """Makes `<study>/report/` whole, replacing an earlier one; returns its index.html.

    The same files in the study give the same report, byte for byte.

    Raises:
        ZeroscaleError: the folder is no study, or the report cannot be written.
    """
    found = read_study(Path(study))
    cards = benchmarks.read_cards(found)
    shown_law = law.read_law(found)
    drawn = curves(found.cells)
    page = describe(found, shown_law, drawn, cards)
    target = found.directory / "report"
    write_directory(target, lambda folder: _fill(folder, page, found, shown_law, drawn, cards))
    return target / "index.html"


def _fill(
    folder: Path,
    page: dict[str, Any],
    study: Study,
    shown_law: law.Law,
    drawn: list[Curve],
    cards: list[benchmarks.Card],
) -> None:
    from zeroscale.report import figures

    assets = package_files("zeroscale.report") / "assets"
    for name in ASSETS:
        (folder / name).write_bytes((assets / name).read_bytes())
    shutil.copyfile(plotly_script(), folder / "plotly.min.js")
    (folder / "data.js").write_text(script(page), encoding="utf-8")
    figures.write(folder / "figures", study, shown_law, drawn, cards)


def plotly_script() -> Path:
    """plotly's own script, out of the installed plotly package (found without importing it)."""
    spec = importlib.util.find_spec("plotly")
    folders = list(spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        path = Path(folder) / "package_data" / "plotly.min.js"
        if path.is_file():
            return path
    raise ZeroscaleError("the report needs plotly's script: install the package `plotly` (6 or later) again")


def script(page: dict[str, Any]) -> str:
    """A JavaScript file that only sets `window.zeroscale`.

    No `<` and no line separator of Unicode stands in it unescaped, so that no text of a run can end a script or
    break a string, even were the data ever put into the page itself.
    """
    text = json.dumps(page, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character, escape in (("<", "\\u003c"), (">", "\\u003e"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029")):
        text = text.replace(character, escape)
    return f"window.zeroscale = {text};\n".encode("utf-8", "replace").decode("utf-8")


def describe(study: Study, shown_law: law.Law, drawn: list[Curve], cards: list[benchmarks.Card]) -> dict[str, Any]:
    """All that the page shows, as JSON values. `version` changes when a reader of data.js would have to."""
    order = {cell.name: index for index, cell in enumerate(study.cells)}
    largest = [cell for cell in study.cells if cell.done][-SIZES_WITH_EXAMPLES:]
    leads = law_page.leading(law_page.laws_of(study)) is not None
    return {
        "version": 1,
        "study": study.name,
        "verdict": law_page.verdict(study) or law.verdict(shown_law),
        "hold_out": None if leads else law.hold_out_sentence(shown_law),
        "facts": _headline(study, shown_law),
        "warnings": law_page.warnings(study, shown_law) + _faults(study, shown_law, drawn),
        "sample_note": {"text": benchmarks.sample_note(cards), "badges": benchmarks.doubts(cards)},
        "cells": [
            {
                "name": cell.label,
                "run": cell.name,
                "size": words.scaled(cell.params),
                "symbol": specs.SYMBOLS[i % len(specs.SYMBOLS)],
            }
            for i, cell in enumerate(study.cells)
        ],
        "law": {
            "form": shown_law.shown_form,
            "method": shown_law.method,
            "parameters": [
                {"name": law.greek(name), "value": words.figure(value), "interval": words.interval(low, high)}
                for name, (value, low, high) in shown_law.parameters.items()
            ],
            "figure": specs.law(shown_law, order) if shown_law.points else None,
        },
        "laws": law_page.describe(study, shown_law, order),
        "curves": specs.curves(drawn) if any(curve.train or curve.validation for curve in drawn) else None,
        "benchmarks": [_card(card, order) for card in cards],
        "published": any(panel.published for card in cards for panel in card.panels),
        "lines": any(panel.lines for card in cards for panel in card.panels),
        "results": tables.results(study, cards),
        "unfinished": tables.unfinished(study),
        "examples": examples.read_examples(largest),
        "cost": tables.cost(study),
        "provenance": tables.provenance(study),
        "again": tables.again(study, cards),
    }


def _card(card: benchmarks.Card, order: dict[str, int]) -> dict[str, Any]:
    return {
        "card": card.card,
        "protocol": card.protocol,
        "badge": card.badge,
        "kind": card.kind,
        "n": card.count,
        "assumptions": card.assumptions,
        "notes": card.notes,
        "panels": [
            {
                "metric": benchmarks.unit(panel.metric),
                "better": "higher is better" if panel.higher_is_better else "lower is better",
                "chance": _chance(panel),
                "summary": "; ".join([*map(_spoken, panel.points), *(line.spoken for line in panel.lines)]),
                "legend": specs.legend(panel),
                "figure": specs.panel(panel, order),
            }
            for panel in card.panels
        ],
    }


def _chance(panel: benchmarks.Panel) -> str | None:
    if panel.chance is None:
        return None
    beyond = panel.chance and not axes.chance_drawn(panel)
    return words.flat(words.figure(panel.chance)) + (" (off the axis)" if beyond else "")


def _spoken(point: benchmarks.Point) -> str:
    known = words.flat(words.interval(point.low, point.high))
    return f"{point.label} {words.flat(words.figure(point.value))}" + (f" ({known})" if known else "")


def _headline(study: Study, shown_law: law.Law) -> list[dict[str, str]]:
    """The few numbers of the first screen."""
    done = [cell for cell in study.cells if cell.done]
    facts = [{"label": "runs done", "value": f"{len(done)} of {len(study.cells)}", "note": _others(study.cells)}]
    if shown_law.points:
        cell, params, loss = min(shown_law.points, key=lambda point: point[2])
        facts.append(
            {
                "label": "lowest loss",
                "value": f"{loss:.3f}",
                "note": f"{shown_law.label(cell)}, {words.scaled(params)} parameters",
            }
        )
    over_data = law_page.facts(study)
    if over_data:
        return facts + over_data
    if "alpha" in shown_law.parameters:
        value, low, high = shown_law.parameters["alpha"]
        known = words.interval(low, high, 2)
        facts.append(
            {
                "label": "exponent α",
                "value": words.figure(value, 2),
                "note": f"95{words.SPACE}%: {known}" if known else "",
            }
        )
    held = shown_law.hold_out
    if held:
        verdict = {True: "inside its interval", False: "outside its interval", None: "no interval"}[held.inside]
        error = f"{100 * (held.predicted / held.measured - 1):+.1f} %".replace("-", words.MINUS)
        facts.append(
            {
                "label": "hold-out error",
                "value": error,
                "note": f"{shown_law.label(held.cell)}: {verdict}".removeprefix(": "),
            }
        )
    return facts


def _others(cells: list[Cell]) -> str:
    states = [cell.run.state for cell in cells if not cell.done]
    return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))


def _faults(study: Study, shown_law: law.Law, drawn: list[Curve]) -> list[str]:
    """What a reader should know beside the fit's own warnings."""
    faults = [
        f"{curve.label}: the training loss was not finite at {words.count(len(curve.not_finite), 'logged step')}, "
        f"first at step {curve.not_finite[0]:,}."
        for curve in drawn
        if curve.not_finite
    ]
    said = " ".join(shown_law.warnings)
    undone = [f"{cell.label} ({cell.run.state})" for cell in study.cells if not cell.done and cell.name not in said]
    if undone:
        faults.append(f"Not done, and not in the law: {', '.join(undone)}.")
    return faults
