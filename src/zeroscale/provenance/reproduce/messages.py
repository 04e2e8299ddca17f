"""What `reproduce` says: the files, what differs, what is missing, and the verdict with its first deviation."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zeroscale.provenance import compare_environment
from zeroscale.provenance.recorded_run import Check
from zeroscale.runs import layout
from zeroscale.runs.manifest import PACKAGES

if TYPE_CHECKING:
    from zeroscale.provenance.reproduce.request import ReproduceRequest, Reproduction

Say = Callable[[str], None]


def tell_files(checks: Check, say: Say) -> None:
    """What the recorded hashes say about the run's own files."""
    rest = f"; of {len(checks.unknown)} it is not known" if checks.unknown else ""
    say(f"  files      {checks.good} are as their recorded sha256 say{rest}")
    for fault in checks.faults:
        say(f"             CHANGED: {fault}; what is compared with it may differ for that reason")


def tell_no_manifest(say: Say) -> None:
    """What is not known without it."""
    say(
        f"             there is no {layout.MANIFEST}: source, versions, hardware and threads of the run are not known. "
        "Its settings are, so it is trained again with what is here, and compared all the same"
    )


def tell_differences(
    compared: compare_environment.Comparison, manifest: Mapping[str, Any], lacking: Sequence[str], say: Say
) -> None:
    """What is the same, what differs and whether it can matter, what is not known and what is missing."""
    if compared.same:
        packages = [name for name in compared.same if name in ("python", *PACKAGES)]
        others = [name for name in compared.same if name not in packages]
        counted = [f"{len(packages)} packages"] if len(packages) > 3 else packages
        say(f"  the same   {', '.join([*others, *counted])}")
    for one in compared.different:
        say(f"  differs    {one.words}")
    if compared.unknown:
        say(f"  unknown    {', '.join(compared.unknown)}: not recorded")
    for stretch in manifest.get("earlier") or []:
        parts = ("source", "packages", "hardware", "threads")
        if others := [key for key in parts if stretch.get(key) != manifest.get(key)]:
            say(f"  differs    until step {stretch['until_step']:,} the run itself had another {', '.join(others)}")
    for note in lacking:
        say(f"  note       {note}")
    if (manifest.get("source") or {}).get("diff_sha256"):
        say("  note       the recorded source had uncommitted changes: they are source.diff in the run's directory")


def tell_verdict(
    found: "Reproduction", steps: int, wanted: "ReproduceRequest", say: Say, told: Sequence[str] = ()
) -> None:
    """Part by part, then the whole; of the notes those that were not `told` before."""
    for name, part in found.parts.items():
        if name == "weights" and not part.compared:
            # No lack: each run keeps its last checkpoints only.
            continue
        counted = {"steps": "steps", "weights": "checkpoints", "scores": "scores"}[name]
        say(f"  {name:<10} {part.compared:,} {counted} compared: {part.verdict}")
        if part.first is not None:
            say(f"             first at {part.first.words}")
        if part.largest is not None and part.largest != part.first:
            say(f"             most at {part.largest.words}")
        for note in part.notes:
            say(f"             {note}")
    for note in [note for note in found.notes if note not in told]:
        say(f"  note       {note}")
    stated = f" (tolerance {wanted.tolerance:g}, relative; scores: or inside the recorded 95 % interval)"
    partial = f", the first {found.until:,} steps" if found.until and found.until < steps else ""
    say(f"  verdict    {found.verdict}{partial}{'' if found.verdict == 'bit-identical' else stated}")
