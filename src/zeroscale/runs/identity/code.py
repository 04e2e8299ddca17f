"""The source that can change a training result, as one hash over it and one for each file.

A file's hash is over its syntax tree: comments, docstrings, layout and the words of errors do not count. The form of
the tree is our own, for `ast.dump` differs between versions of Python.
"""

import ast
import gc
from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from zeroscale.core import paths
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import sha256_json
from zeroscale.core.own import code as own_code

if TYPE_CHECKING:
    from zeroscale.config.train import TrainConfig

# Rooms and files of the package that compute a training result: the model, its data, its steps, the derived settings of
# a run and its validation loss. The others resolve settings, which are hashed themselves, keep records, or score.
COMPUTING = ("model", "data", "training", "config/optimizer.py", "config/train.py", "eval/held_out.py")
# Of these rooms, what shows or records, or serves commands other than `train`.
NOT_COMPUTING = (
    "data/corpus_notes.py",
    "data/hf_tokenizer.py",
    "data/passages.py",
    "data/prepare/progress.py",
    "model/generation",
    "model/hf_config.py",
    "model/hf_format.py",
    "model/memory.py",
    "training/fast_import.py",
    "training/progress_events.py",
    "training/throughput.py",
    "training/trackers",
)


class CodeFacts(TypedDict, total=False):
    """Code as a manifest records it: the hash over all of it, of each file 16 hexadecimal digits, and a hash over the
    files as they stand, by which code is known again without being parsed."""

    hash: str
    files: dict[str, str]
    bytes: str


Own = Mapping[str, Path]
"""Python of the user's own that a run's settings name (`module:name`): files by the names that records give them."""


def read(own: Own | None = None) -> CodeFacts:
    """The code that this process would train with, the user's own files among it.

    Raises:
        ZeroscaleError: a file cannot be read, or is not Python.
    """
    return _read(paths.PACKAGE, tuple(sorted((own or {}).items())))


def of(config: "TrainConfig") -> CodeFacts:
    """The code that a run with these settings would be trained with here and now."""
    return read(own_files(config))


def own_files(config: "TrainConfig") -> dict[str, Path]:
    """The files of the user's own that the settings name, by the names that records give them (in its folder)."""
    named = {"optimizer.name": config.optimizer.name, "schedule.name": config.schedule.name}
    found: dict[str, Path] = {}
    for key, name in named.items():
        if own_code.is_own(name):
            found |= own_code.files(name, key)
    return found


def is_now(recorded: CodeFacts, own: Own | None = None) -> bool:
    """Whether recorded code is what `read` gives; where no byte has changed, nothing is parsed."""
    files = _files(paths.PACKAGE, tuple(sorted((own or {}).items())))
    return recorded.get("bytes") == _bytes_hash(files) or recorded.get("hash") == read(own)["hash"]


def differing(recorded: CodeFacts, now: CodeFacts) -> list[str]:
    """The files that differ between two codes, those of one alone among them."""
    before, after = recorded.get("files", {}), now.get("files", {})
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


@cache
def _read(package: Path, own: tuple[tuple[str, Path], ...]) -> CodeFacts:
    files = _files(package, own)
    # A tree is many small objects that all live: the collector would look at them again and again.
    collecting = gc.isenabled()
    gc.disable()
    try:
        hashes = {name: hash_source(content, name) for name, content in files.items()}
    finally:
        if collecting:
            gc.enable()
    return {"hash": sha256_json(hashes), "files": hashes, "bytes": _bytes_hash(files)}


@cache
def _files(package: Path, own: tuple[tuple[str, Path], ...]) -> dict[str, bytes]:
    """The content of the files that count, by name; as this process first saw them."""
    found: dict[str, bytes] = {}
    for part in COMPUTING:
        for path in sorted((package / part).rglob("*.py")) if not part.endswith(".py") else [package / part]:
            name = path.relative_to(package).as_posix()
            if not name.startswith(NOT_COMPUTING):
                found[name] = path.read_bytes()
    for name, path in own:
        try:
            found[name] = path.read_bytes()
        except OSError as error:
            raise ZeroscaleError(f"{path} cannot be read: {error.strerror}") from error
    return found


def _bytes_hash(files: Mapping[str, bytes]) -> str:
    return sha256_json({name: sha256(content).hexdigest() for name, content in files.items()})


def hash_source(source: bytes, name: str = "<source>") -> str:
    """16 hexadecimal digits of the sha256 over what a Python file does.

    Raises:
        ZeroscaleError: it is not Python.
    """
    try:
        tree = ast.parse(source, name)
    except (SyntaxError, ValueError) as error:
        raise ZeroscaleError(f"{name} is not Python: {error}") from error
    parts: list[str] = []
    _write(tree, parts)
    return sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


# Fields that say nothing of what is computed, or repeat what the place in the tree says.
_SILENT = {"ctx", "kind", "type_comment", "type_ignores"}


def _write(node: object, parts: list[str]) -> None:
    """Appends the tree in an order of its own: kind, then the fields that hold anything, by name.

    Fields that later versions of Python added are empty for the code of earlier ones, and so are not in it.
    """
    if isinstance(node, ast.AST):
        parts.append(type(node).__name__)
        if isinstance(node, ast.Constant):
            parts.append(repr(node.value))
            return
        for field in node._fields:
            value = getattr(node, field, None)
            if value is None or value == [] or field in _SILENT:
                continue
            parts.append(field)
            if isinstance(node, ast.Raise | ast.Assert) and field in ("exc", "msg"):
                _write_error(value, parts)
            elif isinstance(node, ast.JoinedStr):
                # Python 3.12 puts an empty piece behind a computed width.
                _write([piece for piece in value if not _is_text(piece, "")], parts)
            else:
                _write(value, parts)
        parts.append(")")
    elif isinstance(node, list):
        for item in node:
            if not _has_no_effect(item):
                _write(item, parts)
        parts.append("]")
    else:
        parts.append(repr(node))


def _has_no_effect(node: object) -> bool:
    """Whether it is `pass` or a docstring."""
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and _is_text(node.value))


def _is_text(node: ast.AST, text: str | None = None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and text in (None, node.value)


def _write_error(node: ast.AST, parts: list[str]) -> None:
    """Which error is raised, without its words."""
    raised = node.func if isinstance(node, ast.Call) else node
    if not isinstance(raised, ast.Constant | ast.JoinedStr | ast.BinOp):
        _write(raised, parts)


def describe(names: Iterable[str], limit: int = 6) -> str:
    """Names of files in a sentence: the first ones, and how many more."""
    listed = list(names)
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return ", ".join(listed[:limit]) + more
