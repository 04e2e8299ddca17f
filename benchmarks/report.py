"""How long the report takes to write, and to open in a browser, for many long runs.

    python benchmarks/report.py                       # ten studies of 100 runs with 1,000 logged points each
    python benchmarks/report.py --studies 1 --runs 4

The studies are made up: losses of a known law with noise, a line of metrics.jsonl for each point, ten validation losses
a run, a fit of the law over size. One study is opened, then all on one page, in headless Chromium without a GPU. Times
are from the navigation's start: until the page can be read and used (DOMContentLoaded), until its first figure stands,
and until the last of them does. Each page is opened several times in a fresh context; the median is told.
"""

import argparse
import json
import math
import random
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from zeroscale.report import dashboard
from zeroscale.scaling import Options, fit_study

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
READY = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
# Set by the page itself when a figure stands; polled on every frame.
FIRST = "document.querySelector('.plot[data-drawn]')"
ALL = "[...document.querySelectorAll('.plot')].every((node) => node.dataset.drawn)"


def write_study(folder: Path, runs: int, points: int, seed: int) -> Path:
    """Runs of a ladder from 20 thousand to 200 million parameters."""
    draw = random.Random(seed)
    for i in range(runs):
        params = round(20_000 * 10_000 ** (i / max(1, runs - 1)))
        write_run(folder / f"run-{i:03d}", params, points, draw)
    fit_study(folder, options=Options(law=("power",), bootstrap=100))
    return folder


def write_run(folder: Path, params: int, points: int, draw: random.Random) -> None:
    (folder / f"checkpoints/step-{points:08d}").mkdir(parents=True)
    settings = {
        "study": folder.parent.name,
        "seed": 0,
        "model": {"name": folder.name},
        "trainer": {"tokens": points * 4096},
    }
    counted = {"total": params + 1_000_000, "non_embedding": params, "matmul": params + 900_000}
    manifest = {"params": counted, "flops_per_token": 6.0 * params, "seed": 0, "settings_hash": folder.name * 5}
    status = {"state": "done", "reason": "", "step": points, "time": "2026-01-01T00:00:00Z"}
    for name, value in (("config.yaml", settings), ("manifest.json", manifest), ("status.json", status)):
        (folder / name).write_text(json.dumps(value))
    final, lines = (4.0e11 / params) ** 0.09, []
    for step in range(1, points + 1):
        loss = final + 4 * math.exp(-step / 40) + 0.9 * (step**-0.3 - points**-0.3)
        row = {"step": step, "tokens": 4096 * step, "flops": 6.0 * params * 4096 * step, "seconds": step / 10}
        row |= {"train/loss": loss + draw.gauss(0, 0.05), "tokens_per_s": 40_960.0, "lr": 1e-3, "grad_norm": 1.0}
        if step % (points // 10) == 0:
            row["val/loss"] = loss
        lines.append(json.dumps(row))
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "DONE").touch()


def opened(index: Path, times: int) -> dict[str, float]:
    """Median seconds until each event, of a fresh browser context each time."""
    from playwright.sync_api import sync_playwright

    found: dict[str, list[float]] = {"readable": [], "first figure": [], "all figures": []}
    executable = next((path for path in map(shutil.which, BROWSERS) if path), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        for _ in range(times):
            context = browser.new_context(viewport={"width": 1280, "height": 860})
            page = context.new_page()
            page.goto(index.as_uri())
            for name, event in (("first figure", FIRST), ("all figures", ALL)):
                page.wait_for_function(event, timeout=120_000)
                found[name].append(page.evaluate("performance.now()") / 1000)
            found["readable"].append(page.evaluate(READY) / 1000)
            context.close()
        browser.close()
    return {name: statistics.median(values) for name, values in found.items()}


def measure(name: str, studies: list[Path], out: Path, times: int) -> None:
    start = time.perf_counter()
    index = dashboard.write(studies, out=out)
    written = time.perf_counter() - start
    size = (index.parent / "data.js").stat().st_size / 2**20
    seconds = opened(index, times)
    told = ", ".join(f"{event} {value:.2f} s" for event, value in seconds.items())
    print(f"{name}: written in {written:.1f} s, data.js {size:.2f} MiB; {told}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=10)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--times", type=int, default=5)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        studies = [write_study(root / f"study-{i}", wanted.runs, wanted.points, i) for i in range(wanted.studies)]
        each = f"{wanted.runs} runs of {wanted.points:,} points"
        measure(f"one study, {each}", studies[:1], root / "one", wanted.times)
        if wanted.studies > 1:
            measure(f"{wanted.studies} studies on one page, {each} each", studies, root / "all", wanted.times)


if __name__ == "__main__":
    main()
