"""What stops a run, and what is only said."""

import json
import math
from pathlib import Path

import pytest

from zeroscale.cli.compose import compose
from zeroscale.config.hashing import as_dict
from zeroscale.config.train import TrainConfig
from zeroscale.config.validate import build_config
from zeroscale.core.errors import ZeroscaleError
from zeroscale.runs import checkpoint, layout, status
from zeroscale.training import guards


def settings(*overrides: str) -> TrainConfig:
    return build_config(TrainConfig, compose("train", list(overrides)).configs[0][1])


class Corpus:
    """A corpus as the guards see it."""

    fingerprint = "corpus-1"

    class tokenizer:
        fingerprint = "tokenizer-1"


def meta(*overrides: str) -> dict:
    return {"settings": as_dict(settings(*overrides)), "corpus": "corpus-1", "tokenizer": "tokenizer-1"}


@pytest.mark.parametrize(("loss", "norm"), [(math.nan, 1.0), (1.0, math.inf), (math.inf, math.nan)])
def test_a_step_on_no_number_is_refused(loss, norm):
    guards.check_finite(4, 2.0, 3.0)
    with pytest.raises(guards.NonFiniteLoss, match="step 5"):
        guards.check_finite(5, loss, norm)


def test_a_spike_stands_out_from_the_losses_before_it():
    spikes = guards.LossSpikeDetector(3.0 + 0.02 * math.sin(n) for n in range(64))
    assert spikes.update(3.05) is None
    assert spikes.update(4.2) == pytest.approx(1.2, abs=0.03)
    # Too few losses say nothing about what is usual, and a fall is no spike.
    assert guards.LossSpikeDetector([3.0] * 10).update(9.0) is None
    assert guards.LossSpikeDetector([3.0] * 64).update(1.0) is None


def test_a_resumed_run_finds_the_same_spikes():
    losses = [3.0 + 0.05 * math.sin(7 * n) + (1.5 if n in (80, 130) else 0.0) for n in range(200)]
    whole = guards.LossSpikeDetector()
    heights = [whole.update(loss) for loss in losses]
    resumed = guards.LossSpikeDetector(losses[:100])
    assert [resumed.update(loss) for loss in losses[100:]] == heights[100:]
    assert [n for n, height in enumerate(heights) if height is not None] == [80, 130]


def test_a_run_goes_on_with_its_own_settings_and_with_those_that_change_no_result():
    start = Path("outputs/study/cell/checkpoints/step-00000005")
    guards.check_same_run(start, meta(), settings("trainer.val_every=7", "study=other", "cards_from=sample"), Corpus)
    with pytest.raises(ZeroscaleError) as caught:
        guards.check_same_run(start, meta(), settings("optimizer.lr=0.5", "trainer.tokens=2097152"), Corpus)
    message = str(caught.value)
    assert "optimizer.lr was 0.006, is 0.5" in message and "trainer.tokens was 1048576, is 2097152" in message
    assert "trainer.val_every" in message.partition("may change only")[2]


def test_settings_that_came_later_do_not_make_an_old_run_another():
    old = meta()
    del old["settings"]["trainer"]["activation_checkpointing"], old["settings"]["init_from"]
    guards.check_same_run(Path("a/b/c/step-00000005"), old, settings(), Corpus)
    with pytest.raises(ZeroscaleError, match="activation_checkpointing was False, is True"):
        guards.check_same_run(
            Path("a/b/c/step-00000005"), old, settings("trainer.activation_checkpointing=true"), Corpus
        )


@pytest.mark.parametrize("what", ["corpus", "tokenizer"])
def test_another_corpus_or_tokenizer_is_refused(what):
    with pytest.raises(ZeroscaleError, match=f"another {what} .*has changed since"):
        guards.check_same_run(Path("a/b/c/step-00000005"), {**meta(), what: "other"}, settings(), Corpus)


def test_divergence_stops_before_the_step_and_names_the_last_good_checkpoint(zeroscale, small, texts, tmp_path):
    # A rate that no model survives, and a scale that fp32 does not hold.
    arguments = ["train", *small, "optimizer.lr=1.0e+30", "optimizer.lr_reference_params=null", "schedule=constant"]
    arguments += ["schedule.warmup_tokens=0", "trainer.checkpoint_every=1", "trainer.val_every=100"]
    result = zeroscale(*arguments, code=1)
    (cell,) = (path.parent for path in tmp_path.glob("outputs/*/*/config.yaml"))
    newest = checkpoint.all_of(cell)[-1]
    step = checkpoint.step_of(newest)
    assert f"training has diverged at step {step + 1}" in result.stderr
    assert f"the last good checkpoint is {newest.relative_to(tmp_path)}" in result.stderr
    assert status.read(cell).state == "failed" and not (cell / "DONE").exists()
    # The weights that were kept are the last that were numbers.
    checkpoint.verify(newest)
    from safetensors.torch import load_file

    assert all(tensor.isfinite().all() for tensor in load_file(newest / layout.WEIGHTS).values())
    rows = [json.loads(line) for line in (cell / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, step + 1))
    # The same command meets the same batch with the same weights.
    assert f"diverged at step {step + 1}" in zeroscale(*arguments, code=1).stderr
