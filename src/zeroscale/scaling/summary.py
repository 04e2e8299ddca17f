"""A fit.json in plain words, for the terminal."""

from collections.abc import Sequence
from typing import Any

from zeroscale.core.format import compact, general, interval
from zeroscale.scaling.registry import LAWS
from zeroscale.scaling.run_selection import EARLIER, SHORTER

N_MEANS = {
    "params_non_embedding": "parameters without embeddings",
    "params": "parameters, all of them",
    "params_matmul": "parameters without position embeddings",
}
CONVENTIONS = {
    "non_embedding": "without embeddings",
    "total": "all parameters",
    "matmul": "without position embeddings",
    "as given in the CSV": "params as the CSV counts them",
}


def describe(fit: dict[str, Any]) -> str:
    """The laws, their intervals, the hold-outs, what was left out and every warning."""
    lines: list[str] = []
    for name, law in fit["laws"].items():
        lines += _power(name, law, fit) if "sizes" in law else _surface(name, law, fit)
        lines.append("")
    lines += _conventions(fit.get("by_convention") or [])
    lines += _benchmarks(fit.get("benchmarks") or {})
    lines += _left_out(fit["left_out"])
    lines += [f"Not fitted: {entry['law']}: {entry['reason']}." for entry in fit.get("not_fitted") or []]
    for name, law in (fit.get("benchmarks") or {}).items():
        lines += [f"Warning ({name}): {warning}" for warning in law["warnings"]]
    lines += _warnings(fit["laws"])
    return "\n".join(lines).rstrip()


def _power(name: str, law: dict[str, Any], fit: dict[str, Any]) -> list[str]:
    sizes = law["sizes"]
    known = fit["convention"] in ("non_embedding", "total", "matmul")
    meaning = N_MEANS[law["variable"]] if known else "params as the CSV counts them"
    return [
        f"{fit['study']}: {'loss' if name == 'power' else name} over N ({meaning}), {compact(sizes[0]['params'])} to "
        f"{compact(sizes[-1]['params'])}, {law['n_points']} sizes, {law['n_runs']} runs",
        "",
        f"  {law['form']}",
        *_parameters(law["parameters"]),
        f"  residuals {law['rms_log_residual']:.2%} of the loss (root mean square)",
        "",
        *_hold_out(law["hold_out"]),
        *_intervals(law["intervals"]),
        *_rules([entry for entry in fit["left_out"] if entry["rule"] == SHORTER]),
    ]


def _surface(name: str, law: dict[str, Any], fit: dict[str, Any]) -> list[str]:
    more = law["diagnostics"]
    left = f", {len(law['left_out'])} left out" if law["left_out"] else ""
    lines = [f"{fit['study']}: {LAWS[name].title}, {law['n_points']} runs{left}", "", f"  {law['form']}"]
    lines += _parameters(law["parameters"])
    if "exponents" in law and "a" not in law["parameters"]:
        lines += _parameters({f"{key} ~ C^": value for key, value in law["exponents"].items()}, 10)
    if "rms_log_residual" in more:
        lines.append(f"  residuals {more['rms_log_residual']:.2%} of the loss (root mean square)")
    if more.get("starts", 0) > 1:
        lines.append(f"  {more['starts_at_optimum']} of {more['starts']} starts reached the optimum")
    correlation = more.get("correlation")
    if correlation:
        lines.append(f"  correlation of alpha and beta {correlation['alpha']['beta']:+.2f}")
    for key in ("L(N)", "L(D)"):
        if law.get(key):
            lines += [f"  {law[key]['form']}, {law[key]['rule']}", *_parameters(law[key]["parameters"])]
    lines += ["", *_optima(law.get("compute_optimal") or [])]
    if law.get("hold_out"):
        lines += _hold_out({"n_points": None, **law["hold_out"]})
    lines += _leave_one_out(law.get("leave_one_out") or [])
    lines += _intervals(law["intervals"])
    if law.get("over_seeds"):
        lines += ["Over seeds alone:", *_parameters(law["over_seeds"]["parameters"])]
    return lines + _rules(law["left_out"])


def _parameters(parameters: dict[str, Any], width: int = 6) -> list[str]:
    lines = []
    for name, estimate in parameters.items():
        value = general(estimate["value"], missing="beyond floating point")
        lines.append(f"  {name:<{width}} {value:<11} {_interval(estimate['low'], estimate['high'])}")
    return lines


def _interval(low: float | None, high: float | None) -> str:
    ends = interval(low, high, show=general, unbounded=("–∞", "∞"))
    return f"95 % interval {ends}" if ends else "no interval"


def _optima(optima: Sequence[dict[str, Any]]) -> list[str]:
    lines = []
    for one in optima:
        n, d = one["params"], one["tokens"]
        if n["value"] is None or d["value"] is None:
            continue
        loss = f", loss {one['loss']['value']:.4g}" if one.get("loss") else ""
        lines.append(
            f"Compute-optimal at C = {one['flops']:.3g}: N = {compact(n['value'])}{_range(n)}, "
            f"D = {compact(d['value'])}{_range(d)}{loss}."
        )
    return lines


def _range(estimate: dict[str, Any]) -> str:
    ends = interval(estimate["low"], estimate["high"], show=compact)
    return f" ({ends})" if ends else ""


def _hold_out(held: dict[str, Any] | None) -> list[str]:
    if held is None:
        return ["Hold-out: needs three sizes."]
    where = f"N = {compact(held['params'])}"
    verdict = {True: "inside", False: "OUTSIDE", None: "no interval to judge it by"}[held["inside"]]
    basis = "the smaller sizes" if held["n_points"] is None else f"the {held['n_points']} smaller sizes"
    return [
        f"Hold-out: fitted to {basis}, the law predicts {held['predicted']:.4g} at {where}"
        f" ({_interval(held['low'], held['high'])}); measured {held['measured']:.4g}, "
        f"error {held['error']:+.1%}: {verdict}."
    ]


def _leave_one_out(left: Sequence[dict[str, Any]]) -> list[str]:
    if not left:
        return []
    worst = max(left, key=lambda one: abs(one["error"]))
    exponents = [one["exponent"] for one in left]
    return [
        f"Each of {len(left)} sizes left out in turn: largest error {worst['error']:+.1%} at N = "
        f"{compact(worst['params'])}; N_opt ~ C^{min(exponents):.3f} to C^{max(exponents):.3f}."
    ]


def _intervals(intervals: dict[str, Any] | None) -> list[str]:
    return [] if intervals is None else [f"Intervals: {intervals['method']}."]


def _rules(left_out: Sequence[dict[str, Any]]) -> list[str]:
    rules: dict[str, list[str]] = {}
    for entry in left_out:
        rules.setdefault(entry["rule"], []).append(entry["cell"])
    return [f"Left out of this law: {_few(cells)}: {rule}." for rule, cells in rules.items()]


def _conventions(rows: Sequence[dict[str, Any]]) -> list[str]:
    if len(rows) < 2:
        return []
    lines = ["How a of N_opt ~ C^a moves with what is counted:"]
    for row in rows:
        how = f"N {CONVENTIONS[row['convention']]}, C {'as given' if row['flops'] == 'exact' else '= 6 N D'}"
        found = row["exponent"]
        value = row["note"] if found is None else f"{found['value']:.3f}  {_interval(found['low'], found['high'])}"
        lines.append(f"  {row['law']:<10} {how:<50} {value}")
    return [*lines, ""]


def _benchmarks(laws: dict[str, Any]) -> list[str]:
    lines = []
    for name, law in laws.items():
        of = f" of {law['of']}" if "of" in law else f", from {law['loss']}, chance {law['chance']:.3g}"
        lines += [f"{name}{of}: {law['form']}, {law['n_points']} sizes", *_parameters(law["parameters"], 8)]
        held = law["hold_out"]
        if held is not None:
            verdict = {True: "inside", False: "OUTSIDE", None: "no interval"}[held["inside"]]
            lines.append(
                f"  largest size: predicted {held['predicted']:.3g} ({_interval(held['low'], held['high'])}), measured "
                f"{held['measured']:.3g}: {verdict}"
            )
    return [*lines, ""] if lines else []


def _left_out(left_out: Sequence[dict[str, Any]]) -> list[str]:
    rules: dict[str, list[str]] = {}
    for entry in left_out:
        if entry["rule"] != SHORTER:  # said with the law over size alone, which is the only one to leave these out
            rules.setdefault(entry["rule"], []).append(entry["cell"])
    lines = []
    for rule, cells in rules.items():
        if rule == EARLIER:
            # Every kept checkpoint of every run but its last: a count says as much as the names, which fit.json has.
            lines.append(f"Left out: {len(cells)} of the runs' checkpoints: {rule}.")
            continue
        lines.append(f"Left out: {_few(cells)}: {rule}.")
    return lines


def _few(cells: Sequence[str]) -> str:
    return ", ".join(cells[:5]) + (f" and {len(cells) - 5} more" if len(cells) > 5 else "")


def _warnings(laws: dict[str, Any]) -> list[str]:
    """Each warning once, with the laws that it is about where there are several."""
    about: dict[str, list[str]] = {}
    for name, law in laws.items():
        for warning in law["warnings"]:
            about.setdefault(warning, []).append(name)
    if len(laws) == 1:
        return [f"Warning: {warning}" for warning in about]
    return [f"Warning ({', '.join(names)}): {warning}" for warning, names in about.items()]
