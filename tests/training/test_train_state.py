"""A training state out to disk and back, to the bit."""

import pytest
import torch

from zeroscale.config.optimizer import OptimizerConfig
from zeroscale.core.errors import ZeroscaleError
from zeroscale.model.config import GPTConfig
from zeroscale.model.gpt import GPT
from zeroscale.runs import layout
from zeroscale.training import train_state
from zeroscale.training.optimizer import optimizers

SHAPE = {"vocab_size": 40, "n_positions": 16, "n_layer": 2, "d_model": 16, "n_head": 2}


def settings(name: str) -> OptimizerConfig:
    return OptimizerConfig(
        name=name, lr=0.01, lr_reference_params=None, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1, grad_clip=1.0
    )


def trained(name: str, steps: int, seed: int = 0):
    model = GPT(GPTConfig(**SHAPE), seed)
    together = optimizers(model, settings(name), lr=0.01)
    train(model, together, range(steps))
    return model, together


def train(model, together, steps) -> None:
    for step in steps:
        tokens = torch.randint(0, 40, (4, 17), generator=torch.Generator().manual_seed(step))
        model.loss(tokens[:, :-1], tokens[:, 1:]).backward()
        for optimizer in together:
            optimizer.step()
            optimizer.zero_grad()


def written(path, model, together) -> None:
    weights, state = train_state.StateSnapshot(model, together, keep=True).capture()
    train_state.write(path, weights, state, {"step": 3})


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_a_restored_run_goes_on_to_the_same_bits(tmp_path, name):
    model, together = trained(name, 3)
    written(tmp_path / "step-00000003", model, together)
    train(model, together, range(3, 8))
    other = GPT(GPTConfig(**SHAPE), seed=9)
    fresh = optimizers(other, settings(name), lr=0.01)
    train_state.restore(tmp_path / "step-00000003", other, fresh)
    train(other, fresh, range(3, 8))
    for ours, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_snapshot_is_a_copy_and_its_buffers_are_used_again(tmp_path):
    model, together = trained("adamw", 1)
    snapshots = train_state.StateSnapshot(model, together, keep=True)
    first, _ = snapshots.capture()
    before = first["wte.weight"].clone()
    train(model, together, range(1, 2))
    assert torch.equal(first["wte.weight"], before) and not torch.equal(model.wte.weight, before)
    second, _ = snapshots.capture()
    assert second["wte.weight"].data_ptr() == first["wte.weight"].data_ptr()
    assert torch.equal(second["wte.weight"], model.wte.weight)


def test_another_model_or_optimizer_is_refused_and_named(tmp_path):
    model, together = trained("adamw", 1)
    path = tmp_path / "step-00000001"
    written(path, model, together)
    wider = GPT(GPTConfig(**{**SHAPE, "d_model": 32}), 0)
    with pytest.raises(ZeroscaleError, match=r"proj.bias is \[16\] there, \[32\] here"):
        train_state.restore(path, wider, optimizers(wider, settings("adamw"), lr=0.01))
    shallower = GPT(GPTConfig(**{**SHAPE, "n_layer": 1}), 0)
    with pytest.raises(ZeroscaleError, match="not part of the model"):
        train_state.restore(path, shallower, optimizers(shallower, settings("adamw"), lr=0.01))
    same = GPT(GPTConfig(**SHAPE), 0)
    with pytest.raises(ZeroscaleError, match="another model or optimizer"):
        train_state.restore(path, same, optimizers(same, settings("adamw"), lr=0.01)[:0])


def test_the_weights_are_what_the_model_reads(tmp_path):
    from zeroscale.model import weights

    model, together = trained("adamw", 2)
    written(tmp_path / "step-00000002", model, together)
    other = GPT(GPTConfig(**SHAPE), 5)
    weights.load_state(other, tmp_path / "step-00000002" / layout.WEIGHTS)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
