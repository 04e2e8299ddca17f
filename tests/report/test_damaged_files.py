"""Files of a study that are damaged in whatever way: what reads the whole study goes on with the rest and says which
run it left out and why; nothing raises but a ZeroscaleError that names the file."""

import json
import os
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from support import study_fixture

from zeroscale.core.errors import ZeroscaleError
from zeroscale.launch import status_report, status_table
from zeroscale.provenance import explain
from zeroscale.report import page, terminal
from zeroscale.report.sections import contamination
from zeroscale.report.views.study import read_study
from zeroscale.runs.study import Study
from zeroscale.scaling import Options, fit_study

# What may stand where another value belongs.
VALUES = (None, True, -1, 2**70, 1e308, float("nan"), float("inf"), "", "x", "\ud800", [], {}, [1], {"a": 1}, [None])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up study, fitted, without its wider files."""
    study = study_fixture.write_study(tmp_path_factory.mktemp("damaged") / "pocket")
    shutil.rmtree(study / "report", ignore_errors=True)
    return study


@pytest.fixture
def study(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "pocket")
    return tmp_path / "pocket"


def places(value: object, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The keys of every value in a JSON value."""
    yield place
    parts = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for key, part in parts:
        yield from places(part, (*place, key))


def changed(content: object, draw: random.Random) -> object:
    """The content with one value set to another, renamed or taken away."""
    place = draw.choice([place for place in places(content) if len(place) <= draw.choice((1, 2, 6))])
    if not place:
        return draw.choice(VALUES)
    holder = content
    for key in place[:-1]:
        holder = holder[key]  # type: ignore[index]
    if draw.random() < 0.3:
        del holder[place[-1]]  # type: ignore[attr-defined]
    else:
        holder[place[-1]] = draw.choice(VALUES)  # type: ignore[index]
    return content


def damage(path: Path, draw: random.Random) -> None:
    """One fault in a file: of a value, a byte, the whole."""
    text = path.read_bytes()
    kind = draw.random()
    if kind < 0.7 and path.suffix in (".json", ".jsonl"):
        lines = text.split(b"\n") if path.suffix == ".jsonl" else [text]
        lines[0] = json.dumps(changed(json.loads(lines[0]), draw)).encode()
        path.write_bytes(b"\n".join(lines))
    elif kind < 0.8:
        path.write_bytes(text[: draw.randrange(len(text))])
    elif kind < 0.9:
        path.write_bytes(draw.choice((b"", b"[" * 100_000, b'{"a": ' + b"9" * 5_000 + b"}", b"\xff\xfe", b"null")))
    else:
        place = draw.randrange(len(text))
        path.write_bytes(text[:place] + bytes([text[place] ^ 1 << draw.randrange(8)]) + text[place + 1 :])


def everything(study: Path) -> None:
    """All that reads a whole study."""
    status_report.describe(status_table.read(study))
    terminal.render(read_study(study))
    page.describe(page.read([study], keep=False), [])
    fit_study(study, study / "again.json", options=Options(law=("power", "benchmarks"), bootstrap=100))


@pytest.mark.parametrize("seed", range(18))
def test_a_damaged_file_costs_one_run_at_most(study: Path, seed: int) -> None:
    draw = random.Random(seed)
    names = ("manifest.json", "status.json", "metrics.jsonl", "config.yaml", "lambada.paper.json",
             "held_out.corpus.json", "fit.json", "results.csv", "overlap.json")  # fmt: skip
    found = sorted(path for path in study.rglob(names[seed % len(names)]) if path.is_file())
    if not found:
        pytest.skip("the made-up study has no such file")
    path = draw.choice(found)
    damage(path, draw)
    everything(study)
    unreadable = Study(study).unreadable_runs
    assert len(unreadable) <= 1
    for run in unreadable:
        assert path.name in str(run.fault)
        text = terminal.render(read_study(study), width=400)
        assert f"{run.name} is left out" in text and path.name in text
        left_out = fit_study(study, study / "again.json", options=Options(law=("power",), bootstrap=100))["left_out"]
        assert any(entry["cell"] == run.name and path.name in entry["rule"] for entry in left_out)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("manifest.json", '{"params": {"total": "many"}}', "params.total is 'many', not an integer"),
        ("manifest.json", '{"flops_per_token": NaN}', "flops_per_token is nan, which is no finite number"),
        ("status.json", '["done"]', "should hold a JSON object, not list"),
        ("metrics.jsonl", '{"step": 1, "train/loss": "low"}\n', "line 1, is damaged"),
        ("metrics.jsonl", '{"step": true}\n', "line 1, is damaged"),
        ("config.yaml", "model: [1]\n", r"model is \[1\], not an object"),
        ("config.yaml", "&a [*a]", r"stands for what it is part of"),
        ("evals/step-00000500/lambada.paper.json", '{"card": "lambada"}', "has no metrics"),
        ("evals/step-00000500/lambada.paper.json", '{"card": "a", "metrics": {"acc": {"value": "1"}}}',
         "metrics.acc.value is '1', not a finite number"),
    ],
)  # fmt: skip
def test_a_runs_fault_names_file_and_key(study: Path, name: str, content: str, says: str) -> None:
    run = study / "pocket-m"
    (run / name).parent.mkdir(parents=True, exist_ok=True)
    (run / name).write_text(content, encoding="utf-8")
    view = read_study(study)
    assert "pocket-m" not in [shown.name for shown in view.runs]
    (sentence,) = view.left_out
    assert str(run / name) in sentence
    assert re.search(says, sentence), sentence
    if not name.startswith(("evals", "manifest")):
        (row,) = [row for row in status_table.read(study).rows if row.directory.name == "pocket-m"]
        assert row.state == "damaged" and name in row.reason
    if name == "metrics.jsonl":
        return  # the loss of a run's last checkpoint stands in its results
    with pytest.raises(ZeroscaleError, match=re.escape(name)):
        explain.explain(study, "pocket-m", "val/loss", None, lambda card, protocol: "")


def test_what_is_no_file_is_not_waited_for(study: Path) -> None:
    for run, name in (("pocket-s", "manifest.json"), ("pocket-m", "metrics.jsonl")):
        (study / run / name).unlink()
        os.mkfifo(study / run / name)
    view = read_study(study)
    assert len(view.left_out) == 2
    assert all("is a pipe, not a file" in sentence for sentence in view.left_out)


def test_a_study_of_which_nothing_can_be_read_says_so_once(study: Path) -> None:
    for path in study.glob("*/config.yaml"):
        path.write_text("[", encoding="utf-8")
    with pytest.raises(ZeroscaleError, match="no run can be read"):
        read_study(study)
    assert {row.state for row in status_table.read(study).rows} == {"damaged"}


def test_a_damaged_fit_and_a_damaged_sweep_are_told_and_the_runs_stand(study: Path) -> None:
    (study / "fit.json").write_text('{"laws": {"val/loss": {"parameters": {"alpha": {"value": 1}}}}}')
    view = read_study(study)
    assert view.fit is None and len(view.runs) == 5
    assert "has no low and no high" in view.left_out[0]
    (study / "sweep.json").write_text('{"cells": [{"cell": "pocket-s"}]}')
    first, *others = status_table.read(study).rows
    assert first.state == "damaged" and "cells[0] has no settings and no steps" in first.reason
    assert len(others) == 5


@pytest.mark.parametrize("content", ["{", "[1]", '{"format": 1e999}', '{"format": "x"}'])
def test_an_overlap_record_that_cannot_be_read_is_said_to_be_left_out(tmp_path, content):
    path = tmp_path / "overlap" / "overlap.json"
    path.parent.mkdir()
    path.write_text(content)
    record, fault = contamination._record(SimpleNamespace(directory=tmp_path))
    assert record is None
    assert str(path) in fault
    path.unlink()
    assert contamination._record(SimpleNamespace(directory=tmp_path)) == (None, "")
