"""W&B without anything of the user's: no login, no settings, no server but the tests' own."""

import os
from pathlib import Path

import pytest


def hide_users_wandb(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Sets W&B's variables to a folder of the test's."""
    for name in list(os.environ):
        if name.startswith("WANDB_") and name != "WANDB_SERVICE":
            patch.delenv(name)
    for name in ("CONFIG_DIR", "CACHE_DIR", "DATA_DIR"):
        patch.setenv(f"WANDB_{name}", str(folder / name))
    patch.setenv("NETRC", str(folder / "netrc"))
