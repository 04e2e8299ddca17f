"""Fits the laws of a study or of a CSV of runs and writes them, with their warnings, to fit.json."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_object, sha256_file, write_json
from zeroscale.core.json_records import to_json
from zeroscale.runs import layout, ledger, manifest
from zeroscale.runs.study import Study
from zeroscale.runs.where import Wanted
from zeroscale.scaling import conventions, diagnostics, lm_eval_results, registry, runs_csv
from zeroscale.scaling.choice.chosen_runs import RunChooser
from zeroscale.scaling.choice.widen import widen
from zeroscale.scaling.estimators import downstream
from zeroscale.scaling.estimators.length_law import LEAST_LENGTHS, fit_data_laws
from zeroscale.scaling.fit_schema import (
    BenchmarkLaw,
    ConventionExponent,
    DataLaw,
    FitFile,
    Json,
    LeftOut,
    LengthLaw,
    NotFitted,
    SizeLaw,
)
from zeroscale.scaling.numerics.arrays import group_values
from zeroscale.scaling.options import Options
from zeroscale.scaling.registry import LAWS, FitData
from zeroscale.scaling.run_selection import (
    COLUMN_OF,
    LeftOutRun,
    SelectedRun,
    Selection,
    select_lengths,
    select_longest,
)
from zeroscale.scaling.run_table import RunTable
from zeroscale.scaling.runs_csv import RunRows
from zeroscale.scaling.summary import describe

__all__ = ["describe", "fit_study", "load_runs"]

# "auto" fits laws over size and data from so many sizes and token counts on.
AUTO_LEVELS = 3
# and laws over data alone to so many sizes.
AUTO_CURVES = 8
CSV_CONVENTION = "as given in the CSV"


def fit_study(
    runs: Path,
    out: Path | None = None,
    *,
    law: str | Sequence[str] = "auto",
    convention: str = "non_embedding",
    bootstrap: int = 4000,
    seed: int = 0,
    select: str = "best-mean",
    where: Mapping[str, Wanted] | None = None,
    command: str | None = None,
    options: Options | None = None,
) -> Json:
    """Fits val/loss against size, and against size and data, and writes fit.json; returns what it wrote.

    A study's directory gets its results.csv anew first. The laws rest on the last checkpoint of each finished run; all
    else is listed under `left_out` with its rule. What could not be fitted stands under `not_fitted` with the reason.

    Args:
        runs: a study's directory, a results.csv, a CSV with params, tokens, loss, or a directory of
            lm-evaluation-harness' result JSONs.
        out: where to write; by default fit.json in the study, or NAME.fit.json beside another CSV.
        law: names of `registry.LAWS`; "all"; "auto": the power law over size, and the laws over size and data where
            there are three sizes and three token counts.
        convention: which count is N: non_embedding (Kaplan's), total or matmul. A CSV of runs has its own.
        bootstrap, seed: of the intervals.
        select: of a size's runs those of the setting with the "best-mean" over seeds, or "all".
        where: settings that the runs must have: {"optimizer.lr": 0.003}.
        command: recorded in the file.
        options: everything at once, instead of law, convention, bootstrap, seed, select and where.

    Raises:
        ZeroscaleError: nothing to fit, faults in the CSV, one size only, a law asked for by name that the runs cannot
            carry.
    """
    runs = Path(runs)
    options = options or Options(
        law=(law,) if isinstance(law, str) else tuple(law),
        convention=convention,
        bootstrap=bootstrap,
        seed=seed,
        select=select,
        where=where or {},
    )
    registry.check_names(options.law)
    study = load_runs(runs, options)
    is_study = runs.is_dir() and not study.imported
    table = ledger.write(Study(runs).ledger_path, study.rows.frame) if is_study else runs
    fit = replace(
        study.fit(),
        study=_study_name(runs, study),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        source=manifest.source(),
        runs=str(runs),
        results_sha256=None if study.imported else sha256_file(table),
        convention=options.convention if study.from_ledger else CSV_CONVENTION,
        bootstrap=options.bootstrap,
        seed=options.seed,
        options=options.recorded(),
    )
    return _write(out or _default_out(runs, study.from_ledger), to_json(fit))


def _study_name(runs: Path, study: "StudyRuns") -> str:
    if runs.is_dir():
        return runs.name
    return runs.resolve().parent.name if study.from_ledger else runs.stem


def load_runs(runs: Path, options: Options) -> "StudyRuns":
    """A study, a CSV, or a directory of lm-evaluation-harness' results, as the laws take it; writes nothing."""
    study = Study(runs) if runs.is_dir() else None
    imported = study is not None and not study.runs and lm_eval_results.is_results(runs)
    if imported:
        rows = RunRows(lm_eval_results.read_results(runs, options.columns, options.tokens_per_step))
    else:
        rows = runs_csv.read(runs, options)
    return StudyRuns(rows, None if imported else study, options, imported, str(runs))


class StudyRuns:
    """The runs of one fit, read once, and the laws fitted to them one after another.

    Args:
        rows: those of the ledger, or of another CSV.
        study: the study's directory; None of another source.
        imported: whether the rows come from lm-evaluation-harness' results.
        source: what messages call the runs.
    """

    def __init__(self, rows: RunRows, study: Study | None, options: Options, imported: bool, source: str) -> None:
        self.rows, self.options, self.imported, self.source = rows, options, imported, source
        self.study_runs = study.readable_runs if study else []
        self.from_ledger = "val/loss" in rows.frame.columns
        self.chooser = RunChooser(rows, study, options, source)
        self.chosen = self.chooser.choose(options.convention)
        self.runs, self.left_out = self.chosen.runs, self.chosen.left_out
        self.table = RunTable.of(self.runs, options.flops)

    def fit(self) -> FitFile:
        """The laws, the benchmarks' laws, what was not fitted, chosen and left out."""
        laws: dict[str, SizeLaw | DataLaw] = {}
        not_fitted: list[NotFitted] = []
        benchmarks: dict[str, BenchmarkLaw] = {}
        data_laws: dict[str, LengthLaw] = {}
        longest = select_longest(self.runs, self.left_out)
        left_out: Sequence[LeftOutRun] = self.left_out
        for name in self._law_names():
            try:
                if name == "benchmarks":
                    benchmarks, skipped = self._fit_benchmarks(longest)
                    not_fitted += skipped
                    continue
                if name == "data":
                    data_laws = fit_data_laws(self.runs, self.options, self.chosen.repeat)
                    continue
                law = self._fit_law(name, longest)
            except ZeroscaleError as error:
                if self.options.is_required(name):
                    raise
                not_fitted.append(NotFitted(law=name, reason=str(error)))
                continue
            if name == "power":
                # A study's law is that of its validation loss; a CSV does not say what its loss is.
                name = "val/loss" if self.from_ledger else "power"
                left_out = longest.left_out
            laws[name] = law
        if not laws and not benchmarks and not data_laws:
            raise ZeroscaleError("; ".join(f"{entry.law}: {entry.reason}" for entry in not_fitted))
        warnings = [*diagnostics.run_warnings(left_out), *self._flops_warnings()]
        laws = _with_run_warnings(_cross_checked(laws), warnings, self._repeats_warnings())
        return FitFile(
            law=next((law.form for law in laws.values()), None),
            laws=laws,
            data_laws=data_laws,
            benchmarks=benchmarks,
            by_convention=tuple(self._by_convention(laws)),
            not_fitted=tuple(not_fitted),
            left_out=tuple(
                LeftOut(keys=("cell", "steps", "rule"), cell=run.cell, steps=run.steps, rule=run.rule)
                for run in left_out
            ),
            choice=self.chosen.choice,
        )

    def _flops_warnings(self) -> list[str]:
        """That C is 6 N D for all runs, where flops=auto finds exact FLOPs of some alone."""
        without = [run.name for run in self.table.runs if run.flops is None]
        if self.options.flops != "auto" or not without or len(without) == len(self.table.runs):
            return []
        more = f" and {len(without) - 3} more" if len(without) > 3 else ""
        return [
            f"C is counted as 6 N D for all {len(self.table.runs)} runs: {', '.join(without[:3])}{more} "
            f"{'have' if without[1:] else 'has'} no FLOPs. Fill them in, or leave these runs out, for the runs' own."
        ]

    def _repeats_warnings(self) -> list[str]:
        """That runs with one seed count as repeats of each other, where nothing tells them apart."""
        names = self.chosen.repeated
        if not names:
            return []
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        return [
            f"{', '.join(names[:3])}{more} {'have' if names[1:] else 'has'} size, tokens, seed and every setting known "
            "here in common with another run: all of them count, as repeats. Where they differ in other settings, fit "
            "the study's directory, or leave some out with leave_out."
        ]

    def _law_names(self) -> list[str]:
        names = list(registry.requested(self.options.law))
        sizes, data = (int(group_values(column).max()) + 1 for column in (self.table.params, self.table.tokens))
        ladder = min(sizes, data) < AUTO_LEVELS
        if "auto" in self.options.law and "all" not in self.options.law and ladder:
            names = [name for name in names if not LAWS[name].needs_data or self.options.is_required(name)]
        if not {"all", "data"} & set(self.options.law) and not self._has_lengths():
            names = [name for name in names if name != "data"]
        if self.from_ledger and "power" not in names:
            # The report of a study stands on it, and it costs a second.
            names.insert(0, "power")
        return names

    def _has_lengths(self) -> bool:
        """Whether auto fits laws over data alone: not to checkpoints on the way, where the rate has not come down, nor
        to the many sizes of a grid, which the surfaces describe."""
        return self.options.checkpoints == "last" and 0 < len(select_lengths(self.runs, LEAST_LENGTHS)) <= AUTO_CURVES

    def _fit_law(self, name: str, selection: Selection) -> SizeLaw | DataLaw:
        fit = LAWS[name].fit
        assert fit is not None, f"{name} is not fitted as one law"
        variable = COLUMN_OF[self.options.convention] if self.from_ledger else "params"
        data = FitData(self.table, selection, variable, self.source, self.options, self.chosen.repeat)
        law, bias = fit(data), self.chosen.bias()
        if bias is None or not isinstance(law, DataLaw):
            return law
        unbiased = fit(replace(data, table=replace(self.table, loss=self.table.loss + bias)))
        return widen(law, unbiased) if isinstance(unbiased, DataLaw) else law

    def _fit_benchmarks(self, selection: Selection) -> tuple[dict[str, BenchmarkLaw], list[NotFitted]]:
        chance = {**downstream.chances(self.study_runs), **self.options.chance}
        whole = "val/loss" if self.from_ledger else "loss"
        laws, skipped = downstream.fit_benchmarks(selection, chance, self.options.bootstrap, self.options.seed, whole)
        if not laws and not skipped:
            raise ZeroscaleError("the runs have no benchmark's scores: no column such as lambada/acc")
        return laws, skipped

    def _by_convention(self, laws: Mapping[str, SizeLaw | DataLaw]) -> list[ConventionExponent]:
        names = [name for name in conventions.LAWS if name in laws]
        if not names:
            return []
        runs_by: dict[str, list[SelectedRun]] = {}

        def counted(convention: str, flops: str) -> RunTable | None:
            runs = runs_by.setdefault(convention, list(self.chooser.choose(convention).runs))
            if flops == "exact" and any(run.flops is None for run in runs):
                return None
            return RunTable.of(runs, flops)

        counts = tuple(COLUMN_OF) if self.from_ledger else (self.options.convention,)
        rows = conventions.exponents_by_convention(counted, counts, self.options, names)
        return rows if self.from_ledger else [replace(row, convention=CSV_CONVENTION) for row in rows]


def _cross_checked(laws: dict[str, SizeLaw | DataLaw]) -> dict[str, SizeLaw | DataLaw]:
    """Approach 3 and variable projection fit one form: where their exponents' intervals do not meet, both warn."""
    robust, squares = laws.get("chinchilla"), laws.get("vpnls")
    if not isinstance(robust, DataLaw) or not isinstance(squares, DataLaw):
        return laws
    a, b = robust.exponents["N_opt"], squares.exponents["N_opt"]
    if a.low is None or a.high is None or b.low is None or b.high is None or (a.low <= b.high and b.low <= a.high):
        return laws
    warning = (
        f"The robust fit and least squares disagree: N_opt ~ C^{a.value:.3f} by chinchilla, C^{b.value:.3f} by "
        "vpnls, and their intervals do not meet. A few runs far from the law would do that: look at the residuals."
    )
    return {
        name: replace(law, warnings=(*law.warnings, warning)) if name in ("chinchilla", "vpnls") else law
        for name, law in laws.items()
    }


def _with_run_warnings(
    laws: Mapping[str, SizeLaw | DataLaw], warnings: Sequence[str], of_all: Sequence[str]
) -> dict[str, SizeLaw | DataLaw]:
    """The laws with what holds of the runs as a whole: those over data get `warnings`, which that over size has."""
    more = {name: [*(warnings if isinstance(law, DataLaw) else []), *of_all] for name, law in laws.items()}
    return {name: replace(law, warnings=(*law.warnings, *more[name])) for name, law in laws.items()}


def _default_out(runs: Path, from_ledger: bool) -> Path:
    if runs.is_dir():
        return runs / layout.FIT
    return runs.with_name(layout.FIT) if from_ledger else runs.with_name(f"{runs.stem}.{layout.FIT}")


def _write(path: Path, value: Json) -> Json:
    """Writes unless the same fit is there already: then the file, with its date, stays as it is."""
    if path.is_file():
        try:
            old: Json | None = read_object(path)
        except ZeroscaleError:
            old = None
        undecided = dict.fromkeys(("created", "command", "source"))
        if old is not None and {**old, **undecided} == {**value, **undecided}:
            return old
    write_json(path, value)
    return value
