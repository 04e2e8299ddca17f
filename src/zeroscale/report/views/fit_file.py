"""What the figures and the tables read out of the laws of a fit.json. An older file lacks some of it: then None."""

from typing import Any

from zeroscale.core import format
from zeroscale.core.format import flops_text, number
from zeroscale.report.figures.plot import Layer

SURFACES = ("chinchilla", "vpnls")
CALLED = {
    "chinchilla": "chinchilla (approach 3)",
    "vpnls": "vpnls",
    "isoflop": "isoFLOP (approach 2)",
    "envelope": "envelope (approach 1)",
    "kaplan": "kaplan",
}
LOSS, SIZE, COMPUTE, TOKENS = "loss (nats per token)", "parameters, N", "compute, C (FLOPs)", "training tokens, D"

Json = dict[str, Any]
Path = list[tuple[float, float, float | None, float | None]]


def value_of(estimate: Any, end: str = "value") -> float | None:
    """One number of {value, low, high}."""
    return number(estimate.get(end)) if isinstance(estimate, dict) else None


def runs_of(law: Json) -> list[Json]:
    wanted = ("params", "tokens", "flops", "loss")
    rows = [row for row in law.get("points") or [] if all((number(row.get(name)) or 0) > 0 for name in wanted)]
    return [row | {name: float(row[name]) for name in wanted} for row in rows]


def run_of(row: Json) -> str:
    """The run's own name; a fit.json calls a checkpoint "RUN at step 100" where it leaves one out."""
    return str(row.get("cell") or "").partition(" at step ")[0]


def describe(row: Json) -> str:
    name = row.get("name") or row.get("cell") or ""
    return (
        f"{name}\n{format.scaled(row['params'])} parameters, {format.scaled(row['tokens'])} tokens\n"
        f"{flops_text(row['flops'])}, loss {format.figure(row['loss'], 4)}"
    )


def path_of(law: Json | None, what: str) -> Path:
    """(C, value, low, high) along a law's frontier."""
    rows = []
    for one in (law or {}).get("frontier") or []:
        c, value = number(one.get("flops")), value_of(one.get(what))
        if c and value and value > 0:
            rows.append((c, value, value_of(one[what], "low"), value_of(one[what], "high")))
    return rows if len(rows) > 1 else []


def band(path: Path, name: str) -> list[Layer]:
    c, value, low, high = (list(column) for column in zip(*path, strict=True))
    line = Layer("line", c, value, name=name)
    if any(end is None or end <= 0 for end in [*low, *high]):
        return [line]
    return [Layer("band", c, low=low, high=high), line]


def with_interval(estimate: Json) -> str:
    """ "1.2 M (0.9 M to 1.5 M)"."""
    value, low, high = (value_of(estimate, end) for end in ("value", "low", "high"))
    ends = format.interval(low, high, show=format.scaled)
    return format.scaled(value) + (f" ({ends})" if ends else "")


def budget_said(one: Json) -> str:
    what = with_interval(one["params"]) if one.get("used") else f"not used, {one.get('reason')}"
    return f"{flops_text(float(one['flops']))}: {what}"


CONVENTIONS = {
    "non_embedding": "without embeddings",
    "total": "all parameters",
    "matmul": "without position embeddings",
}
COUNTED = {"exact": "as the runs count it", "6nd": "6 N D"}
