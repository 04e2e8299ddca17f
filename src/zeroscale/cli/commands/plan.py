"""`zeroscale plan`: what each run will cost, before it starts."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Literal, cast

from pydantic.dataclasses import dataclass

from zeroscale.cli.commands import LabelledConfig
from zeroscale.config.study import LaunchConfig
from zeroscale.config.train import TrainConfig
from zeroscale.config.types import STRICT, Devices, NonNegativeFloat, Share
from zeroscale.config.validate import build_config
from zeroscale.core.errors import ZeroscaleError
from zeroscale.launch.identity.same_content import Contents
from zeroscale.launch.plan import Plan, plan_run
from zeroscale.launch.speed.speed import Speed
from zeroscale.model.memory import Device


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PlanConfig:
    """What `plan` needs beside a run's own settings."""

    hardware: str | None
    """A device of the table of peaks; None: this machine."""
    devices: Devices | None
    """Of each run; None: `trainer.devices`."""
    mfu: Share
    """The share of the peak that the run is assumed to reach."""
    price: NonNegativeFloat | None
    """Of one device for an hour."""
    measure: Literal["auto", True, False]
    """Hours on this machine: True from a few steps measured now, "auto" from earlier runs, False none."""


def run(configs: list[LabelledConfig], study: LaunchConfig | None = None) -> int:
    """Prints what each run will cost, as one table."""
    from zeroscale.launch import plan_table

    runs, faults, contents = [], [], Contents()
    for label, raw in configs:
        own = {field.name: raw.pop(field.name) for field in fields(PlanConfig) if field.name in raw}
        try:
            config = build_config(PlanConfig, own)
            if config.devices is not None:
                raw["trainer"]["devices"] = config.devices
            if config.hardware is not None and config.measure is True:
                raise ZeroscaleError("measure=true measures this machine, and hardware names another: leave one out")
            train = contents.recorded(build_config(TrainConfig, raw))
            runs.append((train, config, _plan(train, config)))
        except ZeroscaleError as error:
            faults.append(f"{label}: {error}" if label else str(error))
    if faults:
        raise ZeroscaleError("\n".join(dict.fromkeys(faults)))
    at_once = min(study.cells_at_once if study else 1, len(runs))
    print(plan_table.render(_with_hours(runs, at_once), at_once))
    return 0


def _with_hours(runs: Sequence[tuple[TrainConfig, PlanConfig, Plan]], at_once: int) -> list[Plan]:
    """The plans, those for this machine with the hours that earlier runs or a measurement give."""
    from zeroscale.launch.speed.earlier import from_earlier_runs
    from zeroscale.launch.speed.measure import from_measurement

    speeds: dict[int, Speed | None] = {}
    for measure in (True, "auto"):
        here = [place for place, (_, config, _) in enumerate(runs) if not config.hardware and config.measure == measure]
        trains = [runs[place][0] for place in here]
        if measure is True:
            for place in here:
                _check_fits(runs[place][2])
            speeds |= dict(zip(here, from_measurement(trains, at_once), strict=True))
        elif here:
            found = from_earlier_runs(Path(trains[0].output_dir), trains, at_once)
            speeds |= dict(zip(here, found, strict=True))
    known = [speeds.get(place) for place in range(len(runs))]
    return [plan.at(rate) if rate else plan for (_, _, plan), rate in zip(runs, known, strict=True)]


def _check_fits(plan: Plan) -> None:
    """A step that does not fit would make this machine swap, or end other processes."""
    from zeroscale.core import machine

    if plan.device == "cpu" and plan.memory.peak > machine.free_memory():
        raise ZeroscaleError(
            f"{plan.name}: a step takes {plan.memory.peak / 2**30:.1f} GiB, and this machine has "
            f"{machine.free_memory() / 2**30:.1f} GiB free: it cannot be measured here"
        )


def _plan(train: TrainConfig, config: PlanConfig) -> Plan:
    from zeroscale.core import machine
    from zeroscale.data.batch_layout import layout_for

    model, trainer = train.model, train.trainer
    # With hardware named, the plan is for that; without, for this machine.
    device = cast(Device, "cuda" if config.hardware else machine.resolve_accelerator(trainer.accelerator))
    return plan_run(
        name=train.cell,
        n_layer=model.n_layer,
        d_model=model.d_model,
        n_head=model.n_head,
        vocab_size=train.vocab_size,
        n_positions=model.n_positions,
        context=train.context,
        tokens=trainer.tokens,
        batch_tokens=trainer.batch_tokens,
        micro_batch_rows=layout_for(train, device).micro_rows,
        devices=trainer.devices,
        strategy=trainer.strategy,
        precision=trainer.precision,
        lr=train.lr,
        optimizer=train.optimizer.name,
        hardware=config.hardware,
        mfu=config.mfu,
        price=config.price,
        device=device,
        activation_checkpointing=trainer.activation_checkpointing,
        compiled=trainer.compile,
    )
