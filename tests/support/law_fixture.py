"""A made-up isoFLOP study: five budgets, a ladder of fourteen sizes, losses of a known law with a little noise."""

import json
import math
import random
from pathlib import Path

E, A, B, ALPHA, BETA = 1.6, 60.0, 160.0, 0.32, 0.34
BUDGETS = [1e13 * 4**i for i in range(5)]
SIZES = [round(60_000 * 1.6**i) for i in range(14)]


def loss_of(params: float, tokens: float) -> float:
    return E + A / params**ALPHA + B / tokens**BETA


def best(flops: float) -> float:
    """Chinchilla's N_opt (Hoffmann et al. 2022, equation 4)."""
    ratio = (ALPHA * A / (BETA * B)) ** (1 / (ALPHA + BETA))
    return ratio * (flops / 6) ** (BETA / (ALPHA + BETA))


def write_study(directory: Path, noise: float = 0.002) -> Path:
    """A cell for every size within a factor of 5 of its budget's best."""
    draw = random.Random(0)
    for i, flops in enumerate(BUDGETS):
        for n in SIZES:
            if abs(math.log(n / best(flops))) < math.log(5):
                tokens = round(flops / (6 * n))
                loss = loss_of(n, tokens) * math.exp(noise * draw.gauss(0, 1))
                write_cell(directory / f"c{i}-n{n}", f"n{n}", n, tokens, loss)
    return directory


def write_cell(folder: Path, model: str, params: int, tokens: int, loss: float) -> None:
    folder.mkdir(parents=True)
    settings = {"study": folder.parent.name, "seed": 1, "model": {"name": model}, "trainer": {"tokens": tokens}}
    counted = {"total": params + 40_000, "non_embedding": params, "matmul": params + 32_000}
    manifest = {"params": counted, "flops_per_token": 6.0 * params, "seed": 1, "train_seconds": 60.0}
    status = {"state": "done", "reason": "", "step": 100, "time": "2026-01-01T00:00:00Z"}
    for name, value in (("config.yaml", settings), ("manifest.json", manifest), ("status.json", status)):
        (folder / name).write_text(json.dumps(value))
    rows = [
        {
            "step": step,
            "tokens": tokens * step // 100,
            "flops": 6.0 * params * tokens * step / 100,
            "seconds": step / 10,
        }
        | {"train/loss": loss + 3 / step, "val/loss": loss + (100 - step) / 50}
        for step in (10, 40, 70, 100)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "checkpoints/step-00000100").mkdir(parents=True)
    (folder / "DONE").touch()


def refit(study, change):
    """A study's view (`zeroscale.report.views.study`) with a fit.json that `change` has edited in place."""
    from dataclasses import replace

    from zeroscale.scaling.fit_schema import from_json, to_json

    content = to_json(study.fit)
    change(content)
    return replace(study, fit=from_json(content))
