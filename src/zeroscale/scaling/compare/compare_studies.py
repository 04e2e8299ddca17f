"""`zeroscale compare studies=[A,B]`: two studies or CSVs by their laws, in words, as JSON, CSV and Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypedDict

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import write_json, write_text
from zeroscale.core.format import NOTHING, general, interval
from zeroscale.core.tables import Column, Table, Value, csv_text, paragraph
from zeroscale.runs.run import Run
from zeroscale.scaling.compare.compare_laws import LawComparison, compare_laws
from zeroscale.scaling.fit import StudyRuns, load_runs
from zeroscale.scaling.laws.estimate import Estimate
from zeroscale.scaling.options import Options
from zeroscale.scaling.run_table import RunTable

COLUMNS = (*(Column(label, number=True) for label in ("first", "second", "difference")), Column("95 % interval"))
# What must be the same for losses to be comparable, as the manifests hold it, and what to call it.
_SAME = {"tokenizer": "tokenizer", "corpus": "corpus"}


class LeftOut(TypedDict):
    """A run that no law was fitted to."""

    study: str
    cell: str
    rule: str


@dataclass(frozen=True)
class StudyComparison:
    """Two studies, `first` and `second` by their names, and the comparison of their laws."""

    laws: LawComparison
    first: str
    second: str
    runs: list[str]
    """Where the runs of each were read."""
    n_points: list[int]
    convention: str
    bootstrap: int
    seed: int
    warnings: list[str]
    left_out: list[LeftOut]

    def to_json(self) -> dict[str, object]:
        """As compare.json holds it: `first` and `second` are the names there, so the parameters go together."""
        laws = asdict(self.laws)
        parameters = [laws.pop("first"), laws.pop("second")]
        own = {name: value for name, value in vars(self).items() if name != "laws"}
        return {**laws, "parameters": parameters, **own}


def compare_studies(
    studies: Sequence[Path],
    options: Options,
    *,
    law: str = "auto",
    paired: bool | Literal["auto"] = "auto",
) -> StudyComparison:
    """Fits one law to each of both and compares them; see `compare_laws`.

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
    differences = _incomparable(sources[0].study_runs, sources[1].study_runs, names)
    laws = compare_laws(
        columns[0],
        columns[1],
        law=law,
        budgets=options.budgets,
        bootstrap=options.bootstrap,
        random_seed=options.seed,
        paired=False if differences and paired == "auto" else paired,
        names=names,
    )
    return StudyComparison(
        laws=laws,
        first=names[0],
        second=names[1],
        runs=[str(study) for study in studies],
        n_points=[len(source.table.names) for source in sources],
        convention=options.convention,
        bootstrap=options.bootstrap,
        seed=options.seed,
        warnings=[*differences, *_choices(sources, names), *laws.warnings],
        left_out=[
            {"study": name, "cell": run.cell, "rule": run.rule}
            for name, source in zip(names, sources, strict=True)
            for run in source.left_out
        ],
    )


def _choices(sources: Sequence[StudyRuns], names: Sequence[str]) -> list[str]:
    """What was chosen among several settings, by study."""
    choices = [(name, source.chosen.choice) for name, source in zip(names, sources, strict=True)]
    return [f"{name}: {choice.summary}." for name, choice in choices if choice is not None]


def _name(path: Path) -> str:
    return path.resolve().name if path.is_dir() else path.stem


def _columns(table: RunTable) -> dict[str, object]:
    exact = {"flops": table.flops} if table.counted == "exact" else {}
    return {"params": table.params, "tokens": table.tokens, "loss": table.loss, "seed": table.seeds, **exact}


def _incomparable(first: Sequence[Run], second: Sequence[Run], names: tuple[str, str]) -> list[str]:
    """Why the losses of two studies cannot be compared."""
    reasons = []
    for part, label in _SAME.items():
        fingerprints = _fingerprints(first, part), _fingerprints(second, part)
        if all(fingerprints) and fingerprints[0] != fingerprints[1]:
            consequence = (
                "nats per token are per other tokens, so compare bits per byte instead"
                if part == "tokenizer"
                else "the losses are of other texts, so a difference need not be the recipe's"
            )
            reasons.append(f"{names[0]} and {names[1]} have another {label}: {consequence}. They are not paired.")
    return reasons


def _fingerprints(runs: Sequence[Run], part: str) -> set[str]:
    facts = (run.manifest.get(part) for run in runs)
    return {str(fact["fingerprint"]) for fact in facts if isinstance(fact, Mapping) and fact.get("fingerprint")}


def as_text(comparison: StudyComparison) -> str:
    """Both laws side by side, then what each budget buys."""
    n, laws = comparison.n_points, comparison.laws
    text = [
        f"first:  {comparison.first} ({n[0]} runs)",
        f"second: {comparison.second} ({n[1]} runs)",
        "",
        f"{laws.form}, by {laws.law}; C {'as the runs count it' if laws.flops == 'exact' else '= 6 N D'}",
        "",
    ]
    text += [Table.of_texts([Column(""), *COLUMNS], _rows(laws)).text(), ""]
    return "\n".join(text + [paragraph(note) for note in _notes(comparison)])


def _rows(laws: LawComparison) -> list[tuple[str, ...]]:
    """Parameters, then for each budget the two losses and the compute multiplier."""
    rows: list[tuple[str, ...]] = []
    for name, difference in laws.differences.items():
        label = {"a": "a of N_opt ~ C^a"}.get(name, name)
        values = general(laws.first[name].value), general(laws.second[name].value)
        rows.append((label, *values, *_difference(difference)))
    for budget in laws.at:
        losses = general(budget.first.value), general(budget.second.value)
        rows.append((f"loss at C = {budget.flops:.3g}", *losses, *_difference(budget.difference)))
        rows.append(("  compute for the first's loss", "x 1", *_multiplier(budget.multiplier)))
    return rows


def _multiplier(times: Estimate) -> tuple[str, str, str]:
    if times.value is None and times.low is None:
        return "never", "", NOTHING
    # An end that is None is infinite: the second never reaches that loss.
    ends = interval(times.low, times.high, show=general, missing=NOTHING, unbounded=("∞", "∞"))
    return "never" if times.value is None else f"x {general(times.value)}", "", ends


def _difference(difference: Estimate) -> tuple[str, str]:
    ends = interval(difference.low, difference.high, show=general, missing=NOTHING)
    return general(difference.value, signed=True), ends


def _notes(comparison: StudyComparison) -> list[str]:
    notes = [
        "difference: the second less the first. The multiplier is the compute that the second needs, by its law, for "
        "the loss that the first's law gives at that budget: above 1 the second needs more."
    ]
    if comparison.laws.method:
        how = "paired: the same runs drawn for both" if comparison.laws.paired else "not paired"
        notes.append(f"Intervals: {how}; {comparison.laws.method}.")
    rules: dict[tuple[str, str], int] = {}
    for run in comparison.left_out:
        rules[run["study"], run["rule"]] = rules.get((run["study"], run["rule"]), 0) + 1
    notes += [f"Left out of {study}: {count}: {rule}." for (study, rule), count in rules.items()]
    return notes + [f"Warning: {warning}" for warning in comparison.warnings]


def write(directory: Path, comparison: StudyComparison) -> list[Path]:
    """compare.json, compare.csv and compare.md."""
    paths = [directory / f"compare.{kind}" for kind in ("json", "csv", "md")]
    write_json(paths[0], comparison.to_json())
    write_text(paths[1], _as_csv(comparison.laws))
    laws = comparison.laws
    title = f"First: {comparison.first}. Second: {comparison.second}. {laws.form}, by {laws.law}."
    table = Table.of_texts(["quantity", *COLUMNS], _rows(laws)).markdown_of_markup()
    notes = [f"- {note}" for note in _notes(comparison)]
    write_text(paths[2], "\n".join([title, "", table, "", *notes]) + "\n")
    return paths


def _as_csv(laws: LawComparison) -> str:
    rows: list[list[Value]] = []
    for name, gap in laws.differences.items():
        rows.append([name, "", laws.first[name].value, laws.second[name].value, gap.value, gap.low, gap.high])
    for budget in laws.at:
        gap, times = budget.difference, budget.multiplier
        rows.append(["loss", budget.flops, budget.first.value, budget.second.value, gap.value, gap.low, gap.high])
        rows.append(["multiplier", budget.flops, 1, times.value, "", times.low, times.high])
    return csv_text(("quantity", "flops", "first", "second", "difference", "low", "high"), rows)
