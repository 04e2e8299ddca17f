"""One batch, cut in many ways: two gloo ranks by DDP and FSDP, micro-batches, recomputed blocks: one and the same."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support import two_ranks
from support.once import once

from zeroscale.cli.compose import compose
from zeroscale.config.hashing import as_dict
from zeroscale.config.train import TrainConfig
from zeroscale.config.validate import build_config
from zeroscale.core.errors import ZeroscaleError
from zeroscale.model import weights
from zeroscale.model.config import GPTConfig
from zeroscale.model.gpt import GPT
from zeroscale.model.tensor_files import open_file
from zeroscale.runs import layout

SCRIPT = Path(two_ranks.__file__)
# Clipping that bites from the first step on: its norm must be the whole gradient's, not a shard's.
BASE = [
    *("model.n_layer=2", "model.d_model=16", "model.n_head=2", "model.n_positions=32", "tokenizer=bytes"),
    *("trainer.tokens=2560", "trainer.batch_tokens=256", "schedule.warmup_tokens=256", "optimizer.grad_clip=0.1"),
    *("trainer.accelerator=cpu", "tracker=none"),
]
FSDP = ["trainer.devices=2", "trainer.strategy=fsdp"]
# name: (overrides, the way whose checkpoint in the middle it starts from)
TWO = {
    "ddp": (["trainer.devices=2"], None),
    "ddp-accumulated": (["trainer.devices=2", "trainer.micro_batch_tokens=32"], None),
    "fsdp": (FSDP, None),
    "fsdp-accumulated-recomputed": (
        [*FSDP, "trainer.micro_batch_tokens=64", "trainer.activation_checkpointing=true"],
        None,
    ),
    "fsdp-from-one": (FSDP, "one"),
    "fsdp-resumed": (FSDP, "fsdp"),
    "muon-fsdp": ([*FSDP, "optimizer=muon"], None),
    "mixed-fsdp": ([*FSDP, "trainer.precision=bf16-mixed"], None),
    "true-fsdp": ([*FSDP, "trainer.precision=bf16-true"], None),
}
ONE = {
    "one": ([], None),
    "accumulated": (["trainer.micro_batch_tokens=64"], None),
    "recomputed": (["trainer.activation_checkpointing=true"], None),
    "muon": (["optimizer=muon"], None),
    "mixed": (["trainer.precision=bf16-mixed"], None),
    "true": (["trainer.precision=bf16-true"], None),
}
LATE = {"one-from-fsdp": ([], "fsdp")}


@pytest.fixture(scope="module")
def ways(tmp_path_factory) -> Path:
    """Every way trained, once for all tests: alone in this process, as two ranks in two others."""
    return once(tmp_path_factory, "ways", train_all)


def train_all(folder: Path) -> None:
    def plan(group: dict) -> dict:
        return {
            name: {
                "settings": as_dict(build_config(TrainConfig, compose("train", [*BASE, *overrides]).configs[0][1])),
                "start": str(layout.checkpoint_directory(folder / start, two_ranks.HALF)) if start else None,
            }
            for name, (overrides, start) in group.items()
        }

    def run_here(group: dict) -> None:
        for name, way in plan(group).items():
            two_ranks.train(way["settings"], folder / name, Path(way["start"]) if way["start"] else None)

    run_here(ONE)
    (folder / "ways.json").write_text(json.dumps(plan(TWO)))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    result = subprocess.run(
        [*command, str(SCRIPT), str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    run_here(LATE)


def rows(folder: Path, name: str) -> torch.Tensor:
    """[steps, 2]: losses and norms."""
    return torch.tensor(json.loads((folder / f"{name}.json").read_text()), dtype=torch.float64)


def final(folder: Path, name: str) -> dict[str, torch.Tensor]:
    stored = open_file(layout.checkpoint_directory(folder / name, 10) / layout.WEIGHTS)
    return {key: stored[key].load() for key in stored}


@pytest.mark.parametrize(
    "way", ["accumulated", "recomputed", "ddp", "ddp-accumulated", "fsdp", "fsdp-accumulated-recomputed"]
)
def test_however_a_batch_is_cut_the_training_is_the_same(ways, way):
    one = rows(ways, "one")
    assert len(one) == 10 and (one[:, 1] > 0.1).all()
    # fp32 rounding: 6e-8 a sum; ten steps of the optimizer make some of it grow.
    torch.testing.assert_close(rows(ways, way), one, rtol=1e-5, atol=0)
    whole, alone = final(ways, way), final(ways, "one")
    assert whole.keys() == alone.keys()
    # Where a gradient is near zero AdamW's step, 1e-2, is a matter of its last bits: single weights differ by more.
    apart = sum(float((whole[name] - alone[name]).square().sum()) for name in alone)
    assert apart <= 1e-8 * sum(float(weight.square().sum()) for weight in alone.values())


def test_a_checkpoint_of_two_shards_is_one_file_that_the_plain_model_reads(ways):
    gpt = GPT(GPTConfig(vocab_size=257, n_positions=32, n_layer=2, d_model=16, n_head=2))
    weights.load_state(gpt, layout.checkpoint_directory(ways / "fsdp", 10) / layout.WEIGHTS)
    ours = open_file(layout.checkpoint_directory(ways / "fsdp", 5) / layout.OPTIMIZER)
    alone = open_file(layout.checkpoint_directory(ways / "one", 5) / layout.OPTIMIZER)
    assert {key: tensor.shape for key, tensor in ours.items()} == {key: tensor.shape for key, tensor in alone.items()}


@pytest.mark.parametrize("way", ["fsdp-from-one", "one-from-fsdp"])
def test_a_checkpoint_is_gone_on_from_by_another_number_of_devices(ways, way):
    torch.testing.assert_close(rows(ways, way), rows(ways, "one")[5:], rtol=1e-5, atol=0)


def test_a_sharded_run_goes_on_from_its_checkpoint_to_the_same_bits(ways):
    assert torch.equal(rows(ways, "fsdp-resumed"), rows(ways, "fsdp")[5:])
    for name, weight in final(ways, "fsdp-resumed").items():
        assert torch.equal(weight, final(ways, "fsdp")[name])


def test_muon_shards_orthogonalise_whole_matrices(ways):
    # Its Newton-Schulz iteration is in bf16: a rounding of the gradient's last bit may move an update by 2^-8.
    torch.testing.assert_close(rows(ways, "muon-fsdp"), rows(ways, "muon"), rtol=1e-3, atol=0)
    assert not torch.allclose(rows(ways, "muon"), rows(ways, "one"), rtol=1e-3)


@pytest.mark.parametrize(("precision", "stored"), [("mixed", torch.float32), ("true", torch.bfloat16)])
def test_bf16_trains_near_fp32_on_one_device_and_on_two(ways, precision, stored):
    for way in (precision, f"{precision}-fsdp"):
        # bf16 has 8 significant bits: a loss is right to a few 2^-8; not to fp32's precision, or nothing was in bf16.
        torch.testing.assert_close(rows(ways, way)[:, 0], rows(ways, "one")[:, 0], rtol=2**-7, atol=0)
        assert not torch.allclose(rows(ways, way), rows(ways, "one"), rtol=1e-6)
        assert {tensor.dtype for tensor in final(ways, way).values()} == {stored}


@pytest.mark.slow
def test_the_whole_way_by_the_command(zeroscale, small, texts, tmp_path):
    """Two ranks under FSDP, from the command line; one device goes on from what they left."""
    arguments = ["train", *small, "trainer.accelerator=cpu", "trainer.keep_checkpoints=9"]
    zeroscale(*arguments, *FSDP, "study=two", "cards=[lambada]", "cards_from=sample")
    (two,) = (path.parent for path in tmp_path.glob("outputs/two/*/DONE"))
    on = zeroscale(*arguments, f"init_from.run={two.relative_to(tmp_path)}", "init_from.tokens=2560", "study=on")
    assert "goes on from step 10 of outputs/two/" in on.stdout
    (one,) = (path.parent for path in tmp_path.glob("outputs/on/*/DONE"))
    ours, theirs = (
        [json.loads(line) for line in (cell / "metrics.jsonl").read_text().splitlines()] for cell in (one, two)
    )
    assert [row["step"] for row in ours] == [row["step"] for row in theirs] == list(range(1, 21))
    for row, other in zip(ours, theirs, strict=True):
        assert row["train/loss"] == pytest.approx(other["train/loss"], rel=1e-5)
    assert ours[-1]["val/loss"] == pytest.approx(theirs[-1]["val/loss"], rel=1e-5)


@pytest.mark.slow
def test_compiled_training_is_the_same_within_rounding(zeroscale, small, texts, tmp_path):
    losses = {}
    sharded = [*FSDP, "trainer.activation_checkpointing=true"]
    for study, arguments in (
        ("eager", []),
        ("compiled", ["trainer.compile=true"]),
        ("sharded", ["trainer.compile=true", *sharded]),
    ):
        zeroscale("train", *small, "trainer.accelerator=cpu", f"study={study}", *arguments)
        (metrics,) = tmp_path.glob(f"outputs/{study}/*/metrics.jsonl")
        losses[study] = [json.loads(line)["train/loss"] for line in metrics.read_text().splitlines()]
    assert losses["compiled"] == pytest.approx(losses["eager"], rel=1e-5)
    assert losses["sharded"] == pytest.approx(losses["eager"], rel=1e-5)


def test_fsdp_on_one_device_is_a_fault_of_the_settings():
    with pytest.raises(ZeroscaleError, match="shards a model over devices"):
        build_config(TrainConfig, compose("train", ["trainer.strategy=fsdp"]).configs[0][1])
