"""`reproduce`, `explain`, `bundle` and `verify`: whether a result is what it says it is."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zeroscale.cli.commands import Config
from zeroscale.config.commands import BundleConfig, ExplainConfig, ReproduceConfig, VerifyConfig
from zeroscale.config.validate import build_config
from zeroscale.core.errors import ZeroscaleError

if TYPE_CHECKING:
    from zeroscale.provenance.reproduce.request import Reproduction


# What `reproduce` answers to a script; 2 is bad input, as everywhere. Of several runs the first of these that occurs.
EXIT = {"different": 4, "not compared": 1, "within tolerance": 3, "bit-identical": 0}


def reproduce(config: Config) -> int:
    """Makes a run, or all runs of a study, again."""
    wanted = build_config(ReproduceConfig, config)
    if (wanted.run is None) == (wanted.study is None):
        raise ZeroscaleError("reproduce takes one of two: run=DIR, or study=DIR for all runs of a study")
    from zeroscale.provenance.reproduce import reproduce as runs
    from zeroscale.provenance.reproduce import request
    from zeroscale.runs import ledger

    how = request.ReproduceRequest(
        out=Path(wanted.out or Path(wanted.output_dir) / "reproduced"),
        steps=wanted.steps,
        tolerance=wanted.tolerance,
        data_dir=wanted.data_dir,
        data_path=wanted.data_path,
        prepare_corpus=wanted.prepare_corpus,
    )

    def say(text: str) -> None:
        print(text, flush=True)

    if wanted.run is not None:
        found = [runs.reproduce(Path(wanted.run), how, say)]
    else:
        found = runs.study(Path(wanted.study or ""), how, say)
        _print_table(found)
    for folder in {one.directory.parent for one in found if one.directory is not None}:
        if any(folder.glob("*/config.yaml")):
            ledger.write(folder)
    verdicts = {one.verdict for one in found}
    return next(code for verdict, code in EXIT.items() if verdict in verdicts)


def _print_table(found: "Sequence[Reproduction]") -> None:
    from zeroscale.core.tables import Column, Table

    counts = (Column(label, number=True) for label in ("up to step", "steps", "scores"))
    rows = [
        [
            one.run.name,
            "" if one.until is None else f"{one.until:,}",
            *(f"{one.parts[name].compared:,}" if name in one.parts else "" for name in ("steps", "scores")),
            one.verdict,
            one.reason if one.verdict != "bit-identical" else "",
        ]
        for one in found
    ]
    print(Table.of_texts(["run", *counts, "verdict", "why"], rows).text())
    good = sum(one.verdict == "bit-identical" for one in found)
    print(f"{good} of {len(found)} runs are bit-identical")


def explain(config: Config) -> int:
    """Prints the chain behind a number; non-zero where a link of it does not hold."""
    wanted = build_config(ExplainConfig, config)
    from zeroscale.eval.cards import registry as cards
    from zeroscale.provenance import explain as chain

    def card_hash(name: str, protocol: str) -> str:
        """As the card stands in this checkout."""
        (one,) = cards.resolve([name])
        return one.hash(protocol)

    told = chain.explain(Path(wanted.study), wanted.cell, wanted.metric, wanted.step, card_hash)
    print(told.text())
    return 0 if told.holds else 1


def bundle(config: Config) -> int:
    """Packs a study."""
    wanted = build_config(BundleConfig, config)
    from zeroscale.provenance import bundle as bundles

    study = Path(wanted.study)
    packed = bundles.write(study, Path(wanted.out or f"{study.resolve().name}.tar.zst"), weights=wanted.weights)
    for note in packed.notes:
        print(f"note: {note}")
    print(f"{packed.path}: {packed.files:,} files, {packed.bytes / 1e6:.1f} MB; sha256 {packed.sha256}")
    return 0


def verify(config: Config) -> int:
    """Checks a bundle, and opens it where asked to; non-zero where a file is not what was packed."""
    wanted = build_config(VerifyConfig, config)
    from zeroscale.provenance import bundle_verify

    found = bundle_verify.verify(Path(wanted.bundle))
    for fault in found.faults:
        print(f"  {fault}")
    if found.faults:
        print(f"{wanted.bundle}: {len(found.faults)} faults, {found.good:,} files as packed; sha256 {found.sha256}")
        return 1
    print(f"{wanted.bundle}: all {found.good:,} files are as packed; sha256 {found.sha256}")
    if wanted.out:
        where = bundle_verify.open_into(Path(wanted.bundle), Path(wanted.out), found)
        print(f"opened in {where}")
    return 0
