"""The messages of `reproduce`: the files, what differs, what is missing, and the verdict with its first deviation."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from zeroscale.provenance import compare_environment
from zeroscale.provenance.recorded_run import Check
from zeroscale.runs import layout
from zeroscale.runs.manifest import PACKAGES, Manifest

if TYPE_CHECKING:
    from zeroscale.provenance.reproduce.request import ReproduceRequest, Reproduction

Say = Callable[[str], None]


def print_files(checks: Check, say: Say) -> None:
    """Print whether the run's own files are as their recorded hashes say."""
    rest = f"; of {len(checks.unknown)} it is not known" if checks.unknown else ""
    say(f"  files      {checks.good} are as their recorded sha256 say{rest}")
    for fault in checks.faults:
        say(f"             CHANGED: {fault}; what is compared with it may differ for that reason")


def print_no_manifest(say: Say) -> None:
    """Print what is unknown without a manifest."""
    say(
        f"             there is no {layout.MANIFEST}: source, versions, hardware and threads of the run are not known. "
        "Its settings are, so it is trained again with what is here, and compared all the same"
    )


def print_differences(
    compared: compare_environment.Comparison, manifest: Manifest, missing: Sequence[str], say: Say
) -> None:
    """Print what is the same, what differs and whether it can change results, what is unknown and what is missing."""
    if compared.same:
        packages = [name for name in compared.same if name in ("python", *PACKAGES)]
        others = [name for name in compared.same if name not in packages]
        counted = [f"{len(packages)} packages"] if len(packages) > 3 else packages
        say(f"  the same   {', '.join([*others, *counted])}")
    for difference in compared.different:
        say(f"  differs    {difference.words}")
    if compared.unknown:
        say(f"  unknown    {', '.join(compared.unknown)}: not recorded")
    for earlier in manifest.get("earlier") or []:
        parts = ("source", "packages", "hardware", "threads")
        later = tuple(key for key in ("numerics", "variables") if key in earlier)  # not in all versions' manifests
        if others := [key for key in (*parts, *later) if earlier.get(key) != manifest.get(key)]:
            say(f"  differs    until step {earlier['until_step']:,} the run itself had another {', '.join(others)}")
    for note in missing:
        say(f"  note       {note}")
    if (manifest.get("source") or {}).get("diff_sha256"):
        say("  note       the recorded source had uncommitted changes: they are source.diff in the run's directory")


def print_verdict(
    result: "Reproduction",
    steps: int,
    request: "ReproduceRequest",
    say: Say,
    printed: Sequence[str] = (),
    compared: compare_environment.Comparison | None = None,
) -> None:
    """Print the verdict of each part, then of the whole, with what can explain it where it is not bit-identical, and
    the notes that were not `printed` before."""
    parts = list(result.parts.values())
    for name, part in result.parts.items():
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
    for note in [note for note in result.notes if note not in printed]:
        say(f"  note       {note}")
    tolerance = f" (tolerance {request.tolerance:g}, relative; scores: or inside the recorded 95 % interval)"
    partial = f", the first {result.until:,} steps" if result.until and result.until < steps else ""
    say(f"  verdict    {result.verdict}{partial}{'' if result.verdict == 'bit-identical' else tolerance}")
    if compared is not None and any(part.verdict in ("within tolerance", "different") for part in parts):
        say(f"             {_explained(compared)}")


def _explained(compared: compare_environment.Comparison) -> str:
    """Which recorded part of the surroundings can be the reason that the bits differ."""
    names = [difference.what for difference in compared.can_matter]
    if names:
        return f"not to the bit, and here differ from there: {', '.join(names)}"
    if compared.unknown:
        return f"not to the bit, though nothing that was recorded differs; not recorded: {', '.join(compared.unknown)}"
    return "not to the bit, though nothing that is recorded differs: what makes the difference is not in the manifest"
