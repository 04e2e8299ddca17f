"""What `remove` and `clean` share: the size of what would go, the question, and how it goes."""

import os
import secrets
import shutil
import sys
from pathlib import Path

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import disk_errors

LEFT = ".removing-"
"""Begins the name of what is being removed: what a killed command leaves of it is no run and no corpus."""


def size_of(path: Path) -> int:
    """The bytes of a file, or of all files below a directory; a link counts as nothing, its target stays."""
    if path.is_symlink():
        return 0
    if not path.is_dir():
        return path.stat().st_size if path.exists() else 0
    return sum(os.lstat(os.path.join(folder, name)).st_size for folder, _, names in os.walk(path) for name in names)


def confirmed(question: str, yes: bool) -> bool:
    """Whether the user wants it: `yes=true` says so, else the terminal is asked.

    Raises:
        ZeroscaleError: there is no terminal to ask.
    """
    if yes:
        return True
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ZeroscaleError("nothing was removed: there is no terminal to ask; yes=true removes it without asking")
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def remove(path: Path) -> None:
    """Removes a file, a link or a directory; of a directory the name goes first, at once and whole.

    Raises:
        ZeroscaleError: the system refuses.
    """
    with disk_errors(path):
        if path.is_symlink() or not path.is_dir():
            path.unlink()
            return
        aside = path.with_name(f"{LEFT}{path.name.lstrip('.')}.{secrets.token_hex(4)}")
        os.replace(path, aside)
        shutil.rmtree(aside)
