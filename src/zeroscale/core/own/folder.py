"""Where the user's own folder is, and what of it is looked up beside the shipped conf/, sweeps/ and evals/.

It is the folder of `--config-dir DIR`, else that of the variable ZEROSCALE_CONFIG_DIR, else the working directory where
that holds the file `zeroscale.yaml`. Child processes are told by the variable.
"""

import os
from pathlib import Path

from zeroscale.core import paths
from zeroscale.core.errors import ZeroscaleError

VARIABLE = "ZEROSCALE_CONFIG_DIR"
MARKER = "zeroscale.yaml"


def find() -> Path | None:
    """The user's own folder as an absolute path; None where there is none.

    Raises:
        ZeroscaleError: the one that was named is no folder.
    """
    if named := os.environ.get(VARIABLE):
        folder = paths.local_path(named).absolute()
        if not folder.is_dir():
            raise ZeroscaleError(f"{VARIABLE}={named}: there is no such folder; zeroscale init DIR makes one")
        return folder
    here = Path.cwd()
    return here if (here / MARKER).is_file() else None


def conf() -> Path | None:
    """Its folder of configuration groups: conf/, or the folder itself where that holds neither conf/, sweeps/ nor
    evals/."""
    folder = find()
    if folder is None:
        return None
    if (folder / "conf").is_dir():
        return folder / "conf"
    is_bare = not any((folder / name).exists() for name in ("sweeps", "evals", MARKER))
    return folder if is_bare else None


def evals() -> list[Path]:
    """The folders of cards, the user's own first: of two cards of one name the first is taken."""
    folder = find()
    own = [folder / "evals"] if folder and (folder / "evals").is_dir() else []
    return [*own, paths.evals()]


def choices(group: str) -> list[str]:
    """The names of a group's choices, shipped and own; `sweeps` is a group too."""
    own = conf() if group != "sweeps" else find()
    shipped = paths.share() if group == "sweeps" else paths.conf()
    folders = [folder / group for folder in (own, shipped) if folder]
    return sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})


def groups() -> list[str]:
    """The configuration groups, shipped and own."""
    places = [place for place in (conf(), paths.conf()) if place]
    return sorted({path.name for place in places for path in place.glob("[!.]*/") if path.is_dir()})
