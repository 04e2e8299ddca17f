"""`clean` removes what no run needs, and never what one does."""

import json
import os

import pytest
from support import in_process
from support.made_study import disk  # noqa: F401

from zeroscale.core import files


@pytest.fixture
def outputs(tmp_path, disk):  # noqa: F811
    """A study whose runs were trained on a corpus of the fingerprint cc…, and another corpus."""
    outputs = tmp_path / "outputs"
    disk.write_rates(outputs / "rates")
    for name, fingerprint in (("books-0000aaaa", "c" * 64), ("books-0000bbbb", "d" * 64)):
        corpus = outputs / "corpora" / name
        corpus.mkdir(parents=True)
        (corpus / "index.json").write_text(json.dumps({"fingerprint": fingerprint}))
        (corpus / "train-00000.bin").write_bytes(bytes(2_000_000))
    return outputs


def clean(outputs, *arguments):
    done = in_process.run(["clean", f"output_dir={outputs}", *arguments], outputs.parent, {"COLUMNS": "160"})
    assert "Traceback" not in done.stderr
    return done


def test_a_corpus_that_no_run_was_trained_on_goes(outputs):
    asked = clean(outputs)
    assert asked.returncode == 2
    assert "yes=true" in asked.stderr
    assert "corpora/books-0000bbbb" in asked.stdout
    assert "books-0000aaaa" not in asked.stdout
    assert (outputs / "corpora" / "books-0000bbbb").exists()
    done = clean(outputs, "yes=true")
    assert done.returncode == 0
    assert sorted(path.name for path in (outputs / "corpora").glob("[!.]*")) == ["books-0000aaaa"]
    assert "nothing in" in clean(outputs).stdout


def test_a_corpus_that_settings_name_stays(outputs, disk):  # noqa: F811
    path = "outputs/corpora/books-0000bbbb/tokenizer"
    recorded = {"corpus": {"fingerprint": "c" * 64}}
    disk.write_cell(outputs / "other", "s", settings={"tokenizer.path": path}, recorded=recorded)
    assert "nothing in" in clean(outputs, "yes=true").stdout
    assert (outputs / "corpora" / "books-0000bbbb").exists()


@pytest.mark.parametrize("damage", ["settings", "manifest", "unknown corpus", "sweep"])
def test_in_doubt_corpora_stay(outputs, damage):
    run = next((outputs / "rates").glob("pocket-*"))
    if damage == "settings":
        (run / "config.yaml").write_text("a: [")
    elif damage == "manifest":
        (run / "manifest.json").write_text("{")
    elif damage == "unknown corpus":
        (run / "manifest.json").unlink()
    else:
        (outputs / "rates" / "sweep.json").write_text("{")
    done = clean(outputs, "yes=true")
    assert done.returncode == 0
    assert "corpora stay" in done.stdout
    assert (outputs / "corpora" / "books-0000bbbb").exists()


def test_a_run_that_has_not_begun_keeps_corpora_of_its_name(outputs):
    planned = {"cell": "pocket-s-seed9-00000000", "settings": "", "steps": 1, "values": {"data.name": "books"}}
    (outputs / "rates" / "sweep.json").write_text(json.dumps({"command": "x", "cells": [planned]}))
    assert "nothing in" in clean(outputs, "yes=true").stdout


def test_a_corpus_that_is_being_prepared_stays(outputs):
    (outputs / "corpora" / ".news-0000cccc.part").mkdir()
    with files.lock(outputs / "corpora" / ".news-0000cccc.lock", 0.0, "taken"):
        assert "news" not in clean(outputs).stdout
    assert "preparation was not finished" in clean(outputs, "yes=true").stdout
    assert not (outputs / "corpora" / ".news-0000cccc.part").exists()


def test_leftovers_go_and_what_is_new_stays(outputs):
    run = next((outputs / "rates").glob("pocket-*"))
    old, new = run / ".status.json.123.0123abcd.tmp", run / ".status.json.124.0123abcd.tmp"
    for path in (old, new):
        path.write_text("{")
    os.utime(old, (0, 0))
    gone = [outputs / ".hydra" / "rates", outputs / ".hydra" / "lost", outputs / "rates" / ".removing-x.1"]
    gone += [outputs / "rates" / "pocket-s-seed7-00000000" / "wandb"]
    for path in gone:
        path.mkdir(parents=True)
    assert clean(outputs, "yes=true").returncode == 0
    assert not any(path.exists() for path in [*gone, old])
    assert new.exists()
    assert len(list((outputs / "rates").glob("*/config.yaml"))) == 30


def test_a_directory_that_is_not_there(tmp_path):
    done = clean(tmp_path / "nowhere")
    assert done.returncode == 2
    assert "is not a directory" in done.stderr
