"""`zeroscale eval`: scores checkpoints one after the other and ends with one table, beside the paper's numbers."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from zeroscale.cli.commands import LabelledConfig
from zeroscale.cli.eval_progress import EvalProgress
from zeroscale.config.commands.eval import EvalConfig
from zeroscale.config.validate import build_config
from zeroscale.core import machine
from zeroscale.core.errors import ZeroscaleError
from zeroscale.runs import layout

if TYPE_CHECKING:
    from zeroscale.eval.cards.card import Card
    from zeroscale.eval.published import Row
    from zeroscale.eval.results import Result
    from zeroscale.eval.run import OnFault

# The folder beside a checkpoint's results that holds its own table: of all results that lie there.
TABLE = "table"


class Report:
    """What came of the checkpoints: rows for the table, faults, and the studies whose ledgers are to be renewed."""

    def __init__(self, cards: "dict[str, Card]") -> None:
        self.cards = cards
        self.rows: list[Row] = []
        self.studies: set[Path] = set()
        self.faults = 0

    def add(self, label: str, results: "list[Result]", out: Path) -> None:
        """Takes results, and renews the table beside them."""
        from zeroscale.eval import published, score_table
        from zeroscale.eval import results as files

        self.rows += published.rows(label, results, self.cards)
        stored = [result for name in files.names(out) if (result := files.load(out, *name))]
        score_table.write(out / TABLE, published.rows(label, stored, {**shipped(stored), **self.cards}))

    def fault(self, where: str, error: object) -> None:
        """Prints what went wrong, at once; the others go on."""
        self.faults += 1
        print(f"zeroscale: {where}: {error}", file=sys.stderr, flush=True)


def run(configs: list[LabelledConfig]) -> int:
    """Scores checkpoints, one after the other, and ends with one table."""
    return score_checkpoints([build_config(EvalConfig, raw) for _, raw in configs])


def score_checkpoints(jobs: list[EvalConfig]) -> int:
    """Scores each; after the failure of one, which is printed, the others go on. Returns the exit code."""
    from zeroscale.eval.cards import registry

    for settings in jobs:
        if sum(bool(value) for value in (settings.checkpoint, settings.run, settings.study)) != 1:
            raise ZeroscaleError(
                "give checkpoint=PATH (a run, a checkpoint, a Hugging Face directory, a hub name; run=PATH is the "
                "same) or study=DIR, and only one of them"
            )
    report = Report({card.name: card for job in jobs for card in registry.resolve(job.cards or ())})
    for settings in jobs:
        if settings.rescore:
            _rescore(settings, report)
    scored = [(job, where) for job in jobs if not job.rescore for where in _checkpoints(job, report)]
    with EvalProgress(len(scored)) as progress:
        for settings, where in scored:
            _score(settings, where, report, progress)
    for study in sorted(report.studies):
        from zeroscale.runs.study import Study

        Study(study).write_ledger()
    _show(report, {Path(job.out) for job in jobs if job.out})
    if report.faults:
        print("zeroscale: not all was scored; what is missing is said above", file=sys.stderr)
    return 2 if report.faults else 0


def shipped(results: "Iterable[Result]") -> "dict[str, Card]":
    """The cards of results, where they are among those that come with zeroscale."""
    from zeroscale.eval.cards import registry

    cards = {}
    for result in results:
        try:
            (cards[result.card],) = registry.resolve([result.card])
        except ZeroscaleError:
            continue  # held-out text, or a card of the user's own that is not named now
    return cards


def _score(settings: EvalConfig, where: str, report: Report, progress: EvalProgress) -> None:
    from zeroscale.eval import run
    from zeroscale.eval.cards import registry
    from zeroscale.model.threads import use_threads
    from zeroscale.runs import resolve

    cards = settings.cards if settings.cards is not None else run.DEFAULT_CARDS
    report.cards |= {card.name: card for card in registry.resolve(cards)}
    use_threads(settings.threads)
    try:
        target = resolve.resolve_checkpoint(where, Path(settings.output_dir), settings.revision)
        progress.begin(target)
        results = run.score(target, settings, progress.say, _report_once(report, target.label))
    except (ZeroscaleError, OSError, RuntimeError, MemoryError) as error:
        report.fault(where, _plain(error))
        return
    report.add(target.label, results, target.out)
    if target.study:
        report.studies.add(target.study)


def _report_once(report: Report, label: str) -> "OnFault":
    """Reports the fault of a card at once; one that every card has (weights that are not finite) in full only once."""
    reported: set[str] = set()

    def fault(name: str, error: ZeroscaleError) -> None:
        text = str(error) if str(error) not in reported else "the same"
        reported.add(str(error))
        report.fault(label, text if name in text else f"{name}: {text}")

    return fault


def _plain(error: BaseException) -> str:
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return "out of memory; what was answered is kept. Try a smaller batch_tokens"
    return machine.thread_refusal(error) or str(error) or type(error).__name__


def _checkpoints(settings: EvalConfig, report: Report) -> list[str]:
    """Everything that one job asks for: a study stands for its cells, a run for its checkpoints."""
    from zeroscale.runs import checkpoint

    given = settings.checkpoint or settings.run
    cells = [Path(given)] if given else _cells(settings.study or "")
    paths: list[str] = []
    for cell in cells:
        steps = checkpoint.all_of(cell) if layout.is_run(cell) else []
        if settings.study and not steps:
            report.fault(str(cell), "has no checkpoint yet; train it first")
        elif settings.checkpoints == "all" and steps:
            paths += map(str, steps)
        else:
            paths.append(given or str(cell))
    return paths


def _cells(study: str) -> list[Path]:
    from zeroscale.runs.study import Study

    return [run.directory for run in Study(study).require_runs()]


def _rescore(settings: EvalConfig, report: Report) -> None:
    """Makes the scores again from their records; says for each what changed."""
    from zeroscale.eval import results as files
    from zeroscale.eval.cards import registry
    from zeroscale.runs import resolve

    names = None if settings.cards is None else {card.name for card in registry.resolve(settings.cards)} | {"held_out"}
    given = [settings.checkpoint or settings.run] if not settings.study else map(str, _cells(settings.study))
    for where in given:
        try:
            folders = resolve.find_results(str(where), Path(settings.output_dir), settings.checkpoints == "all")
        except ZeroscaleError as error:
            report.fault(str(where), error)
            continue
        for folder in folders:
            there = files.names(folder.out)
            if names is not None:
                there = [name for name in there if name[0] in names and name[1] in (settings.protocol, "corpus")]
            absent = sorted((names or set()) - {"held_out", *(name for name, _ in there)})
            if absent or not there:
                command = folder.command(absent or ["core"], settings.protocol)
                called = ", ".join(absent) or "this"
                report.fault(folder.label, f"{called} has not been scored; score it first: {command}")
            if there:
                report.add(folder.label, _again(folder.label, folder.out, there, settings, report), folder.out)
            cell = layout.run_of(folder.out)
            if layout.is_run(cell):
                report.studies.add(cell.parent)


def _again(label: str, out: Path, names: list[tuple[str, str]], settings: EvalConfig, report: Report) -> "list[Result]":
    from zeroscale.eval import rescore

    done = []
    for name in names:
        try:
            before, after = rescore.again(out, *name, settings.seed, settings.bootstrap)
        except ZeroscaleError as error:
            report.fault(label, error)
            continue
        done.append(after)
        print(f"{label}: {'.'.join(name)}: {_changes(before, after)}")
    report.cards |= {name: card for name, card in shipped(done).items() if name not in report.cards}
    return done


def _changes(before: "Result", after: "Result") -> str:
    from zeroscale.core.format import NOT_FINITE, NOTHING, general, interval

    if after == before:
        return "as it was, to the last bit"
    parts = []
    for metric, now in after.metrics.items():
        was = before.metrics[metric]
        if now.value != was.value:
            before_after = (general(score.value, missing=NOT_FINITE) for score in (was, now))
            parts.append(f"{metric} {' → '.join(before_after)}")
        if (now.low, now.high) != (was.low, was.high):
            before_after = (interval(score.low, score.high, show=general, missing=NOTHING) for score in (was, now))
            parts.append(f"{metric}'s interval {' → '.join(before_after)}")
    old, new = (f"{one.key.bootstrap:,} resamples, seed {one.key.interval_seed}" for one in (before, after))
    how = f"{old} → {new}" if old != new else new
    return f"{how}: {'; '.join(parts) or 'the same numbers'}"


def _show(report: Report, directories: set[Path]) -> None:
    from zeroscale.eval import score_table

    if not report.rows:
        return
    print(score_table.as_text(report.rows))
    for directory in sorted(directories):
        paths = score_table.write(directory, report.rows)
        print(f"\nwritten to {directory}: {', '.join(path.name for path in paths)}")
