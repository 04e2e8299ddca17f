"""A study's records and its bundle: damaged, and read by every command that reads them."""

import io
import json
import random
import tarfile
from collections.abc import Iterator
from pathlib import Path

from fuzz import mutate, seeds
from fuzz.runner import Attempt


def records(draw: random.Random, seed: Path, work: Path) -> Attempt:
    """A study of which one file or two are damaged, and a command that reads it."""
    made = draw.random() < 0.6
    seeds.copy(seed / ("study" if made else "trained"), work)
    study = "outputs/four" if made else "outputs/single"
    kinds = ("*.json", "*.yaml", "*.jsonl", "*.parquet", "*.csv", "log.txt", "DONE")
    by_kind = [[path for path in mutate.files_below(work / study) if path.match(kind)] for kind in kinds]
    weights = [10, 3, 3, 2, 1, 1, 1]
    note = []
    for _ in range(draw.choice([1, 1, 1, 2])):
        files = draw.choices([group or by_kind[0] for group in by_kind], weights)[0]
        files = [path for path in files if path.is_file() and not path.is_symlink()]
        if files:
            path = draw.choice(files)
            note.append(f"{path.parent.relative_to(work)}/{mutate.any_file(draw, path)}")
    argv, writes = study_command(draw, work, study)
    return Attempt(argv, "; ".join(note), writes)


def study_command(draw: random.Random, work: Path, study: str) -> tuple[list[str], tuple[str, ...]]:
    """A command on a study, and what it may write."""
    cells = sorted(str(path.parent.relative_to(work)) for path in (work / study).glob("*/config.yaml")) or [study]
    cell = draw.choice(cells)
    ledger, page = f"{study}/results.csv", f"{study}/report*"
    metric = draw.choice(["lambada/acc", "val/loss", "alpha", "lambada/perplexity", "params", "N_c", "wsc273/acc"])
    rescore = ["eval", "rescore=true", f"study={study}", "bootstrap=100"]
    table: list[tuple[int, list[str], tuple[str, ...]]] = [
        (5, ["report", f"study={study}"], (page, ledger)),
        (4, ["report", f"study={study}", "format=text"], (ledger,)),
        (5, ["fit", f"runs={study}", "bootstrap=100"], (ledger, f"{study}/fit.json")),
        (
            5,
            ["explain", f"study={study}", f"metric={metric}", *draw.choice([[], [f"cell={Path(cell).name}"]])],
            (ledger,),
        ),
        (4, ["status", f"study={study}"], ()),
        (3, ["compare", f"runs=[{cells[0]},{cell}]", "resamples=100"], ()),
        (2, ["compare", f"studies=[{study},{study}]", "laws.bootstrap=100"], ()),
        (4, rescore, (ledger, f"{study}/*/evals/*")),
        (2, ["bundle", f"study={study}", "out=b.tar.zst"], ("b.tar.zst", ledger)),
        (2, ["export", f"checkpoint={cell}", "out=exported"], ("exported*",)),
        (2, ["batch", f"run={cell}", "step=1"], ()),
        (1, ["sample", f"checkpoint={cell}", "prompt=the", "max_new_tokens=2"], ()),
        (2, ["overlap", f"study={study}", "workers=1"], (f"{study}/overlap*", ledger)),
        (
            2,
            ["eval", f"checkpoint={cell}", "limit=1", "bootstrap=100", "cards_from=sample"],
            (ledger, f"{study}/*/evals/*"),
        ),
        (1, ["plan", f"init_from.run={cell}", "init_from.tokens=1024", "hardware=h200"], ()),
    ]
    _, argv, writes = draw.choices(table, [weight for weight, _, _ in table])[0]
    return argv, writes


def bundles(draw: random.Random, seed: Path, work: Path) -> Attempt:
    """A bundle with damaged bytes, or with members that it should not have."""
    import zstandard

    content = (seed / "bundle" / "four.tar.zst").read_bytes()
    packed = zstandard.ZstdDecompressor().decompressobj().decompress(content)
    kind = draw.random()
    note = "whole"
    if kind < 0.25:
        content, note = mutate.damaged(draw, content)
    else:
        if kind < 0.45:
            packed, note = mutate.damaged(draw, packed)
        elif kind < 0.97:
            packed, note = members(draw, packed)
        content = zstandard.ZstdCompressor().compress(packed)
    name = draw.choice(["b.tar.zst"] * 6 + ["b.tar", "b", "é.tar.zst"])
    (work / name).write_bytes(content)
    argv = ["verify", f"bundle={name}", *draw.choice([[], ["out=opened"], ["out=opened"]])]
    return Attempt(
        argv, note, ("opened*", "outputs/*"), strict=False, check=lambda folder, said: opened(folder, packed, said)
    )


def members(draw: random.Random, packed: bytes) -> tuple[bytes, str]:
    """The tar with one member changed, added, doubled, renamed, or of another kind."""
    entries = tar_entries(packed)
    index = draw.randrange(len(entries))
    if draw.random() < 0.4:  # the list of checksums and the records beside it are the few that are parsed
        index = draw.choice([i for i, (member, _) in enumerate(entries) if member.name.count("/") <= 1])
    member, content = entries[index]
    kind = draw.randrange(9)
    note = f"{member.name}: "
    if kind == 0:
        content, what = mutate.damaged(draw, content)
        note += what
    elif kind in (1, 2):
        try:
            value, what = mutate.json_value(draw, json.loads(content))
            content = mutate.dumps(value).encode("utf-8", "surrogatepass")
        except (ValueError, RecursionError):
            content, what = mutate.damaged(draw, content)
        note += what
    elif kind == 3:
        member.name = draw.choice(
            ["../out.txt", "/tmp/fuzz-escaped", "x/../../y", "a" * 300, ".", "", "four", "é\udcff"]
        )
        note += f"is called {member.name!r}"
    elif kind == 4:
        member.type, member.linkname = (
            draw.choice([tarfile.SYMTYPE, tarfile.LNKTYPE]),
            draw.choice(["/etc/passwd", "..", "x"]),
        )
        content, member.size = b"", 0
        note += "is a link"
    elif kind == 5:
        member.type = draw.choice([tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE])
        content, member.size = b"", 0
        note += "is a device or a folder"
    elif kind == 6:
        entries.insert(draw.randrange(len(entries)), (member, content))
        note += "is there twice"
    elif kind == 7:
        entries.append((tarfile.TarInfo(draw.choice(["four/extra.txt", "extra.txt", "four/../../up"])), b""))
        note = "one more member"
    else:
        note += "is gone"
    member.size = len(content)
    entries[index] = (member, content)
    if kind == 8:
        del entries[index]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as target:
        for entry, body in entries:
            target.addfile(entry, io.BytesIO(body))
    return buffer.getvalue(), note


def tar_entries(packed: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
    """Every member with its content."""
    entries = []
    with tarfile.open(fileobj=io.BytesIO(packed)) as source:
        for member in source.getmembers():
            stream = source.extractfile(member) if member.isfile() else None
            entries.append((member, stream.read() if stream else b""))
    return entries


def opened(folder: Path, packed: bytes, said: str) -> Iterator[str]:
    """What lies in opened/ is what the tar holds, file by file."""
    if not (folder / "opened").exists():
        return
    held = {member.name: content for member, content in tar_entries(packed) if member.isfile()}
    for path in mutate.files_below(folder / "opened"):
        name = str(path.relative_to(folder / "opened"))
        if name not in held:
            yield f"{name} was opened and is not in the bundle"
        elif path.read_bytes() != held[name]:
            yield f"{name} is not as packed"
