"""`zeroscale batch` shows what a step was trained on, or says why it cannot."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import yaml
from conftest import SMALL, environment, write_texts
from hypothesis import given
from hypothesis import strategies as st
from support.once import once

from zeroscale.cli.commands import batch as batches
from zeroscale.cli.commands.batch import BatchConfig
from zeroscale.config.train import TrainConfig
from zeroscale.config.validate import build_config
from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.corpus import Corpus
from zeroscale.data.prepare.prepare import corpus_directory
from zeroscale.data.stream import TokenStream


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """outputs/ with one cell that has trained for 20 steps of 8 rows of 32 tokens, on texts of its own."""
    more = ["trainer.batch_tokens=256", "trainer.log_every=1", "cards=[]"]

    def train(folder):
        write_texts(folder / "texts", files=12)
        command = [sys.executable, "-m", "zeroscale", "train", *SMALL, *more]
        subprocess.run(command, cwd=folder, env=environment(), check=True, capture_output=True)

    return once(tmp_path_factory, "batches", train) / "outputs"


@pytest.fixture
def cell(outputs, tmp_path):
    """The cell in a copy of its outputs/, to be damaged at will."""
    shutil.copytree(outputs, tmp_path / "outputs")
    return next((tmp_path / "outputs").glob("single/*/config.yaml")).parent


def opened(cell) -> tuple[TrainConfig, Corpus, TokenStream]:
    settings = build_config(TrainConfig, yaml.safe_load((cell / "config.yaml").read_text()))
    corpus = Corpus.open(corpus_directory(cell.parent.parent / "corpora", settings.data, settings.tokenizer))
    return settings, corpus, TokenStream(corpus, settings.seed, settings.context, settings.trainer.batch_tokens)


def show(cell, capsys, step: int, rows: int | None = 4) -> str:
    batches.show(BatchConfig(run=str(cell), step=step, rows=rows))
    return capsys.readouterr().out


def test_the_first_step_is_the_batch_of_which_the_loss_is_logged_first(cell):
    import torch

    from zeroscale.training.build import model

    settings, corpus, stream = opened(cell)
    tokens = torch.from_numpy(batches.batch_of(stream, corpus, 1).tokens)
    logged = json.loads((cell / "metrics.jsonl").read_text().splitlines()[0])
    assert logged["step"] == 1
    with torch.no_grad():
        loss = model(settings, corpus).loss(tokens[:, :-1], tokens[:, 1:])
    assert float(loss) == pytest.approx(logged["train/loss"], abs=1e-5)


def test_rows_windows_and_text_are_the_streams(cell, capsys):
    _, corpus, stream = opened(cell)
    for step in (1, 7, 20):
        batch = batches.batch_of(stream, corpus, step)
        inputs, targets = stream.batch_at(step - 1)
        assert np.array_equal(batch.tokens[:, :-1], inputs) and np.array_equal(batch.tokens[:, 1:], targets)
        said = show(cell, capsys, step, rows=None)
        assert f"step {step} of 20, seed 0" in said and batch.sha256 in said
        for row in range(8):
            assert f"row {row}: window {batch.windows[row]}" in said
            assert "  " + batches.escaped(corpus.tokenizer.decode(batch.tokens[row].tolist())) + "\n" in said


def test_documents_and_positions_are_those_of_the_text(cell, capsys):
    _, corpus, _ = opened(cell)
    ids = corpus.read("train", 0, corpus.n_train_tokens)
    ends = np.flatnonzero(ids == corpus.tokenizer.eos) + 1
    for start in (0, 50, 2000, corpus.n_train_tokens - 33):
        spans = corpus.documents("train", start, start + 33)
        covered = np.concatenate([np.arange(s.first, s.last) + (ends[s.number - 1] if s.number else 0) for s in spans])
        assert np.array_equal(covered, np.arange(start, start + 33))
        assert all(span.name.endswith(".txt#1") for span in spans)
        assert [span.tokens for span in spans] == [np.diff(ends, prepend=0)[span.number] for span in spans]
    assert ".txt#1): tokens " in show(cell, capsys, 3)


def test_rows_are_limited_and_the_rest_is_counted(cell, capsys):
    said = show(cell, capsys, 2, rows=3)
    assert "row 2:" in said and "row 3:" not in said and "5 more rows: rows=null shows all" in said
    assert "more rows" not in show(cell, capsys, 2, rows=8)


def test_passes_over_the_corpus_are_counted(cell, capsys):
    _, corpus, stream = opened(cell)
    many = 1 + 3 * stream.n_windows // stream.rows
    epochs = [batches.batch_of(stream, corpus, step).epochs for step in range(1, many)]
    assert np.array_equal(np.concatenate(epochs), np.arange(8 * (many - 1)) // stream.n_windows)


def test_a_corpus_of_an_earlier_version_is_shown_without_documents(cell, capsys):
    _, corpus, _ = opened(cell)
    index = json.loads((corpus.directory / "index.json").read_text())
    for split in index["splits"].values():
        del split["lists"]
    (corpus.directory / "index.json").write_text(json.dumps(index))
    said = show(cell, capsys, 2)
    assert "row 0: window" in said and "document" not in said


class TestRefusals:
    def refused(self, cell, match: str, step: int = 1) -> None:
        with pytest.raises(ZeroscaleError, match=match):
            batches.show(BatchConfig(run=str(cell), step=step, rows=1))

    def test_a_step_beyond_the_run(self, cell):
        self.refused(cell, r"step=21: .* has 20 steps", step=21)

    def test_a_folder_that_is_no_run(self, cell):
        self.refused(cell.parent, rf"is not a run: no config\.yaml in it; it is a study, .*: {cell.name}")
        self.refused(cell / "checkpoints", r"is not a run: no config\.yaml in it$")

    def test_a_corpus_that_is_gone(self, cell):
        shutil.rmtree(opened(cell)[1].directory)
        self.refused(
            cell, r"the corpus of .* is gone; .*prepare it again with `zeroscale data`.*fingerprint [0-9a-f]{12}"
        )

    def test_a_corpus_that_is_another(self, cell):
        directory = opened(cell)[1].directory
        index = json.loads((directory / "index.json").read_text())
        (directory / "index.json").write_text(json.dumps({**index, "fingerprint": "0" * 64}))
        self.refused(cell, r"is not the corpus that .* was trained on \(fingerprint 000000000000, not")

    def test_a_shard_that_is_missing_or_cut(self, cell):
        shard = opened(cell)[1].directory / "train-00000.bin"
        shard.write_bytes(shard.read_bytes()[:-2])
        self.refused(cell, r"train-00000\.bin has .* bytes, not .* damaged")
        shard.unlink()
        self.refused(cell, r"train-00000\.bin is missing")

    def test_a_token_that_the_vocabulary_does_not_have(self, cell):
        _, corpus, stream = opened(cell)
        shard = corpus.directory / "train-00000.bin"
        content = np.fromfile(shard, dtype="<u2")
        place = int(stream.windows_at(0)[3]) * 32 + 5
        content[place] = 300
        content.tofile(shard)
        self.refused(cell, rf"token number {place:,} of train is 300, beyond the vocabulary of 257")

    def test_settings_that_are_broken(self, cell):
        (cell / "config.yaml").write_text("a: [")
        self.refused(cell, r"config\.yaml is not valid YAML")
        (cell / "config.yaml").write_text("- a")
        self.refused(cell, r"config\.yaml should hold a mapping")


def test_the_command_needs_no_torch_and_no_lightning(cell):
    code = (
        "import sys; from zeroscale.cli import main; code = main.main(sys.argv[1:])\n"
        "print([m for m in ('torch', 'pytorch_lightning', 'datasets') if m in sys.modules], code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "batch", f"run={cell}", "step=5", "rows=1"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[] 0" and "sha256" in done.stdout


@given(st.text())
def test_what_is_shown_commands_no_terminal_and_can_be_read_back(text):
    shown = batches.escaped(text)
    assert shown.isprintable()
    assert shown.encode("raw_unicode_escape", "backslashreplace").decode("unicode_escape", "surrogatepass") == text
