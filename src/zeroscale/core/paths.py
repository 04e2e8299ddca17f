"""The directories of conf/, evals/ and sweeps/: at the repository's root, or inside the installed wheel."""

from pathlib import Path

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
