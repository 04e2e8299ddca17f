"""Numbers that follow from a model's size: by a published rule, by its name, by what a small sweep has found."""

import json

import pytest
import yaml

from zeroscale.cli.compose import compose
from zeroscale.config.hashing import as_dict
from zeroscale.config.train import TrainConfig
from zeroscale.config.validate import build_config
from zeroscale.core.errors import ZeroscaleError

GPT2 = ["tokenizer=gpt2", "trainer=gpt2", "trainer.devices=1", "schedule=cosine"]


def settings(*overrides: str) -> TrainConfig:
    return build_config(TrainConfig, compose("train", list(overrides)).configs[0][1])


def test_porian_at_its_own_size_gives_its_own_numbers():
    # N = 108 M with the head: 0.0047, 160 sequences of 2,048, warm-up over N tokens (Porian et al. 2024).
    rules = ["optimizer.lr=porian", "trainer.batch_tokens=porian", "schedule.warmup_tokens=porian"]
    near = settings("model=gpt2-small", "model.n_layer=10", "model.vocab_size=50257", *GPT2, *rules)
    assert near.params.matmul == pytest.approx(109.5e6, rel=0.01)
    assert near.lr == pytest.approx(0.0047, rel=0.01) and near.optimizer.lr_reference_params is None
    assert near.trainer.batch_tokens == 160 * 2048
    assert near.schedule.warmup_tokens == near.params.matmul


def test_a_rule_follows_the_size_and_the_run_stays_whole_batches():
    small, medium = (
        settings(
            f"model={name}", *GPT2, "optimizer.lr=porian", "trainer.batch_tokens=porian", "trainer.tokens=1000000000"
        )
        for name in ("gpt2-small", "gpt2-medium")
    )
    ratio = medium.params.matmul / small.params.matmul
    assert medium.lr / small.lr == pytest.approx(ratio ** (-1 / 3))
    assert medium.trainer.batch_tokens / small.trainer.batch_tokens == pytest.approx(ratio ** (2 / 3), rel=0.07)
    for run in (small, medium):
        assert run.trainer.tokens % run.trainer.batch_tokens == 0 and run.trainer.batch_tokens % (1024 * 16) == 0
        assert run.trainer.tokens == pytest.approx(1e9, rel=0.001)


def test_kaplan_speaks_of_rates_and_warm_up_and_of_no_batch():
    run = settings("model=gpt2-small", *GPT2, "optimizer.lr=kaplan", "schedule.warmup_tokens=kaplan")
    # 0.003239 - 0.0001395 ln N, N without embeddings; 3,000 steps of 2^19 tokens (Kaplan et al. 2020, appendix D.6).
    assert run.lr == pytest.approx(0.003239 - 0.0001395 * 18.2587, rel=1e-3)
    assert run.schedule.warmup_tokens == 3000 * 2**19
    with pytest.raises(ZeroscaleError, match=r"trainer.batch_tokens=kaplan: neither a number nor .* rules: porian\n"):
        settings("trainer.batch_tokens=kaplan")


def test_what_a_run_was_trained_with_is_numbers_and_is_the_same_run_as_by_numbers():
    by_rule = settings("optimizer.lr=porian")
    by_number = settings(f"optimizer.lr={by_rule.lr!r}", "optimizer.lr_reference_params=null")
    assert by_rule.hash() == by_number.hash() and isinstance(as_dict(by_rule)["optimizer"]["lr"], float)
    assert build_config(TrainConfig, as_dict(by_rule)) == by_rule


def test_rates_by_the_models_name():
    rates = "optimizer.lr={pocket-s: 0.003, pocket-m: 0.002}"
    assert settings(rates, "model=pocket-m").lr == 0.002
    with pytest.raises(ZeroscaleError, match="no rate for model pocket-l, only for pocket-s, pocket-m"):
        settings(rates, "model=pocket-l")


def test_a_word_that_is_no_rule_stands_beside_the_other_faults():
    with pytest.raises(ZeroscaleError) as caught:
        settings("optimizer.lr=porain", "schedule.warmup_tokens=soon", "model.n_head=3")
    message = str(caught.value)
    assert "optimizer.lr=porain: neither a number nor a rule that gives one; rules: porian, kaplan" in message
    assert "schedule.warmup_tokens=soon" in message and "not divisible by model.n_head=3" in message
    # What is wrong with the size is told once, and nothing about the rate that follows from it.
    with pytest.raises(ZeroscaleError) as caught:
        settings("optimizer.lr=porian", "model.n_layer=none")
    assert "model.n_layer" in str(caught.value) and "optimizer.lr" not in str(caught.value)


def pasted(error: ZeroscaleError) -> list[str]:
    """The overrides that a message says to train the study with."""
    return str(error).partition("train the study with ")[2].partition(" as well")[0].split(" and ")[0].split()


@pytest.fixture
def study(tmp_path):
    """Finished runs of one size at four rates, two seeds each, as their directories would hold them."""

    def add(lr: float, seed: int, loss: float, *overrides: str, done: bool = True) -> None:
        size = [] if any("reference" in text for text in overrides) else ["optimizer.lr_reference_params=null"]
        run = settings(f"optimizer.lr={lr}", *size, f"seed={seed}", *overrides)
        cell = tmp_path / "rates" / run.cell
        cell.mkdir(parents=True)
        (cell / "config.yaml").write_text(yaml.safe_dump(as_dict(run)))
        rows = [{"step": 1, "val/loss": 9.0}, {"step": 2, "val/loss": loss}, {"step": 3}]
        (cell / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        if done:
            (cell / "DONE").write_text("{}")

    return add


def test_the_rate_with_the_lowest_mean_held_out_loss_is_taken(study, tmp_path):
    for lr, losses in ((0.001, (4.2, 4.3)), (0.002, (4.0, 4.1)), (0.004, (3.9, 4.4)), (0.008, (5.0, 5.1))):
        for seed, loss in enumerate(losses):
            study(lr, seed, loss)
    # Better, but unfinished, of another size, on another text, with another vocabulary: none of them speaks.
    study(0.016, 0, 1.0, done=False)
    study(0.016, 1, 1.0, "model=pocket-m")
    study(0.016, 2, 1.0, "data.name=other")
    study(0.016, 3, 1.0, "tokenizer.vocab_size=512")
    chosen = settings(f"optimizer.lr=study:{tmp_path}/rates", "seed=7", "trainer.tokens=2097152")
    assert chosen.lr == 0.002


def test_a_best_rate_at_an_end_of_those_tried_is_no_answer(study, tmp_path):
    for lr, loss in ((0.001, 4.2), (0.002, 4.0)):
        study(lr, 0, loss)
    with pytest.raises(ZeroscaleError) as caught:
        settings(f"optimizer.lr=study:{tmp_path}/rates")
    said = "the best rate for pocket-s, 0.002, is the largest of 2 tried: train the study with "
    assert said in str(caught.value)
    assert settings(*pasted(caught.value)).lr == pytest.approx(0.004)
    with pytest.raises(ZeroscaleError, match="has no finished run of pocket-l"):
        settings(f"optimizer.lr=study:{tmp_path}/rates", "model=pocket-l")


def test_what_to_add_is_typed_as_the_study_types_its_rates(study, tmp_path):
    # With a reference size the peak is lr (N / reference)^(-1/3): what is advised is typed, and gives the peak beyond.
    rule = "optimizer.lr_reference_params=100000"
    for lr, loss in ((0.006, 4.2), (0.012, 4.0)):
        study(lr, 0, loss, "model=pocket-m", rule)
    largest = settings("model=pocket-m", "optimizer.lr=0.012", rule)
    assert largest.lr != pytest.approx(0.012, rel=0.05)
    with pytest.raises(ZeroscaleError) as caught:
        settings(f"optimizer.lr=study:{tmp_path}/rates", "model=pocket-m")
    assert f"for pocket-m, {largest.lr:.6g} (optimizer.lr=0.012 at this size), is the largest" in str(caught.value)
    overrides = pasted(caught.value)
    assert overrides == ["model=pocket-m", "optimizer.lr=0.024", "optimizer.lr_reference_params=100000"]
    further = settings(*overrides)
    assert further.lr == pytest.approx(2 * largest.lr) and further.model.name == "pocket-m"
    # Such a run is one more of the same study: the best lies inside now, and its peak is taken as it is.
    study(0.024, 0, 4.1, "model=pocket-m", rule)
    chosen = settings(f"optimizer.lr=study:{tmp_path}/rates", "model=pocket-m")
    assert chosen.lr == pytest.approx(largest.lr) and chosen.optimizer.lr_reference_params is None


def test_the_best_rate_is_that_of_the_best_setting(study, tmp_path):
    for decay, losses in ((0.1, (4.2, 4.1, 4.3)), (0.0, (4.0, 3.9, 3.8))):
        for lr, loss in zip((0.001, 0.002, 0.004), losses, strict=True):
            study(lr, 0, loss, f"optimizer.weight_decay={decay}")
    # The best setting of all has the largest rate that was tried with its weight decay.
    with pytest.raises(ZeroscaleError, match=r"0\.004, is the largest of 3 tried"):
        settings(f"optimizer.lr=study:{tmp_path}/rates")
    study(0.008, 0, 5.0, "optimizer.weight_decay=0.0")
    assert settings(f"optimizer.lr=study:{tmp_path}/rates").lr == 0.004


def test_one_rate_alone_is_no_choice(study, tmp_path):
    study(0.002, 0, 4.0)
    with pytest.raises(ZeroscaleError, match=r"0\.002, is the only one tried") as caught:
        settings(f"optimizer.lr=study:{tmp_path}/rates")
    assert settings(*pasted(caught.value)).lr == pytest.approx(0.001)


@pytest.mark.parametrize("sweep", ["gpt2_four_sizes", "lr_by_size"])
def test_the_papers_studies_are_its_own_recipe(sweep):
    cells = [build_config(TrainConfig, config) for _, config in compose("train", [f"+sweeps={sweep}"]).configs]
    assert {cell.trainer.batch_tokens for cell in cells} == {512 * 1024} and {cell.context for cell in cells} == {1024}
    assert {cell.data.dataset for cell in cells} == {"Skylion007/openwebtext"}
    assert {cell.tokenizer.kind for cell in cells} == {"gpt2"}
    rates: dict[str, list[float]] = {}
    for cell in cells:
        rates.setdefault(cell.model.name, []).append(cell.lr)
    assert list(rates) == ["gpt2-small", "gpt2-medium", "gpt2-large", "gpt2-xl"]
    if sweep == "gpt2_four_sizes":
        # Brown et al. 2020, table 2.1.
        assert list(rates.values()) == [[6e-4], [3e-4], [2.5e-4], [2e-4]]
        assert {cell.trainer.tokens for cell in cells} == {17_000 * 512 * 1024}
    else:
        assert all(tried == sorted(tried) and len(tried) == 5 for tried in rates.values())
