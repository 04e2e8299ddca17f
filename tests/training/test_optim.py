import math

import pytest
import torch

from zeroscale.model import GPT, GPTConfig
from zeroscale.settings import OptimizerSettings, ScheduleSettings
from zeroscale.training.optim import adamw, lr_at

ADAMW = OptimizerSettings(
    name="adamw", lr=0.01, lr_reference_params=None, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1, grad_clip=1.0
)


def schedule(name: str = "cosine", warmup: int = 1000, final: float = 0.1) -> ScheduleSettings:
    return ScheduleSettings(name=name, warmup_tokens=warmup, final_lr_fraction=final)


def rate(step: int, **changes) -> float:
    return lr_at(step, **{"peak": 2.0, "steps": 100, "batch_tokens": 100, "schedule": schedule(), **changes})


def test_only_matrices_decay():
    model = GPT(GPTConfig(vocab_size=32, n_positions=8, n_layer=1, d_model=8, n_head=2))
    decayed, plain = adamw(model, ADAMW, lr=0.5).param_groups
    assert decayed["weight_decay"] == 0.1 and plain["weight_decay"] == 0.0
    assert {parameter.dim() for parameter in decayed["params"]} == {2}
    assert {parameter.dim() for parameter in plain["params"]} == {1}
    assert len(decayed["params"]) + len(plain["params"]) == len(list(model.parameters()))


def test_warm_up_is_linear_and_reaches_the_peak_with_its_last_token():
    assert [rate(step) for step in (0, 4, 9)] == pytest.approx([0.2, 1.0, 2.0])


@pytest.mark.parametrize("name", ["cosine", "linear"])
def test_the_last_step_ends_at_the_final_fraction(name):
    assert rate(99, schedule=schedule(name)) == pytest.approx(0.2)
    middle = 9 + 45  # half of the way from warm-up's end to the last step
    assert rate(middle, schedule=schedule(name)) == pytest.approx(2.0 * (0.1 + 0.9 * 0.5))


def test_constant_stays_at_the_peak():
    assert {rate(step, schedule=schedule("constant")) for step in range(9, 100)} == {2.0}


def test_cosine_is_torchs_cosine():
    # torch.optim.lr_scheduler.CosineAnnealingLR over the 90 steps after warm-up.
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=2.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=90, eta_min=0.2)
    for step in range(9, 100):
        assert rate(step) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        optimizer.step()
        theirs.step()


def test_no_warm_up_starts_near_the_peak():
    assert rate(0, schedule=schedule(warmup=0)) == pytest.approx(2.0 * (0.1 + 0.45 * (1 + math.cos(math.pi / 100))))
