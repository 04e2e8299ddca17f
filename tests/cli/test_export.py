"""`zeroscale export`: what transformers and `zeroscale eval` make of it."""

import json
from pathlib import Path

import pytest
import torch

from zeroscale.cli.commands import export
from zeroscale.core.errors import ZeroscaleError
from zeroscale.eval import load
from zeroscale.runs import resolve

transformers = pytest.importorskip("transformers")


def scores(folder: Path) -> dict:
    content = json.loads((folder / "lambada.paper.json").read_text())
    return content["metrics"]


@pytest.fixture
def cell(trained) -> Path:
    return trained


def test_an_export_is_the_run_for_transformers_and_for_eval(cell, zeroscale, tmp_path):
    assert "made/mine: config" in zeroscale("export", f"checkpoint={cell}", "out=made/mine").stdout
    made = tmp_path / "made" / "mine"
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["mine"]
    ours, tokenizer = load.load(resolve.resolve_checkpoint(cell, tmp_path))
    theirs, told = transformers.GPT2LMHeadModel.from_pretrained(made, output_loading_info=True)
    assert not any(told.get(kind) for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert theirs.config.vocab_size == 300 and theirs.generation_config.eos_token_id == tokenizer.eos
    tokens = torch.randint(300, (4, 32), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        reference, found = theirs.eval()(tokens).logits, ours(tokens)[..., :300]
    assert (found - reference).norm() <= 1e-6 * reference.norm()

    auto = transformers.AutoTokenizer.from_pretrained(made)
    for text in ("the old cat, and a dog.", "  naïve 😀\n\n\tx = 3  ", "\u2028\x00 it's"):
        assert auto(text)["input_ids"] == tokenizer.encode(text)
        assert auto.decode(tokenizer.encode(text), clean_up_tokenization_spaces=False) == text
    assert auto.eos_token_id == tokenizer.eos and auto.model_max_length == 32

    zeroscale("eval", "checkpoint=made/mine", "cards=[lambada]", "cards_from=sample")
    (again,) = tmp_path.glob("outputs/eval/mine-*/evals")
    (first,) = cell.glob("evals/step-*")
    assert scores(again) == scores(first)

    told = zeroscale("export", f"checkpoint={cell}", "out=made/mine", code=2).stderr
    assert "exists and is not empty" in told
    told = zeroscale("export", "checkpoint=made/mine", "out=made/again", code=2).stderr
    assert "Hugging Face format already" in told and not (tmp_path / "made" / "again").exists()


def test_the_card_says_what_the_records_say(cell, tmp_path):
    out = tmp_path / "mine"
    out.mkdir()
    export.export_checkpoint(cell, out)
    card = (out / "README.md").read_text(encoding="utf-8")
    manifest = json.loads((cell / "manifest.json").read_text())
    for fact in (
        f"| parameters, all | {manifest['params']['total']:,} |",
        f"| parameters without the embeddings | {manifest['params']['non_embedding']:,} (N of Kaplan",
        f"{manifest['corpus']['n_train_tokens']:,} tokens",
        "| tokens seen | 5,120 of 5,120, in batches of 256 |",
        "| seed | 0 |",
        manifest["hardware"]["cpu"],
        manifest["corpus"]["fingerprint"],
        str(manifest["source"]["revision"] or "unknown"),
    ):
        assert fact in card
    acc = scores(next(cell.glob("evals/step-*")))["acc_last_token"]
    interval = f"{acc['low']:.4g} to {acc['high']:.4g}"
    row = f"| lambada | paper | acc_last_token | {acc['value']:.4g} | {interval} | 14 | **SAMPLE, no benchmark** |"
    assert row in card
    held_out = next(line for line in card.splitlines() if line.startswith("| held_out | corpus | loss "))
    assert "SAMPLE" not in held_out
    # Where things lay on the machine that trained is nobody else's concern.
    assert "texts" not in card and str(tmp_path) not in card and "data.path" not in card


def test_an_earlier_checkpoint_carries_its_own_scores_only(cell, tmp_path):
    earlier = sorted(cell.glob("checkpoints/step-*"))[0]
    export.export_checkpoint(earlier, tmp_path / "early")
    card = (tmp_path / "early" / "README.md").read_text(encoding="utf-8")
    assert "step 15 of 20" in card and "This checkpoint has not been scored." in card


def test_a_failed_export_leaves_nothing(cell, tmp_path, monkeypatch):
    def broken(*_: object) -> None:
        raise ZeroscaleError("half-way")

    monkeypatch.setattr("zeroscale.data.tokenizer.Tokenizer.save", broken)
    with pytest.raises(ZeroscaleError, match="half-way"):
        export.export_checkpoint(cell, tmp_path / "made" / "mine")
    assert list((tmp_path / "made").iterdir()) == []


def test_a_file_in_the_way_and_a_path_that_is_no_run_are_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ZeroscaleError, match="is a file"):
        export.export_checkpoint(tmp_path, tmp_path / "file")
    with pytest.raises(ZeroscaleError, match="is not a checkpoint"):
        export.export_checkpoint(tmp_path, tmp_path / "new")
