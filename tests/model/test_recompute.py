"""What is computed again has the bits of what was not kept."""

import pytest
import torch

from zeroscale.model import recompute
from zeroscale.model.config import GPTConfig
from zeroscale.model.gpt import GPT

SHAPE = {"vocab_size": 300, "n_positions": 64, "n_layer": 2, "d_model": 48, "n_head": 4}


def step(seed: int = 0, **fields) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """A loss and all its gradients, of a model in which no weight is a special number."""
    model = GPT(GPTConfig(**{**SHAPE, **fields}), seed)
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    tokens = torch.randint(0, 300, (3, 65))
    loss = model.loss(tokens[:, :-1], tokens[:, 1:])
    loss.backward()
    return loss.detach(), [parameter.grad for parameter in model.parameters()]


@pytest.mark.parametrize("fields", [{}, {"d_model": 64, "n_head": 1}, {"activation": "relu"}, {"tied": False}])
def test_every_gradient_has_the_same_bits(monkeypatch, fields):
    monkeypatch.setattr(recompute, "MIN_NUMBERS", 10**12)
    loss, gradients = step(**fields)
    monkeypatch.setattr(recompute, "MIN_NUMBERS", 1)
    again, others = step(**fields)
    assert torch.equal(loss, again)
    assert len(gradients) == len(others) and all(map(torch.equal, gradients, others))


def kept_bytes(monkeypatch, worthwhile: int) -> int:
    """What a forward pass through one block keeps for the backward pass, weights aside."""
    monkeypatch.setattr(recompute, "MIN_NUMBERS", worthwhile)
    model = GPT(GPTConfig(**SHAPE))
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    x = torch.randn(2, 64, 48, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = model.blocks[0](x, None, None)
    assert y.requires_grad
    return sum(kept.values())


def test_a_block_keeps_ten_numbers_for_each_of_its_states_instead_of_sixteen(monkeypatch):
    states = 2 * 64 * 48 * 4
    # Beside them the norms' and the softmax's statistics: a few numbers a token.
    assert kept_bytes(monkeypatch, 10**12) / states == pytest.approx(16, abs=0.4)
    assert kept_bytes(monkeypatch, 1) / states == pytest.approx(10, abs=0.4)


def test_dropout_and_inference_work_beside_it(monkeypatch):
    monkeypatch.setattr(recompute, "MIN_NUMBERS", 1)
    model = GPT(GPTConfig(**{**SHAPE, "dropout": 0.5})).train()
    tokens = torch.randint(0, 300, (3, 64))
    with torch.no_grad():
        assert model(tokens).shape == (3, 64, 300)
    model.loss(tokens, tokens).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_tied_weights_one_gradient_is_the_sum_of_both(monkeypatch):
    loss, gradients = step()
    monkeypatch.setattr(recompute, "MIN_TABLE_NUMBERS", 1)
    again, others = step()
    assert torch.equal(loss, again)
    (table, *rest), (shared, *same) = gradients, others
    assert all(map(torch.equal, rest, same))
    # Added in another order: fp32 rounding.
    torch.testing.assert_close(shared, table, rtol=1e-5, atol=1e-7)
    assert torch.count_nonzero(table - shared)


def test_gradients_that_are_accumulated_are_the_sum_of_each(monkeypatch):
    monkeypatch.setattr(recompute, "MIN_TABLE_NUMBERS", 1)
    model = GPT(GPTConfig(**SHAPE))
    parts = [torch.randint(0, 300, (2, 65)) for _ in range(2)]
    for part in parts:
        model.loss(part[:, :-1], part[:, 1:]).backward()
    together = model.wte.weight.grad
    alone = torch.zeros_like(together)
    for part in parts:
        (gradient,) = torch.autograd.grad(model.loss(part[:, :-1], part[:, 1:]), [model.wte.weight])
        alone += gradient
    torch.testing.assert_close(together, alone, rtol=1e-6, atol=1e-8)
