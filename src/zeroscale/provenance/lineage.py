"""The links that every chain of provenance has: the ledger's row, the run, its data, source, command and machine."""

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zeroscale.core.files import sha256_file
from zeroscale.provenance import recorded_run
from zeroscale.runs import layout
from zeroscale.runs.run import Run

Json = dict[str, Any]


@dataclass(frozen=True)
class LineageStep:
    """One link. `holds` is None where there is nothing to compare it with."""

    name: str
    words: str
    holds: bool | None = None


@dataclass
class Lineage:
    """A number and its chain."""

    title: str
    links: list[LineageStep] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return all(link.holds is not False for link in self.links)

    def add(self, name: str, words: str, holds: bool | None = None) -> None:
        self.links.append(LineageStep(name, words, holds))

    def add_check(self, name: str, words: str, checks: recorded_run.Check) -> None:
        """A link that files with recorded hashes carry."""
        rest = "; ".join([*checks.faults, *checks.unknown])
        holds = False if checks.faults else True if checks.good else None
        self.add(name, f"{words}; {rest}" if rest else words, holds)

    def text(self) -> str:
        mark = {True: "holds", False: "BROKEN", None: ""}
        wide = max(len(link.name) for link in self.links)
        lines = [f"  {link.name:<{wide}}  {mark[link.holds]:<6}  {link.words}" for link in self.links]
        return "\n".join([self.title, *lines])


def ledger_link(told: Lineage, study: Path, run: Run, column: str, step: int | None, value: Any) -> None:
    """Whether results.csv holds this value."""
    path = study / layout.LEDGER
    if not path.is_file():
        told.add("ledger", f"{path} is not there; `zeroscale report study={study}` writes it")
        return
    with open(path, encoding="utf-8", newline="") as file:
        for line, row in enumerate(csv.DictReader(file), start=2):
            if row.get("cell") == run.name and (step is None or row.get("step") == str(step)):
                text = row.get(column) or ""
                same = text == "" if value is None else text != "" and float(text) == float(value)
                told.add("ledger", f"{path}, line {line}, column {column}" + ("" if same else f": {text!r}"), same)
                return
    told.add("ledger", f"{path} has no row of this run" + (f" and step {step:,}" if step is not None else ""), False)


def run_links(told: Lineage, run: Run, step: int | None) -> None:
    """The run itself: its files, data, source, command and machine."""
    manifest, checks = run.manifest, recorded_run.Check()
    recorded_run.check_vouched(run.directory, checks)
    batch = (run.settings.get("trainer") or {}).get("batch_tokens")
    at = f", step {step:,}, {step * batch:,} tokens" if step is not None and batch else ""
    told.add_check("run", f"{run.directory}{at}, seed {run.seed}, {run.state}", checks)
    if not manifest:
        told.add("made with", "not recorded: there is no manifest.json")
        return
    told.add("settings", f"hash {manifest.get('settings_hash', 'unknown')}, in config.yaml")
    for what in ("corpus", "tokenizer"):
        facts = manifest.get(what) or {}
        told.add(what, f"{facts.get('name', '')} fingerprint {str(facts.get('fingerprint'))[:12]}".strip())
    _source_link(told, run)
    told.add("command", manifest.get("command") or "not recorded")
    told.add("made with", surroundings(manifest, with_source=False))
    for stretch in manifest.get("earlier") or []:
        told.add("earlier", f"until step {stretch['until_step']:,}: {surroundings(stretch)}")
    if parent := manifest.get("init_from"):
        told.add("parent", f"goes on from step {parent['step']:,} of {parent['parent']}")


def _source_link(told: Lineage, run: Run) -> None:
    facts = run.manifest.get("source") or {}
    diff = run.directory / layout.SOURCE_DIFF
    words, holds = source_words(facts), None
    if facts.get("diff_sha256"):
        holds = diff.is_file() and sha256_file(diff) == facts["diff_sha256"]
        words += f", which are {diff}" + ("" if holds else " (it is gone, or is not what was written)")
    told.add("source", words, holds)


def source_words(facts: Json) -> str:
    """A revision and its uncommitted changes, or a version."""
    revision = facts.get("revision")
    name = f"revision {revision}" if revision else f"version {facts.get('version', 'unknown')}, no checkout"
    return name + (" with uncommitted changes" if facts.get("dirty") else "")


def surroundings(facts: Json, with_source: bool = True) -> str:
    """Versions and machine, in a line."""
    packages, hardware = facts.get("packages") or {}, facts.get("hardware") or {}
    versions = [f"{name} {packages[name]}" for name in ("python", "torch", "numpy") if name in packages]
    chip = hardware.get("gpu") or hardware.get("cpu") or "hardware not recorded"
    source = [source_words(facts.get("source") or {})] if with_source else []
    return ", ".join([*source, *versions, chip, f"{facts.get('threads', 'unknown')} threads"])
