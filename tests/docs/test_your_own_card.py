"""docs/your-own-card.md does what it says: its files are written, its commands run, as they stand."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from zeroscale.cli import main
from zeroscale.core import paths
from zeroscale.core.files import read_json
from zeroscale.eval import tasks
from zeroscale.eval.cards import registry as cards

PAGE = paths.evals().parent / "docs" / "your-own-card.md"
_BLOCK = re.compile(r"(?:`(?P<file>[\w.]+)`:\n\n)?```(?P<kind>\w*)\n(?P<text>.*?)```", re.DOTALL)


def masked(text: str) -> list[str]:
    """Its lines without numbers, hashes and runs of spaces: what a page may promise of a random model's scores."""
    plain = re.sub(r"-[0-9a-f]{8}\b", "-0", text)
    lines = [re.sub(r"\s+", " ", re.sub(r"\d+(\.\d+)?", "0", line)).strip() for line in plain.splitlines()]
    return [line for line in lines if line and line != "…"]


def commands(text: str) -> list[tuple[str, str]]:
    """(command, what the page shows of its output) of a block of `$ …`."""
    parts = re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]
    return [tuple(part.split("\n", 1)) for part in parts]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in. The commands run in this process, where torch is loaded already."""
    import torch

    threads = torch.get_num_threads()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZEROSCALE_COMMAND", "")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    yield tmp_path
    torch.set_num_threads(threads)


def test_files_and_commands_of_the_page(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "few").mkdir()
    ran = []
    for block in _BLOCK.finditer(PAGE.read_text(encoding="utf-8")):
        if block["file"]:
            (folder / block["file"]).write_text(block["text"], encoding="utf-8")
        elif block["kind"] == "python":
            exec(block["text"], {})  # the page's own lines
        else:
            for command, shown in commands(block["text"]):
                words = shlex.split(command)
                ran.append(command)
                if words[0] != "zeroscale":
                    subprocess.run(command, shell=True, check=True)
                    continue
                capsys.readouterr()
                code = main.main(words[1:])
                result = capsys.readouterr()
                said = masked(result.out) + masked(result.err)
                assert (code != 0) == shown.startswith("zeroscale: "), result.err
                joined = re.sub(r"\s+", " ", " ".join(said))
                for line in masked(shown):
                    assert line in joined, (command, said)
    assert len(ran) == 6
    (whole,) = folder.glob("outputs/eval/*/evals/animals.paper.json")
    assert read_json(whole)["n"] == 6  # the part, which was scored last, is kept beside
    (part,) = folder.glob("outputs/eval/*/evals/.part/animals.paper.json")
    content = read_json(part)
    assert content["data"] == "part: 4 of 6 questions" and content["n"] == 4


def test_the_page_names_every_family_and_its_cards() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for family in tasks.TASK_TYPES:
        (line,) = [line for line in text.splitlines() if line.startswith(f"| `{family}` |")]
        for name in cards.names():
            assert (cards.resolve([name])[0].family == family) == (name in line.split("|")[3].replace(",", " ").split())
