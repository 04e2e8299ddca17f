"""Trains one small model in several ways in one process: alone, or as a rank of two under torchrun.

    python -m torch.distributed.run --standalone --nproc-per-node=2 two_ranks.py FOLDER

reads FOLDER/ways.json (name → settings, the checkpoint to start from) and writes FOLDER/<name>.json and its checkpoint.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from zeroscale.config.train import TrainConfig, model_config
from zeroscale.config.validate import build_config as strict
from zeroscale.data.batch_layout import layout_of
from zeroscale.data.loader import Steps
from zeroscale.model.gpt import GPT
from zeroscale.runs import layout
from zeroscale.training import build, train_state
from zeroscale.training.callbacks import StepResult
from zeroscale.training.module import LanguageModel
from zeroscale.training.train import TrainingLoop

VOCABULARY = 257
HALF = 5


class Watch:
    """Losses and norms of each step, a validation in the middle as a run does it, and a checkpoint after it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[tuple[float, float]] = []

    def __call__(self, module: LanguageModel, result: StepResult) -> None:
        self.rows.append((module.mean_over_ranks(result.loss), result.grad_norm))
        if result.step == HALF:
            with torch.inference_mode():
                module.model.loss(*next(global_batches(module.model.config.n_positions, 2, 0)), reduction="none")
            self.save(module, result.step)

    def save(self, module: LanguageModel, step: int) -> None:
        is_rank_zero = module.trainer.is_global_zero
        weights, state = train_state.StateSnapshot(module.model, module.optimizer_list, keep=is_rank_zero).capture()
        if is_rank_zero:
            train_state.write(layout.checkpoint_directory(self.folder, step), weights, state, {"step": step})


def global_batches(context: int, rows: int, first: int) -> Any:
    """Batch `step` is drawn from a generator seeded with the step."""
    step = first
    while True:
        tokens = torch.randint(0, VOCABULARY, (rows, context + 1), generator=torch.Generator().manual_seed(step))
        yield tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
        step += 1


def micro_batches(settings: TrainConfig, rank: int, first: int) -> Any:
    plan = layout_of(settings)
    for inputs, targets in global_batches(settings.context, plan.rows, first):
        for micro in range(plan.accumulation):
            rows = plan.rows_of(rank, micro)
            yield inputs[rows], targets[rows]


def train(raw: dict[str, Any], folder: Path, start: Path | None = None) -> None:
    """Trains as `settings` say, from a checkpoint if one is given; leaves folder.json and folder/checkpoints."""
    settings = strict(TrainConfig, raw)
    build.quiet_libraries()
    torch.manual_seed(0)
    gpt, watch = GPT(model_config(settings, VOCABULARY), settings.seed), Watch(folder)
    module = build.module(settings, gpt, TrainingLoop(start=start, log=watch), start)
    trainer = build.trainer(settings, folder)
    first = module.step
    micro = micro_batches(settings, trainer.global_rank, first)
    steps = Steps(micro, layout_of(settings).accumulation, settings.steps - first)
    trainer.fit(module, DataLoader(steps, batch_size=None))
    watch.save(module, settings.steps)
    if trainer.is_global_zero:
        folder.with_suffix(".json").write_text(json.dumps(watch.rows))


def main(folder: Path) -> None:
    for name, way in json.loads((folder / "ways.json").read_text()).items():
        train(way["settings"], folder / name, Path(way["start"]) if way["start"] else None)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
