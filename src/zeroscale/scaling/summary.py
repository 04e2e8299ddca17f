"""A fit.json in plain words, for the terminal."""

from typing import Any

from zeroscale.scaling.points import EARLIER
from zeroscale.scaling.units import count

N_MEANS = {
    "params_non_embedding": "parameters without embeddings",
    "params": "parameters, all of them",
    "params_matmul": "parameters without position embeddings",
}


def describe(fit: dict[str, Any]) -> str:
    """The law, its intervals, the hold-out, what was left out and every warning."""
    lines = []
    for name, law in fit["laws"].items():
        sizes = law["sizes"]
        known = fit["convention"] in ("non_embedding", "total", "matmul")
        meaning = N_MEANS[law["variable"]] if known else "params as the CSV counts them"
        lines += [
            f"{fit['study']}: {name} over N ({meaning}), {count(sizes[0]['params'])} to {count(sizes[-1]['params'])}, "
            f"{law['n_points']} sizes, {law['n_runs']} runs",
            "",
            f"  {law['form']}",
            *_parameters(law["parameters"]),
            f"  residuals {law['rms_log_residual']:.2%} of the loss (root mean square)",
            "",
            *_hold_out(law["hold_out"]),
            *_intervals(law["intervals"]),
            *_left_out(fit["left_out"]),
            *(f"Warning: {warning}" for warning in law["warnings"]),
        ]
    return "\n".join(lines)


def _parameters(parameters: dict[str, Any]) -> list[str]:
    lines = []
    for name, estimate in parameters.items():
        value = "beyond floating point" if estimate["value"] is None else f"{estimate['value']:.4g}"
        lines.append(f"  {name:<6} {value:<11} {_interval(estimate['low'], estimate['high'])}")
    return lines


def _interval(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return "no interval"
    ends = ("–∞" if low is None else f"{low:.4g}", "∞" if high is None else f"{high:.4g}")
    return f"95 % interval {ends[0]} to {ends[1]}"


def _hold_out(held: dict[str, Any] | None) -> list[str]:
    if held is None:
        return ["Hold-out: needs three sizes."]
    where = f"N = {count(held['params'])}"
    verdict = {True: "inside", False: "OUTSIDE", None: "no interval to judge it by"}[held["inside"]]
    return [
        f"Hold-out: fitted to the {held['n_points']} smaller sizes, the law predicts {held['predicted']:.4g} at {where}"
        f" ({_interval(held['low'], held['high'])}); measured {held['measured']:.4g}, "
        f"error {held['error']:+.1%}: {verdict}."
    ]


def _intervals(intervals: dict[str, Any] | None) -> list[str]:
    return [] if intervals is None else [f"Intervals: {intervals['method']}."]


def _left_out(left_out: list[dict[str, Any]]) -> list[str]:
    rules: dict[str, list[str]] = {}
    for entry in left_out:
        rules.setdefault(entry["rule"], []).append(entry["cell"])
    lines = []
    for rule, cells in rules.items():
        if rule == EARLIER:
            # Every kept checkpoint of every run but its last: a count says as much as the names, which fit.json has.
            lines.append(f"Left out: {len(cells)} of the runs' checkpoints: {rule}.")
            continue
        shown = ", ".join(cells[:5]) + (f" and {len(cells) - 5} more" if len(cells) > 5 else "")
        lines.append(f"Left out: {shown}: {rule}.")
    return lines
