import dataclasses
import math
from itertools import pairwise

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from zeroscale.config.optimizer import ScheduleConfig
from zeroscale.training.lr_schedule import SCHEDULES, lr_at


def schedule(name: str = "cosine", warmup: int = 1000, final: float = 0.1) -> ScheduleConfig:
    return ScheduleConfig(name=name, warmup_tokens=warmup, final_lr_fraction=final)


def rate(step: int, **changes) -> float:
    return lr_at(step, **{"peak": 2.0, "steps": 100, "batch_tokens": 100, "schedule": schedule(), **changes})


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


@pytest.mark.parametrize(("form", "half"), [("linear", 0.5), ("sqrt", 1 - math.sqrt(0.5))])
def test_wsd_stays_at_the_peak_and_then_falls(form, half):
    wsd = ScheduleConfig(name="wsd", warmup_tokens=1000, final_lr_fraction=0.1, decay_fraction=0.2, decay=form)
    rates = [rate(step, schedule=wsd, decay_start=80) for step in range(100)]
    assert rates[4] == pytest.approx(1.0) and set(rates[9:80]) == {2.0}
    assert rates[89] == pytest.approx(2.0 * (0.1 + 0.9 * half)) and rates[99] == pytest.approx(0.2)
    assert all(before > after for before, after in pairwise(rates[79:]))


def test_a_cooldowns_rates_are_its_trunks_until_the_decay():
    wsd = ScheduleConfig(name="wsd", warmup_tokens=1000, final_lr_fraction=0.0)
    for step in range(60):
        assert rate(step, steps=75, schedule=wsd, decay_start=60) == rate(step, schedule=schedule("constant"))


def test_every_name_of_the_settings_has_a_schedule():
    (name,) = (field for field in dataclasses.fields(ScheduleConfig) if field.name == "name")
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(name.type).validate_python("none")
    (fault,) = caught.value.errors()
    assert set(fault["msg"].partition("should be ")[2].split(", ")[:-1]) == set(SCHEDULES)
