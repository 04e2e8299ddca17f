"""What several tests need and is dear to make: made once, however many processes run the tests."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from zeroscale.core.files import lock


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that `make` has filled: by one process, while the others wait for it. To be read and not changed."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with lock(folder.with_name(f"{name}.lock"), 300, f"{name} is not made in time"):
        if not (folder / "made").exists():
            folder.mkdir(exist_ok=True)
            make(folder)
            (folder / "made").touch()
    return folder
