"""Rows: from where was asked and nowhere else; a broken one is named by file and line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.tokenizer import Tokenizer
from zeroscale.eval import tasks
from zeroscale.eval.cards import registry as cards
from zeroscale.eval.cards import rows, sources


def examples(name: str, folder: Path) -> list:
    (card,) = cards.resolve([name])
    family = tasks.task_type(card.family)
    task = family(family.Options.model_validate(card.options("paper")), Tokenizer.bytes(), 1024)
    return task.examples(sources.read(card, "files", folder, task.parse).rows)


def coqa(turns: int, answers: int) -> str:
    def texts(n: int) -> list[dict]:
        return [{"input_text": f"text {i}", "turn_id": i + 1} for i in range(n)]

    additional = {str(k): texts(turns) for k in range(3)}
    story = {"id": "s", "story": "A story.", "questions": texts(turns), "answers": texts(answers)}
    return json.dumps({"version": "1.0", "data": [story | {"additional_answers": additional}]})


CBT_LINES = "".join(f"{n} A cat sat .\n" for n in range(1, 21))
CANDIDATES = "a|b|c|d|e|f|g|h|i|j"


@pytest.mark.parametrize(
    ("name", "files", "named"),
    [
        (
            "lambada",
            {"lambada_test.jsonl": '{"text": "two words"}\nnot json\n'},
            r"lambada_test.jsonl, line 2 is not valid",
        ),
        ("lambada", {"lambada_test.jsonl": '{"text": "two words"}\n{"text": 3}\n'}, r"line 2: field 'text' should be"),
        ("lambada", {"lambada_test.jsonl": '{"text": "word"}\n'}, r"line 1: a passage needs at least two words"),
        ("lambada", {"lambada_test.jsonl": "\n"}, "holds no examples"),
        (
            "cbt_cn",
            {"cbtest_CN_valid_2000ex.txt": f"{CBT_LINES}21 The XXXXX .\tz\t\t{CANDIDATES}\n"},
            "line 21: the answer 'z'",
        ),
        (
            "cbt_cn",
            {"cbtest_CN_valid_2000ex.txt": f"{CBT_LINES}21 The XXXXX .\ta\t\ta|a|c|d|e|f|g|h|i|j\n"},
            "line 21: two candidates",
        ),
        (
            "cbt_cn",
            {"cbtest_CN_valid_2000ex.txt": f"{CBT_LINES}21 The .\ta\t\t{CANDIDATES}\n"},
            "line 21: the question should hold XXXXX",
        ),
        ("cbt_cn", {"cbtest_CN_valid_2000ex.txt": "1 A cat .\n3 A dog .\n"}, "line 2: should begin with the number 2"),
        ("cbt_cn", {"cbtest_CN_valid_2000ex.txt": CBT_LINES}, "ends after 20 lines"),
        ("coqa", {"coqa-dev-v1.0.json": coqa(3, 2)}, r"data\[0\]: answers has 2 turns, but there are 3"),
        ("coqa", {"coqa-dev-v1.0.json": "{}"}, "a list `data`"),
        ("coqa", {"coqa-dev-v1.0.json": '{"data": ["a story"]}'}, r"data\[0\]: should be an object"),
        ("coqa", {"coqa-dev-v1.0.json": coqa(3, 3).replace("text 1", " ", 1)}, "turn 2: a question without text"),
        ("coqa", {"coqa-dev-v1.0.json": " ".join(coqa(3, 3).rsplit("text 1", 1))}, "turn 2: a reference without text"),
        ("cnn_dailymail", {"test.jsonl": '{"article": "x", "highlights": ""}'}, "line 1: field 'highlights'"),
        ("wmt14_en_fr", {"newstest2014.en": "a\nb\n", "newstest2014.fr": "a\n"}, "as many lines each"),
        ("wmt14_en_fr", {"newstest2014.en": "a\n\n", "newstest2014.fr": "a\nb\n"}, "line 2: field 'en'"),
        ("wmt14_en_fr", {"newstest2014.en": "", "newstest2014.fr": ""}, "newstest2014.fr holds no examples"),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, name: str, files: dict[str, str], named: str) -> None:
    for file, text in files.items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    with pytest.raises(ZeroscaleError, match=named):
        examples(name, tmp_path)


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "lambada_test.jsonl").write_bytes(b'{"text": "two words"}\n{"text": "caf\xe9 noir"}\n')
    with pytest.raises(ZeroscaleError, match=r"lambada_test.jsonl, line 2 is not UTF-8"):
        examples("lambada", tmp_path)
    for name in ("newstest2014.en", "newstest2014.fr"):
        (tmp_path / name).write_bytes(b"caf\xe9\n")
    with pytest.raises(ZeroscaleError, match=r"newstest2014.en is not UTF-8"):
        examples("wmt14_en_fr", tmp_path)


def test_files_are_found_in_the_folder_or_in_the_benchmarks_folder_inside_it(tmp_path: Path) -> None:
    row = json.dumps({"text": "the last word"})
    for folder in (tmp_path / "a", tmp_path / "b" / "lambada"):
        folder.mkdir(parents=True)
        (folder / "lambada_test.jsonl").write_text(row)
    assert examples("lambada", tmp_path / "a") == examples("lambada", tmp_path / "b")


def test_absent_files_say_what_was_looked_for_and_no_sample_is_taken_instead(tmp_path: Path) -> None:
    with pytest.raises(ZeroscaleError, match=r"(?s)not in .*newstest2014.en and newstest2014.fr.*cards_from=hub"):
        examples("wmt14_en_fr", tmp_path)
    (card,) = cards.resolve(["lambada"])
    with pytest.raises(ZeroscaleError, match="needs data_dir"):
        sources.read(card, "files", None, rows.jsonl)


def test_a_sample_that_does_not_say_so_is_refused(tmp_path: Path) -> None:
    (card,) = cards.resolve(["lambada"])
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "lambada.jsonl").write_text('{"text": "the last word"}\n')
    with pytest.raises(ZeroscaleError, match="must carry `note:"):
        sources.read(card.model_copy(update={"path": tmp_path / "lambada.yaml"}), "sample", None, rows.jsonl)


def test_an_unreachable_hub_fails_within_seconds(tmp_path: Path) -> None:
    # A process of its own: the libraries read these variables once. Port 9 of the loopback refuses at once.
    code = """
import os, sys, time
os.environ |= {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": sys.argv[1], "NO_PROXY": "127.0.0.1"}
from zeroscale.core.errors import ZeroscaleError
from zeroscale.eval.cards import hub, registry
import datasets
started = time.monotonic()
try:
    hub.load(registry.resolve(["lambada"])[0].sources.hub)
except ZeroscaleError as error:
    print(error)
assert time.monotonic() - started < 20, time.monotonic() - started
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "EleutherAI/lambada_openai" in done.stdout
    assert "is not in the local cache, and the hub cannot be asked: http://127.0.0.1:9 does not answer" in done.stdout
