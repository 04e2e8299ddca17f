"""Matrix products of inference on a CPU, fused with the activation or the residual sum that follows.

oneDNN's, as torch.compile calls them: not part of torch's public interface, so each may be absent (`None`, and
`can_fuse` is False). `benchmarks/engine.py` measures what they save.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_onednn = torch.ops.mkldnn if torch.backends.mkldnn.is_available() else None
linear: Any = getattr(_onednn, "_linear_pointwise", None)
linear_add: Any = getattr(linear, "binary", None)
reorder: Any = getattr(_onednn, "_reorder_linear_weight", None)

FUSED = {"gelu_tanh": ("gelu", "tanh"), "gelu": ("gelu", "none"), "relu": ("relu", "")}
"""Activations that oneDNN applies to a product before it is written, by their names here."""

# Narrower layers gain nothing.
_MIN_WIDTH = 512
# Up to so many rows oneDNN multiplies faster than MKL even where nothing follows: 8 to 10 % at 128 rows, from 512 on
# MKL is ahead by 1 to 7 %. With the activation or the short sum inside, oneDNN is ahead throughout (7 to 16 %).
_MAX_ONEDNN_ROWS = 256


def can_fuse(x: Tensor, activation: str) -> bool:
    """Whether the functions below are for states x: fp32 on a CPU, wide layers, inference alone.

    Training never comes this way: its arithmetic, and so its bits, are torch's own.
    """
    return (
        torch.is_inference_mode_enabled()
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.shape[-1] >= _MIN_WIDTH
        and activation in FUSED
        and linear_add is not None
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


def affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x [rows, in] @ weight.T + bias."""
    if len(x) > _MAX_ONEDNN_ROWS:
        return functional.linear(x, weight, bias)
    product: Tensor = linear(x, weight, bias, "none", [], "")
    return product


def affine_activation(x: Tensor, weight: Tensor, bias: Tensor, activation: str) -> Tensor:
    """activation(x [rows, in] @ weight.T + bias)."""
    attribute, algorithm = FUSED[activation]
    product: Tensor = linear(x, weight, bias, attribute, [], algorithm)
    return product


def affine_add(x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor) -> Tensor:
    """residual [rows, out] + x [rows, in] @ weight.T + bias."""
    if len(x) > _MAX_ONEDNN_ROWS and x.shape[1] > residual.shape[1]:  # the sum is little beside a product this long
        return functional.linear(x, weight, bias).add_(residual)
    total: Tensor = linear_add(x, residual, weight, bias, "add")
    return total
