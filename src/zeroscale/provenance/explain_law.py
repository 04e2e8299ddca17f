"""Explain a parameter of fit.json: the fit, the ledger that it read, and the runs that it rests on."""

from pathlib import Path
from typing import Any

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_object
from zeroscale.provenance.lineage import Lineage, describe_source
from zeroscale.runs import layout, ledger
from zeroscale.runs.run import Run
from zeroscale.runs.study import Study
from zeroscale.scaling.fit_schema import read_fit

Json = dict[str, Any]


def explain_parameter(study: Path, name: str) -> Lineage:
    """The lineage of LAW/PARAMETER, or behind PARAMETER where one law only has it.

    Raises:
        ZeroscaleError: there is no fit.json, or no such parameter in it; says which there are.
    """
    path = study / layout.FIT
    if not path.is_file():
        raise ZeroscaleError(
            f"{path} is not there: zeroscale fit runs={study} writes it. For a run's number give cell="
        )
    read_fit(path)
    fit = read_object(path)  # as it stands there, with the keys of a newer version too
    known = parameters(fit)
    matches = [key for key in known if key == name] or [key for key in known if key.endswith(f"/{name}")]
    if len(matches) != 1:
        which = "several laws have it" if matches else "no law has it"
        raise ZeroscaleError(
            f"metric={name}: {which} in {path}: {', '.join(matches or known) or 'none'}. For a run's number give cell="
        )
    law, estimate = known[matches[0]]
    low, high = estimate.get("low"), estimate.get("high")
    between = "no interval" if low is None or high is None else f"95 % interval {low:.6g} to {high:.6g}"
    lineage = Lineage(f"{matches[0]} = {estimate.get('value')!r}, {between}: {path}")
    lineage.add("law", str(law.get("form")))
    if method := (law.get("intervals") or {}).get("method"):
        lineage.add("interval", str(method))
    lineage.add("command", f"{fit.get('command') or 'not recorded'}, {fit.get('created')}")
    options = {key: fit[key] for key in ("convention", "bootstrap", "seed") if key in fit} | (fit.get("options") or {})
    lineage.add("options", ", ".join(f"{key} {value}" for key, value in options.items() if value not in (None, [], {})))
    if fit.get("source"):
        lineage.add("source", describe_source(fit["source"]))
    _add_ledger(lineage, study, fit)
    _add_runs(lineage, study, law)
    return lineage


def parameters(fit: Json) -> dict[str, tuple[Json, Json]]:
    """LAW/PARAMETER → its law and {value, low, high}."""
    by_name: dict[str, tuple[Json, Json]] = {}
    over_data = {f"data/{size}": law for size, law in (fit.get("data_laws") or {}).items()}
    for law, entry in {**(fit.get("laws") or {}), **over_data, **(fit.get("benchmarks") or {})}.items():
        for group in ("parameters", "exponents"):
            for name, estimate in (entry.get(group) or {}).items():
                if isinstance(estimate, dict) and "value" in estimate:
                    by_name.setdefault(f"{law}/{name}", (entry, estimate))
    return by_name


def _add_ledger(lineage: Lineage, study: Path, fit: Json) -> None:
    path, expected = study / layout.LEDGER, fit.get("results_sha256")
    if expected is None or not path.is_file():
        lineage.add("ledger", f"{path} is not there" if expected else "fitted to results that no results.csv held")
        return
    unchanged = expected in ledger.hashes(path)
    changed = (
        "" if unchanged else ": it is another since the fit (more runs or scores?); `zeroscale fit` makes both again"
    )
    lineage.add("ledger", f"{path}, sha256 {expected[:12]}{changed}", unchanged)


def _add_runs(lineage: Lineage, study: Path, law: Json) -> None:
    """The runs that the law rests on, each with the loss that its own files give."""
    runs = {run.name: run for run in Study(study).runs}
    for point in law.get("points") or []:
        name = point.get("cell") or point.get("name")
        run = runs.get(str(name))
        if run is None:
            lineage.add("run", f"{name}: not in {study}", False)
            continue
        batch = run.batch_tokens
        step = round(point["tokens"] / batch) if batch and point.get("tokens") else None
        loss = _loss(run, step)
        text = f"{name}, step {step}: loss {point.get('loss')!r}"
        manifest = run.manifest
        corpus = str((manifest.get("corpus") or {}).get("fingerprint"))[:12]
        origin = f"settings {str(manifest.get('settings_hash'))[:12]}, corpus {corpus}, "
        origin += describe_source(manifest.get("source") or {})
        # Results, logs and fit.json all keep every bit.
        holds = None if loss is None else loss == point.get("loss")
        lineage.add("run", f"{text}; {origin}" + ("" if holds is not False else f"; its files say {loss!r}"), holds)


def _loss(run: Run, step: int | None) -> float | None:
    """The validation loss that the run's own files hold for a step: the held-out result's, else the logged one."""
    for result in run.results:
        if result.step == step and result.card == "held_out":
            return result.metrics.get("loss", {}).get("value")
    return run.metrics.get(step or -1, {}).get("val/loss")
