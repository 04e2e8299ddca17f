"""One server and one set of seeds for every kind."""

from collections.abc import Iterator

import pytest
from fuzz import seeds
from fuzz.hunter import Hunter
from fuzz.runner import Runner


@pytest.fixture(scope="session")
def hunter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hunter]:
    """The server that the command lines run in, and valid input of every kind."""
    runner = Runner()
    yield Hunter(runner, seeds.make(tmp_path_factory))
    runner.close()
