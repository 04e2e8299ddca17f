"""Selective recomputation: linear layers that recompute in the backward pass what is cheap, instead of keeping it.

Of the 16 d numbers that a block of width d keeps for each token, the outputs of both layer norms and of the activation
are 6 d. They are computed again from what is kept anyway, by the same kernels, so that every gradient has the bits it
would have. That costs under 1 % of a step's time, and pays where micro-batches are large: below `MIN_NUMBERS` numbers
the calls from Python cost more than they save. Under autocast and torch.compile (which recomputes what is cheap by
itself) nothing is changed.
"""

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional

MIN_NUMBERS = 2**19
"""Numbers in the states [B, T, d]: 2 MiB of fp32."""
MIN_TABLE_NUMBERS = 2**23
"""Numbers in a tied weight [V, d]: 32 MiB of fp32."""


def norm_linear(x: Tensor, norm: nn.LayerNorm, linear: nn.Linear) -> Tensor:
    """linear(norm(x)) of states [..., d]."""
    y: Tensor
    if _recomputes(x, linear):
        y = _NormLinear.apply(  # type: ignore[no-untyped-call]
            x, norm.weight, norm.bias, linear.weight, linear.bias, norm.eps
        )
    else:
        y = linear(norm(x))
    return y


def gelu_linear(x: Tensor, linear: nn.Linear) -> Tensor:
    """linear(gelu(x)) with GELU's tanh form."""
    y: Tensor
    if _recomputes(x, linear):
        y = _GeluLinear.apply(x, linear.weight, linear.bias)  # type: ignore[no-untyped-call]
    else:
        y = linear(functional.gelu(x, approximate="tanh"))
    return y


def gradient_is_shared(table: Tensor) -> bool:
    """Whether head and look-up of a tied weight are to add to one gradient (`loss.TiedEmbedding`): where it is large,
    on a CPU (a GPU adds rows in no fixed order)."""
    return (
        table.numel() >= MIN_TABLE_NUMBERS
        and table.device.type == "cpu"
        and torch.is_grad_enabled()
        and table.requires_grad
    )


def _recomputes(x: Tensor, linear: nn.Linear) -> bool:
    """Whether what precedes `linear` is computed again in the backward pass."""
    return (
        x.numel() >= MIN_NUMBERS
        and torch.is_grad_enabled()
        and x.requires_grad
        and linear.weight.requires_grad
        and x.dtype == linear.weight.dtype
        and not torch.is_autocast_enabled(x.device.type)
        and not torch.compiler.is_compiling()
    )


def _linear_gradients(grad: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """By input, weight and bias, for a linear layer's input x [..., d]: the products that autograd would take."""
    rows, flat = grad.flatten(0, -2), x.flatten(0, -2)
    return (rows @ weight).view_as(x), rows.t() @ flat, rows.sum(0)


class _Saved(FunctionCtx):
    """What a forward pass leaves for its backward pass."""

    saved_tensors: tuple[Tensor, ...]
    eps: float


class _NormLinear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: _Saved, x: Tensor, gain: Tensor, shift: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> Tensor:
        normed, mean, scale = torch.native_layer_norm(x, x.shape[-1:], gain, shift, eps)
        ctx.save_for_backward(x, mean, scale, gain, shift, weight)
        ctx.eps = eps
        return functional.linear(normed, weight, bias)

    @staticmethod
    def backward(ctx: _Saved, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, mean, scale, gain, shift, weight = ctx.saved_tensors
        normed = torch.native_layer_norm(x, x.shape[-1:], gain, shift, ctx.eps)[0]
        grad_normed, grad_weight, grad_bias = _linear_gradients(grad, normed, weight)
        grad_x, grad_gain, grad_shift = torch.ops.aten.native_layer_norm_backward(
            grad_normed, x, x.shape[-1:], mean, scale, gain, shift, [True, True, True]
        )
        return grad_x, grad_gain, grad_shift, grad_weight, grad_bias, None


class _GeluLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _Saved, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return functional.linear(functional.gelu(x, approximate="tanh"), weight, bias)

    @staticmethod
    def backward(ctx: _Saved, grad: Tensor) -> tuple[Tensor, ...]:
        x, weight = ctx.saved_tensors
        active = functional.gelu(x, approximate="tanh")
        grad_active, grad_weight, grad_bias = _linear_gradients(grad, active, weight)
        return torch.ops.aten.gelu_backward(grad_active, x, approximate="tanh"), grad_weight, grad_bias
