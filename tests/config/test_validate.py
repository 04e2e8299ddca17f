import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroscale.cli.compose import compose
from zeroscale.config.hashing import NOT_HASHED, as_dict
from zeroscale.config.train import TrainConfig
from zeroscale.config.validate import build_config
from zeroscale.core.errors import ZeroscaleError


def raw(*overrides: str) -> dict:
    return compose("train", list(overrides)).configs[0][1]


def test_settings_survive_the_way_through_plain_values():
    settings = build_config(TrainConfig, raw())
    assert build_config(TrainConfig, as_dict(settings)) == settings


def test_all_faults_come_in_one_message():
    broken = raw()
    broken["model"] |= {"d_model": 30, "n_head": 4, "colour": "red"}
    broken["trainer"] |= {"tokens": "many", "batch_tokens": 100}
    broken["optimizer"]["lr"] = -1.0
    broken["study"] = "corpora"
    del broken["schedule"]["warmup_tokens"]
    with pytest.raises(ZeroscaleError) as caught:
        build_config(TrainConfig, broken)
    message = str(caught.value)
    for part in (
        "model.colour: unknown key",
        "d_model=30 is not divisible by model.n_head=4",
        "trainer.tokens='many'",
        "trainer.batch_tokens=100 is not divisible",
        "optimizer.lr=-1.0",
        "study=corpora",
        "schedule.warmup_tokens: missing",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["trainer.context_length=256"], "longer than model.n_positions=128"),
        (["trainer.tokens=1048577"], "1048576 or 1049600 would be"),
        (["trainer.batch_tokens=1000"], "divisible by context × devices = 128 × 1; 1024 would be"),
        (["trainer.micro_batch_tokens=640"], "into equal parts of whole rows"),
        (["schedule.warmup_tokens=2000000"], "does not end before trainer.tokens"),
        (["cards=[lambada]"], "needs data_dir"),
        (["model.vocab_size=100"], "smaller than the tokenizer's 2048"),
        (["trainer.threads=true"], "valid integer"),
        (["trainer.tokens=2048.5"], "valid integer"),
        (["data=hub"], "data.dataset: missing"),
        (["+data.dataset=x"], "data.dataset: unknown key"),
        (["study='a/b'"], "study='a/b'"),
    ],
)
def test_a_fault_names_the_setting_and_what_would_be_right(overrides, words):
    with pytest.raises(ZeroscaleError, match=words.replace("(", r"\(")):
        build_config(TrainConfig, raw(*overrides))


def test_more_devices_than_there_are_is_a_fault_of_the_machine_only():
    value = raw("trainer.devices=16", "trainer.accelerator=cpu", "trainer.batch_tokens=2048")
    assert build_config(TrainConfig, value).trainer.devices == 16
    with pytest.raises(ZeroscaleError, match="this machine has 2 CPU cores"):
        build_config(TrainConfig, value, {"cpu": 2, "cuda": 0})
    value["trainer"]["accelerator"] = "cuda"
    with pytest.raises(ZeroscaleError, match=r"this machine has 1 GPU$"):
        build_config(TrainConfig, value, {"cpu": 64, "cuda": 1})


def test_the_hash_leaves_out_what_cannot_change_a_result():
    base = build_config(TrainConfig, raw())
    same = build_config(
        TrainConfig,
        raw(
            "study=other",
            "output_dir=/elsewhere",
            "tracker=none",
            "trainer.val_every=7",
            "cards=core",
            "cards_from=sample",
        ),
    )
    assert base.hash() == same.hash() and base.cell == same.cell
    assert all(key.split(".")[0] in as_dict(base) for key in NOT_HASHED)


@pytest.mark.parametrize(
    "override",
    [
        "seed=1",
        "optimizer.lr=0.1",
        "trainer.tokens=2097152",
        "model.n_layer=3",
        "data.val_fraction=0.1",
        "trainer.threads=1",
    ],
)
def test_the_hash_moves_with_what_can_change_a_result(override):
    assert build_config(TrainConfig, raw(override)).hash() != build_config(TrainConfig, raw()).hash()


def test_the_learning_rate_rule_of_porian_et_al():
    # 0.0047 at 108 M parameters; a power of -1/3 makes it half at eight times the size.
    optimizer = build_config(
        TrainConfig, raw("optimizer.lr=0.0047", "optimizer.lr_reference_params=108.0e+6")
    ).optimizer
    assert optimizer.lr_for(108_000_000) == pytest.approx(0.0047)
    assert optimizer.lr_for(8 * 108_000_000) == pytest.approx(0.0047 / 2)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_value_anywhere_is_settings_or_one_message(value):
    for path in (("model",), ("trainer", "tokens"), ("data",), ("cards",), ("seed",)):
        broken = copy.deepcopy(BASE)
        node = broken
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = value
        try:
            build_config(TrainConfig, broken)
        except ZeroscaleError as error:
            assert "the settings do not work" in str(error)


BASE = raw()
