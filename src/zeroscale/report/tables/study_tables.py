"""The report's tables of a study: results, cost, provenance, what is unfinished, the commands that make it again."""

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zeroscale.core import format
from zeroscale.core.format import NOTHING, number
from zeroscale.core.marks import data_mark
from zeroscale.core.tables import NO_MFU, Cell, Column, Table
from zeroscale.report.views.benchmarks import Card, Point
from zeroscale.report.views.results import Json
from zeroscale.report.views.study import RunView, StudyView
from zeroscale.runs.axes import Axis, Value, show


def results(study: StudyView, cards: list[Card]) -> Table:
    """A row per run: size, compute, loss, and every card's main metric with its interval."""
    scored = [card for card in cards if card.kind != "held-out" and card.panels]
    axes = _settings_axes(study)
    columns = [
        Column("run"),
        *_axis_columns(axes),
        Column("parameters", note="without embeddings", number=True),
        Column("tokens", number=True),
        Column("compute", number=True),
        Column("validation loss", note="nats per token", number=True),
        Column("bits per byte", number=True),
    ]
    for card in scored:
        main = card.panels[0]
        better = "higher is better" if main.higher_is_better else "lower is better"
        note = f"{main.metric.replace('_', ' ')}, n = {card.count}, {better}"
        columns.append(Column(card.card, number=True, note=note, badge=card.badge, kind=card.kind))
    rows = [_result_row(run, scored, _axis_cells(study, axes, run)) for run in study.runs if run.rows or run.results]
    return Table(columns, rows, "Every run: size, compute, loss, and each benchmark's main score.")


def _settings_axes(study: StudyView) -> list[Axis]:
    """What was varied, where that is more than the size: a run is called by it, and a column of its own holds each."""
    axes = [axis for axis in study.axes.varied if axis.kind != "tokens"]  # (tokens have their column already)
    return axes if any(axis.kind != "size" for axis in axes) else []


def _axis_columns(axes: Sequence[Axis]) -> list[Column]:
    return [Column(axis.short, number=_is_number(axis)) for axis in axes]


def _is_number(axis: Axis) -> bool:
    given = [value for value in axis.values if value is not None]
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in given)


def _axis_cells(study: StudyView, axes: Sequence[Axis], run: RunView) -> list[Cell]:
    return [_setting(study.axes.value(run.run, axis.key), axis.key) for axis in axes]


def _setting(value: Value, key: str) -> Cell:
    if value is None:
        return Cell(NOTHING)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return Cell(show(value), value if is_number else None, key)


def _result_row(run: RunView, scored: list[Card], settings: list[Cell]) -> list[Cell]:
    row = run.row
    origin = (
        f"results.csv line {row['line']}, column {{}}; run {run.name}, step {row.get('step', 0):.0f}" if row else ""
    )
    settings_hash = str(run.manifest.get("settings_hash", ""))
    if settings_hash and origin:
        origin += f", settings {settings_hash[:12]}"

    def value(column: str, show: Callable[[float], str]) -> Cell:
        recorded = number(row.get(column))
        return Cell(NOTHING) if recorded is None else Cell(show(recorded), recorded, origin.format(column))

    cells = [
        Cell(run.label, origin=run.name, note="" if run.done else run.state),
        *settings,
        value("params_non_embedding", format.scaled),
        value("tokens", format.scaled),
        value("flops", format.flops),
        value("val/loss", lambda loss: f"{loss:.3f}"),
        value("val/bits_per_byte", lambda bits: f"{bits:.3f}"),
    ]
    for card in scored:
        point = next((point for point in card.panels[0].points if point.run == run.name), None)
        cells.append(Cell(NOTHING) if point is None else score(card, point))
    return cells


def score(card: Card, point: Point) -> Cell:
    """With its badge, where the column's says nothing of this score in particular."""
    n = "" if point.n is None else f"; n = {point.n:,}"
    origin = f"{point.path}; step {point.step:,}{n}; {point.badge}"
    return Cell(
        format.figure(point.value),
        point.value,
        origin,
        format.interval(point.low, point.high),
        point.low,
        point.high,
        badge=point.badge if point.badge != card.badge else "",
    )


def unfinished(study: StudyView) -> list[dict[str, str]]:
    """Runs that are not done: what became of them, why, and where to read more."""
    rows: list[dict[str, str]] = []
    for run in study.runs:
        if run.done:
            continue
        rows.append(
            {
                "run": run.label,
                "cell": run.name,
                "state": run.state,
                "reason": run.reason or "no reason was recorded",
                "step": "–" if run.step is None else f"{run.step:,}",
                "log": f"{study.shown_path}/{run.log.relative_to(study.directory).as_posix()}",
                "last_words": run.last_words(),
            }
        )
    return rows


def cost(study: StudyView) -> Table:
    """A row per run: speed, time, memory, compute, utilisation. No hardware peak known, no MFU: never a guess."""
    axes = _settings_axes(study)
    columns = [
        Column("run"),
        *_axis_columns(axes),
        Column("tokens/s", note="median over logged steps", number=True, bar=True),
        Column("training time", number=True),
        Column("compute", number=True),
        Column("speed", note="FLOP per second", number=True),
        Column("peak memory", number=True),
        Column("MFU", number=True),
    ]
    rows = []
    for run in study.runs:
        if not run.metrics:
            continue
        last = run.metrics[-1]
        per_second = _median([number(row.get("tokens_per_s")) for row in run.metrics])
        seconds = number(run.manifest.get("train_seconds")) or number(last.get("seconds"))
        flops, memory = number(last.get("flops")), number(run.manifest.get("peak_memory_bytes"))
        mfu = _median([number(row.get("mfu")) for row in run.metrics])
        per_token = number(run.manifest.get("flops_per_token"))
        speed = per_second * per_token if per_second and per_token else None
        unknown = Cell(NO_MFU, -1)
        cells = [
            Cell(run.label, origin=run.name),
            *_axis_cells(study, axes, run),
            Cell("–" if per_second is None else f"{per_second:,.0f}", per_second or 0),
            Cell(format.duration(seconds), seconds or 0),
            Cell(format.flops(flops), flops or 0),
            Cell("–" if speed is None else f"{format.flops(speed)}/s", speed or 0),
            Cell(format.size(memory), memory or 0),
            unknown if mfu is None else Cell(f"{100 * mfu:.1f} %", mfu),
        ]
        rows.append(cells)
    return Table(columns, rows, "Throughput and cost.")


def _median(values: list[float | None]) -> float | None:
    logged = sorted(value for value in values if value is not None)
    return logged[len(logged) // 2] if logged else None


@dataclass(frozen=True)
class Provenance:
    """What all runs share, once, under a label each; and a row per run with what differs."""

    shared: Sequence[tuple[str, Cell]]
    table: Table

    def json(self) -> dict[str, object]:
        """As the page's scripts read it."""
        shared = [{"label": label, **cell.json()} for label, cell in self.shared]
        return {"shared": shared, "table": self.table.json()}

    def whole(self) -> Table:
        """One table, for a file: what all runs share is a column like the others."""
        columns = [*self.table.columns, *(Column(label) for label, _ in self.shared)]
        rows = [[*row, *(cell for _, cell in self.shared)] for row in self.table.rows]
        return Table(columns, rows, "What each run was made with.")


def provenance(study: StudyView) -> Provenance:
    """What each run was made with: settings, source, corpus, tokenizer, packages, hardware, command."""
    facts = {run.name: _facts(run) for run in study.runs}
    runs = {
        run.name: Cell(run.label, origin=run.name, note="" if run.label == run.name else run.name) for run in study.runs
    }
    names = list(next(iter(facts.values())))
    shared_names = [name for name in names if len({f[name] for f in facts.values()}) == 1]
    alone = len(study.runs) == 1
    differing = names if alone else [name for name in names if name not in shared_names]
    axes = [axis for axis in _settings_axes(study) if axis.short not in names]
    settings = {run.name: _axis_cells(study, axes, run) for run in study.runs}
    rows = [[runs[run], *settings[run], *(_fact(name, f[name]) for name in differing)] for run, f in facts.items()]
    shared = [] if alone else [(name, _fact(name, facts[study.runs[0].name][name])) for name in shared_names]
    return Provenance(shared, Table([Column("run"), *_axis_columns(axes), *(Column(name) for name in differing)], rows))


def _fact(name: str, text: str) -> Cell:
    short = name in ("settings hash", "corpus fingerprint", "tokenizer fingerprint") and len(text) > 16
    return Cell(text[:12] + "…", text, text) if short else Cell(text)


def _facts(run: RunView) -> dict[str, str]:
    manifest, missing = run.manifest, "not recorded"

    def part(name: str) -> Json:
        value = manifest.get(name)
        return value if isinstance(value, dict) else {}

    source, corpus, tokenizer, packages = part("source"), part("corpus"), part("tokenizer"), part("packages")
    dirty = {"True": " with uncommitted changes", "False": " (clean)"}.get(str(source.get("dirty")), "")
    tokens = number(corpus.get("n_train_tokens"))
    trained_on = str(corpus.get("name", missing)) + (f", {format.scaled(tokens)} training tokens" if tokens else "")
    versions = ", ".join(f"{name} {version}" for name, version in sorted(packages.items()))
    vocabulary = number(tokenizer.get("vocab_size"))
    return {
        "settings hash": str(manifest.get("settings_hash") or missing),
        "seed": str(manifest.get("seed", run.settings.get("seed", missing))),
        "source": (str(source["revision"])[:12] + dirty) if source.get("revision") else missing,
        "corpus": trained_on,
        "corpus fingerprint": str(corpus.get("fingerprint") or missing),
        "tokenizer": f"{run.settings.get('tokenizer', {}).get('kind', '')} {vocabulary:,.0f} entries".strip()
        if vocabulary
        else missing,
        "tokenizer fingerprint": str(tokenizer.get("fingerprint") or missing),
        "packages": versions or missing,
        "hardware": _hardware(part("hardware")) or missing,
        "threads": _threads(manifest.get("threads")) or missing,
        "command": command(run) or missing,
    }


def _hardware(hardware: Json) -> str:
    memory = number(hardware.get("memory_bytes"))
    cores = hardware.get("cores")
    parts = [hardware.get("gpu"), hardware.get("cpu"), f"{cores} cores" if cores else None]
    return ", ".join([str(part) for part in parts if part] + ([format.size(memory)] if memory else []))


def _threads(threads: object) -> str:
    return json.dumps(threads, sort_keys=True) if isinstance(threads, dict) else str(threads or "")


def command(run: RunView) -> str:
    """The recorded command line, quoted for a shell."""
    recorded = run.manifest.get("command") or ""
    return shlex.join(str(part) for part in recorded) if isinstance(recorded, list) else str(recorded)


def _cards_source(study: StudyView) -> str:
    """Where the cards' data came from and which of them were scored, as the scoring command takes it.

    A result does not tell the folder of its files: where the runs' settings do not either, DIR stands for it.
    """
    settings = next((run.settings for run in study.runs if run.results), {})
    results = [result.content for run in study.runs for results in run.results.values() for result in results]
    results = [content for content in results if content.get("source") != "corpus"]
    sources = {str(content["source"]) for content in results if content.get("source")}
    options: dict[str, object] = {name: settings.get(name) for name in ("cards_from", "data_dir")}
    if len(sources) == 1:
        options["cards_from"] = sources.pop()
        options["data_dir"] = (settings.get("data_dir") or "DIR") if options["cards_from"] == "files" else None
    limits = {content.get("limit") for content in results}
    options["limit"] = limits.pop() if len(limits) == 1 else None
    other_data = any(data_mark(str(content.get("data"))) is not None for content in results)
    options["allow_other_data"] = "true" if other_data else None
    return "".join(f" {name}={shlex.quote(str(value))}" for name, value in options.items() if value)


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
