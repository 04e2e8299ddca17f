"""A fit.json in plain words, for the terminal."""

from collections.abc import Mapping, Sequence

from zeroscale.core.format import NOTHING, compact, general, interval
from zeroscale.scaling.choice.record import Choice
from zeroscale.scaling.fit_schema import (
    BenchmarkLaw,
    ConventionExponent,
    DataLaw,
    Diagnostics,
    FitFile,
    HoldOut,
    Intervals,
    Json,
    Law,
    LeftOut,
    LengthLaw,
    Optimum,
    SizeLaw,
    from_json,
)
from zeroscale.scaling.laws.estimate import Estimate
from zeroscale.scaling.registry import LAWS
from zeroscale.scaling.run_selection import EARLIER, NOT_CHOSEN, SHORTER

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


# What the file is of: the runs of a study, by a convention of counting.
COUNTED_BY_STUDY = ("non_embedding", "total", "matmul")


def describe(fit: FitFile | Json) -> str:
    """The laws, their intervals, the hold-outs, what was left out and every warning, of a fit.json or what is in it."""
    fit = fit if isinstance(fit, FitFile) else from_json(fit)
    lines: list[str] = _choice(fit.choice)
    for name, law in fit.laws.items():
        lines += _size_law(name, law, fit) if isinstance(law, SizeLaw) else _data_law(name, law, fit)
        lines.append("")
    lines += _data_laws(fit)
    lines += _conventions(fit.by_convention)
    lines += _benchmarks(fit.benchmarks)
    lines += _left_out(fit.left_out)
    lines += [f"Not fitted: {entry.law}: {entry.reason}." for entry in fit.not_fitted]
    for name, benchmark in fit.benchmarks.items():
        lines += [f"Warning ({name}): {warning}" for warning in benchmark.warnings]
    lines += _warnings({**fit.laws, **{f"L(D) of {name}": law for name, law in fit.data_laws.items()}})
    return "\n".join(lines).rstrip()


def _choice(choice: Choice | None) -> list[str]:
    if choice is None:
        return []
    return [f"{choice.summary}.", *(f"  {note}." for note in choice.notes), ""]


def _data_laws(fit: FitFile) -> list[str]:
    """L(D): of one size in full, of several a line each."""
    loss = "val/loss" if fit.convention in COUNTED_BY_STUDY else "loss"
    if len(fit.data_laws) == 1:
        ((name, law),) = fit.data_laws.items()
        return [
            f"{fit.study}: {loss} over D (training tokens) of {name}, {_span(law)}, {law.n_points} lengths, "
            f"{law.n_runs} runs",
            "",
            f"  {law.form}",
            *_parameters(law.parameters),
            f"  residuals {law.rms_log_residual:.2%} of the loss (root mean square)",
            "",
            *(_hold_out(law.hold_out) if law.hold_out else []),
            *_intervals(law.intervals),
            "",
        ]
    lines = [f"{fit.study}: {loss} over D (training tokens) of each size"] if fit.data_laws else []
    for name, law in fit.data_laws.items():
        beta = law.parameters["beta"]
        held = law.hold_out
        error = f"; longest run predicted with error {held.error:+.1%}" if held and held.error is not None else ""
        lines.append(
            f"  {name}: {law.form}, beta {general(beta.value)} ({_interval(beta.low, beta.high)}), {_span(law)}, "
            f"{law.n_points} lengths{error}"
        )
    return [*lines, ""] if lines else []


def _span(law: LengthLaw) -> str:
    return f"{_compact(law.lengths[0].tokens)} to {_compact(law.lengths[-1].tokens)}"


def _size_law(name: str, law: SizeLaw, fit: FitFile) -> list[str]:
    known = fit.convention in COUNTED_BY_STUDY
    meaning = N_MEANS[law.variable or ""] if known else "params as the CSV counts them"
    return [
        f"{fit.study}: {'loss' if name == 'power' else name} over N ({meaning}), {_compact(law.sizes[0].params)} to "
        f"{_compact(law.sizes[-1].params)}, {law.n_points} sizes, {law.n_runs} runs",
        "",
        f"  {law.form}",
        *_parameters(law.parameters),
        f"  residuals {law.rms_log_residual:.2%} of the loss (root mean square)",
        "",
        *(_hold_out(law.hold_out) if law.hold_out else ["Hold-out: needs three sizes."]),
        *_intervals(law.intervals),
        *_rules([run for run in fit.left_out if run.rule == SHORTER]),
    ]


def _data_law(name: str, law: DataLaw, fit: FitFile) -> list[str]:
    left = f", {len(law.left_out)} left out" if law.left_out else ""
    lines = [f"{fit.study}: {LAWS[name].title}, {law.n_points} runs{left}", "", f"  {law.form}"]
    lines += _parameters(law.parameters)
    if "a" not in law.parameters:
        lines += _parameters({f"{key} ~ C^": value for key, value in law.exponents.items()}, 10)
    if law.diagnostics:
        lines += _diagnostics(law.diagnostics)
    for part in (law.by_size, law.by_data):
        if part:
            lines += [f"  {part.form}, {part.rule}", *_parameters(part.parameters)]
    lines += ["", *_optima(law.compute_optimal)]
    if law.hold_out:
        lines += _hold_out(law.hold_out)
    lines += _leave_one_out(law.leave_one_out)
    lines += _intervals(law.intervals)
    if law.over_seeds:
        lines += ["Over seeds alone:", *_parameters(law.over_seeds.parameters)]
    return lines + _rules(law.left_out)


def _diagnostics(diagnostics: Diagnostics) -> list[str]:
    lines = []
    if diagnostics.rms_log_residual is not None:
        lines.append(f"  residuals {diagnostics.rms_log_residual:.2%} of the loss (root mean square)")
    if (diagnostics.starts or 0) > 1:
        lines.append(f"  {diagnostics.starts_at_optimum} of {diagnostics.starts} starts reached the optimum")
    if diagnostics.correlation:
        lines.append(f"  correlation of alpha and beta {diagnostics.correlation['alpha']['beta']:+.2f}")
    return lines


def _parameters(parameters: Mapping[str, Estimate], width: int = 6) -> list[str]:
    lines = []
    for name, estimate in parameters.items():
        value = general(estimate.value, missing="beyond floating point")
        lines.append(f"  {name:<{width}} {value:<11} {_interval(estimate.low, estimate.high)}")
    return lines


def _interval(low: float | None, high: float | None) -> str:
    ends = interval(low, high, show=general, unbounded=("–∞", "∞"))
    return f"95 % interval {ends}" if ends else "no interval"


def _optima(optima: Sequence[Optimum]) -> list[str]:
    lines = []
    for best in optima:
        n, d = best.params, best.tokens
        if n is None or d is None or n.value is None or d.value is None:
            continue
        loss = f", loss {best.loss.value:.4g}" if best.loss else ""
        lines.append(
            f"Compute-optimal at C = {best.flops:.3g}: N = {compact(n.value)}{_range(n)}, "
            f"D = {compact(d.value)}{_range(d)}{loss}."
        )
    return lines


def _range(estimate: Estimate) -> str:
    ends = interval(estimate.low, estimate.high, show=compact)
    return f" ({ends})" if ends else ""


def _compact(value: float | None) -> str:
    return NOTHING if value is None else compact(value)


def _hold_out(held: HoldOut) -> list[str]:
    verdict = {True: "inside", False: "OUTSIDE", None: "no interval to judge it by"}[held.inside]
    number = "" if held.n_points is None else f"{held.n_points} "
    smaller, at = ("smaller sizes", f"N = {_compact(held.params)}")
    if held.tokens is not None:
        smaller, at = ("shorter lengths", f"D = {_compact(held.tokens)}")
    return [
        f"Hold-out: fitted to the {number}{smaller}, the law predicts {held.predicted:.4g} at {at}"
        f" ({_interval(held.low, held.high)}); measured {held.measured:.4g}, error {held.error:+.1%}: {verdict}."
    ]


def _leave_one_out(sizes: Sequence[HoldOut]) -> list[str]:
    if not sizes:
        return []
    worst = max(sizes, key=lambda size: abs(size.error or 0.0))
    exponents = [size.exponent for size in sizes if size.exponent is not None]
    return [
        f"Each of {len(sizes)} sizes left out in turn: largest error {worst.error:+.1%} at N = "
        f"{_compact(worst.params)}; N_opt ~ C^{min(exponents):.3f} to C^{max(exponents):.3f}."
    ]


def _intervals(intervals: Intervals | None) -> list[str]:
    return [] if intervals is None else [f"Intervals: {intervals.method}."]


def _cells_by_rule(left_out: Sequence[LeftOut]) -> dict[str, list[str]]:
    rules: dict[str, list[str]] = {}
    for run in left_out:
        rules.setdefault(str(run.rule), []).append(str(run.cell))
    return rules


def _rules(left_out: Sequence[LeftOut]) -> list[str]:
    return [f"Left out of this law: {_few(cells)}: {rule}." for rule, cells in _cells_by_rule(left_out).items()]


def _conventions(rows: Sequence[ConventionExponent]) -> list[str]:
    if len(rows) < 2:
        return []
    lines = ["How a of N_opt ~ C^a moves with what is counted:"]
    for row in rows:
        how = f"N {CONVENTIONS[row.convention or '']}, C {'as given' if row.flops == 'exact' else '= 6 N D'}"
        exponent = row.exponent
        value = row.note if exponent is None else f"{exponent.value:.3f}  {_interval(exponent.low, exponent.high)}"
        lines.append(f"  {row.law:<10} {how:<50} {value}")
    return [*lines, ""]


def _benchmarks(laws: Mapping[str, BenchmarkLaw]) -> list[str]:
    lines = []
    for name, law in laws.items():
        subject = f" of {law.of}" if law.of else f", from {law.loss}, chance {law.chance:.3g}"
        lines += [f"{name}{subject}: {law.form}, {law.n_points} sizes", *_parameters(law.parameters, 8)]
        held = law.hold_out
        if held is not None:
            verdict = {True: "inside", False: "OUTSIDE", None: "no interval"}[held.inside]
            lines.append(
                f"  largest size: predicted {held.predicted:.3g} ({_interval(held.low, held.high)}), measured "
                f"{held.measured:.3g}: {verdict}"
            )
    return [*lines, ""] if lines else []


def _left_out(left_out: Sequence[LeftOut]) -> list[str]:
    lines = []
    for rule, cells in _cells_by_rule(left_out).items():
        if rule == NOT_CHOSEN:
            continue  # said with what was chosen
        if rule == SHORTER:
            continue  # said with the law over size alone, which is the only one to leave these out
        if rule == EARLIER:
            # Every kept checkpoint of every run but its last: a count says as much as the names, which fit.json has.
            lines.append(f"Left out: {len(cells)} of the runs' checkpoints: {rule}.")
            continue
        lines.append(f"Left out: {_few(cells)}: {rule}.")
    return lines


def _few(cells: Sequence[str]) -> str:
    return ", ".join(cells[:5]) + (f" and {len(cells) - 5} more" if len(cells) > 5 else "")


def _warnings(laws: Mapping[str, Law]) -> list[str]:
    """Each warning once, with the laws that it is about where there are several."""
    about: dict[str, list[str]] = {}
    for name, law in laws.items():
        for warning in law.warnings:
            about.setdefault(warning, []).append(name)
    if len(laws) == 1:
        return [f"Warning: {warning}" for warning in about]
    return [f"Warning ({', '.join(names)}): {warning}" for warning, names in about.items()]
