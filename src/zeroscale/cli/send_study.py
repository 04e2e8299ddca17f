"""Sends a study, its runs and its fit, to W&B or another tracker, as its files are now."""

import secrets
from collections.abc import Callable
from pathlib import Path

from zeroscale.config.trainer import TrackerConfig
from zeroscale.core.errors import ZeroscaleError

REPORT = "report"


def send_study(study: Path, report: Path, config: TrackerConfig, say: Callable[[str], None] = print) -> bool:
    """Brings every run up to date, then shows the fit (W&B only). `report` is the study's written report.

    Returns whether all of it has arrived, or offline, been written for `wandb sync`.

    Raises:
        ZeroscaleError: W&B does not accept the user, or a package is missing.
    """
    from zeroscale.report.views.study import read_study
    from zeroscale.scaling.fit_schema import to_json
    from zeroscale.training.trackers import tracker, wandb_log, wandb_start

    view = read_study(study)
    whole = True
    for run in view.runs:
        message = tracker.send(config, run.directory, run.settings, run.manifest, run.done)
        whole = whole and not message.startswith("could not be sent")
        say(f"{run.name} {message}")
    if config.name != "wandb":
        return whole
    mode = wandb_start.mode_of(config)
    if mode == "disabled":
        return whole
    from zeroscale.report.wandb import fit_run, workspace
    from zeroscale.training.trackers import wandb_files

    wandb_files.put_aside(view.directory, REPORT)
    try:
        run = wandb_start.connect(
            config,
            mode,
            view.directory,
            # Each report is a run of its own: in one that W&B knows already, its charts would stand twice.
            identity=f"{REPORT}-{secrets.token_hex(6)}",
            live=False,
            group=view.name,
            job_type=REPORT,
            name=f"{view.name}-report",
            tags=[REPORT],
            config={
                "study": view.name,
                "runs": len(view.runs),
                "fit": to_json(view.fit.options) if view.fit else None,
            },
        )
    except wandb_start.TrackerUnavailable as away:
        say(f"the fit could not be sent: W&B does not answer ({away})")
        return False
    entity, project, identity = run.entity, run.project, run.id
    fit_run.write(view, report, run, mode, wandb_start.checkpoint_artifact, wandb_log.finish, say)
    if mode == "offline":
        offline = [path for run_view in view.runs for path in wandb_files.offline_runs(run_view.directory)]
        if offline:
            say(f"and its {len(offline)} runs before it: wandb sync {view.shown_path}/*/wandb/offline-run-*")
    elif workspace.available():
        try:
            for address in workspace.save(view, entity, project, identity):
                say(f"W&B: {address}")
        except ZeroscaleError as error:
            say(str(error))
    else:
        say("a workspace view and a report in W&B besides: pip install zeroscale[workspaces]")
    return whole
