"""`zeroscale report`: a study as a page, as text in the terminal, or in a tracker."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from zeroscale.config.raw import RawConfig
from zeroscale.config.trainer import TrackerConfig
from zeroscale.config.types import STRICT, FilePath, Filters, OneOrMany
from zeroscale.config.validate import build_config
from zeroscale.core.errors import ZeroscaleError


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ReportConfig:
    """One study or several, and how the report is shown."""

    study: Annotated[tuple[FilePath, ...], OneOrMany, Field(min_length=1)]
    where: Filters
    """Settings that the runs must have."""
    out: FilePath | None
    """The page's folder; None: report/ in the study."""
    format: Literal["page", "text"]
    figures: bool | None
    """Whether the page comes with its figures as files; None: up to 200 runs."""
    watch: bool
    """Serve the page on the loopback interface and renew it while runs go on."""
    port: Annotated[int, Field(ge=0, lt=2**16)]
    """Where it is served; 0: any that is free."""
    tracker: TrackerConfig


def run(raw: RawConfig) -> int:
    """Writes the dashboard, serves it, or prints it as text; then a tracker gets what it lacks."""
    config = build_config(ReportConfig, raw)
    _check(config)
    studies = [Path(study) for study in config.study]
    tracked = config.tracker.name != "none"
    if config.watch:
        from zeroscale.report import live

        live.watch(studies, config.port)
        return 0
    if config.format == "text":
        from zeroscale.report import terminal

        print(terminal.report(studies, config.where), end="")
        if not tracked:
            return 0
    from zeroscale.report import dashboard

    out = Path(config.out) if config.out else None
    index = dashboard.write(studies, out, filters=config.where, figures=config.figures)
    print(f"open {index}")
    if not tracked:
        return 0
    from zeroscale.cli import send_study

    return 0 if send_study.send_study(studies[0], index.parent, config.tracker) else 1


def _check(config: ReportConfig) -> None:
    tracked = config.tracker.name != "none"
    if config.watch and (tracked or config.format == "text"):
        raise ZeroscaleError("watch=true serves the page and nothing else: leave tracker= and format=text out")
    if config.out and (config.watch or config.format == "text"):
        raise ZeroscaleError("out= is the folder of the page: leave it out with watch=true and format=text")
    if config.where and (config.watch or tracked):
        raise ZeroscaleError(
            "where. chooses runs of a page or of format=text: it does not go with watch=true and tracker="
        )
    if tracked and len(config.study) > 1:
        raise ZeroscaleError("tracker= takes one study at a time: give study=DIR")
