import dataclasses

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from zeroscale.config.optimizer import OptimizerConfig
from zeroscale.launch.plan import plan_run
from zeroscale.model.config import GPTConfig
from zeroscale.model.gpt import GPT
from zeroscale.training.optimizer import OPTIMIZERS, is_hidden_matrix, optimizers

SHAPE = GPTConfig(vocab_size=32, n_positions=8, n_layer=1, d_model=8, n_head=2)


def settings(name: str) -> OptimizerConfig:
    return OptimizerConfig(
        name=name, lr=0.01, lr_reference_params=None, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1, grad_clip=1.0
    )


def test_only_matrices_decay():
    model = GPT(SHAPE)
    (adamw,) = optimizers(model, settings("adamw"), lr=0.5)
    decayed, plain = adamw.param_groups
    assert decayed["weight_decay"] == 0.1 and plain["weight_decay"] == 0.0
    assert {parameter.dim() for parameter in decayed["params"]} == {2}
    assert {parameter.dim() for parameter in plain["params"]} == {1}
    assert len(decayed["params"]) + len(plain["params"]) == len(list(model.parameters()))


def test_muon_takes_the_blocks_matrices_and_adamw_the_rest():
    model = GPT(SHAPE)
    muon, adamw = optimizers(model, settings("muon"), lr=0.5)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    taken = {names[id(parameter)] for parameter in muon.param_groups[0]["params"]}
    assert taken == {
        f"blocks.0.{name}.weight" for name in ("attn.qkv", "attn.proj", "mlp.up", "mlp.down")
    } and taken == {name for name, parameter in model.named_parameters() if is_hidden_matrix(name, parameter)}
    rest = {names[id(parameter)] for group in adamw.param_groups for parameter in group["params"]}
    assert rest | taken == set(names.values()) and not rest & taken
    assert {"wte.weight", "wpe.weight"} <= {names[id(parameter)] for parameter in adamw.param_groups[0]["params"]}


def test_muons_update_is_orthogonal_and_of_adamws_size():
    model = GPT(GPTConfig(vocab_size=32, n_positions=8, n_layer=1, d_model=64, n_head=2))
    muon, _ = optimizers(model, settings("muon"), lr=1.0)
    muon.param_groups[0]["weight_decay"] = 0.0
    weight = model.blocks[0].mlp.up.weight
    before = weight.detach().clone()
    weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    muon.step()
    update = before - weight.detach()
    # Liu et al. 2025, equation 4: 0.2 · √max(m, n) · U V^T has a root mean square of 0.2. Five iterations of the
    # quintic bring the singular values only near to one (Jordan et al. 2024: between 0.7 and 1.2).
    assert update.square().mean().sqrt().item() == pytest.approx(0.2, rel=0.25)
    values = torch.linalg.svdvals(update) / (0.2 * max(weight.shape) ** 0.5)
    assert values.min() > 0.5 and values.max() < 1.4


def test_every_name_of_the_settings_has_an_optimizer():
    (name,) = (field for field in dataclasses.fields(OptimizerConfig) if field.name == "name")
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(name.type).validate_python("none")
    (fault,) = caught.value.errors()
    assert set(fault["msg"].partition("should be ")[2].split(", ")[:-1]) == set(OPTIMIZERS)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_the_plan_bills_the_states_that_the_optimizer_keeps(name):
    shape = {"vocab_size": 40, "n_positions": 16, "n_layer": 2, "d_model": 16, "n_head": 2}
    model = GPT(GPTConfig(**shape))
    together = optimizers(model, settings(name), lr=0.01)
    tokens = torch.randint(0, 40, (4, 17), generator=torch.Generator().manual_seed(0))
    model.loss(tokens[:, :-1], tokens[:, 1:]).backward()
    for optimizer in together:
        optimizer.step()
    kept = [
        tensor
        for optimizer in together
        for state in optimizer.state.values()
        for tensor in state.values()
        # AdamW counts its steps in one number for each parameter: no state of a weight.
        if tensor.numel() > 1
    ]
    run = {"tokens": 64, "batch_tokens": 64, "micro_batch_rows": 4, "context": 16, "device": "cpu"}
    plan = plan_run(name=name, **shape, **run, optimizer=name)
    assert plan.memory.optimizer == sum(tensor.nbytes for tensor in kept)
    counts = {"adamw": 2 * plan.params.total, "muon": 2 * plan.params.total - 2 * 12 * 16**2}
    assert sum(tensor.numel() for tensor in kept) == counts[name]
