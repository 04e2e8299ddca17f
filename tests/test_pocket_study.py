"""A whole study by one command: trained, scored, fitted, shown; killed in the middle, finished by the same command."""

import csv
import json
import signal
from itertools import pairwise
from pathlib import Path

import pytest

SIZES = "model.d_model=8,16,32"


def ledger(study: Path) -> list[dict[str, str]]:
    """The last checkpoint of each cell, smallest first."""
    with open(study / "results.csv", newline="") as file:
        last = {row["cell"]: row for row in csv.DictReader(file)}
    return sorted(last.values(), key=lambda row: float(row["params_non_embedding"]))


def test_a_study_killed_in_the_middle_is_finished_by_the_same_command(zeroscale, running, small, texts, tmp_path):
    sweep = [
        "train",
        "-m",
        *small,
        SIZES,
        "study=tiny",
        "optimizer.lr_reference_params=null",
        "cards=[lambada,wikitext2]",
    ]
    sweep += ["cards_from=sample", "trainer.tokens=51200"]
    run = running(*sweep)
    study = tmp_path / "outputs" / "tiny"
    run.wait(lambda: True if list(study.glob("*/DONE")) else None)
    run.process.send_signal(signal.SIGKILL)
    run.process.communicate()
    (first,) = study.glob("*/DONE")
    before = first.stat().st_mtime_ns
    second = zeroscale(*sweep)
    assert first.stat().st_mtime_ns == before and "1 run: done already" in second.stdout
    assert len(list(study.glob("*/DONE"))) == 3
    assert zeroscale("status", "study=outputs/tiny").stdout.count("done") == 3

    rows = ledger(study)
    losses = [float(row["val/loss"]) for row in rows]
    assert losses[0] > losses[1] and losses[0] > losses[2]
    for row in rows:
        assert float(row["held_out/loss/low"]) < float(row["val/loss"]) < float(row["held_out/loss/high"])
        assert int(float(row["lambada/acc/n"])) >= 12 and row["lambada/acc/low"] and row["sample_cards"]

    told = zeroscale("fit", "runs=outputs/tiny").stdout
    fit = json.loads((study / "fit.json").read_text())
    law = fit["laws"]["val/loss"]
    assert law["parameters"]["alpha"]["value"] > 0 and law["n_points"] == 3
    assert "95 % interval" in told and "cannot carry an irreducible term" in told
    assert fit["command"] == "zeroscale fit runs=outputs/tiny"

    shown = zeroscale("report", "study=outputs/tiny").stdout
    assert "report/index.html" in shown
    for name in ("index.html", "data.js", "figures/law.png", "figures/loss_over_tokens.png", "figures/benchmarks.png"):
        assert (study / "report" / name).stat().st_size > 1000, name

    # The same numbers again, from the checkpoint alone; nothing is computed twice.
    scored = zeroscale("eval", "study=outputs/tiny", "cards=lambada").stdout
    assert scored.count("SAMPLE, no benchmark") == 3 * 4
    assert ledger(study) == rows


def test_scoring_needs_a_path_and_nothing_else(zeroscale, trained, tmp_path):
    cell, texts = trained, tmp_path / "texts"
    result = zeroscale("eval", f"checkpoint={cell}", "cards=[coqa]", "cards_from=sample", cwd=texts)
    assert "coqa" in result.stdout and "held_out" in result.stdout
    at_step = cell / "checkpoints" / "step-00000020"
    assert "lambada" in zeroscale("eval", f"checkpoint={at_step}", "cards=[lambada]", "cards_from=sample").stdout
    without = zeroscale("eval", f"checkpoint={cell}", "cards=[lambada]", "cards_from=files", code=2)
    assert "data_dir" in without.stderr
    for bad, words in ((texts, "is not a checkpoint"), (tmp_path / "gone", "is not a directory")):
        assert words in zeroscale("eval", f"checkpoint={bad}", "cards=core", "cards_from=sample", code=2).stderr


def test_a_hugging_face_directory_is_scored_beside_ours(zeroscale, tmp_path):
    torch = pytest.importorskip("torch")
    from zeroscale.data.tokenizer import Tokenizer
    from zeroscale.model import weights
    from zeroscale.model.config import GPTConfig
    from zeroscale.model.gpt import GPT

    tokenizer = Tokenizer.bytes()
    model = GPT(GPTConfig(vocab_size=tokenizer.vocab_size, n_positions=64, n_layer=1, d_model=16, n_head=2), seed=3)
    assert torch.isfinite(model.wte.weight).all()
    weights.save_pretrained(model, tmp_path / "theirs")
    tokenizer.save(tmp_path / "theirs")
    result = zeroscale("eval", "checkpoint=theirs", "cards=[lambada]", "cards_from=sample")
    assert "theirs-" in result.stdout
    assert len(list(tmp_path.glob("outputs/eval/theirs-*/evals/lambada.paper.json"))) == 1


@pytest.mark.slow
def test_the_pocket_ladder_separates_its_sizes_by_more_than_the_noise_of_a_seed(zeroscale, tmp_path):
    """Two seeds of each of the four sizes: about five minutes on two cores."""
    losses: dict[int, list[float]] = {}
    for seed in (0, 1):
        zeroscale("train", "+sweeps=pocket", f"study=seed{seed}", f"seed={seed}", "tracker=none", code=0, timeout=900)
        for row in ledger(tmp_path / "outputs" / f"seed{seed}"):
            losses.setdefault(int(float(row["params_non_embedding"])), []).append(float(row["val/loss"]))
    sizes = sorted(losses)
    assert all(larger >= 3 * smaller for smaller, larger in pairwise(sizes))
    for smaller, larger in pairwise(sizes):
        # Not only the means: the worse seed of the larger size beats the better seed of the smaller one.
        assert max(losses[larger]) < min(losses[smaller]), losses
    for pair in losses.values():
        assert abs(pair[0] - pair[1]) < 0.1, losses
