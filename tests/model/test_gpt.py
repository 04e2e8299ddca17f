"""The decoder on its own: counts, initial weights, causality, the head, faults."""

import math

import pytest
import torch

from zeroscale.core.errors import ZeroscaleError
from zeroscale.model.config import GPTConfig
from zeroscale.model.gpt import GPT

TINY = GPTConfig(vocab_size=97, n_positions=16, n_layer=2, d_model=32, n_head=4)

# All weights, and those without token and position embeddings: counted from OpenAI's released files, as in
# "Language Models are Unsupervised Multitask Learners", table 2, corrected (the paper prints 117M/345M/762M/1542M).
RELEASED = [
    ((12, 768, 12), 124_439_808, 85_056_000),
    ((24, 1024, 16), 354_823_168, 302_311_424),
    ((36, 1280, 20), 774_030_080, 708_390_400),
    ((48, 1600, 25), 1_557_611_200, 1_475_561_600),
]


@pytest.mark.parametrize(("shape", "total", "non_embedding"), RELEASED)
def test_parameter_counts_are_the_released_ones(shape, total, non_embedding):
    n_layer, d_model, n_head = shape
    with torch.device("meta"):
        model = GPT(GPTConfig(50257, 1024, n_layer, d_model, n_head))
    assert sum(parameter.numel() for parameter in model.parameters()) == total
    embeddings = model.wte.weight.numel() + model.wpe.weight.numel()
    assert total - embeddings == non_embedding


def test_initial_weights_have_the_papers_spread():
    model = GPT(GPTConfig(vocab_size=2000, n_positions=256, n_layer=8, d_model=256, n_head=4), seed=1)
    residual = 0.02 / math.sqrt(16)
    for name, parameter in model.named_parameters():
        if parameter.dim() < 2:
            assert (parameter == (1.0 if name.endswith("weight") else 0.0)).all(), name
            continue
        expected = residual if name.endswith(("attn.proj.weight", "mlp.down.weight")) else 0.02
        assert parameter.std().item() == pytest.approx(expected, rel=0.02), name
        assert abs(parameter.mean().item()) < expected * 0.02, name


def test_a_seed_decides_all_weights_and_the_global_generator_none():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = GPT(TINY, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    again, other = GPT(TINY), GPT(TINY, seed=4)
    again.initialise(3)
    for a, b in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first.wte.weight, other.wte.weight)


def test_a_token_changes_nothing_before_it():
    model = GPT(TINY)
    tokens = torch.randint(0, 97, (1, 12))
    changed = tokens.clone()
    changed[0, 7] = (changed[0, 7] + 1) % 97
    before, after = model(tokens), model(changed)
    assert torch.equal(before[:, :7], after[:, :7])
    assert not torch.allclose(before[:, 7:], after[:, 7:])


def test_positions_may_be_given():
    model = GPT(TINY)
    tokens = torch.randint(0, 97, (2, 5))
    assert torch.equal(model(tokens, positions=torch.arange(5)), model(tokens))
    assert not torch.allclose(model(tokens, positions=torch.arange(5) + 3), model(tokens))


def test_loss_is_the_cross_entropy_of_the_logits_and_skips_minus_100():
    model = GPT(TINY)
    tokens, targets = torch.randint(0, 97, (2, 9)), torch.randint(0, 97, (2, 9))
    targets[0, 3:6] = -100
    expected = torch.nn.functional.cross_entropy(model(tokens).flatten(0, 1), targets.flatten(), reduction="none")
    found = model.loss(tokens, targets, reduction="none")
    torch.testing.assert_close(found, expected.view(2, 9))
    torch.testing.assert_close(model.loss(tokens, targets), expected.sum() / 15)


def test_padding_rows_of_the_vocabulary_never_win():
    model = GPT(GPTConfig(vocab_size=97, padded_vocab_size=128, n_positions=16, n_layer=2, d_model=32, n_head=4))
    with torch.no_grad():
        model.wte.weight[97:] = 100 * model.wte.weight[:31].sign()
    tokens = torch.randint(0, 97, (2, 9))
    assert model(tokens).shape == (2, 9, 97)
    expected = torch.nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())
    loss = model.loss(tokens, tokens)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert (model.wte.weight.grad[97:] == 0).all()


def test_an_untied_head_has_weights_of_its_own():
    tied, untied = GPT(TINY), GPT(GPTConfig(97, 16, 2, 32, 4, tied=False))
    assert "head.weight" not in tied.state_dict()
    assert untied.state_dict()["head.weight"].shape == (97, 32)
    assert untied.head_weight is not untied.wte.weight


def test_all_faults_of_a_shape_come_in_one_message():
    with pytest.raises(ZeroscaleError, match=r"d_model 30 is not divisible by n_head 4.*dropout.*swoosh"):
        GPTConfig(97, 16, 2, 30, 4, dropout=1.5, activation="swoosh")
    with pytest.raises(ZeroscaleError, match="n_layer is 0"):
        GPTConfig(97, 16, 0, 32, 4)


def test_more_tokens_than_the_context_are_refused():
    with pytest.raises(ZeroscaleError, match="17 tokens do not fit the model's context of 16"):
        GPT(TINY)(torch.zeros(1, 17, dtype=torch.long))


def test_the_compiled_model_gives_the_same_loss_and_gradients():
    model = GPT(TINY)
    tokens = torch.randint(0, 97, (2, 9))
    loss = model.loss(tokens, tokens)
    loss.backward()
    expected = model.wte.weight.grad.clone()
    model.zero_grad()
    # "eager" traces and breaks the graph as the default backend does, without waiting for a C++ compiler.
    compiled = torch.compile(model.loss, backend="eager")(tokens, tokens)
    compiled.backward()
    torch.testing.assert_close(compiled, loss)
    torch.testing.assert_close(model.wte.weight.grad, expected)
