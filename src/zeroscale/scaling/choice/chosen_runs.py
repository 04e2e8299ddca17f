"""The runs of a fit after every rule: those that can be fitted, that `where` asks for, and of each size one setting."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zeroscale.core.errors import ZeroscaleError
from zeroscale.runs import where
from zeroscale.runs.axes import SEEDS, SIZE, TOKENS, show
from zeroscale.runs.study import Study
from zeroscale.runs.where import Wanted
from zeroscale.scaling.choice.choose import BEST_MEAN, choose
from zeroscale.scaling.choice.record import Choice
from zeroscale.scaling.choice.resampling import ChoiceDraws, choice_draws, repeat_choices
from zeroscale.scaling.choice.settings import RunSettings
from zeroscale.scaling.csv_runs.cells import is_setting
from zeroscale.scaling.options import Options
from zeroscale.scaling.run_selection import LeftOutRun, SelectedRun, SizeGroup, select_runs
from zeroscale.scaling.runs_csv import RunRows

if TYPE_CHECKING:
    from zeroscale.scaling.numerics.arrays import FloatArray

FILTERED = "not {}"


@dataclass(frozen=True)
class ChosenRuns:
    """`runs` count, `left_out` do not; `choice` says which settings the runs have, where sizes have several."""

    runs: tuple[SelectedRun, ...]
    left_out: tuple[LeftOutRun, ...]
    choice: Choice | None = None
    draws: tuple["FloatArray | None", ...] = ()
    """Of each size of the choice, as `resample_choice` gives them."""
    seed: int = 0
    repeated: tuple[str, ...] = field(default=())
    """Names of runs that have size, tokens, seed and settings in common with another."""

    def repeat(self, means: Sequence[SizeGroup], count: int) -> ChoiceDraws | None:
        """What choosing does to these means, for the intervals of a law, in `count` draws; None where nothing was
        chosen, or where no setting has two seeds."""
        if self.choice is None or all(draw is None for draw in self.draws):
            return None
        points = [(mean.params, mean.tokens, mean.loss) for mean in means]
        draws = [None if draw is None else draw[:count] for draw in self.draws]
        return choice_draws(self.choice, draws, points, count, self.seed)

    def bias(self) -> "FloatArray | None":
        """[n]: by how many nats choosing is expected to lower each run's loss; None where by nothing."""
        import numpy

        if self.choice is None:
            return None
        by_cell = {cell: size.bias or 0.0 for size in self.choice.sizes if size.chosen for cell in size.chosen.cells}
        bias = numpy.array([by_cell.get(run.cell, 0.0) for run in self.runs])
        return bias if bias.any() else None


class RunChooser:
    """Chooses among the rows of a study or CSV, by one convention of N after another.

    Args:
        study: whose rows they are; None for a CSV.
        source: what `runs=` was given, for messages.
    """

    def __init__(self, rows: RunRows, study: Study | None, options: Options, source: str) -> None:
        self.rows, self.options, self.source = rows, options, source
        self.study_runs = study.readable_runs if study else []
        self.asked_for: set[str] | None = None
        if study is None:
            self.settings = _settings_of_rows(rows, options)
        else:
            self.settings = RunSettings.of_study(study.axes)
            if options.where:
                self.asked_for = {run.name for run in where.matching(study.axes, options.where)}

    def choose(self, convention: str) -> ChosenRuns:
        """
        Raises:
            ZeroscaleError: no run is left, or runs of a size differ in what makes losses incomparable.
        """
        options = self.options
        found, left_out = select_runs(
            self.rows.frame,
            convention,
            self.study_runs,
            checkpoints=options.checkpoints,
            keep=options.keep,
            leave_out=options.leave_out,
            left_out_before=self.rows.left_out,
        )
        runs = [run for run in found if self._is_asked_for(run.cell)]
        rule = FILTERED.format(", ".join(_filter(key, value) for key, value in options.where.items()))
        dropped = dict.fromkeys(run.cell for run in found if not self._is_asked_for(run.cell))
        left_out += [LeftOutRun(cell, rule) for cell in dropped]
        if not runs:
            raise ZeroscaleError(f"no finished run has {', '.join(_filter(*item) for item in options.where.items())}")
        kept, choice, losses = choose(runs, self.settings, left_out, select=options.select, source=self.source)
        draws: Sequence[FloatArray | None] = ()
        if choice is not None:
            choice, draws = repeat_choices(choice, losses, options.bootstrap, options.seed)
        return ChosenRuns(
            runs=tuple(kept),
            left_out=tuple(left_out),
            choice=choice,
            draws=tuple(draws),
            seed=options.seed,
            repeated=tuple(_repeated(kept)) if options.select == BEST_MEAN else (),
        )

    def _is_asked_for(self, cell: str) -> bool:
        if self.asked_for is not None:
            return cell in self.asked_for
        return self.settings.has(cell, self.options.where)


def _settings_of_rows(rows: RunRows, options: Options) -> RunSettings:
    """Of a results.csv the columns that are neither the ledger's own nor scores, of another CSV those that
    `columns.axes` names."""
    frame = rows.frame
    keys = [name for name in frame.columns if is_setting(name) and name not in (SIZE, TOKENS, *SEEDS)]
    if "cell" not in frame.columns:
        keys = [name for name in options.axes if name in frame.columns]
    if not keys:
        return RunSettings()
    named = frame["cell"] if "cell" in frame.columns else [f"row {row}" for row in frame.get("row", [])]
    rows_of = {}
    for name, *values in zip(named, *(frame[key].tolist() for key in keys), strict=True):
        known = [None if value != value else value for value in values]
        rows_of[str(name)] = dict(zip(keys, known, strict=True))
    return RunSettings.of_rows(rows_of, keys)


def _filter(key: str, value: Wanted) -> str:
    several = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    return f"{key}={' or '.join(show(one) for one in several)}"


def _repeated(runs: Sequence[SelectedRun]) -> list[str]:
    seen: dict[tuple[float, float, int | None], str] = {}
    names = []
    for run in runs:
        key = (run.params, run.tokens, run.seed)
        if run.seed is not None and seen.setdefault(key, run.cell) != run.cell:
            names.append(run.cell)
    return names
