"""`zeroscale compare studies=[A,B]`: two studies or CSVs by their laws, in words, as JSON, CSV and Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import write_json, write_text
from zeroscale.core.format import NOTHING, general, interval
from zeroscale.core.tables import Column, Table, Value, csv_text, paragraph
from zeroscale.runs.run import Run
from zeroscale.scaling.compare.compare_laws import LawComparison, compare_laws
from zeroscale.scaling.fit import load_runs
from zeroscale.scaling.options import Options
from zeroscale.scaling.run_table import RunTable

COLUMNS = (*(Column(label, number=True) for label in ("first", "second", "difference")), Column("95 % interval"))
# What must be the same for losses to be comparable, as the manifests hold it, and what to call it.
_SAME = {"tokenizer": "tokenizer", "corpus": "corpus"}


def compare_studies(
    studies: Sequence[Path],
    options: Options,
    *,
    law: str = "auto",
    paired: bool | Literal["auto"] = "auto",
) -> dict[str, Any]:
    """Fits both and compares them; see `comparison.compare_laws`. Returns what `write` writes as JSON.

    Raises:
        ZeroscaleError: not two of them, the same one twice, nothing to fit, bad rows.
    """
    if len(studies) != 2:
        given = ", ".join(map(str, studies))
        raise ZeroscaleError(f"a comparison of laws takes two: studies=[ONE,OTHER]; given: {given}")
    if studies[0].resolve() == studies[1].resolve():
        raise ZeroscaleError(f"{studies[0]} and {studies[1]} are the same runs; give two")
    sources = [load_runs(Path(study), options) for study in studies]
    names = (_name(studies[0]), _name(studies[1]))
    names = names if names[0] != names[1] else (str(studies[0]), str(studies[1]))
    columns = [_columns(source.table) for source in sources]
    unlike = _unlike(sources[0].study_runs, sources[1].study_runs, names)
    found = compare_laws(
        columns[0],
        columns[1],
        law=law,
        budgets=options.budgets,
        bootstrap=options.bootstrap,
        random_seed=options.seed,
        paired=False if unlike and paired == "auto" else paired,
        names=names,
    )
    return {
        **_plain(found),
        "first": names[0],
        "second": names[1],
        "runs": [str(study) for study in studies],
        "n_points": [len(source.table.names) for source in sources],
        "convention": options.convention,
        "bootstrap": options.bootstrap,
        "seed": options.seed,
        "warnings": [*unlike, *found.warnings],
        "left_out": [
            {"study": name, "cell": run.cell, "rule": run.rule}
            for name, source in zip(names, sources, strict=True)
            for run in source.left_out
        ],
    }


def _name(path: Path) -> str:
    return path.resolve().name if path.is_dir() else path.stem


def _columns(table: RunTable) -> dict[str, Any]:
    exact = {"flops": table.flops} if table.counted == "exact" else {}
    return {"params": table.params, "tokens": table.tokens, "loss": table.loss, "seed": table.seeds, **exact}


def _unlike(one: Sequence[Run], other: Sequence[Run], names: tuple[str, str]) -> list[str]:
    """Why the losses of two studies are no measurements of one thing."""
    found = []
    for part, called in _SAME.items():
        mine, others = (_fingerprints(cells, part) for cells in (one, other))
        if mine and others and mine != others:
            consequence = (
                "nats per token are per other tokens, so compare bits per byte instead"
                if part == "tokenizer"
                else "the losses are of other texts, so a difference need not be the recipe's"
            )
            found.append(f"{names[0]} and {names[1]} have another {called}: {consequence}. They are not paired.")
    return found


def _fingerprints(runs: Sequence[Run], part: str) -> set[str]:
    facts = (run.manifest.get(part) for run in runs)
    return {str(fact["fingerprint"]) for fact in facts if isinstance(fact, Mapping) and fact.get("fingerprint")}


def _plain(found: LawComparison) -> dict[str, Any]:
    """As JSON holds it; `first` and `second` are the studies' names there, so the parameters go together."""
    value = asdict(found)
    parameters = [value.pop("first"), value.pop("second")]
    return {**value, "parameters": parameters, "at": list(value["at"]), "differences": value["differences"]}


def as_text(found: dict[str, Any]) -> str:
    """Both laws side by side, then what each budget buys."""
    n = found["n_points"]
    text = [
        f"first:  {found['first']} ({n[0]} runs)",
        f"second: {found['second']} ({n[1]} runs)",
        "",
        f"{found['form']}, by {found['law']}; C {'as the runs count it' if found['flops'] == 'exact' else '= 6 N D'}",
        "",
    ]
    text += [Table.of_texts([Column(""), *COLUMNS], _rows(found)).text(), ""]
    return "\n".join(text + [paragraph(note) for note in _notes(found)])


def _rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """Parameters, then for each budget the two losses and the compute multiplier."""
    rows = []
    for name, difference in found["differences"].items():
        called = {"a": "a of N_opt ~ C^a"}.get(name, name)
        values = (general(found["parameters"][which][name]["value"]) for which in (0, 1))
        rows.append((called, *values, *_gap(difference)))
    for one in found["at"]:
        loss = f"loss at C = {one['flops']:.3g}"
        rows.append((loss, general(one["first"]["value"]), general(one["second"]["value"]), *_gap(one["difference"])))
        times = one["multiplier"]
        # An end that is None is infinite: the second never reaches that loss.
        known = interval(times["low"], times["high"], show=general, missing=NOTHING, unbounded=("∞", "∞"))
        if times["value"] is None and times["low"] is None:
            known = NOTHING
        reached = "never" if times["value"] is None else f"x {general(times['value'])}"
        rows.append(("  compute for the first's loss", "x 1", reached, "", known))
    return rows


def _gap(difference: dict[str, Any]) -> tuple[str, str]:
    value = difference["value"]
    ends = interval(difference["low"], difference["high"], show=general, missing=NOTHING)
    return (general(value, signed=True), ends)


def _notes(found: dict[str, Any]) -> list[str]:
    notes = [
        "difference: the second less the first. The multiplier is the compute that the second needs, by its law, for "
        "the loss that the first's law gives at that budget: above 1 the second needs more."
    ]
    if found["method"]:
        how = "paired: the same runs drawn for both" if found["paired"] else "not paired"
        notes.append(f"Intervals: {how}; {found['method']}.")
    rules: dict[tuple[str, str], int] = {}
    for entry in found["left_out"]:
        rules[entry["study"], entry["rule"]] = rules.get((entry["study"], entry["rule"]), 0) + 1
    notes += [f"Left out of {study}: {count}: {rule}." for (study, rule), count in rules.items()]
    return notes + [f"Warning: {warning}" for warning in found["warnings"]]


def write(directory: Path, found: dict[str, Any]) -> list[Path]:
    """compare.json, compare.csv and compare.md."""
    paths = [directory / f"compare.{kind}" for kind in ("json", "csv", "md")]
    write_json(paths[0], found)
    write_text(paths[1], _as_csv(found))
    title = f"First: {found['first']}. Second: {found['second']}. {found['form']}, by {found['law']}."
    table = Table.of_texts(["quantity", *COLUMNS], _rows(found)).markdown_of_markup()
    notes = [f"- {note}" for note in _notes(found)]
    write_text(paths[2], "\n".join([title, "", table, "", *notes]) + "\n")
    return paths


def _as_csv(found: dict[str, Any]) -> str:
    rows: list[list[Value]] = []
    for name, gap in found["differences"].items():
        values = [parameters[name]["value"] for parameters in found["parameters"]]
        rows.append([name, "", *values, gap["value"], gap["low"], gap["high"]])
    for budget in found["at"]:
        gap, times = budget["difference"], budget["multiplier"]
        losses = [budget["first"]["value"], budget["second"]["value"]]
        rows.append(["loss", budget["flops"], *losses, gap["value"], gap["low"], gap["high"]])
        rows.append(["multiplier", budget["flops"], 1, times["value"], "", times["low"], times["high"]])
    return csv_text(("quantity", "flops", "first", "second", "difference", "low", "high"), rows)
