"""One spelling for each path that the settings hash holds: relative to the working directory where it lies below it."""

import glob
import os

from zeroscale.config.hashing import PATHS
from zeroscale.config.raw import RawConfig


def normalise(config: RawConfig) -> None:
    """Gives the paths of plain settings their one spelling, in place: `texts/`, `./texts`, `/here/texts` are `texts`.

    What is no text, or names nothing below the working directory, is only freed of `.`, `..` and slashes too many.
    """
    for key in PATHS:
        group, leaf = key.split(".")
        values = config.get(group)
        if isinstance(values, dict) and isinstance(values.get(leaf), str):
            is_hub_name = group == "tokenizer" and not os.path.isdir(values[leaf])
            values[leaf] = values[leaf] if is_hub_name else normal(values[leaf])


def normal(path: str) -> str:
    """The one spelling of a path or glob; `~` stays, for it means another folder elsewhere."""
    if not path or path.startswith("~") or "\0" in path:
        return path
    if glob.has_magic(path) and ".." in path[_first_sign(path) :].split("/"):
        return path
    short = os.path.normpath(path)
    if os.path.realpath(short) != os.path.realpath(path):
        # `link/..` is not where the link stands.
        return path
    below = _below_working_directory(os.path.abspath(short))
    return below if below is not None else short


def _first_sign(pattern: str) -> int:
    return min(pattern.index(sign) for sign in "*?[" if sign in pattern)


def _below_working_directory(path: str) -> str | None:
    """The part of a path below the working directory, which a link in the path may name otherwise; None: elsewhere."""
    here, parts = os.stat("."), path.split("/")
    for end in range(len(parts), 1, -1):
        try:
            status = os.stat("/".join(parts[:end]))
        except (OSError, ValueError):
            continue
        if (status.st_dev, status.st_ino) == (here.st_dev, here.st_ino):
            return "/".join(parts[end:]) or "."
    return None


def is_same_place(path: str, other: str) -> bool:
    """Whether two spellings name one place, by way of links too."""
    return normal(path) == normal(other) or _real(path) == _real(other)


def _real(path: str) -> str:
    return os.path.realpath(os.path.expanduser(path))
