"""A made-up study on disk, in the layout that runs leave behind."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from zeroscale.model.flops import flops_per_token, params

SHAPES = {
    "xs": dict(n_layer=2, d_model=32),
    "s": dict(n_layer=2, d_model=64),
    "m": dict(n_layer=3, d_model=112),
    "l": dict(n_layer=5, d_model=176),
}
BATCH = 2048


def result(card: str, metrics: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"card": card, "protocol": "paper", "metrics": metrics, "is_sample": False, **more}


def score(value: float | None, half: float = 0.02, n: int = 100) -> dict[str, Any]:
    low, high = (None, None) if value is None else (value - half, value + half)
    return {"value": value, "low": low, "high": high, "n": n, "higher_is_better": False, "chance": None}


def write_cell(
    study: Path,
    model: str,
    *,
    seed: int = 0,
    loss: float | None = 4.0,
    state: str = "done",
    checkpoints: tuple[int, ...] = (256, 512),
    results: dict[int, list[dict[str, Any]]] | None = None,
    name: str | None = None,
    manifest: bool = True,
) -> Path:
    """One run of 512 steps; validation losses fall to `loss` at the last step."""
    cell = study / (name or f"pocket-{model}-seed{seed}")
    cell.mkdir(parents=True)
    shape = {**SHAPES[model], "n_positions": 128}
    trainer = {"tokens": 512 * BATCH, "batch_tokens": BATCH}
    settings = {"study": study.name, "seed": seed, "model": {"name": f"pocket-{model}", **shape}, "trainer": trainer}
    (cell / "config.yaml").write_text(yaml.safe_dump(settings))
    if manifest:
        counted = params(**shape, vocab_size=1000)
        per_token = flops_per_token(**shape, vocab_size=1000, context=128)
        (cell / "manifest.json").write_text(json.dumps({"params": vars(counted), "flops_per_token": per_token}))
    (cell / "status.json").write_text(json.dumps({"state": state, "reason": "", "step": 512, "time": 0}))
    lines = []
    for step in (128, 256, 384, 512):
        row = {"step": step, "tokens": step * BATCH, "seconds": step / 10, "train/loss": 5 - step / 1000}
        if loss is not None:
            row |= {"val/loss": loss + (512 - step) / 1000, "val/bits_per_byte": 2.0}
        lines.append(json.dumps(row) + "\n")
    (cell / "metrics.jsonl").write_text("".join(lines))
    for step in checkpoints:
        (cell / "checkpoints" / f"step-{step:08d}").mkdir(parents=True)
    for step, entries in (results or {}).items():
        folder = cell / "evals" / f"step-{step:08d}"
        folder.mkdir(parents=True)
        for entry in entries:
            (folder / f"{entry['card']}.{entry['protocol']}.json").write_text(json.dumps(entry))
    if state == "done":
        (cell / "DONE").touch()
    return cell


@pytest.fixture
def disk() -> SimpleNamespace:
    """The builders: disk.write_cell(study, model, …), disk.result(card, metrics), disk.score(value)."""
    return SimpleNamespace(write_cell=write_cell, result=result, score=score)


@pytest.fixture
def make_study(tmp_path: Path) -> Callable[..., Path]:
    """make_study(xs=5.0, s=4.6, …): a study with a finished run of each size and that last validation loss."""

    def make(**losses: float) -> Path:
        study = tmp_path / "pocket"
        study.mkdir(exist_ok=True)
        for model, loss in losses.items():
            write_cell(study, model, loss=loss)
        return study

    return make
