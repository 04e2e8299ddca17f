"""What tests in every room share: the command line in a child process, a small corpus, and a small cell."""

import logging
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Tests run side by side, one per core: a thread each, here and in the children.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# `eval` takes every core, whoever else works on them: threads that wait must not spin.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

ROOT = Path(__file__).resolve().parent.parent
# Under importlib mode a test's folder is not on the path; hub_server is a module beside this file.
sys.path.insert(0, str(ROOT / "tests"))
from support import in_process  # noqa: E402
from support.once import once  # noqa: E402

# A cell that trains in a second: the rest of its time is imports.
SMALL = [
    "model.n_layer=1",
    "model.d_model=16",
    "model.n_head=2",
    "model.n_positions=32",
    "tokenizer=bytes",
    "data=files",
    "data.path=texts",
    "data.val_fraction=0.2",
    "schedule.warmup_tokens=256",
    "trainer.tokens=5120",
    "trainer.batch_tokens=256",
    "trainer.val_tokens=1024",
    "trainer.val_every=10",
    "trainer.checkpoint_every=5",
    "tracker=none",
]


def environment(**changes: str) -> dict[str, str]:
    """This process's environment without what would make a test depend on the user's own."""
    left_out = ("WANDB_", "HF_", "ZEROSCALE_", "OMP_NUM_THREADS")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(left_out)}
    return {
        **kept,
        "WANDB_MODE": "disabled",
        "HF_HUB_OFFLINE": "1",
        "COLUMNS": "160",
        "OMP_NUM_THREADS": "1",
        **changes,
    }


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--shuffle", type=int, metavar="SEED", help="run the tests in an order drawn by this seed")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are numbered, not spelt out: packed ones may hold the time, and workers of xdist compare the names."""
    return argname if isinstance(val, bytes) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --shuffle: files, and the tests of each, in another order; the same in every worker of xdist."""
    seed = config.getoption("shuffle")
    if seed is None:
        return
    draw = random.Random(seed)
    draw.shuffle(items)
    # What a module or a session shares is made once: the tests of a file stay together.
    places = {path: place for place, path in enumerate(dict.fromkeys(item.path for item in items))}
    items.sort(key=lambda item: places[item.path])


@pytest.fixture(autouse=True)
def own_log_handlers() -> Iterator[None]:
    """Handlers that a test gives the root logger go with it: Hydra's write to the stream that its command had."""
    before = list(logging.root.handlers)
    yield
    for handler in list(logging.root.handlers):
        if handler not in before and type(handler) is logging.StreamHandler:
            logging.root.removeHandler(handler)


Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def zeroscale(tmp_path: Path) -> Command:
    """Runs `zeroscale …` in an empty folder; `code` is the exit code that is expected.

    In this process, where a child would give the same after seconds of imports; in one of its own where environment
    variables are given, which libraries read once, or with `process=True`.
    """

    def run(
        *arguments: str,
        code: int | None = 0,
        cwd: Path | None = None,
        timeout: float = 300,
        process: bool = False,
        **changes: str,
    ) -> subprocess.CompletedProcess[str]:
        if process or changes:
            result = subprocess.run(
                [sys.executable, "-m", "zeroscale", *arguments],
                cwd=cwd or tmp_path,
                env=environment(**changes),
                capture_output=True,
                text=True,
                timeout=timeout,
            )
        else:
            result = in_process.run(list(arguments), cwd or tmp_path, environment())
        if code is not None:
            assert result.returncode == code, f"exit {result.returncode}\n{result.stdout}\n{result.stderr}"
        assert "Traceback" not in result.stdout + result.stderr
        return result

    return run


def write_texts(directory: Path, files: int = 30, seed: int = 0) -> Path:
    """A corpus of made-up sentences: the same for the same seed."""
    words = [
        "the",
        "a",
        "cat",
        "dog",
        "house",
        "tree",
        "runs",
        "sees",
        "finds",
        "small",
        "old",
        "red",
        "green",
        "slowly",
        "often",
        "and",
        "but",
        "near",
        "under",
    ]
    draw = random.Random(seed)
    directory.mkdir(parents=True, exist_ok=True)
    for number in range(files):
        text = " ".join(draw.choice(words) for _ in range(400)) + ".\n"
        (directory / f"{number:03d}.txt").write_text(text, encoding="utf-8")
    return directory


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """The small corpus, in the folder in which `zeroscale` runs."""
    return write_texts(tmp_path / "texts")


@pytest.fixture
def small() -> list[str]:
    """Overrides of a cell that trains in a second."""
    return list(SMALL)


@pytest.fixture
def trained(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    """A run that was trained and scored, in this test's own folder: `SMALL`, with a vocabulary of its own (300 tokens,
    padded to 320 rows). It is trained once for all tests."""
    arguments = ["tokenizer=bpe", "tokenizer.vocab_size=300", "model.vocab_size=320"]
    arguments += ["cards=[lambada]", "cards_from=sample"]

    def train(folder: Path) -> None:
        write_texts(folder / "texts")
        command = [sys.executable, "-m", "zeroscale", "train", *SMALL, *arguments]
        said = subprocess.run(command, cwd=folder, env=environment(), check=True, capture_output=True, timeout=300)
        (folder / "said.txt").write_bytes(said.stdout)

    made = once(tmp_path_factory, "trained", train)
    shutil.copytree(made, tmp_path, ignore=shutil.ignore_patterns("made"), dirs_exist_ok=True)
    (cell,) = tmp_path.glob("outputs/single/pocket-*")
    return cell


class Running:
    """A `zeroscale` process in a folder, to be watched and killed."""

    def __init__(self, folder: Path, arguments: list[str]) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "zeroscale", *arguments],
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def worker(self) -> int:
        """The process id of the child that trains, once it has one."""
        return int(self.wait(lambda: self._children() or None)[0])

    def _children(self) -> list[str]:
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return path.read_text().split() if path.exists() else []

    def cell(self) -> Path:
        """The one cell of the one study."""
        return self.wait(lambda: next(iter(self.folder.glob("outputs/[!c]*/*/config.yaml")), None)).parent

    def checkpoint(self, number: int) -> Path:
        """Waits for so many checkpoints."""

        def found() -> Path | None:
            steps = sorted(self.folder.glob("outputs/*/*/checkpoints/step-*"))
            return steps[-1] if len(steps) >= number else None

        return self.wait(found)

    def wait(self, probe: Callable[[], object], seconds: float = 300) -> object:
        """Polls until the probe finds something."""
        deadline = time.monotonic() + seconds
        while (found := probe()) is None:
            assert time.monotonic() < deadline, "waited in vain"
            assert self.process.poll() is None, self.process.communicate()[0]
            time.sleep(0.02)
        return found


@pytest.fixture
def running(tmp_path: Path) -> Callable[..., Running]:
    """Starts `zeroscale …` in the test's folder; what still runs at the end is killed."""
    started: list[Running] = []

    def start(*arguments: str) -> Running:
        started.append(Running(tmp_path, list(arguments)))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate()


@pytest.fixture
def hub():
    """A hub of our own on the loopback, empty; see hub_server.py."""
    from support import hub_server

    server = hub_server.start()
    yield server
    server.shutdown()
    server.server_close()
