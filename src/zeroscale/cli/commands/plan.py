"""`plan`: what each cell will cost."""

from dataclasses import fields
from typing import TYPE_CHECKING

from zeroscale.cli.commands import Labelled
from zeroscale.config.commands import PlanConfig
from zeroscale.config.train import TrainConfig
from zeroscale.config.validate import build_config
from zeroscale.core.errors import ZeroscaleError

if TYPE_CHECKING:
    from zeroscale.launch.plan import Plan


def plan(configs: list[Labelled]) -> int:
    """What each cell will cost, as one table."""
    from zeroscale.launch import plan_table

    plans, faults = [], []
    for label, config in configs:
        extra = {field.name: config.pop(field.name) for field in fields(PlanConfig) if field.name in config}
        try:
            wanted = build_config(PlanConfig, extra)
            if wanted.devices is not None:
                config["trainer"]["devices"] = wanted.devices
            plans.append(_plan(build_config(TrainConfig, config), wanted))
        except ZeroscaleError as error:
            faults.append(f"{label}: {error}" if label else str(error))
    if faults:
        raise ZeroscaleError("\n".join(dict.fromkeys(faults)))
    print(plan_table.render(plans))
    return 0


def _plan(cell: TrainConfig, wanted: PlanConfig) -> "Plan":
    from zeroscale.core import machine
    from zeroscale.data.batch_layout import layout_for
    from zeroscale.launch.plan import plan_run

    shape, trainer = cell.model, cell.trainer
    # With hardware named, the plan is for that; without, for this machine.
    device = "cuda" if wanted.hardware else machine.resolve_accelerator(trainer.accelerator)
    return plan_run(
        name=cell.cell,
        n_layer=shape.n_layer,
        d_model=shape.d_model,
        n_head=shape.n_head,
        vocab_size=cell.vocab_size,
        n_positions=shape.n_positions,
        context=cell.context,
        tokens=trainer.tokens,
        batch_tokens=trainer.batch_tokens,
        micro_batch_rows=layout_for(cell, device).micro_rows,
        devices=trainer.devices,
        strategy=trainer.strategy,
        precision=trainer.precision,
        lr=cell.lr,
        optimizer=cell.optimizer.name,
        hardware=wanted.hardware,
        mfu=wanted.mfu,
        price=wanted.price,
        device=device,
        activation_checkpointing=trainer.activation_checkpointing,
        compiled=trainer.compile,
    )
