"""Python of the user's own, named in YAML as `module:name`: a file of the user's own folder and something in it."""

import ast
import importlib.util
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.own import folder

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
# Modules that `load` has imported, and their files: another folder's module of the same name may take their place.
_LOADED: dict[str, str] = {}


def is_own(name: str) -> bool:
    """Whether a name is of the form `module:name`."""
    return _NAME.fullmatch(name) is not None


def load(name: str, key: str) -> object:
    """What `module:name` stands for.

    Args:
        key: the setting that names it, for messages.

    Raises:
        ZeroscaleError: there is no own folder, no such file in it, or nothing of that name in the file. Errors of the
            file itself pass through; `place_of` tells where they arose.
    """
    module_name, _, attribute = name.partition(":")
    root, path = _file(name, key)
    module = _import(module_name, root, path)
    if not hasattr(module, attribute):
        defined = [word for word, value in vars(module).items() if getattr(value, "__module__", "") == module_name]
        has = f"it defines {', '.join(defined)}" if defined else "it defines nothing"
        raise ZeroscaleError(f"{key}={name}: there is no {attribute} in {path}; {has}")
    found: object = getattr(module, attribute)
    return found


def files(name: str, key: str) -> dict[str, Path]:
    """The file of `module:name` and those of the same folder that it imports, by their names relative to the folder.

    Raises:
        ZeroscaleError: as `load`; or a file is not Python.
    """
    root, first = _file(name, key)
    found: dict[str, Path] = {}
    waiting = [first]
    while waiting:
        path = waiting.pop()
        relative = path.relative_to(root).as_posix()
        if relative not in found:
            found[relative] = path
            waiting += [imported for module in _imports(path, root) if (imported := _module_file(root, module))]
    return dict(sorted(found.items()))


def place_of(error: BaseException) -> str | None:
    """`FILE, line N` where an error arose in Python of the user's own, or was raised on its call; None elsewhere."""
    root = folder.find()
    if isinstance(error, SyntaxError) and error.filename:
        frames: Sequence[tuple[str, int | None]] = [(error.filename, error.lineno)]
    else:
        frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    for file, line in reversed(frames):
        if root and file in _LOADED.values() and Path(file).is_relative_to(root):
            return f"{Path(file).relative_to(root)}, line {line}"
    return None


def _file(name: str, key: str) -> tuple[Path, Path]:
    """The own folder, and the file of `module:name` in it."""
    module_name = name.partition(":")[0]
    root = folder.find()
    if root is None:
        raise ZeroscaleError(
            f"{key}={name}: Python of your own lies in your own folder, and there is none here: work in one (zeroscale "
            f"init DIR makes it), or give --config-dir DIR or {folder.VARIABLE}=DIR"
        )
    path = _module_file(root, module_name)
    if path is None:
        raise ZeroscaleError(f"{key}={name}: there is no {module_name.replace('.', '/')}.py in {root}")
    return root, path


def _module_file(root: Path, module: str) -> Path | None:
    place = root.joinpath(*module.split("."))
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


def _import(name: str, root: Path, path: Path) -> ModuleType:
    present = sys.modules.get(name)
    if present is not None and getattr(present, "__file__", None) == str(path):
        return present
    if present is not None and name not in _LOADED:
        raise ZeroscaleError(f"{path}: {name} is the name of a module that is loaded already; give the file another")
    if str(root) not in sys.path:
        # Last, so that a file of the user's takes no library's place.
        sys.path.append(str(root))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    _LOADED[name] = str(path)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _imports(path: Path, root: Path) -> list[str]:
    """The modules that a file imports, by their names from the folder's root."""
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except (SyntaxError, ValueError) as error:
        raise ZeroscaleError(f"{path} is not Python: {error}") from error
    package = list(path.relative_to(root).parts[:-1])
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found += [module, *(f"{module}.{alias.name}".lstrip(".") for alias in node.names)]
    return [name for name in found if name]
