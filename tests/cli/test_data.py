"""`zeroscale data` tells what it does, how long it will take, and what is in the corpus it made."""

import io
import json
import re

import pyarrow
import pytest
from pyarrow import parquet
from support import hub_server

from zeroscale.cli.commands import data
from zeroscale.core import paths


def test_a_corpus_is_counted_in_words(zeroscale, tmp_path):
    (tmp_path / "rows").mkdir()
    rows = [{"text": f"text {n} of some words that are different", "url": "http://a.org"} for n in range(60)]
    rows += [{"text": rows[0]["text"], "url": None}, {"text": "encyclopaedia", "url": "https://en.wikipedia.org/x"}]
    (tmp_path / "rows" / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    command = ["data", "data=files", "data.path=rows", "tokenizer=bytes", "data.val_fraction=0.3", "data.url_field=url"]
    command += ["data.leave_out_sites=[wikipedia.org]", "data.drop_exact_duplicates=true"]
    said = zeroscale(*command).stdout
    assert re.search(r"outputs/corpora/files-[0-9a-f]{8}: [\d,]+ training tokens, [\d,]+ held out", said)
    assert "read      62 documents, " in said and ", from 62 texts" in said
    assert "left out  1 documents, 13 bytes of wikipedia.org" in said
    assert "kept      1 texts without an address" in said and "dropped   1 exact duplicates" in said
    counts = [int(number) for number in re.findall(r"^(?:training|held out) +(\d+) documents", said, re.MULTILINE)]
    assert len(counts) == 2 and sum(counts) == 60
    again = zeroscale(*command).stdout
    assert again == "\n".join(line for line in said.splitlines() if not line.startswith("corpus:")) + "\n"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("data.near_duplicate_threshold=1.5", "data.near_duplicate_threshold=1.5"),
        ("data.workers=0", "data.workers=0"),
        ("data.leave_out_sites=[https://wikipedia.org]", "data.leave_out_sites"),
        ("data.document_start=(", "no regular expression"),
        ("data.leave_out_sites=[wikipedia.org]", "needs data.url_field"),
    ],
)
def test_a_setting_that_cannot_be_is_one_message(zeroscale, tmp_path, override, words):
    (tmp_path / "a.jsonl").write_text('{"text": "a"}')
    said = zeroscale("data", "data=files", "data.path=a.jsonl", "tokenizer=bytes", override, code=2).stderr
    assert words in said and said.count("zeroscale:") == 1


def run(monkeypatch, reports, *, terminal: bool, capsys) -> str:
    """What is printed of reports (seconds, done, total, stage)."""
    clock = iter([time for time, *_ in reports])
    monkeypatch.setattr(data.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(data.sys.stdout, "isatty", lambda: terminal, raising=False)
    with data.Progress() as progress:
        for _, done, total, stage in reports:
            progress(done, total, stage)
    return capsys.readouterr().out


def test_progress_tells_speed_and_time_left(monkeypatch, capsys):
    reports = [(1000.0 + n, n * 2_000_000, 500_000_000, "tokenising") for n in range(12)]
    said = run(monkeypatch, reports, terminal=False, capsys=capsys).splitlines()
    assert said == [
        "corpus: tokenising",
        "corpus: tokenising 10 of 500 MB, 2.0 MB/s, 4 min left",
        "corpus: tokenising 20 of 500 MB, 2.0 MB/s, 4 min left",
    ]


def test_progress_that_goes_on_counts_its_own_speed(monkeypatch, capsys):
    # 900 MB were done by an earlier process: they are no part of the rate.
    reports = [(1000.0 + n, 900_000_000 + n * 1_000_000, 10_000_000_000, "tokenising") for n in range(7)]
    said = run(monkeypatch, reports, terminal=False, capsys=capsys).splitlines()
    assert said[-1] == "corpus: tokenising 905 of 10,000 MB, 1.0 MB/s, 2.5 h left"


def test_on_a_terminal_a_line_is_written_over(monkeypatch, capsys):
    reports = [(1000.0, 5_000_000, None, "tokenising"), (1002.0, 9_000_000, None, "tokenising")]
    said = run(monkeypatch, reports, terminal=True, capsys=capsys)
    assert said == "\rcorpus: tokenising 5 MB\rcorpus: tokenising 9 MB, 2.0 MB/s\n"


def as_parquet(rows: list[dict]) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


def test_benchmark_data_are_fetched_once_and_then_need_no_hub(zeroscale, hub, tmp_path):
    questions = [{"question": f"who wrote book {n}", "answer": [f"author {n}"]} for n in range(30)]
    dataset = "datasets/google-research-datasets/nq_open"
    files = {f"data/{split}-00000-of-00001.parquet": as_parquet(questions) for split in ("validation", "train")}
    hub.repositories[dataset] = hub_server.Repository(files)
    card = (paths.evals() / "natural_questions.yaml").read_text(encoding="utf-8")
    # The thirty rows here, not the benchmark's 3,610.
    card = card.replace("rows: 3610", "rows: 30").replace("config: nq_open", "config: default")
    (tmp_path / "natural_questions.yaml").write_text(
        card.replace("  sample: samples/natural_questions.jsonl\n", ""), encoding="utf-8"
    )
    home = tmp_path / "home"
    said = zeroscale("data", "cards=[natural_questions.yaml]", **hub.client(home)).stdout
    assert "nq_open" in said and "as many questions as published (30)" in said and "for prompts from" in said
    assert not (tmp_path / "outputs").exists()
    again = zeroscale("data", "cards=[natural_questions.yaml]", **hub_server.client("http://127.0.0.1:9", home)).stdout
    assert again == said


def test_what_cannot_be_fetched_is_named_and_the_rest_is_there(zeroscale, hub, tmp_path):
    refused = zeroscale("data", "cards=[lambada,enwik8]", code=1, **hub.client(tmp_path / "home"))
    assert "lambada: NOT HERE: EleutherAI/lambada_openai" in refused.stdout
    assert "enwik8: NOT HERE: card enwik8: is not on the hub" in refused.stdout
    assert "2 of 2 are missing: lambada, enwik8" in refused.stderr


def test_what_is_not_read_and_marks_in_texts_are_told(zeroscale, tmp_path):
    (tmp_path / "text").mkdir()
    stories = [f"Story {n} of some words.\n" for n in range(60)]
    (tmp_path / "text" / "A.TXT").write_text("<|endoftext|>\n".join(stories))
    (tmp_path / "text" / "b.jsonl").write_text("".join(json.dumps({"text": f"row {n}"}) + "\n" for n in range(60)))
    for name in ("empty.txt", "picture.png"):
        (tmp_path / "text" / name).touch()
    (tmp_path / "text" / "loop").symlink_to(".")
    command = ["data", "data=files", "data.path=text", "tokenizer=bytes", "data.val_fraction=0.3"]
    said = zeroscale(*command).stdout
    assert ", from 61 texts in 2 of 5 files\n" in said
    assert "note      empty, no text: 1 file (empty.txt)\n" in said
    assert "note      left out: 1 file (picture.png (not a kind of file that is read: " in said
    assert "note      another name of what is read: 1 file (loop)\n" in said
    advice = re.search(r"<\|endoftext\|> stands 59 times in the texts, .*; '(.*)' splits the texts there", said)[1]
    split = zeroscale(*command, advice).stdout
    assert ", from 120 texts in 2 of 5 files\n" in split and "stands" not in split
