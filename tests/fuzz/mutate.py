"""Seeded damage to bytes, JSON and folders: each mutator takes a `random.Random`, and says in words what it did."""

import json
import math
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

# A number with more digits than Python turns to text, and other JSON that `json.dumps` will not write.
LONG = "9" * 5000
RAW = {"@raw-long@": LONG, "@raw-1e400@": "1e400", "@raw-surrogate@": '"\\ud800"', "@raw-minus@": "-0.0"}
RAW |= {"@raw-nest@": "[" * 3000 + "]" * 3000, "@raw-object@": '{"a":' * 3000 + "1" + "}" * 3000}
RAW |= {"@raw-1e-400@": "1e-400", "@raw-twice@": '{"a": 1, "a": 2}', "@raw-nul@": '"a\\u0000b"'}
SCALARS: list[object] = [None, True, False, 0, -1, 1, 2, 3, 0.5, -0.5, 1e300, 1e-300, 2**31, 2**63, 2**64, -(2**63)]
SCALARS += [10**9, 10**30, math.nan, math.inf, -math.inf, "", " ", "0", "1", "nan", "null", "true", "é", "\ud83d\ude00"]
SCALARS += ["\n", "\r", "a/b", "../x", "/dev/null", "x" * 3000, "${x}", "???", "\u2028", "<b>", "=1", *RAW]
CONTAINERS: list[object] = [[], {}, [1], [[1]], [None], {"a": 1}, {"": None}, ["a", 1], {"value": 1}, [[], {}]]
WORDS = [
    b"\x00",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\r\n",
    b"\r",
    b"\n\n",
    b"\xe2\x80\xa8",
    b"NaN",
    b"Infinity",
]
WORDS += [
    b"1e400",
    b"{",
    b"}",
    b"[",
    b'"',
    b"\\",
    b"\\ud800",
    b"-1",
    b"99999999999999999999",
    b"null",
    b",",
    b": ",
    b"&a *a",
]


def nasty(draw: random.Random) -> object:
    """A value that some reader will not expect."""
    return draw.choice(SCALARS) if draw.random() < 0.75 else draw.choice(CONTAINERS)


def dumps(value: object) -> str:
    """JSON, or what passes for it: NaN, numbers of 5,000 digits, lone surrogates."""
    text = json.dumps(value, ensure_ascii=False, indent=1)
    for mark, raw in RAW.items():
        text = text.replace(f'"{mark}"', raw)
    return text


def write_json(path: Path, value: object) -> None:
    path.write_bytes(dumps(value).encode("utf-8", "surrogatepass"))


# JSON


def _places(value: object, place: tuple = ()) -> list[tuple]:
    found = [place]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += _places(item, (*place, key))
    return found


def json_value(draw: random.Random, value: object) -> tuple[object, str]:
    """A JSON value with one place of it changed, removed, renamed, wrapped or nested."""
    value = json.loads(json.dumps(value))
    places = _places(value)
    # High places are few and are read first: half of the draws go there.
    near = [place for place in places if len(place) <= 2]
    place = draw.choice(near if draw.random() < 0.6 else places)
    shown = ".".join(map(str, place)) or "the whole"
    if not place:
        new = nasty(draw)
        return new, f"the whole is {_short(new)}"
    parent: object = value
    for key in place[:-1]:
        parent = parent[key]  # type: ignore[index]
    last = place[-1]
    kind = draw.random()
    if kind < 0.62:
        parent[last] = new = nasty(draw)  # type: ignore[index]
        return value, f"{shown} is {_short(new)}"
    if kind < 0.76:
        del parent[last]  # type: ignore[attr-defined]
        return value, f"{shown} is gone"
    if kind < 0.86:
        old = parent[last]  # type: ignore[index]
        parent[last] = new = draw.choice([[old], {"value": old}, str(old), [old, old], {str(last): old}])  # type: ignore[index]
        return value, f"{shown} is wrapped: {_short(new)}"
    if isinstance(parent, dict):
        name = draw.choice(["x", "", last.upper(), last + " ", "../" + last, "\ud800", "a" * 300])
        if kind < 0.93:
            parent[name] = parent.pop(last)
            return value, f"{shown} is called {name!r:.40}"
        parent[name] = nasty(draw)
        return value, f"beside {shown} stands {name!r:.40}"
    if isinstance(parent, list):
        if kind < 0.93:
            parent.insert(draw.randrange(len(parent) + 1), new := nasty(draw))
            return value, f"into the list of {shown} goes {_short(new)}"
        parent.extend(parent[:])
        return value, f"the list of {shown} is there twice"
    return value, "nothing"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 60 else text[:57] + "…"


def json_file(draw: random.Random, path: Path) -> str:
    """Changes a JSON file in one or two places; at times its bytes."""
    if draw.random() < 0.15:
        return file_bytes(draw, path)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return file_bytes(draw, path)
    notes = []
    for _ in range(draw.choice([1, 1, 1, 2])):
        value, note = json_value(draw, value)
        notes.append(note)
        if not isinstance(value, dict | list) or "\ud800" in repr(value):
            break
    write_json(path, value)
    return f"{path.name}: {', '.join(notes)}"


def jsonl_file(draw: random.Random, path: Path) -> str:
    """Changes a line of a file of JSON lines."""
    lines = path.read_text(encoding="utf-8").splitlines()
    if draw.random() < 0.25 or not lines:
        return file_bytes(draw, path)
    number = draw.randrange(len(lines))
    kind = draw.random()
    if kind < 0.75:
        try:
            value, note = json_value(draw, json.loads(lines[number]))
        except (ValueError, RecursionError):
            return file_bytes(draw, path)
        lines[number] = dumps(value).replace("\n", "")
    elif kind < 0.85:
        note = "is gone"
        del lines[number]
    else:
        note = "is there twice"
        lines.insert(draw.randrange(len(lines)), lines[number])
    path.write_bytes(("\n".join(lines) + "\n").encode("utf-8", "surrogatepass"))
    return f"{path.name}, line {number + 1}: {note}"


# Bytes


def damaged(draw: random.Random, content: bytes) -> tuple[bytes, str]:
    """Bytes with a flip, a cut, something put in, or gone."""
    at = draw.randrange(len(content) + 1)
    if draw.random() < 0.3:
        at = min(at, draw.randrange(64))  # heads of files are where sizes and shapes stand
    kind = draw.randrange(9)
    if kind == 0 and content:
        at = min(at, len(content) - 1)
        bit = 1 << draw.randrange(8)
        return content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :], f"bit {bit} of byte {at} is flipped"
    if kind == 1:
        return content[:at], f"cut after byte {at}"
    if kind == 2:
        word = draw.choice(WORDS)
        return content[:at] + word + content[at:], f"{word!r} at byte {at}"
    if kind == 3:
        length = draw.randrange(1, 200)
        return content[:at] + content[at + length :], f"bytes {at} to {at + length} are gone"
    if kind == 4:
        piece = content[at : at + draw.randrange(1, 400)]
        return content[:at] + piece + content[at:], f"{len(piece)} bytes from {at} on are there twice"
    if kind == 5:
        length = draw.randrange(1, 40)
        value = bytes(draw.randrange(256) for _ in range(length))
        return content[:at] + value + content[at + length :], f"{length} bytes from {at} on are noise"
    if kind == 6:
        return b"", "empty"
    if kind == 7:
        word = draw.choice(WORDS)
        return content + word, f"{word!r} at the end"
    coding = draw.choice(["utf-16", "utf-8-sig", "crlf"])
    if coding == "crlf":
        return content.replace(b"\n", b"\r\n"), "with CRLF"
    return content.decode("utf-8", "replace").encode(coding), f"in {coding}"


def file_bytes(draw: random.Random, path: Path) -> str:
    content, note = damaged(draw, path.read_bytes())
    path.write_bytes(content)
    return f"{path.name}: {note}"


# Folders


def tree(draw: random.Random, path: Path) -> str:
    """A file is gone, renamed, doubled, a folder, or a link to itself, to nothing, to a device."""
    name = path.name
    kind = draw.choice(["gone", "renamed", "doubled", "folder", "loop", "dangling", "device", "empty", "parent"])
    if kind == "doubled":
        shutil.copyfile(path, path.with_name(draw.choice([f"{name}.bak", f"{name} (1)", f".{name}", f"copy-{name}"])))
        return f"{name} is doubled"
    if kind == "renamed":
        new = draw.choice([name.upper(), f"{name}.txt", f"x-{name}", path.stem])
        path.rename(path.with_name(new))
        return f"{name} is renamed to {new}"
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(name)
    elif kind == "dangling":
        path.symlink_to("nowhere")
    elif kind == "device":
        path.symlink_to(draw.choice(["/dev/zero", "/dev/null", "/dev/full"]))
    elif kind == "parent":
        path.symlink_to(path.parent)
    elif kind == "empty":
        path.touch()
    return f"{name}: {kind}"


Mutator = Callable[[random.Random, Path], str]


def any_file(draw: random.Random, path: Path) -> str:
    """Damage that fits a file's kind."""
    if draw.random() < 0.08:
        return tree(draw, path)
    by_suffix: dict[str, Mutator] = {
        ".json": json_file,
        ".jsonl": jsonl_file,
        ".yaml": yaml_file,
        ".safetensors": tensors,
    }
    return by_suffix.get(path.suffix, file_bytes)(draw, path)


def yaml_file(draw: random.Random, path: Path) -> str:
    """Changes a YAML file: as JSON, which is YAML, or by what only YAML has."""
    import yaml

    kind = draw.random()
    if kind < 0.2:
        return file_bytes(draw, path)
    if kind < 0.35:
        extra = draw.choice(
            [
                "a: &a [*a]\n",
                "b: &b {<<: *b}\n",
                "x: !!python/object/apply:os.system ['touch RAN']\n",
                "y: 2026-13-45\n",
                "l0: &l0 [x,x,x,x,x,x,x,x,x]\n"
                + "".join(f"l{i}: &l{i} [{','.join([f'*l{i - 1}'] * 9)}]\n" for i in range(1, 9)),
                "? [1, 2]\n: 3\n",
                "1: 2\n",
                "null: 1\n",
                "t: 12:30:45\n",
                "d: 2026-01-01\n",
                "d: 2026-01-01T00:00:00Z\n",
                "s: !!set {a, b}\n",
                "b: !!binary aGk=\n",
                "%TAG ! x\n",
                "---\na: 1\n---\nb: 2\n",
                "n: " + "[" * 2000 + "]" * 2000 + "\n",
                "n: " + LONG + "\n",
                "seed: 1\nseed: 2\n",
                "\tx: 1\n",
            ]
        )
        path.write_text(path.read_text(encoding="utf-8") + extra, encoding="utf-8")
        return f"{path.name} ends with {extra[:60]!r}"
    try:
        value = json.loads(json.dumps(yaml.safe_load(path.read_text(encoding="utf-8"))))
    except (ValueError, TypeError, RecursionError, yaml.YAMLError):
        return file_bytes(draw, path)
    value, note = json_value(draw, value)
    write_json(path, value)
    return f"{path.name}: {note}"


def tensors(draw: random.Random, path: Path) -> str:
    """Changes the header of a file of safetensors, or its bytes."""
    content = path.read_bytes()
    if draw.random() < 0.25:
        return file_bytes(draw, path)
    size = int.from_bytes(content[:8], "little")
    try:
        header, body = json.loads(content[8 : 8 + size]), content[8 + size :]
    except (ValueError, RecursionError):
        return file_bytes(draw, path)
    kind = draw.random()
    if kind < 0.15:
        size = draw.choice([0, 1, 2**31, 2**63, 2**64 - 1, size - 1, size + 1])
        path.write_bytes(size.to_bytes(8, "little") + content[8:])
        return f"{path.name}: a header of {size} bytes"
    names = [name for name in header if name != "__metadata__"]
    name = draw.choice(names)
    if kind < 0.35:
        header[name]["dtype"] = new = draw.choice(["F16", "BF16", "F64", "I64", "U8", "BOOL", "F8_E4M3", "C64", "X", 3])
        note = f"{name} is of {new}"
    elif kind < 0.55:
        old = header[name]["shape"]
        header[name]["shape"] = new = draw.choice(
            [old[::-1], [*old, 1], [math.prod(old)], [], [0], [-1], [2**40], "x", None]
        )
        note = f"{name} has the shape {new}"
    elif kind < 0.65:
        header.pop(name)
        note = f"{name} is gone"
    elif kind < 0.75:
        new = draw.choice(
            [f"model.{name}", f"{name}.extra", name.replace("transformer.", ""), "lm_head.weight", name.upper()]
        )
        header[new] = header.pop(name)
        note = f"{name} is called {new}"
    elif kind < 0.85:
        start, end = header[name]["data_offsets"]
        value = draw.choice([b"\xff", b"\x00"])
        body = body[:start] + value * (end - start) + body[end:]
        note = f"{name} is all {value!r}"
    else:
        value, note = json_value(draw, header)
        header = value  # type: ignore[assignment]
    text = dumps(header).encode("utf-8", "surrogatepass")
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return f"{path.name}: {note}"


def files_below(folder: Path) -> list[Path]:
    """Every file, in order of name."""
    return sorted(Path(base) / name for base, _, names in os.walk(folder) for name in names)
