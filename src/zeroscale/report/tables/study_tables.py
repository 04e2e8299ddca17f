"""The report's tables as plain values: columns, rows, and for every number where it comes from.

A cell of a table is `{"text", "sort", "origin", "note", "low", "high"}`; a row may carry `"id"`. app.js turns them into
HTML tables, `table_files` into CSV, Markdown and LaTeX, `text` into lines for a terminal.
"""

import json
import shlex
from typing import Any

from zeroscale.core import format
from zeroscale.core.format import number
from zeroscale.report.views.benchmarks import Card, Point
from zeroscale.report.views.study import RunView, StudyView

Entry = dict[str, Any]


def entry(
    text: str,
    sort: float | str | None = None,
    origin: str = "",
    note: str = "",
    ends: tuple[float | None, float | None] = (None, None),
) -> Entry:
    """A table cell; `note` is small text under the number, `origin` its provenance, `ends` its 95 % interval."""
    full: Entry = {"text": text, "sort": text if sort is None else sort, "origin": origin, "note": note}
    if None not in ends:
        full |= {"low": ends[0], "high": ends[1]}
    return {key: value for key, value in full.items() if key == "text" or value != ""}


def results(study: StudyView, cards: list[Card]) -> dict[str, Any]:
    """A row per cell: size, compute, loss, and every card's main metric with its interval."""
    scored = [card for card in cards if card.kind != "held-out" and card.panels]
    columns = [
        {"label": "run"},
        {"label": "parameters", "note": "without embeddings", "number": True},
        {"label": "tokens", "number": True},
        {"label": "compute", "number": True},
        {"label": "validation loss", "note": "nats per token", "number": True},
        {"label": "bits per byte", "number": True},
    ]
    for card in scored:
        main = card.panels[0]
        better = "higher is better" if main.higher_is_better else "lower is better"
        note = f"{main.metric.replace('_', ' ')}, n = {card.count}, {better}"
        columns.append({"label": card.card, "note": note, "badge": card.badge, "kind": card.kind, "number": True})
    rows = [_result_row(cell, scored) for cell in study.runs if cell.rows or cell.scores]
    return {"columns": columns, "rows": rows}


def _result_row(cell: RunView, scored: list[Card]) -> dict[str, Any]:
    row = cell.row
    origin = (
        f"results.csv line {row['line']}, column {{}}; run {cell.name}, step {row.get('step', 0):.0f}" if row else ""
    )
    settings_hash = str(cell.manifest.get("settings_hash", ""))
    if settings_hash and origin:
        origin += f", settings {settings_hash[:12]}"

    def value(column: str, show: Any) -> Entry:
        found = number(row.get(column))
        return entry("–") if found is None else entry(show(found), found, origin.format(column))

    cells = [
        entry(cell.label, origin=cell.name, note="" if cell.done else cell.state),
        value("params_non_embedding", format.scaled),
        value("tokens", format.scaled),
        value("flops", format.flops),
        value("val/loss", lambda loss: f"{loss:.3f}"),
        value("val/bits_per_byte", lambda bits: f"{bits:.3f}"),
    ]
    for card in scored:
        point = next((point for point in card.panels[0].points if point.run == cell.name), None)
        cells.append(entry("–") if point is None else score(card, point))
    return {"cells": cells}


def score(card: Card, point: Point) -> Entry:
    """With its badge, where the column's says nothing of this score in particular."""
    known = format.interval(point.low, point.high)
    n = "" if point.n is None else f"; n = {point.n:,}"
    origin = f"{point.path}; step {point.step:,}{n}; {point.badge}"
    told = entry(format.figure(point.value), point.value, origin, known, (point.low, point.high))
    return told | ({"badge": point.badge} if point.badge != card.badge else {})


def unfinished(study: StudyView) -> list[dict[str, str]]:
    """Runs that are not done: what became of them, why, and where to read more."""
    rows: list[dict[str, str]] = []
    for cell in study.runs:
        if cell.done:
            continue
        rows.append(
            {
                "run": cell.label,
                "cell": cell.name,
                "state": cell.state,
                "reason": cell.reason or "no reason was recorded",
                "step": "–" if cell.step is None else f"{cell.step:,}",
                "log": f"{study.shown_path}/{cell.log.relative_to(study.directory).as_posix()}",
                "last_words": cell.last_words(),
            }
        )
    return rows


def cost(study: StudyView) -> dict[str, Any]:
    """A row per cell: speed, time, memory, compute, utilisation. No hardware peak known, no MFU: never a guess."""
    columns = [
        {"label": "run"},
        {"label": "tokens/s", "note": "median over logged steps", "number": True, "bar": True},
        {"label": "training time", "number": True},
        {"label": "compute", "number": True},
        {"label": "speed", "note": "FLOP per second", "number": True},
        {"label": "peak memory", "number": True},
        {"label": "MFU", "number": True},
    ]
    rows = []
    for cell in study.runs:
        if not cell.metrics:
            continue
        last = cell.metrics[-1]
        per_second = _median([number(row.get("tokens_per_s")) for row in cell.metrics])
        seconds = number(cell.manifest.get("train_seconds")) or number(last.get("seconds"))
        flops, memory = number(last.get("flops")), number(cell.manifest.get("peak_memory_bytes"))
        mfu = _median([number(row.get("mfu")) for row in cell.metrics])
        per_token = number(cell.manifest.get("flops_per_token"))
        speed = per_second * per_token if per_second and per_token else None
        unknown = entry("hardware unknown: no MFU", -1)
        cells = [
            entry(cell.label, origin=cell.name),
            entry("–" if per_second is None else f"{per_second:,.0f}", per_second or 0),
            entry(format.duration(seconds), seconds or 0),
            entry(format.flops(flops), flops or 0),
            entry("–" if speed is None else f"{format.flops(speed)}/s", speed or 0),
            entry(format.size(memory), memory or 0),
            unknown if mfu is None else entry(f"{100 * mfu:.1f} %", mfu),
        ]
        rows.append({"cells": cells})
    return {"columns": columns, "rows": rows}


def _median(values: list[float | None]) -> float | None:
    known = sorted(value for value in values if value is not None)
    return known[len(known) // 2] if known else None


def provenance(study: StudyView) -> dict[str, Any]:
    """What all runs share, once; then a row per run with what differs."""
    facts = {cell.name: _facts(cell) for cell in study.runs}
    runs = {
        cell.name: entry(cell.label, origin=cell.name, note="" if cell.label == cell.name else cell.name)
        for cell in study.runs
    }
    names = list(next(iter(facts.values())))
    shared = [name for name in names if len({f[name] for f in facts.values()}) == 1]
    alone = len(study.runs) == 1
    differing = names if alone else [name for name in names if name not in shared]
    rows = [{"cells": [runs[run], *(_fact(name, f[name]) for name in differing)]} for run, f in facts.items()]
    return {
        "shared": [] if alone else [{"label": name, **_fact(name, facts[study.runs[0].name][name])} for name in shared],
        "table": {"columns": [{"label": "run"}, *({"label": name} for name in differing)], "rows": rows},
    }


def _fact(name: str, text: str) -> Entry:
    short = name in ("settings hash", "corpus fingerprint", "tokenizer fingerprint") and len(text) > 16
    return entry(text[:12] + "…", text, text) if short else entry(text)


def _facts(cell: RunView) -> dict[str, str]:
    manifest, missing = cell.manifest, "not recorded"

    def part(name: str) -> dict[str, Any]:
        value = manifest.get(name)
        return value if isinstance(value, dict) else {}

    source, corpus, tokenizer, packages = part("source"), part("corpus"), part("tokenizer"), part("packages")
    dirty = {True: " with uncommitted changes", False: " (clean)"}.get(source.get("dirty"), "")
    tokens = number(corpus.get("n_train_tokens"))
    trained_on = str(corpus.get("name", missing)) + (f", {format.scaled(tokens)} training tokens" if tokens else "")
    versions = ", ".join(f"{name} {version}" for name, version in sorted(packages.items()))
    vocabulary = number(tokenizer.get("vocab_size"))
    return {
        "settings hash": str(manifest.get("settings_hash") or missing),
        "seed": str(manifest.get("seed", cell.settings.get("seed", missing))),
        "source": (str(source["revision"])[:12] + dirty) if source.get("revision") else missing,
        "corpus": trained_on,
        "corpus fingerprint": str(corpus.get("fingerprint") or missing),
        "tokenizer": f"{cell.settings.get('tokenizer', {}).get('kind', '')} {vocabulary:,.0f} entries".strip()
        if vocabulary
        else missing,
        "tokenizer fingerprint": str(tokenizer.get("fingerprint") or missing),
        "packages": versions or missing,
        "hardware": _hardware(part("hardware")) or missing,
        "threads": _threads(manifest.get("threads")) or missing,
        "command": command(cell) or missing,
    }


def _hardware(hardware: dict[str, Any]) -> str:
    memory = number(hardware.get("memory_bytes"))
    cores = hardware.get("cores")
    parts = [hardware.get("gpu"), hardware.get("cpu"), f"{cores} cores" if cores else None]
    return ", ".join([str(part) for part in parts if part] + ([format.size(memory)] if memory else []))


def _threads(threads: Any) -> str:
    return json.dumps(threads, sort_keys=True) if isinstance(threads, dict) else str(threads or "")


def command(cell: RunView) -> str:
    """The recorded command line, quoted for a shell."""
    recorded = cell.manifest.get("command") or ""
    return shlex.join(str(part) for part in recorded) if isinstance(recorded, list) else str(recorded)


def _cards_source(study: StudyView) -> str:
    """Where the cards' data came from and which of them were scored, as the scoring command takes it.

    A result does not tell the folder of its files: where the runs' settings do not either, DIR stands for it.
    """
    settings = next((cell.settings for cell in study.runs if cell.scores), {})
    results = [one for cell in study.runs for scores in cell.scores.values() for one in scores]
    results = [one for one in results if one.get("source") != "corpus"]
    sources = {str(one["source"]) for one in results if one.get("source")}
    given: dict[str, Any] = {name: settings.get(name) for name in ("cards_from", "data_dir")}
    if len(sources) == 1:
        given["cards_from"] = sources.pop()
        given["data_dir"] = (settings.get("data_dir") or "DIR") if given["cards_from"] == "files" else None
    limits = {one.get("limit") for one in results}
    given["limit"] = limits.pop() if len(limits) == 1 else None
    other = any(str(one.get("data")).startswith(("part:", "other data:")) for one in results)
    given["allow_other_data"] = "true" if other else None
    return "".join(f" {name}={shlex.quote(str(value))}" for name, value in given.items() if value)


def again(study: StudyView, cards: list[Card]) -> list[dict[str, str]]:
    """The commands that make this study again, in order."""
    path = shlex.quote(study.shown_path)
    commands = list(dict.fromkeys(text for text in map(command, study.runs) if text))
    train = commands or [f"zeroscale train +sweeps={study.name}"]
    names = ",".join(dict.fromkeys(card.card for card in cards if card.kind != "held-out"))
    steps = [{"what": "Train and score (runs that are done are skipped)", "command": "\n".join(train)}]
    if names:
        scored = f"zeroscale eval study={path} cards=[{names}]"
        steps.append({"what": "Score again", "command": scored + _cards_source(study)})
    steps.append({"what": "Fit the law", "command": f"zeroscale fit runs={path}"})
    steps.append({"what": "Write this report", "command": f"zeroscale report study={path}"})
    return steps
