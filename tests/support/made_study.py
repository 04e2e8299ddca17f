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
    settings: dict[str, Any] | None = None,
    recorded: dict[str, Any] | None = None,
) -> Path:
    """One run of 512 steps; validation losses fall to `loss` at the last step.

    `settings` are further ones by dotted key, `recorded` further keys of its manifest.
    """
    cell = study / (name or f"pocket-{model}-seed{seed}")
    cell.mkdir(parents=True)
    shape = {**SHAPES[model], "n_positions": 128}
    trainer = {"tokens": 512 * BATCH, "batch_tokens": BATCH}
    config = {"study": study.name, "seed": seed, "model": {"name": f"pocket-{model}", **shape}, "trainer": trainer}
    for key, value in (settings or {}).items():
        *groups, leaf = key.split(".")
        node: dict[str, Any] = config
        for group in groups:
            node = node.setdefault(group, {})
        node[leaf] = value
    (cell / "config.yaml").write_text(yaml.safe_dump(config))
    if manifest:
        counted = params(**shape, vocab_size=1000)
        per_token = flops_per_token(**shape, vocab_size=1000, context=128)
        (cell / "manifest.json").write_text(
            json.dumps({"params": vars(counted), "flops_per_token": per_token, **(recorded or {})})
        )
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


RATES = (0.003, 0.01)


def write_rates(study: Path, losses: Callable[[str, float, int], float] | None = None) -> Path:
    """Two learning rates × three sizes × five seeds, all done: each size is best at another rate, by less than the
    seeds differ for the smallest. `losses` are by size, rate and seed."""

    def loss(model: str, rate: float, seed: int) -> float:
        best = {"xs": 0.01, "s": 0.003, "m": 0.003}[model]
        level = {"xs": 4.4, "s": 4.2, "m": 4.0}[model]
        return level + (0.0 if rate == best else 0.004 if model == "xs" else 0.05) + 0.01 * ((3 * seed + 1) % 5 - 2)

    for model in ("xs", "s", "m"):
        for rate in RATES:
            for seed in range(5):
                write_cell(
                    study,
                    model,
                    seed=seed,
                    loss=(losses or loss)(model, rate, seed),
                    name=f"pocket-{model}-seed{seed}-{int(1e4 * rate):08x}",
                    settings={"optimizer.name": "adamw", "optimizer.lr": rate, "data.name": "books"},
                    recorded={"corpus": {"name": "books", "fingerprint": "c" * 64}},
                )
    return study


@pytest.fixture
def disk() -> SimpleNamespace:
    """The builders: disk.write_cell(study, model, …), disk.write_rates(study), disk.result(card, metrics),
    disk.score(value)."""
    return SimpleNamespace(write_cell=write_cell, write_rates=write_rates, result=result, score=score)


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
