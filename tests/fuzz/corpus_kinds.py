"""Folders of texts of many kinds, prepared as a corpus."""

import bz2
import gzip
import io
import json
import lzma
import os
import random
from collections.abc import Iterator
from pathlib import Path

from fuzz import mutate
from fuzz.runner import Attempt

SENTENCE = "The old cat sees a small red house near the tree and runs slowly under it."


def corpora(draw: random.Random, seed: Path, work: Path) -> Attempt:
    """A folder of texts of many kinds, some damaged, prepared as a corpus."""
    folder = work / "texts"
    folder.mkdir()
    field = "text" if draw.random() < 0.85 else "body"
    rows = [json.dumps({field: f"{number} {SENTENCE}", "url": f"http://a.org/{number}"}) for number in range(40)]
    (folder / "good.jsonl").write_text("\n".join(rows) + "\n")
    notes = [text_file(draw, folder, field, number) for number in range(draw.choice([0, 1, 1, 2, 3]))]
    for path in mutate.files_below(folder):
        if path.is_file() and not path.is_symlink():
            if draw.random() < 0.12:
                notes.append(mutate.file_bytes(draw, path))
            elif draw.random() < 0.04:
                notes.append(mutate.tree(draw, path))
    if draw.random() < 0.12:
        target = draw.choice([".", "..", "nowhere", "/dev/null", "loop", "good.jsonl"])
        os.symlink(target, folder / draw.choice(["loop", "z.txt", "l.jsonl"]))
        notes.append(f"a link to {target}")
    names = [path.name for path in folder.iterdir()]
    places = ["texts"] * 6 + [
        "texts/*",
        "texts/**/*",
        f"texts/{draw.choice(names)}",
        "texts/*.jsonl",
        "~/../work/texts",
    ]
    argv = ["data", "data=files", f"data.path={draw.choice(places)}", "data.val_fraction=0.3"]
    argv += draw.choice([["tokenizer=bytes"], ["tokenizer=bytes"], ["tokenizer=bpe", "tokenizer.vocab_size=260"]])
    argv += [] if field == "text" else ["data.text_field=body"]
    argv += draw.sample(OPTIONS, draw.choice([0, 0, 1, 1, 2]))
    return Attempt(argv, "; ".join(notes), ("outputs*",), check=lambda folder, said: corpus(folder / "outputs", said))


OPTIONS = ["data.val_fraction=0.9", "data.val_fraction=0.02", "data.drop_exact_duplicates=true", "data.workers=2"]
OPTIONS += ["data.near_duplicate_threshold=0.5", "data.max_bytes=900", "data.document_start='^1'", "data.url_field=url"]
OPTIONS += ["data.leave_out_sites=[a.org]", "data.text_field=url", "data.name=x"]


def text_file(draw: random.Random, folder: Path, field: str, number: int) -> str:
    """One file of some kind."""
    lines = [
        " ".join(draw.sample(SENTENCE.split(), draw.randrange(3, 14))) for _ in range(draw.choice([0, 1, 20, 300, 300]))
    ]
    if lines and draw.random() < 0.4:
        odd = [
            "\u2028",
            "\r",
            "\x00",
            "\ufeff",
            "<|endoftext|>",
            "\U0001f600",
            "\x85",
            "a" * 5000,
            "\\ud800",
            "\t",
            " ",
            "\x1a",
        ]
        lines[draw.randrange(len(lines))] += draw.choice(odd)
    kind = draw.choice(["txt", "txt", "jsonl", "jsonl", "json", "ndjson", "parquet", "md", ""])
    name = draw.choice(["f", "f", "é", "a b", "x\udcff", "..x", "[a]", "-x", "n" * 240, "#", "?", "~"]) + str(number)
    path = folder / (f"{name}.{kind}" if kind else name)
    if draw.random() < 0.1:
        path = path.with_suffix(path.suffix.upper())
    if kind == "parquet":
        return parquet_file(draw, path, lines)
    if kind in ("jsonl", "json", "ndjson"):
        values = [json.dumps({field: line, "url": draw.choice(["http://a.org/x", "", None, 3])}) for line in lines]
        if values and draw.random() < 0.25:
            odd_rows = [
                "{}",
                "[]",
                "null",
                '{"text": null}',
                '{"text": 3}',
                '{"text": "\\ud800"}',
                "",
                "NaN",
                '{"text": ""}',
            ]
            odd_rows += [
                '{"text": ["a"]}',
                "{" * 2000,
                '{"text": "a", "text": "b"}',
                "[" * 100000,
                '{"text": ' + mutate.LONG + "}",
            ]
            values[draw.randrange(len(values))] = draw.choice(odd_rows)
        lines = values
    content = ("\n".join(lines) + draw.choice(["\n", "", "\n\n"])).encode("utf-8", "surrogatepass")
    packing = draw.choice([*[""] * 6, ".gz", ".gz", ".zst", ".zst", ".xz", ".bz2", ".GZ"])
    if packing:
        import zstandard

        pack = {".gz": gzip.compress, ".zst": zstandard.compress, ".xz": lzma.compress, ".bz2": bz2.compress}
        content = pack[packing.lower()](content) + draw.choice([b"", b"", b"\x00" * 20])
    path = path.with_name(path.name[:200] + packing)
    path.write_bytes(content)
    return f"{path.name[:20]!r}, {len(content)} bytes"


def parquet_file(draw: random.Random, path: Path, lines: list[str]) -> str:
    """A Parquet file whose column may be no text."""
    import pyarrow
    import pyarrow.parquet

    kinds = ["text", "text", "binary", "int", "null", "list", "dictionary", "large", "other", "view"]
    kind = draw.choice(kinds)
    arrays = {
        "text": lambda: pyarrow.array(lines, pyarrow.string()),
        "binary": lambda: pyarrow.array([line.encode() + b"\xff" for line in lines], pyarrow.binary()),
        "int": lambda: pyarrow.array(list(range(len(lines))), pyarrow.int64()),
        "null": lambda: pyarrow.array([None] * len(lines), pyarrow.string()),
        "list": lambda: pyarrow.array([[line] for line in lines], pyarrow.list_(pyarrow.string())),
        "dictionary": lambda: pyarrow.array(lines, pyarrow.string()).dictionary_encode(),
        "large": lambda: pyarrow.array(lines, pyarrow.large_string()),
        "other": lambda: pyarrow.array(lines, pyarrow.string()),
        "view": lambda: invalid_text(lines),
    }
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"body" if kind == "other" else "text": arrays[kind]()}), buffer)
    path.write_bytes(buffer.getvalue())
    return f"{path.name[:20]!r}, Parquet: {kind}"


def invalid_text(lines: list[str]):
    """A column of strings that are not UTF-8."""
    import pyarrow

    return pyarrow.array([line.encode() + b"\xff\xfe" for line in lines], pyarrow.binary()).view(pyarrow.string())


def corpus(outputs: Path, said: str) -> Iterator[str]:
    """index.json says of its shards what they hold; what was printed is what it says."""
    import hashlib

    for path in outputs.glob("corpora/*/index.json"):
        index = json.loads(path.read_text())
        yield from amounts(index)
        width = {"uint16": 2, "uint32": 4, "<u2": 2, "<u4": 4}[index["dtype"]]
        for name, split in index["splits"].items():
            held = 0
            for shard in split["shards"]:
                content = (path.parent / shard["file"]).read_bytes()
                held += len(content) // width
                if len(content) != shard["tokens"] * width or hashlib.sha256(content).hexdigest() != shard["sha256"]:
                    yield f"{shard['file']} is not what index.json says"
            if held != split["tokens"]:
                yield f"{name}: {split['tokens']} tokens in index.json, {held} in its shards"
            if split["documents"] < 1 or split["tokens"] < split["documents"]:
                yield f"{name}: {split['documents']} documents, {split['tokens']} tokens"
            if f"{split['tokens']:,}" not in said:
                yield f"{name}: its {split['tokens']:,} tokens are not in what was said"
    if not list(outputs.glob("corpora/*/index.json")):
        yield "exit code 0 and no corpus"


def amounts(index: dict) -> Iterator[str]:
    """The documents of the splits, with what was dropped, are those that were read."""
    kept = [split["documents"] for split in index["splits"].values()]
    dropped = [split.get(f"{kind}_duplicates", 0) for split in index["splits"].values() for kind in ("exact", "near")]
    read = index["read"]["documents"] - sum(count["documents"] for count in index.get("left_out", {}).values())
    if "leave_out" not in index and sum(kept) + sum(dropped) != read:
        yield f"{sum(kept)} documents kept and {sum(dropped)} dropped of {read} that were read"
