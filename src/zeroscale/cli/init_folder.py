"""`zeroscale init DIR`: a folder of the user's own, with an example of everything that can lie in one."""

from collections.abc import Sequence
from pathlib import Path

from zeroscale.core import paths
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import write_bytes

HELP = """zeroscale init DIR: makes a folder of your own.

It holds a model's size, an optimizer and a schedule in Python, a sweep, a benchmark card, a suite, and a README with
the commands. Commands that run in it (or with --config-dir DIR) find its files beside those that come with zeroscale;
on the same name yours win. Files that are there already are never overwritten.
"""


def run(arguments: Sequence[str]) -> int:
    """Writes the folder; returns the exit code.

    Raises:
        ZeroscaleError: not one directory is named, or it holds a file that would be overwritten: nothing is written.
    """
    if "-h" in arguments or "--help" in arguments:
        print(HELP, end="")
        return 0
    if len(arguments) != 1 or arguments[0].startswith("-") or not arguments[0]:
        raise ZeroscaleError("zeroscale init takes one thing, the folder to make: zeroscale init DIR")
    target = Path(paths.check_length(arguments[0]))
    files = {path.relative_to(template()): path for path in _files(template())}
    _refuse(target, files)
    for name, source in files.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        write_bytes(target / name, source.read_bytes())
    print(f"{target}:")
    for name in sorted(files):
        print(f"  {name}")
    print(f"next:\n  cd {target}\n  zeroscale train +sweeps=mine\n  README.md says more")
    return 0


def template() -> Path:
    """The folder that is copied."""
    return paths.share() / "template"


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _refuse(target: Path, files: dict[Path, Path]) -> None:
    for folder in (target, *target.parents):
        if folder.exists() and not folder.is_dir():
            raise ZeroscaleError(f"{folder} is a file; zeroscale init DIR makes a folder")
    taken = [str(name) for name, source in files.items() if _differs(target / name, source)]
    if taken:
        raise ZeroscaleError(
            f"{target} holds {', '.join(taken[:5])}{' and more' if len(taken) > 5 else ''} already, and nothing is "
            "overwritten; nothing was written. Choose another folder, or move these"
        )


def _differs(place: Path, source: Path) -> bool:
    """Whether something else lies where a file is to be written."""
    if not place.exists() and not place.is_symlink():
        return any(parent.exists() and not parent.is_dir() for parent in place.parents)
    return not place.is_file() or place.read_bytes() != source.read_bytes()
