"""The lineage of a number: steps that every number shares, from its row in the ledger to source and machine."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from zeroscale.core.files import sha256_file
from zeroscale.core.format import number
from zeroscale.provenance import recorded_run
from zeroscale.runs import layout, ledger
from zeroscale.runs.manifest import Environment
from zeroscale.runs.run import Run
from zeroscale.runs.source import SourceFacts


@dataclass(frozen=True)
class LineageStep:
    """One step. `holds` is None where there is nothing to compare it with."""

    name: str
    words: str
    holds: bool | None = None


@dataclass
class Lineage:
    """A number and where it comes from, step by step."""

    title: str
    links: list[LineageStep] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return all(link.holds is not False for link in self.links)

    def add(self, name: str, words: str, holds: bool | None = None) -> None:
        self.links.append(LineageStep(name, words, holds))

    def add_check(self, name: str, words: str, checks: recorded_run.Check) -> None:
        """Add a step that rests on files with recorded hashes."""
        remarks = "; ".join([*checks.faults, *checks.unknown])
        holds = False if checks.faults else True if checks.good else None
        self.add(name, f"{words}; {remarks}" if remarks else words, holds)

    def text(self) -> str:
        mark = {True: "holds", False: "BROKEN", None: ""}
        wide = max(len(link.name) for link in self.links)
        lines = [f"  {link.name:<{wide}}  {mark[link.holds]:<6}  {link.words}" for link in self.links]
        return "\n".join([self.title, *lines])


def add_ledger(
    lineage: Lineage, study: Path, run: Run, column: str, step: int | None, value: float | int | None
) -> None:
    """Add whether results.csv holds this value."""
    path = study / layout.LEDGER
    if not path.is_file():
        lineage.add("ledger", f"{path} is not there; `zeroscale report study={study}` writes it")
        return
    for line, row in ledger.read_rows(path):
        if row.get("cell") == run.name and (step is None or row.get("step") == str(step)):
            text = row.get(column) or ""
            holds = number(text) == value if value is not None else text == ""
            lineage.add("ledger", f"{path}, line {line}, column {column}" + ("" if holds else f": {text!r}"), holds)
            return
    lineage.add("ledger", f"{path} has no row of this run" + (f" and step {step:,}" if step is not None else ""), False)


def add_run(lineage: Lineage, run: Run, step: int | None) -> None:
    """Add the run: its files, data, source, command and machine."""
    manifest, checks = run.manifest, recorded_run.Check()
    recorded_run.check_hashed_files(run.directory, checks)
    batch = run.batch_tokens
    position = f", step {step:,}, {step * batch:,} tokens" if step is not None and batch else ""
    lineage.add_check("run", f"{run.directory}{position}, seed {run.seed}, {run.state}", checks)
    if not manifest:
        lineage.add("made with", "not recorded: there is no manifest.json")
        return
    lineage.add("settings", f"hash {manifest.get('settings_hash', 'unknown')}, in config.yaml")
    parts: tuple[Literal["corpus", "tokenizer"], ...] = ("corpus", "tokenizer")
    for part in parts:
        facts = manifest.get(part) or {}
        lineage.add(part, f"{facts.get('name', '')} fingerprint {str(facts.get('fingerprint'))[:12]}".strip())
    _add_source(lineage, run)
    lineage.add("command", manifest.get("command") or "not recorded")
    lineage.add("made with", describe_environment(manifest, with_source=False))
    for earlier in manifest.get("earlier") or []:
        until = earlier.get("until_step")
        lineage.add(
            "earlier", f"until step {'unknown' if until is None else f'{until:,}'}: {describe_environment(earlier)}"
        )
    if parent := manifest.get("init_from"):
        lineage.add("parent", f"goes on from step {parent['step']:,} of {parent['parent']}")


def _add_source(lineage: Lineage, run: Run) -> None:
    facts = run.manifest.get("source") or {}
    diff = run.directory / layout.SOURCE_DIFF
    words, holds = describe_source(facts), None
    if facts.get("diff_sha256"):
        holds = diff.is_file() and sha256_file(diff) == facts["diff_sha256"]
        words += f", which are {diff}" + ("" if holds else " (it is gone, or is not what was written)")
    lineage.add("source", words, holds)


def describe_source(facts: SourceFacts) -> str:
    """A source in words: its revision and whether it had uncommitted changes, or its version."""
    revision = facts.get("revision")
    name = f"revision {revision}" if revision else f"version {facts.get('version', 'unknown')}, no checkout"
    return name + (" with uncommitted changes" if facts.get("dirty") else "")


def describe_environment(facts: Environment, with_source: bool = True) -> str:
    """Versions and machine in one line."""
    packages, hardware = facts.get("packages") or {}, facts.get("hardware") or {}
    versions = [f"{name} {packages[name]}" for name in ("python", "torch", "numpy") if name in packages]
    chip = hardware.get("gpu") or hardware.get("cpu") or "hardware not recorded"
    source = [describe_source(facts.get("source") or {})] if with_source else []
    return ", ".join([*source, *versions, chip, f"{facts.get('threads', 'unknown')} threads"])
