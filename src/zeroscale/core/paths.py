"""`~` in a path, and the directories of conf/, evals/ and sweeps/: at the repository's root, or inside the installed
wheel."""

import os
import pwd
from pathlib import Path

from zeroscale.core.errors import ZeroscaleError

# Bytes of a file's name, and of a path (Linux: NAME_MAX, PATH_MAX).
MAX_NAME, MAX_PATH = 255, 4095
PACKAGE = Path(__file__).resolve().parent.parent


def share() -> Path:
    """The directory that holds conf/, evals/ and sweeps/.

    A checkout's own YAML wins, so that an edit takes effect at once; a wheel carries a copy as package data.
    """
    checkout = PACKAGE.parent.parent
    if (checkout / "conf" / "train.yaml").is_file() and (checkout / "pyproject.toml").is_file():
        return checkout
    return PACKAGE / "_share"


def conf() -> Path:
    """Hydra's primary configuration directory."""
    return share() / "conf"


def evals() -> Path:
    """Benchmark cards, suites and embedded samples."""
    return share() / "evals"


def expand_home(path: str) -> str:
    """The path with `~` or `~USER` at its beginning expanded, as a shell does where it is not quoted.

    Raises:
        ZeroscaleError: the home folder is not known. Nothing is ever written to a folder that is called `~`.
    """
    if not path.startswith("~"):
        return path
    user, _, rest = path[1:].partition("/")
    home = _home(user)
    return os.path.join(home, rest) if rest else home


def check_length(path: str) -> str:
    """The path with `~` expanded, where a file system can hold it: known before the work, not when it is written.

    Raises:
        ZeroscaleError: a part of it, or all of it, is longer than Linux's file systems take.
    """
    path = expand_home(path)
    longest = max((os.fsencode(part) for part in path.split("/")), key=len)
    if len(longest) > MAX_NAME or len(os.fsencode(path)) > MAX_PATH:
        raise ZeroscaleError(
            f"too long: a name in it has {len(longest)} bytes, all of it {len(os.fsencode(path))}; file systems take "
            f"{MAX_NAME} and {MAX_PATH}"
        )
    return path


def local_path(path: str | Path) -> Path:
    """A path as a person gives it in Python, `~` at its beginning expanded."""
    return Path(expand_home(str(path)))


def _home(user: str) -> str:
    if not user and os.environ.get("HOME"):
        return os.environ["HOME"]
    try:
        return (pwd.getpwnam(user) if user else pwd.getpwuid(os.getuid())).pw_dir
    except (KeyError, ValueError) as error:
        if user:
            raise ZeroscaleError(
                f"there is no user {user!r} here, whose home ~{user} would be; ./~{user} is the file of that name"
            ) from error
        raise ZeroscaleError(
            f"~ is the home folder, and none is known: HOME is not set, and user {os.getuid()} has no entry in the "
            "list of users; give the whole path"
        ) from error
