"""How long a study of a thousand runs takes to be read: its ledger, its status, its page.

    python benchmarks/many_runs.py                     # 1,000 runs, 300 logged steps each, three cards
    python benchmarks/many_runs.py --runs 300 --what status

The runs are made up: 2 sizes, learning rates and seeds, with config.yaml, manifest.json, metrics.jsonl, a checkpoint's
directory and a result for each of three cards, as training writes them. Each command is a process of its own; told are
its CPU seconds (user and system, its start included), the least of several, for other processes share the machine's
clock but not these; and the seconds that its work took inside of a process that had imported everything.
"""

import argparse
import copy
import json
import math
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from zeroscale.cli import compose
from zeroscale.config.hashing import as_dict
from zeroscale.config.train import TrainConfig
from zeroscale.config.validate import build_config
from zeroscale.runs import layout, manifest

SIZES = ("pocket-xs", "pocket-s")
CARDS = ("lambada", "cbt_cn", "held_out")


def write_study(folder: Path, runs: int, steps: int) -> None:
    """Runs of every size, rate and seed, all of them done."""
    draw = random.Random(0)
    settings = {}
    for size in SIZES:
        ((_, config),) = compose.compose("train", [f"model={size}", f"study={folder.name}"]).configs
        settings[size] = build_config(TrainConfig, config)
    environment = manifest.environment(None, 2)
    for i in range(runs):
        config = settings[SIZES[i % 2]]
        rate, seed = 0.001 * 1.5 ** (i // 2 % 10), i // 20
        write_run(folder / f"{config.model.name}-seed{seed}-{i:08x}", config, environment, rate, seed, steps, draw)


def write_run(
    folder: Path, config: TrainConfig, environment: Any, rate: float, seed: int, steps: int, draw: random.Random
) -> None:
    step_directory = folder / "checkpoints" / layout.step_name(steps)
    step_directory.mkdir(parents=True)
    settings = copy.deepcopy(as_dict(config))
    settings["optimizer"]["lr"], settings["seed"] = rate, seed
    text = yaml.safe_dump(settings, sort_keys=False)
    (folder / layout.CONFIG).write_text("# The resolved settings of this run: enough to run it again.\n" + text)
    facts = {**environment, "format": 2, "settings_hash": "5" * 64, "seed": seed, "devices": 1}
    facts |= {"corpus": {"name": "stdlib", "fingerprint": "c" * 64, "n_train_tokens": 3719911, "n_val_tokens": 131100}}
    facts |= {"tokenizer": {"fingerprint": "9" * 64, "vocab_size": 2048}, "params": vars(config.params)}
    facts |= {"flops_per_token": config.flops_per_token, "code": {"hash": "d" * 64, "files": code_files()}}
    status = {"state": "done", "reason": "", "step": steps, "time": 1.8e9}
    for name, value in ((layout.MANIFEST, facts), (layout.STATUS, status), (layout.DONE, {"cards": list(CARDS)})):
        (folder / name).write_text(json.dumps(value, indent=2) + "\n")
    level = 5 - 0.3 * SIZES.index(config.model.name) + (math.log(rate / 0.006)) ** 2 / 50 + draw.gauss(0, 0.02)
    (folder / layout.METRICS).write_text(metrics(config, steps, level, draw))
    for card in CARDS:
        write_result(folder / layout.EVALS / layout.step_name(steps) / f"{card}.paper.json", card, level)


def code_files() -> dict[str, str]:
    return {f"training/part_{i}.py": f"{i:064x}" for i in range(60)}


def metrics(config: TrainConfig, steps: int, level: float, draw: random.Random) -> str:
    lines = []
    for step in range(1, steps + 1):
        tokens = step * config.trainer.batch_tokens
        row = {"step": step, "tokens": tokens, "flops": tokens * config.flops_per_token, "seconds": step / 30}
        row |= {"train/loss": level + 3 * math.exp(-step / 40) + draw.gauss(0, 0.1), "lr": 0.00094652089, "mfu": None}
        row |= {"grad_norm": 0.8340983390808105, "tokens_per_s": 34322.4}
        if step % 100 == 0 or step == steps:
            row |= {"val/loss": level + 3 * math.exp(-step / 40), "val/bits_per_byte": 1.99805400738}
        lines.append(json.dumps(row) + "\n")
    return "".join(lines)


def write_result(path: Path, card: str, level: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    score = {"value": level, "low": level - 0.1, "high": level + 0.1, "n": 500, "higher_is_better": False}
    content = {"card": card, "protocol": "paper", "source": "files", "card_hash": "1" * 64, "data_hash": "b" * 64}
    content |= {"weights_hash": "3" * 64, "tokenizer": "9" * 64, "seed": 0, "bootstrap": 1000, "is_sample": False}
    content |= {"metrics": {"loss": score, "perplexity": {**score, "chance": None}}, "n": 500, "unit": "passages"}
    content |= {"assumptions": ["as released"] * 4, "options": {"detokenise": True, "shots": 0}, "family": "cloze"}
    path.write_text(json.dumps(content, indent=2) + "\n")


def command_seconds(arguments: list[str], turns: int) -> float:
    """The least CPU seconds of a command line, its start included."""
    best = math.inf
    for _ in range(turns):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "zeroscale", *arguments], stdout=subprocess.DEVNULL, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return best


def work_seconds(work: Callable[[], object], turns: int) -> float:
    """The least CPU seconds of a function in this process."""
    best = math.inf
    for _ in range(turns):
        before = time.process_time()
        work()
        best = min(best, time.process_time() - before)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--what", nargs="+", choices=("ledger", "status", "page"), default=("ledger", "status", "page"))
    parser.add_argument("--folder", type=Path, help="where the study is made, or lies from an earlier call")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        study = (options.folder or Path(scratch)) / f"many-{options.runs}"
        if not study.is_dir():
            write_study(study, options.runs, options.steps)
        measure(study, options.what, options.turns)


def measure(study: Path, what: list[str], turns: int) -> None:
    os.environ.setdefault("COLUMNS", "160")
    from zeroscale.launch import status_report, status_table
    from zeroscale.report import dashboard
    from zeroscale.runs.study import Study

    def ledger() -> None:
        Study(study).write_ledger()

    def status() -> None:
        status_report.describe(status_table.read(study))

    works = {"ledger": ledger, "status": status, "page": lambda: dashboard.write(study)}
    commands = {"ledger": ["runs", f"study={study}", "format=csv"], "status": ["status", f"study={study}"]}
    commands["page"] = ["report", f"study={study}", "figures=[]"]
    print(f"{study.name}: CPU seconds, the least of {turns}")
    for name in what:
        work = work_seconds(works[name], turns)
        whole = command_seconds(commands[name], turns)
        print(f"  {name:<7} {work:6.2f} the work, {whole:6.2f} the command `zeroscale {commands[name][0]}`")


if __name__ == "__main__":
    main()
