"""`zeroscale verify`: every file of a bundle checked against its sha256, and the bundle opened."""

from pathlib import Path

from pydantic.dataclasses import dataclass

from zeroscale.config.raw import RawConfig
from zeroscale.config.types import STRICT, FilePath
from zeroscale.config.validate import build_config


@dataclass(frozen=True, kw_only=True, config=STRICT)
class VerifyConfig:
    """A bundle to check, and where to open it."""

    bundle: FilePath
    out: FilePath | None
    """A directory to open it in, once all files are good; None: it is only checked."""


def run(raw: RawConfig) -> int:
    """Checks a bundle, and opens it where asked to; returns non-zero where a file is not what was packed."""
    config = build_config(VerifyConfig, raw)
    from zeroscale.provenance import bundle_verify

    check = bundle_verify.verify(Path(config.bundle))
    for fault in check.faults:
        print(f"  {fault}")
    if check.faults:
        print(f"{config.bundle}: {len(check.faults)} faults, {check.good:,} files as packed; sha256 {check.sha256}")
        return 1
    print(f"{config.bundle}: all {check.good:,} files are as packed; sha256 {check.sha256}")
    if config.out:
        directory = bundle_verify.open_into(Path(config.bundle), Path(config.out), check)
        print(f"opened in {directory}")
    return 0
