"""Datasets of a hub, streamed by `datasets` from a hub of our own on the loopback."""

import dataclasses
import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet
from support.hub_server import Repository

from zeroscale.config.data import HubData

ROWS = [{"text": f"text {n} " + "of words " * (n % 60), "url": f"http://{n % 3}.wikipedia.org"} for n in range(2500)]

CODE = """
import json, sys, time
from pathlib import Path
from zeroscale.data.prepare import output, pipeline, prepare
from zeroscale.data.sources import hub as hub_rows, sources
from zeroscale.config.data import HubData
from zeroscale.core.errors import ZeroscaleError
from zeroscale.config.model import BytesTokenizer
asked = json.loads(sys.argv[1])
what, directory, pause = asked.pop("what"), Path(asked.pop("directory")), asked.pop("pause", 0)
asked["leave_out_sites"] = tuple(asked["leave_out_sites"])
data = HubData(**asked)
try:
    if what == "prepare":
        pipeline.COMMIT_SECONDS, output.BATCH_BYTES, hub_rows._STATE_ROWS = 0.0, 20_000, 100
        def progress(done, total, stage):
            print(stage, done, total, flush=True)
            time.sleep(pause)
        corpus = prepare.prepare(data, BytesTokenizer(kind="bytes"), directory, progress)
        print(json.dumps({**corpus.index, "source": json.loads((directory / "source.json").read_text())}))
    elif what == "texts":
        print(json.dumps([document.text for document in sources.documents(data)]))
    elif what == "places":
        whole = rest = list(sources.items(data))
        for step in (150, 137, 700, 0, 1, 999, 350):  # each from where the one before it had gone on
            place = json.loads(json.dumps(rest[step].place))
            expected = [item.documents for item in rest[step + 1 :]]
            rest = list(sources.items(data, place))
            assert [item.documents for item in rest] == expected, step
        print(json.dumps([[item.documents[0].text for item in whole], len(rest)]))
except ZeroscaleError as error:
    print(json.dumps(str(error)))
"""


def asked(**changes) -> dict:
    plain = {"kind": "hub", "name": "h", "dataset": "some/set", "split": "train", "val_fraction": 0.1, "workers": 1}
    settings = dataclasses.asdict(HubData(**{**plain, **changes.pop("data", {})}))
    return {"what": "texts", "directory": ".", **settings, **changes}


def environment(hub, home: Path) -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    return {**inherited, **hub.client(home)}


def run(hub, home: Path, **changes) -> list[str]:
    """What a process prints that knows this hub alone."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(asked(**changes))],
        text=True,
        capture_output=True,
        timeout=300,
        env=environment(hub, home),
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    return done.stdout.splitlines()


def as_parquet(rows: list[dict]) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), buffer, row_group_size=300)
    return buffer.getvalue()


def as_lines(rows: list[dict]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@pytest.fixture
def sets(hub):
    """The same rows as Parquet and as compressed JSON lines, in two files each."""
    first, second = ROWS[:1300], ROWS[1300:]
    hub.repositories["datasets/some/set"] = Repository(
        {"train-0.parquet": as_parquet(first), "train-1.parquet": as_parquet(second)}
    )
    hub.repositories["datasets/some/lines"] = Repository(
        {f"train-{n}.json.gz": gzip.compress(as_lines(part)) for n, part in enumerate((first, second))}
    )
    return hub


@pytest.mark.parametrize(
    ("dataset", "streaming"),
    [
        ("some/set", True),
        ("some/lines", False),
        pytest.param("some/set", False, marks=pytest.mark.slow),
        pytest.param("some/lines", True, marks=pytest.mark.slow),
    ],
)
def test_rows_come_in_their_order_from_any_place_on(sets, dataset, streaming, tmp_path):
    ask = {"dataset": dataset, "streaming": streaming, "max_documents": 2400}
    (said,) = run(sets, tmp_path, what="places", data=ask)
    texts, left = json.loads(said)
    assert texts == [row["text"] for row in ROWS[:2400]] and left == 2400 - 7 - (150 + 137 + 700 + 1 + 999 + 350)


def test_what_was_read_is_recorded_and_counted(sets, tmp_path):
    ask = {"url_field": "url", "leave_out_sites": ("1.wikipedia.org",)}
    *told, said = run(sets, tmp_path, what="prepare", directory=str(tmp_path / "c" / "c"), data=ask)
    index = json.loads(said)
    assert index["source"]["commit"] == sets.repositories["datasets/some/set"].commit
    assert index["read"] == {"texts": 2500, "documents": 2500, "bytes": sum(len(row["text"]) for row in ROWS)}
    assert index["left_out"]["1.wikipedia.org"]["texts"] == len(range(1, 2500, 3)) and index["without_url"] == 0
    kept = sum(split["documents"] for split in index["splits"].values())
    assert kept == 2500 - len(range(1, 2500, 3)) and told[-1].startswith("tokenising")


@pytest.mark.slow
def test_a_killed_preparation_goes_on_in_the_stream_at_its_commit(sets, tmp_path):
    *_, said = run(sets, tmp_path / "home", what="prepare", directory=str(tmp_path / "reference"))
    expected = json.loads(said)["fingerprint"]
    ask = {"what": "prepare", "directory": str(tmp_path / "c" / "c")}
    arguments = [sys.executable, "-c", CODE, json.dumps(asked(**ask, pause=0.05))]
    for batches in (19, 3):
        child = subprocess.Popen(arguments, text=True, stdout=subprocess.PIPE, env=environment(sets, tmp_path / "home"))
        for line in child.stdout:
            batches -= line.startswith("tokenising")
            if batches == 0:
                break
        child.kill()
        child.communicate()
        # main is another commit from now on; the old one is there by its name.
        sets.repositories["datasets/some/set"].revisions.discard("main")
    before = len(sets.log)
    *told, said = run(sets, tmp_path / "home2", **ask)
    assert told[0].startswith("going on") and json.loads(said)["fingerprint"] == expected
    # Of the first file nothing but its end, where a Parquet file keeps its table of contents, is fetched again.
    fetched = [
        path.rpartition("/")[2] for method, path, part in sets.log[before:] if method == "GET" and "resolve" in path
    ]
    assert "train-1.parquet" in fetched and sum("train-0" in name for name in fetched) <= 2


def test_wikitexts_lines_become_articles(hub, tmp_path):
    lines = ["", " = One = \n", "", " Text of one . \n", " = = Part = = \n", " More . \n", " = Two = \n", " End . \n"]
    hub.repositories["datasets/some/wiki"] = Repository({"train.parquet": as_parquet([{"text": t} for t in lines])})
    (said,) = run(hub, tmp_path, data={"dataset": "some/wiki", "document_start": "^ = [^=].* = $"})
    assert json.loads(said) == [" = One = \n Text of one . \n = = Part = = \n More . \n", " = Two = \n End . \n"]


def test_a_field_that_is_not_there_is_named(sets, tmp_path):
    (said,) = run(sets, tmp_path, data={"text_field": "body"})
    assert "some/set, train, row 0: no field 'body' (it has text, url)" in said
