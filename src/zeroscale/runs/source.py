"""Which source a run is made by: its revision, its uncommitted changes, and a hash of each room of the package."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TypedDict

from zeroscale import __version__
from zeroscale.core import paths
from zeroscale.core.files import sha256_file, sha256_json

# Only what can change a result; a README edit makes no run dirty.
PARTS = ("src", "conf", "evals", "sweeps")
# New files of more than so many bytes together are named in the manifest and not copied into every run.
UNTRACKED_LIMIT = 4 << 20
# Neither the user's colours nor an external program may shape what `git apply` has to read.
_DIFF = ("diff", "--no-ext-diff", "--no-color", "--binary", "--src-prefix=a/", "--dst-prefix=b/")


class SourceFacts(TypedDict, total=False):
    """A source as manifests and results record it: `rooms` are the sha256 of the package's folders."""

    version: str
    revision: str | None
    dirty: bool | None
    diff_sha256: str
    diff_left_out: list[str]
    rooms: dict[str, str]


@dataclass(frozen=True)
class Source:
    """A checkout, or an installed wheel, which has no revision."""

    revision: str | None
    dirty: bool | None
    """Whether `PARTS` hold uncommitted changes; None where there is no checkout to ask."""
    rooms: dict[str, str]
    """sha256 of each room of the package: the same in every clone, wheel and copy of one source."""
    diff: bytes = b""
    """The uncommitted changes, new files included, as `git apply` takes them."""
    left_out: list[str] = field(default_factory=list)
    """New files that were too large for `diff`."""

    def facts(self) -> SourceFacts:
        """What a manifest holds of it."""
        facts: SourceFacts = {"version": __version__, "revision": self.revision, "dirty": self.dirty}
        if self.diff:
            facts["diff_sha256"] = sha256(self.diff).hexdigest()
        if self.left_out:
            facts["diff_left_out"] = self.left_out
        return {**facts, "rooms": self.rooms}


def read() -> Source:
    """The source that this process runs from."""
    rooms, root = rooms_of(paths.PACKAGE), paths.share()
    revision = None
    if (root / ".git").exists():
        revision = _git(root, "rev-parse", "HEAD").decode().strip() or None
    if revision is None:
        return Source(None, None, rooms)
    tracked = _git(root, *_DIFF, "HEAD", "--", *PARTS)
    listed = _git(root, "ls-files", "--others", "--exclude-standard", "-z", "--", *PARTS)
    untracked = sorted(name.decode("utf-8", "surrogateescape") for name in listed.split(b"\0") if name)
    new, left_out = _new_files(root, untracked)
    return Source(revision, bool(tracked or untracked), rooms, tracked + new, left_out)


def rooms_of(package: Path) -> dict[str, str]:
    """sha256 of the Python files of each folder of the package, by name and content; "." are those in none."""
    rooms: dict[str, dict[str, str]] = {}
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package)
        room = name.parts[0] if len(name.parts) > 1 else "."
        if not room.startswith("_share"):
            rooms.setdefault(room, {})[name.as_posix()] = sha256_file(path)
    return {room: sha256_json(files) for room, files in sorted(rooms.items())}


def _new_files(root: Path, names: Sequence[str]) -> tuple[bytes, list[str]]:
    """The diff that makes files which git does not know yet, and the names of those that are too large for it."""
    diffs, left_out, taken = [], [], 0
    for name in names:
        size = (root / name).stat().st_size if (root / name).is_file() else 0
        if taken + size > UNTRACKED_LIMIT:
            left_out.append(name)
            continue
        taken += size
        # Exit code 1 says that the two differ, as they do.
        diffs.append(_git(root, *_DIFF, "--no-index", "--", "/dev/null", name, fine=(0, 1)))
    return b"".join(diffs), left_out


def _git(root: Path, *arguments: str, fine: tuple[int, ...] = (0,)) -> bytes:
    try:
        result = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=False)
    except OSError:
        # No git on this machine.
        return b""
    return result.stdout if result.returncode in fine else b""
