"""Fits the laws of a study or of a CSV of runs and writes them, with their doubts, to fit.json."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_json, sha256_file, write_json
from zeroscale.runs import layout, ledger, manifest
from zeroscale.runs.run import Run
from zeroscale.runs.study import Study
from zeroscale.scaling import conventions, diagnostics, lm_eval_results, registry, runs_csv
from zeroscale.scaling.estimators import downstream
from zeroscale.scaling.numerics.arrays import group_values
from zeroscale.scaling.options import Options
from zeroscale.scaling.registry import LAWS, FitData
from zeroscale.scaling.run_selection import COLUMN_OF, Selection, select_longest, select_runs
from zeroscale.scaling.run_table import RunTable
from zeroscale.scaling.runs_csv import read_csv
from zeroscale.scaling.summary import describe

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["describe", "fit_study", "load_runs"]

AUTO_LEVELS = 3


def fit_study(
    runs: Path,
    out: Path | None = None,
    *,
    law: str | Sequence[str] = "auto",
    convention: str = "non_embedding",
    bootstrap: int = 4000,
    seed: int = 0,
    command: str | None = None,
    options: Options | None = None,
) -> dict[str, Any]:
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
        command: recorded in the file.
        options: everything at once, instead of law, convention, bootstrap and seed.

    Raises:
        ZeroscaleError: nothing to fit, faults in the CSV, one size only, a law asked for by name that the runs cannot
            carry.
    """
    runs = Path(runs)
    wanted = options or Options(
        law=(law,) if isinstance(law, str) else tuple(law), convention=convention, bootstrap=bootstrap, seed=seed
    )
    registry.check_names(wanted.law)
    study = load_runs(runs, wanted)
    imported, is_study = study.imported, runs.is_dir() and not study.imported
    source = ledger.write(Study(runs).ledger_path, study.frame) if is_study else runs
    value = {
        "study": runs.name if is_study or imported else runs.resolve().parent.name if study.from_ledger else runs.stem,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "source": manifest.source(),
        "runs": str(runs),
        "results_sha256": None if imported else sha256_file(source),
        "law": None,
        "convention": wanted.convention if study.from_ledger else "as given in the CSV",
        "bootstrap": wanted.bootstrap,
        "seed": wanted.seed,
        "options": wanted.recorded(),
        **study.fitted(str(runs)),
    }
    value["law"] = next((entry["form"] for entry in value["laws"].values()), None)
    return _write(out or _default_out(runs, study.from_ledger), value)


def load_runs(runs: Path, options: Options) -> "StudyRuns":
    """A study, a CSV, or a directory of lm-evaluation-harness' results, as the laws take it; writes nothing."""
    cells = Study(runs).runs if runs.is_dir() else []
    imported = runs.is_dir() and not cells and lm_eval_results.is_results(runs)
    if imported:
        frame = lm_eval_results.read_results(runs, options.columns, options.tokens_per_step)
    else:
        frame = runs_csv.read(runs) if not runs.is_file() else read_csv(runs, options.columns)
    return StudyRuns(frame, cells, options, imported)


class StudyRuns:
    """The runs of one fit, read once, and the laws fitted to them one after another."""

    def __init__(self, frame: "DataFrame", cells: Sequence[Run], options: Options, imported: bool) -> None:
        self.frame, self.cells, self.options, self.imported = frame, cells, options, imported
        self.from_ledger = "val/loss" in frame.columns
        self.runs, self.left_out = self._usable(options.convention)
        self.table = RunTable.of(self.runs, options.flops)

    def _usable(self, convention: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        asked = self.options
        return select_runs(
            self.frame,
            convention,
            self.cells,
            checkpoints=asked.checkpoints,
            keep=asked.keep,
            leave_out=asked.leave_out,
        )

    def fitted(self, runs: str) -> dict[str, Any]:
        """{laws, benchmarks, by_convention, not_fitted, left_out}."""
        laws: dict[str, Any] = {}
        missing: list[dict[str, str]] = []
        scores: dict[str, Any] = {}
        chosen = select_longest(self.runs, self.left_out)
        left_out = self.left_out
        for name in self._named():
            try:
                if name == "power":
                    # A study's law is that of its validation loss; a CSV does not say what its loss is.
                    laws["val/loss" if self.from_ledger else "power"] = self._fit(name, chosen, runs)
                    left_out = chosen.left_out
                elif name == "benchmarks":
                    scores, without = self._benchmarks(chosen)
                    missing += without
                else:
                    laws[name] = self._fit(name, chosen, runs)
            except ZeroscaleError as error:
                if self.options.is_required(name):
                    raise
                missing.append({"law": name, "reason": str(error)})
        if not laws and not scores:
            raise ZeroscaleError("; ".join(f"{entry['law']}: {entry['reason']}" for entry in missing))
        _cross_check(laws)
        for entry in laws.values():
            entry["warnings"] += diagnostics.run_warnings(left_out) if entry.get("variable") is None else []
        return {
            "laws": laws,
            "benchmarks": scores,
            "by_convention": self._by_convention(laws),
            "not_fitted": missing,
            "left_out": [{key: entry[key] for key in ("cell", "steps", "rule")} for entry in left_out],
        }

    def _named(self) -> list[str]:
        names = list(registry.requested(self.options.law))
        sizes, data = (int(group_values(column).max()) + 1 for column in (self.table.params, self.table.tokens))
        ladder = min(sizes, data) < AUTO_LEVELS
        if "auto" in self.options.law and "all" not in self.options.law and ladder:
            names = [name for name in names if not LAWS[name].needs_data or self.options.is_required(name)]
        if self.from_ledger and "power" not in names:
            # The report of a study stands on it, and it costs a second.
            names.insert(0, "power")
        return names

    def _fit(self, name: str, selection: Selection, source: str) -> dict[str, Any]:
        fit = LAWS[name].fit
        assert fit is not None, f"{name} is not fitted as one law"
        variable = COLUMN_OF[self.options.convention] if self.from_ledger else "params"
        return fit(FitData(self.table, selection, variable, source, self.options))

    def _benchmarks(self, chosen: Selection) -> tuple[dict[str, Any], list[dict[str, str]]]:
        chance = {**downstream.chances(self.cells), **self.options.chance}
        whole = "val/loss" if self.from_ledger else "loss"
        found, skipped = downstream.fit_benchmarks(chosen, chance, self.options.bootstrap, self.options.seed, whole)
        if not found and not skipped:
            raise ZeroscaleError("the runs have no benchmark's scores: no column such as lambada/acc")
        return found, skipped

    def _by_convention(self, laws: dict[str, Any]) -> list[dict[str, Any]]:
        names = [name for name in conventions.LAWS if name in laws]
        if not names:
            return []
        kept: dict[str, list[dict[str, Any]]] = {}

        def counted(convention: str, flops: str) -> RunTable | None:
            runs = kept.setdefault(convention, self._usable(convention)[0])
            if flops == "exact" and any(run["flops"] is None for run in runs):
                return None
            return RunTable.of(runs, flops)

        counts = tuple(COLUMN_OF) if self.from_ledger else (self.options.convention,)
        rows = conventions.exponents_by_convention(counted, counts, replace(self.options), names)
        for row in rows:
            row["convention"] = row["convention"] if self.from_ledger else "as given in the CSV"
        return rows


def _cross_check(laws: dict[str, Any]) -> None:
    """Approach 3 and variable projection fit one form: where their exponents' intervals do not meet, both say so."""
    one, other = laws.get("chinchilla"), laws.get("vpnls")
    if one is None or other is None:
        return
    a, b = one["exponents"]["N_opt"], other["exponents"]["N_opt"]
    if None in (a["low"], a["high"], b["low"], b["high"]) or (a["low"] <= b["high"] and b["low"] <= a["high"]):
        return
    said = (
        f"The robust fit and least squares disagree: N_opt ~ C^{a['value']:.3f} by chinchilla, C^{b['value']:.3f} by "
        "vpnls, and their intervals do not meet. A few runs far from the law would do that: look at the residuals."
    )
    one["warnings"].append(said)
    other["warnings"].append(said)


def _default_out(runs: Path, from_ledger: bool) -> Path:
    if runs.is_dir():
        return runs / layout.FIT
    return runs.with_name(layout.FIT) if from_ledger else runs.with_name(f"{runs.stem}.{layout.FIT}")


def _write(path: Path, value: dict[str, Any]) -> dict[str, Any]:
    """Writes unless the same fit is there already: then the file, with its date, stays as it is."""
    if path.is_file():
        try:
            old = read_json(path)
        except ZeroscaleError:
            old = None
        told = dict.fromkeys(("created", "command", "source"))
        if isinstance(old, dict) and {**old, **told} == {**value, **told}:
            return old
    write_json(path, value)
    return value
