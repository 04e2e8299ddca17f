"""CSVs of runs by a known law, with odd cells, heads and bytes."""

import csv
import io
import json
import random
from collections.abc import Iterator
from pathlib import Path

from fuzz import mutate
from fuzz.runner import Attempt

CELLS = [
    "",
    " ",
    "nan",
    "NaN",
    "inf",
    "-inf",
    "1e400",
    "-1",
    "0",
    "1e-320",
    "70M",
    "1,000",
    "é",
    '"',
    "'",
    "0x10",
    "1_000",
    "١",
]
CELLS += [
    "1e308",
    "9" * 400,
    "\x00",
    "true",
    "None",
    "-",
    "NA",
    "1e9",
    "3.5",
    "=1+1",
    "\ufeff",
    "1e5 ",
    "+5",
    ".5",
    "5.",
    "1e+",
]
HEADS = [
    "params",
    "tokens",
    "loss",
    "flops",
    "seed",
    "arc/acc",
    "cell",
    "step",
    "",
    " loss",
    "LOSS",
    "N",
    "a/b/c",
    "row",
    "é",
]


def csvs(draw: random.Random, seed: Path, work: Path) -> Attempt:
    """A CSV of runs by a known law with odd cells, heads and bytes, and a fit or a comparison of it."""
    text, note = runs_csv(draw)
    content = text.encode("utf-8", "surrogatepass")
    if draw.random() < 0.2:
        content, more = mutate.damaged(draw, content)
        note += f"; {more}"
    (work / "r.csv").write_bytes(content)
    return csv_command(draw, work, note)


def runs_csv(draw: random.Random) -> tuple[str, str]:
    head = ["params", "tokens", "loss", *draw.choice([[], ["flops"], ["seed"], ["flops", "seed"], ["arc/acc"]])]
    rows = []
    for params in draw.choice([[1e7, 4e7, 1.6e8, 6.4e8], [1e8, 3e8, 1e9], [1e7, 2e7, 4e7, 8e7, 1.6e8], [5e6]]):
        for tokens in draw.choice([[1e9, 3e9, 1e10], [1e9, 3e9, 1e10, 3e10], [2e9]]):
            loss = 1.69 + 406.4 / params**0.34 + 410.7 / tokens**0.28
            values = {
                "params": params,
                "tokens": tokens,
                "loss": loss,
                "flops": 6 * params * tokens,
                "seed": 1,
                "arc/acc": 0.4,
            }
            rows.append([f"{values[name]:.10g}" for name in head])
    table = [head, *rows]
    notes = []
    for _ in range(draw.choice([0, 0, 0, 1, 1, 3])):
        row = draw.randrange(len(table))
        column = draw.randrange(len(table[row]) or 1)
        kind = draw.random()
        if kind < 0.6 and table[row]:
            table[row][column] = new = draw.choice(HEADS if row == 0 else CELLS)
            notes.append(f"row {row + 1}, column {column + 1}: {new[:30]!r}")
        elif kind < 0.7:
            table.insert(row, list(table[row]))
            notes.append(f"row {row + 1} twice")
        elif kind < 0.8 and len(table) > 1:
            del table[row]
            notes.append(f"row {row + 1} gone")
        elif kind < 0.9:
            table[row] = table[row][:column]
            notes.append(f"row {row + 1} cut")
        else:
            table[row].append(draw.choice(CELLS))
            notes.append(f"row {row + 1} longer")
    buffer = io.StringIO()
    try:
        csv.writer(buffer, delimiter=draw.choice([","] * 8 + [";", "\t"])).writerows(table)
    except csv.Error:
        return "\n".join(",".join(row) for row in table), "; ".join(notes)
    return buffer.getvalue(), "; ".join(notes)


def csv_command(draw: random.Random, work: Path, note: str) -> Attempt:
    argv = ["fit", "runs=r.csv", "bootstrap=100", "out=f.json"]
    law = draw.choice(
        ["auto", "auto", "power", "chinchilla", "vpnls", "isoflop", "envelope", "kaplan", "benchmarks", "all"]
    )
    argv += [] if law == "auto" else [f"law={law}"]
    options = [
        "leave_out=['row 2']",
        "leave_out=['row 99']",
        "keep.loss=[null,5]",
        "keep.params=[1e8,null]",
        "flops=6nd",
    ]
    options += [
        "columns.tokens=null",
        "columns.loss=arc/acc",
        "budgets=[1e20]",
        "budgets=[1e400]",
        "delta=1e-300",
        "chance={arc: 0.25}",
    ]
    options += ["convention=total", "keep.tokens=[5,1]", "isoflop.window=0", "isoflop.tolerance=0.9", "seed=2147483647"]
    argv += draw.sample(options, draw.choice([0, 0, 1, 1, 2]))
    if draw.random() < 0.15:
        (work / "s.csv").write_text(runs_csv(draw)[0], errors="surrogatepass")
        argv = ["compare", "studies=[r.csv,s.csv]", "laws.bootstrap=100", "out=c"]
    return Attempt(argv, note, ("f.json", "c*"), check=lambda folder, said: fitted(folder))


def fitted(folder: Path) -> Iterator[str]:
    """fit.json rests on no more runs than the CSV has rows."""
    path = folder / "f.json"
    if not path.exists():
        return
    rows = len((folder / "r.csv").read_bytes().splitlines())
    laws = json.loads(path.read_text())["laws"]
    for name, law in laws.items():
        if isinstance(law, dict) and (law.get("n_points") or 0) > rows:
            yield f"{name} rests on {law['n_points']} points of {rows} lines"
