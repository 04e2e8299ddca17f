"""One decoding step: one more token for each row, where a CPU's time goes into reading weights.

The same computation as `GPT.hidden` on [rows, 1] tokens with a cache, written out over the weights themselves: no
dropout, no module calls, the activation inside the product where oneDNN has it, and the weights packed once for the
many steps to come.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from zeroscale.core.machine import free_memory
from zeroscale.model import cpu_kernels
from zeroscale.model.generation.shared_prefix import SharedPrefixCache
from zeroscale.model.gpt import ACTIVATIONS, GPT, Block
from zeroscale.model.kv_cache import KVCache

# Packing GPT-2 small's weights costs 0.1 s and saves 1 to 9 ms a step (1 to 32 rows).
_STEPS_WORTH_PACKING = 16
# Without packing, oneDNN measured faster than MKL from 4 to 64 rows: 27 % at 4, 30 % at 16, 3 % at 64.
_ROWS_WORTH_ONEDNN = range(4, 65)

Product = Callable[[Tensor], Tensor]
Sum = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class _Layer:
    """A block's products and norms."""

    norm_1: Product
    qkv: Product
    proj: Sum
    norm_2: Product
    up: Product
    down: Sum
    scale: float


class DecodeStep:
    """Steps of one batch of a model. The weights must not change while it is in use.

    Which kernel multiplies depends on the number of rows and expected steps alone, so that a generation gives the same
    bits again; whether the weights are packed for it depends on free memory too, but changes no bit (oneDNN gives the
    same product from both layouts; its error is about MKL's: 3.7e-7 against 3.5e-7 over GPT-2
    small's products of 32 rows, 5.7e-7 against 3.5e-7 over the longest).
    """

    def __init__(self, model: GPT, rows: int, steps: int) -> None:
        weight = model.wte.weight
        has_onednn = cpu_kernels.linear is not None and weight.device.type == "cpu" and weight.dtype == torch.float32
        worth_packing = steps >= _STEPS_WORTH_PACKING
        self._use_onednn = has_onednn and (worth_packing or rows in _ROWS_WORTH_ONEDNN)
        weight_bytes = sum(parameter.nbytes for parameter in model.parameters())
        can_pack = cpu_kernels.reorder is not None and 2 * weight_bytes < free_memory()
        self._packed_rows = rows if self._use_onednn and worth_packing and can_pack else None
        self.model = model
        activation = model.config.activation
        width = model.config.d_model
        self._heads = (3, model.config.n_head, width // model.config.n_head)
        with torch.inference_mode():
            self._layers = [
                _Layer(
                    block.ln_1,
                    self._product(block.attn.qkv.weight, block.attn.qkv.bias),
                    self._sum(block.attn.proj.weight, block.attn.proj.bias),
                    block.ln_2,
                    self._product(block.mlp.up.weight, block.mlp.up.bias, activation),
                    self._sum(block.mlp.down.weight, block.mlp.down.bias),
                    block.attn.scale,
                )
                for block in cast(Iterable[Block], model.blocks)
            ]
            self._head = self._product(model.head_weight, None)

    def _product(self, weight: Tensor, bias: Tensor | None, activation: str | None = None) -> Product:
        """x [rows, in] → activation(x @ weight.T + bias)."""
        if not self._use_onednn:
            if activation is None:
                return lambda x: functional.linear(x, weight, bias)
            function = ACTIVATIONS[activation]
            return lambda x: function(functional.linear(x, weight, bias))
        matrix = self._packed(weight)
        if activation is not None and activation not in cpu_kernels.FUSED:
            function = ACTIVATIONS[activation]
            return lambda x: function(cpu_kernels.linear(x, matrix, bias, "none", [], ""))
        attribute, algorithm = cpu_kernels.FUSED[activation] if activation is not None else ("none", "")
        return lambda x: cpu_kernels.linear(x, matrix, bias, attribute, [], algorithm)

    def _sum(self, weight: Tensor, bias: Tensor | None) -> Sum:
        """x [rows, in], residual [rows, out] → residual + x @ weight.T + bias."""
        if not self._use_onednn or cpu_kernels.linear_add is None:
            product = self._product(weight, bias)
            return lambda x, residual: residual + product(x)
        matrix = self._packed(weight)
        return lambda x, residual: cpu_kernels.linear_add(x, residual, matrix, bias, "add")

    def _packed(self, weight: Tensor) -> Tensor:
        return weight if self._packed_rows is None else cpu_kernels.reorder(weight, self._packed_rows)

    @torch.inference_mode()
    def __call__(self, tokens: Tensor, cache: KVCache | SharedPrefixCache) -> Tensor:
        """Tokens [rows], which continue `cache` and are added to it → the logits [rows, V] of what comes next."""
        rows = tokens.shape[0]
        positions, mask = cache.positions(1), cache.mask(1)
        x = self.model.wte(tokens) + self.model.wpe(positions).view(-1, self.model.config.d_model)
        for number, layer in enumerate(self._layers):
            q, k, v = layer.qkv(layer.norm_1(x)).view(rows, *self._heads, 1).permute(1, 0, 2, 4, 3)
            x = layer.proj(cache.attend(number, q, k, v, mask, layer.scale).reshape(rows, -1), x)
            x = layer.down(layer.up(layer.norm_2(x)), x)
        cache.advance(1)
        return self._head(self.model.ln_f(x))
