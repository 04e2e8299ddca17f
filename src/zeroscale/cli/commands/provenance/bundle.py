"""`zeroscale bundle`: a study packed into one file with checksums."""

from pathlib import Path

from pydantic.dataclasses import dataclass

from zeroscale.config.raw import RawConfig
from zeroscale.config.types import STRICT, FilePath
from zeroscale.config.validate import build_config


@dataclass(frozen=True, kw_only=True, config=STRICT)
class BundleConfig:
    """A study to pack, and the file to write."""

    study: FilePath
    out: FilePath | None
    """None: NAME.tar.zst in the working directory."""
    weights: bool
    """Whether the last checkpoint of every run is packed, too."""


def run(raw: RawConfig) -> int:
    """Packs a study."""
    config = build_config(BundleConfig, raw)
    from zeroscale.provenance import bundle

    study = Path(config.study)
    packed = bundle.write(study, Path(config.out or f"{study.resolve().name}.tar.zst"), weights=config.weights)
    for note in packed.notes:
        print(f"note: {note}")
    print(f"{packed.path}: {packed.files:,} files, {packed.bytes / 1e6:.1f} MB; sha256 {packed.sha256}")
    return 0
