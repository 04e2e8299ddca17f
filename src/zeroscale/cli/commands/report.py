"""`report`: a study's page, its text in the terminal, and what a tracker lacks."""

from pathlib import Path

from zeroscale.cli.commands import Config
from zeroscale.config.commands import ReportConfig
from zeroscale.config.validate import build_config
from zeroscale.core.errors import ZeroscaleError


def report(config: Config) -> int:
    """Writes the dashboard, serves it, or says it in text; then a tracker gets what it lacks."""
    wanted = build_config(ReportConfig, config)
    studies = [Path(study) for study in wanted.study]
    tracked = wanted.tracker.name != "none"
    if wanted.watch and (tracked or wanted.format == "text"):
        raise ZeroscaleError("watch=true serves the page and nothing else: leave tracker= and format=text out")
    if wanted.out and (wanted.watch or wanted.format == "text"):
        raise ZeroscaleError("out= is the folder of the page: leave it out with watch=true and format=text")
    if tracked and len(studies) > 1:
        raise ZeroscaleError("tracker= takes one study at a time: give study=DIR")
    if wanted.watch:
        from zeroscale.report import live

        live.watch(studies, wanted.port)
        return 0
    if wanted.format == "text":
        from zeroscale.report import terminal

        print(terminal.report(studies), end="")
        if not tracked:
            return 0
    from zeroscale.report import dashboard

    index = dashboard.write(studies, Path(wanted.out) if wanted.out else None)
    print(f"open {index}")
    if not tracked:
        return 0
    from zeroscale.cli.commands import send

    return 0 if send.send_study(studies[0], index.parent, wanted.tracker) else 1
