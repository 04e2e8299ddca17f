"""A saved view of W&B's workspace and a W&B report of a study, through the optional package `wandb-workspaces`."""

import importlib.util
from typing import TYPE_CHECKING

from zeroscale.core import format
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_object, write_json
from zeroscale.report.sections import scaling_laws
from zeroscale.report.views import size_law
from zeroscale.report.views.study import StudyView
from zeroscale.runs.axes import CODE, CORPUS

if TYPE_CHECKING:
    import wandb_workspaces.reports.v2 as wr
    import wandb_workspaces.workspaces as ws

VIEWS = "wandb_views.json"
X = {"tokens": "tokens", "flops": "training FLOPs", "seconds": "training seconds"}


def available() -> bool:
    return importlib.util.find_spec("wandb_workspaces") is not None


def save(study: StudyView, entity: str, project: str, fit_run: str) -> list[str]:
    """Creates both, or writes those that an earlier report created again; returns their addresses.

    Raises:
        ZeroscaleError: W&B does not take them.
    """
    try:
        view, page = describe(study, entity, project, fit_run)
        saved = _saved(study, entity, project)
        # Under the names that W&B gave them they are replaced; without, each report would leave two more behind.
        for item, name in ((view, "_internal_name"), (view, "_internal_id"), (page, "id")):
            if saved.get(name):
                object.__setattr__(item, name, saved[name])
        view.save()
        page.save()
        names = {"_internal_name": view._internal_name, "_internal_id": view._internal_id, "id": page.id}
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ZeroscaleError(f"W&B did not take the workspace view or the report: {first}") from error
    write_json(study.directory / VIEWS, {"entity": entity, "project": project, **names})
    return [view.url, page.url]


def _saved(study: StudyView, entity: str, project: str) -> dict[str, object]:
    """What the last report left in the study, if it was in the same project."""
    try:
        saved = read_object(study.directory / VIEWS)
    except ZeroscaleError:
        return {}
    return saved if (saved.get("entity"), saved.get("project")) == (entity, project) else {}


def describe(study: StudyView, entity: str, project: str, fit_run: str) -> tuple["ws.Workspace", "wr.Report"]:
    """The view and the report, not yet sent."""
    import wandb_workspaces.reports.v2 as wr
    import wandb_workspaces.workspaces as ws

    of_study = ws.Metric("group") == study.name
    view = ws.Workspace(
        entity=entity,
        project=project,
        name=f"{study.name}: scaling",
        sections=[ws.Section(name=name, panels=panels, is_open=True) for name, panels in _panels().items()],
        runset_settings=ws.RunsetSettings(
            filters=[of_study],
            groupby=[ws.Config(key) for key in grouped(study)],
            pinned_columns=[_column(key) for key in _varied(study)],
        ),
    )
    page = wr.Report(
        entity=entity,
        project=project,
        title=f"{study.name}: scaling law",
        description="Made by zeroscale report; the study's own files are the record.",
        blocks=_blocks(of_study, study, entity, project, fit_run),
    )
    return view, page


def grouped(study: StudyView) -> list[str]:
    """The settings by which runs are one group, of which W&B draws the mean: all that was varied but the seed; none
    where no run was repeated by another seed."""
    seeds = [axis.key for axis in study.axes.seeds]
    return [key for key in _varied(study) if key not in seeds] if seeds else []


def _varied(study: StudyView) -> list[str]:
    """What was varied, as far as W&B's config of a run holds it."""
    return [axis.key for axis in study.axes.varied if axis.key not in (CODE, CORPUS)]


def _column(key: str) -> str:
    """ "config:optimizer.value.lr": W&B keeps each top-level key's content under `value`."""
    first, *rest = key.split(".")
    return "config:" + ".".join([first, "value", *rest])


def _panels() -> dict[str, list["wr.PanelTypes"]]:
    """By section. Loss over tokens, FLOPs and time, and every run as a point over its size."""
    import wandb_workspaces.reports.v2 as wr

    losses = [
        wr.LinePlot(title=f"{name} over {title}", x=x, y=[name], log_x=True, title_x=title, title_y="nats per token")
        for name in ("val/loss", "train/loss")
        for x, title in X.items()
    ]
    size = wr.Config("params_non_embedding")
    law_of_size = wr.ScatterPlot(
        title="Validation loss over size", x=size, y=wr.SummaryMetric("val/loss"), log_x=True, log_y=True
    )
    bits = wr.ScatterPlot(title="Bits per byte over size", x=size, y=wr.SummaryMetric("val/bits_per_byte"), log_x=True)
    fitted = wr.LinePlot(
        title="The fitted law", x="law/N", y=["law/fit", "law/low", "law/high", "law/measured"], log_x=True, log_y=True
    )
    speed = [wr.LinePlot(x="tokens", y=[name]) for name in ("tokens_per_s", "mfu", "grad_norm", "lr")]
    return {"Scaling": [law_of_size, bits, fitted], "Loss": losses, "How the runs went": speed}


def _blocks(
    of_study: "ws.FilterExpr", study: StudyView, entity: str, project: str, fit_run: str
) -> list["wr.BlockTypes"]:
    import wandb_workspaces.reports.v2 as wr

    by_size = size_law.read_law(study)
    sentences = [scaling_laws.verdict(study) or size_law.verdict(by_size), size_law.hold_out_sentence(by_size) or ""]
    groups = [f"config.{key}" for key in grouped(study)]
    runs = wr.Runset(entity=entity, project=project, name=study.name, filters=[of_study], groupby=groups)
    sections = _panels()
    blocks: list[wr.BlockTypes] = [wr.P(format.flat(text)) for text in sentences if text]
    blocks += [wr.P(f"Warning: {format.flat(text)}") for text in scaling_laws.warnings(study, by_size)]
    for name, panels in sections.items():
        blocks += [wr.H2(name), wr.PanelGrid(runsets=[runs], panels=panels)]
    return [*blocks, wr.P(f"Tables, figures and what they rest on: the run {fit_run}.")]
