"""The chunked head against plain cross-entropy: value, gradients, types, memory."""

import pytest
import torch
from torch.nn import functional

from zeroscale.model import loss as head
from zeroscale.model.loss import head_cross_entropy


@pytest.fixture(params=[2**25, 64 * 301], ids=["one chunk", "many chunks"])
def buffer(request, monkeypatch):
    monkeypatch.setattr(head, "_CPU_BUFFER", request.param)


def problem(dtype: torch.dtype = torch.float32, scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    hidden = torch.randn(5, 70, 40).mul_(scale).to(dtype).requires_grad_()
    weight = torch.randn(301, 40).to(dtype).requires_grad_()
    targets = torch.randint(0, 301, (5, 70))
    targets[1, ::3] = -100
    return hidden, weight, targets


def plain(hidden, weight, targets, reduction="mean", dtype=torch.float64):
    """Value and gradients from all logits at once; in float64 they count as exact."""
    h, w = hidden.detach().to(dtype).requires_grad_(), weight.detach().to(dtype).requires_grad_()
    loss = functional.cross_entropy(functional.linear(h, w).flatten(0, 1), targets.flatten(), reduction=reduction)
    loss.backward()
    return loss.detach(), h.grad, w.grad


def off(found: torch.Tensor, expected: torch.Tensor) -> float:
    return ((found.double() - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("scale", [1.0, 30.0], ids=["even", "certain"])
def test_value_and_gradients_equal_plain_cross_entropy(reduction, scale, buffer):
    hidden, weight, targets = problem(scale=scale)
    exact = plain(hidden, weight, targets, reduction)
    in_fp32 = plain(hidden, weight, targets, reduction, torch.float32)
    found = head_cross_entropy(hidden, weight, targets, reduction)
    (3.0 * found).backward()
    # Certain predictions leave small differences of large numbers: no fp32 does better than plain fp32 there.
    for ours, fp32, true in zip((found, hidden.grad / 3, weight.grad / 3), in_fp32, exact, strict=True):
        assert off(ours, true) <= max(1.5 * off(fp32, true), 5e-7)


def test_reduction_none_has_the_shape_of_the_targets_and_a_gradient(buffer):
    hidden, weight, targets = problem()
    loss, grad_hidden, grad_weight = plain(hidden, weight, targets, "sum")
    found = head_cross_entropy(hidden, weight, targets, "none")
    assert found.shape == targets.shape
    assert (found[targets == -100] == 0).all()
    found.sum().backward()
    assert off(found.sum(), loss) < 5e-7
    assert off(hidden.grad, grad_hidden) < 2e-6
    assert off(weight.grad, grad_weight) < 2e-6
    with torch.no_grad():
        torch.testing.assert_close(head_cross_entropy(hidden, weight, targets, "none"), found.detach())


def test_bf16_states_and_weights_lose_nothing_beyond_their_own_rounding(buffer):
    hidden, weight, targets = problem(torch.bfloat16)
    loss, grad_hidden, grad_weight = plain(hidden, weight, targets)
    found = head_cross_entropy(hidden, weight, targets)
    found.backward()
    assert found.dtype == torch.float32
    assert hidden.grad.dtype == weight.grad.dtype == torch.bfloat16
    assert off(found, loss) < 1e-6
    # 2⁻⁹ is half of bf16's spacing: the one rounding on the way out.
    assert off(hidden.grad, grad_hidden) < 2**-9
    assert off(weight.grad, grad_weight) < 2**-9


def test_under_autocast_the_loss_and_the_weights_gradient_stay_fp32(buffer):
    hidden, weight, targets = problem()
    loss, _, grad_weight = plain(hidden, weight, targets)
    with torch.autocast("cpu", torch.bfloat16):
        found = head_cross_entropy(hidden, weight, targets)
    found.backward()
    assert found.dtype == weight.grad.dtype == torch.float32
    assert off(found, loss) < 1e-5
    assert off(weight.grad, grad_weight) < 1e-5


def test_nothing_to_count_is_nan_as_in_torch():
    hidden, weight, targets = problem()
    assert head_cross_entropy(hidden, weight, torch.full_like(targets, -100)).isnan()
    assert head_cross_entropy(hidden, weight, torch.full_like(targets, -100), "sum") == 0


def test_frozen_parts_get_no_gradient():
    hidden, weight, targets = problem()
    head_cross_entropy(hidden.detach(), weight, targets).backward()
    assert hidden.grad is None
    whole = weight.grad
    weight.grad = None
    head_cross_entropy(hidden, weight.detach(), targets).backward()
    assert weight.grad is None
    assert off(whole, plain(hidden, weight, targets)[2]) < 2e-6


def test_logits_are_never_held_for_all_positions():
    class Widest(torch.utils._python_dispatch.TorchDispatchMode):
        numbers = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor):
                self.numbers = max(self.numbers, out.numel())
            return out

    hidden = torch.randn(2, 1024, 8, requires_grad=True)
    weight = torch.randn(50_000, 8, requires_grad=True)
    with Widest() as widest:
        head_cross_entropy(hidden, weight, torch.zeros(2, 1024, dtype=torch.long)).backward()
    assert widest.numbers <= head._CPU_BUFFER < 2048 * 50_000


def test_a_second_backward_is_refused():
    hidden, weight, targets = problem()
    loss = head_cross_entropy(hidden, weight, targets)
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="compute the loss again"):
        loss.backward()
