"""Products with their activation and sum inside, against the plain ones that training takes."""

import pytest
import torch

from zeroscale.model import cpu_kernels
from zeroscale.model.config import GPTConfig
from zeroscale.model.gpt import GPT

if cpu_kernels.linear_add is None:
    pytest.skip("this torch has no oneDNN", allow_module_level=True)


def wide(**fields) -> GPT:
    shape = {"vocab_size": 97, "n_positions": 320, "n_layer": 2, "d_model": 512, "n_head": 8}
    return GPT(GPTConfig(**shape, **fields), seed=2).eval()


@pytest.mark.parametrize("rows", [1, 2, 9], ids="{} rows".format)
@pytest.mark.parametrize("activation", ["gelu_tanh", "gelu", "relu", "silu"])
def test_inference_gives_the_states_of_the_plain_products(activation, rows, monkeypatch):
    model = wide(activation=activation, d_inner=640)
    tokens = torch.randint(0, 97, (rows, 80), generator=torch.Generator().manual_seed(0))
    taken = []
    activated = cpu_kernels.affine_activation
    monkeypatch.setattr(cpu_kernels, "affine_activation", lambda *rest: taken.append(1) or activated(*rest))
    with torch.no_grad():
        plain = model.hidden(tokens)
    assert not taken
    with torch.inference_mode():
        cache = model.new_cache(rows, 80)
        for found in (model.hidden(tokens), torch.cat([model.hidden(part, cache) for part in tokens.split(40, 1)], 1)):
            torch.testing.assert_close(found, plain, rtol=1e-4, atol=2e-5)
    assert len(taken) == (0 if activation == "silu" else 3 * model.config.n_layer)


def test_only_wide_layers_in_fp32_on_a_cpu_while_nothing_is_trained_go_this_way():
    x = torch.zeros(1, 1, 512)
    assert not cpu_kernels.can_fuse(x, "gelu_tanh")
    with torch.inference_mode():
        assert cpu_kernels.can_fuse(x, "gelu_tanh")
        assert not cpu_kernels.can_fuse(x.bfloat16(), "gelu_tanh")
        assert not cpu_kernels.can_fuse(x[..., :256], "gelu_tanh")
        assert not cpu_kernels.can_fuse(x, "silu")
        with torch.autocast("cpu", torch.bfloat16):
            assert not cpu_kernels.can_fuse(x, "gelu_tanh")
