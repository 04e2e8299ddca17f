"""`zeroscale clean`: removes corpora and leftovers that no run needs."""

from pathlib import Path

from pydantic.dataclasses import dataclass

from zeroscale.cli.commands.tidy import removal, unused
from zeroscale.config.raw import RawConfig
from zeroscale.config.types import STRICT, FilePath
from zeroscale.config.validate import build_config
from zeroscale.core import files, format
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.tables import Cell, Column, Table
from zeroscale.runs import layout


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CleanConfig:
    """A directory of studies and corpora."""

    output_dir: FilePath
    yes: bool
    """Without asking."""


def run(raw: RawConfig) -> int:
    """Removes what is unused after asking; returns 1 where the answer is no."""
    config = build_config(CleanConfig, raw)
    outputs = Path(config.output_dir)
    if not outputs.is_dir():
        raise ZeroscaleError(f"output_dir={outputs} is not a directory: give the one that holds the studies")
    found, kept = unused.find(outputs)
    for reason in kept:
        print(reason)
    if not found:
        print(f"nothing in {outputs} is unused")
        return 0
    sizes = [removal.size_of(item.path) for item in found]
    rows = [
        [Cell(str(item.path.relative_to(outputs))), Cell(format.size(size)), Cell(item.why)]
        for item, size in zip(found, sizes, strict=True)
    ]
    print(Table([Column("unused"), Column("size", number=True), Column("why")], rows).text())
    total = f"{format.size(sum(sizes))} in {outputs}"
    print(f"\n{total}")
    if not removal.confirmed(f"Remove {'them' if len(found) > 1 else 'it'} for good?", config.yes):
        print("nothing was removed")
        return 1
    for item in found:
        _remove(item.path, layout.corpora(outputs))
    print(f"removed {total}")
    return 0


def _remove(path: Path, corpora: Path) -> None:
    if path.parent != corpora or not path.is_dir() or path.name.startswith(removal.LEFT):
        removal.remove(path)
        return
    # Where a process has begun to prepare it since, it stays.
    busy = f"{path} is being prepared now: it stays, and what is listed after it"
    with files.lock(unused.lock_of(path), 0.0, busy):
        removal.remove(path)
        unused.verified_of(path).unlink(missing_ok=True)
