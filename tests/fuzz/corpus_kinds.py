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
    notes = [text_file(draw, folder, number) for number in range(draw.choice([1, 1, 2, 3, 5]))]
    for path in mutate.files_below(folder):
        if path.is_file() and not path.is_symlink():
            if draw.random() < 0.15:
                notes.append(mutate.file_bytes(draw, path))
            elif draw.random() < 0.03:
                notes.append(mutate.tree(draw, path))
    if draw.random() < 0.1:
        os.symlink(
            draw.choice([".", "..", "nowhere", "/dev/null", "loop"]), folder / draw.choice(["loop", "z.txt", "l.jsonl"])
        )
        notes.append("a link")
    names = [path.name for path in folder.iterdir()]
    path = draw.choice(["texts"] * 5 + ["texts/*", "texts/**/*", f"texts/{draw.choice(names)}", "texts/*.jsonl"])
    argv = ["data", "data=files", f"data.path={path}", f"tokenizer={draw.choice(['bytes', 'bytes', 'bpe'])}"]
    argv += ["tokenizer.vocab_size=260"] if argv[-1] == "tokenizer=bpe" else []
    options = [
        "data.val_fraction=0.5",
        "data.val_fraction=0.2",
        "data.text_field=body",
        "data.drop_exact_duplicates=true",
    ]
    options += [
        "data.near_duplicate_threshold=0.5",
        "data.max_bytes=500",
        "data.document_start='^ = '",
        "data.workers=2",
    ]
    options += ["data.url_field=url", "data.split_on=<|endoftext|>"]
    argv += draw.sample(options[:-1] if draw.random() < 0.8 else options, draw.choice([0, 1, 1, 2]))
    return Attempt(argv, "; ".join(notes), ("outputs*",), check=lambda folder, said: corpus(folder / "outputs", said))


def text_file(draw: random.Random, folder: Path, number: int) -> str:
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
        field = draw.choice(["text", "text", "body"])
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
    packing = draw.choice(["", "", "", ".gz", ".zst", ".xz", ".bz2", ".GZ"])
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
