"""The fit of a study as a W&B run of its own: charts, tables, figures, and artifacts that name the checkpoints they
rest on. The study's runs are W&B runs in the same group (`zeroscale.training.trackers.tracker`)."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from zeroscale.core import format
from zeroscale.core.errors import ZeroscaleError
from zeroscale.report.figures.plotly_json import PlotlyFigure
from zeroscale.report.sections import scaling_laws
from zeroscale.report.views import benchmarks, size_law
from zeroscale.report.views.loss_curves import curves
from zeroscale.report.views.study import RunView, StudyView
from zeroscale.report.wandb import rows as wandb_rows
from zeroscale.runs import layout

if TYPE_CHECKING:
    import wandb
    from plotly import graph_objects

MAX_CHECKPOINTS = 100

MakeArtifact = Callable[[Path], "wandb.Artifact | None"]
"""A run's directory → the artifact of its last checkpoint, where it has one."""
Finish = Callable[["wandb.Run", str, int], None]
"""Ends a W&B run of a mode with an exit code; an offline one is then whole on the disk."""


def write(
    study: StudyView,
    report: Path,
    wandb_run: "wandb.Run",
    mode: str,
    checkpoint: MakeArtifact,
    finish: Finish,
    say: Callable[[str], None] = print,
) -> None:
    """Fills a W&B run that has just begun, and ends it.

    `report` is the study's written report (its figures and tables); `checkpoint` makes the artifact of a run's last
    checkpoint, the same that the run's own W&B run has as its product.

    Raises:
        ZeroscaleError: W&B did not take all of it.
    """
    import wandb

    try:
        _fill(study, report, wandb_run, mode, checkpoint)
        where = wandb_run.url if mode == "online" else str(Path(wandb_run.dir).parent)
        finish(wandb_run, mode, 0)
    except (wandb.errors.Error, TimeoutError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ZeroscaleError(f"W&B did not take all of the fit ({first}): the same command sends it anew") from error
    say(f"W&B: {where}" if mode == "online" else f"W&B, offline: send it with `wandb sync {_short(Path(where))}`")


def _fill(study: StudyView, report: Path, wandb_run: "wandb.Run", mode: str, checkpoint: MakeArtifact) -> None:
    import wandb

    cards, by_size, loss_curves = benchmarks.read_cards(study), size_law.read_law(study), curves(study.runs)
    wandb_run.summary.update(wandb_rows.summary(study, by_size))
    wandb_run.summary["verdict"] = format.flat(scaling_laws.verdict(study) or size_law.verdict(by_size))
    for chart in wandb_rows.charts(study, by_size, loss_curves):
        names = list(chart.series)
        wandb_run.log(
            {
                f"charts/{chart.name}": wandb.plot.line_series(
                    xs=[chart.series[name][0] for name in names],
                    ys=[chart.series[name][1] for name in names],
                    keys=names,
                    title=f"{chart.title}: {chart.y_title}",
                    xname=chart.x_title,
                )
            }
        )
    for name, figure in wandb_rows.figures(study, by_size).items():
        wandb_run.log({f"plots/{name}": wandb.Plotly(_plotly(figure))})
    _curves(wandb_run, by_size)
    for name, (columns, rows) in {
        "scores": wandb_rows.scores(study, cards),
        "examples": wandb_rows.examples(study),
        **{name: (columns, rows) for name, (_, columns, rows) in wandb_rows.tables(study, cards).items()},
    }.items():
        if rows:
            wandb_run.log({f"tables/{name}": wandb.Table(columns=columns, data=rows)})
    for path in sorted((report / "figures").glob("*.png")):
        wandb_run.log({f"figures/{path.stem}": wandb.Image(str(path), caption=path.stem.replace("_", " "))})
    _use(wandb_run, mode, [run for run in study.runs if run.done][-MAX_CHECKPOINTS:], checkpoint)
    _keep(wandb_run, study, report)


def _plotly(figure: PlotlyFigure) -> "graph_objects.Figure":
    from plotly import graph_objects

    return graph_objects.Figure(figure)


def _curves(wandb_run: "wandb.Run", by_size: size_law.Law) -> None:
    """The law as W&B's own line charts, which can have logarithmic axes: a point of the curve is a step of its own."""
    wandb_run.define_metric("law/N")
    wandb_run.define_metric("law/*", step_metric="law/N")
    measured = {n: loss for _, n, loss in by_size.points}
    fitted = {n: {"law/fit": value, "law/low": low, "law/high": high} for n, low, value, high in by_size.band}
    for n in sorted({*measured, *fitted}):
        row = {"law/N": n, "law/measured": measured.get(n), **fitted.get(n, {})}
        wandb_run.log({key: value for key, value in row.items() if value is not None})


def _use(wandb_run: "wandb.Run", mode: str, runs: list[RunView], checkpoint: MakeArtifact) -> None:
    """Declares the checkpoints as what the fit rests on.

    `use_artifact` refuses to work offline, and online it waits for W&B without end; what it calls does neither. Where
    a version of W&B has that under another name, the lineage is asked for online and lost offline, and nothing else.
    """
    for run in runs:
        artifact = checkpoint(run.directory)
        if artifact is None:
            continue
        try:
            wandb_run._log_artifact(artifact, aliases=["latest"], is_user_created=True, use_after_commit=True)
        except (AttributeError, TypeError):
            if mode != "online":
                warnings.warn("this version of wandb records no lineage offline", stacklevel=2)
                return
            wandb_run.use_artifact(artifact, aliases=["latest"])


def _keep(wandb_run: "wandb.Run", study: StudyView, report: Path) -> None:
    """results.csv, fit.json, tables and figures as artifacts: versions of them are kept as the study grows."""
    import wandb

    results = wandb.Artifact(f"results-{study.name}", type="results", description="results.csv, fit.json, tables")
    for name in (layout.LEDGER, layout.FIT):
        if (study.directory / name).is_file():
            results.add_file(str(study.directory / name), name=name)
    for path in sorted((report / "tables").glob("*")):
        results.add_file(str(path), name=f"tables/{path.name}")
    figures = wandb.Artifact(f"figures-{study.name}", type="figures", description="PNG, SVG and PDF")
    for path in sorted((report / "figures").glob("*")):
        figures.add_file(str(path), name=path.name)
    for artifact in (results, figures):
        if artifact.manifest.entries:
            wandb_run.log_artifact(artifact, aliases=["latest"])


def _short(path: Path) -> str:
    """As one would type it from here."""
    relative = os.path.relpath(path)
    return relative if not relative.startswith("..") else str(path)
