"""`zeroscale plan`: what each run will cost, before it starts."""

from dataclasses import fields
from typing import cast

from pydantic.dataclasses import dataclass

from zeroscale.cli.commands import LabelledConfig
from zeroscale.config.train import TrainConfig
from zeroscale.config.types import STRICT, Devices, NonNegativeFloat, Share
from zeroscale.config.validate import build_config
from zeroscale.core.errors import ZeroscaleError
from zeroscale.launch.plan import Plan, plan_run
from zeroscale.model.memory import Device


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PlanConfig:
    """What `plan` needs beside a run's own settings."""

    hardware: str | None
    """A device of the table of peaks; None: this machine, without hours."""
    devices: Devices | None
    """Of each run; None: `trainer.devices`."""
    mfu: Share
    """The share of the peak that the run is assumed to reach."""
    price: NonNegativeFloat | None
    """Of one device for an hour."""


def run(configs: list[LabelledConfig]) -> int:
    """Prints what each run will cost, as one table."""
    from zeroscale.launch import plan_table

    plans, faults = [], []
    for label, raw in configs:
        own = {field.name: raw.pop(field.name) for field in fields(PlanConfig) if field.name in raw}
        try:
            config = build_config(PlanConfig, own)
            if config.devices is not None:
                raw["trainer"]["devices"] = config.devices
            plans.append(_plan(build_config(TrainConfig, raw), config))
        except ZeroscaleError as error:
            faults.append(f"{label}: {error}" if label else str(error))
    if faults:
        raise ZeroscaleError("\n".join(dict.fromkeys(faults)))
    print(plan_table.render(plans))
    return 0


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
