"""Cross-entropy of hidden states against the head's weight, without holding all logits at once.

With a vocabulary of 50,257 the logits of one small batch outweigh the whole model. Here the states go through the
head a chunk at a time, and the gradients of a chunk are taken while its logits are there: nothing is computed twice
and nothing of the vocabulary's width outlives its chunk. `benchmarks/head.py` compares this with plain logits and
with `torch.nn.functional.linear_cross_entropy`.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

IGNORED = -100
"""The target that is not counted, as everywhere in torch."""

# Numbers in the one buffer for logits: 128 MiB of fp32 on a CPU, where smaller matrix products measured slower (at
# vocabulary 50,257 chunks of 512 rows beat 256 by 6 %, and 64 by 50 %); more on a GPU, which needs more to be busy.
_CPU_BUFFER = 2**25
_GPU_BUFFER = 2**27


def head_cross_entropy(
    hidden: Tensor, weight: Tensor, targets: Tensor, reduction: str = "mean", tied: "TiedEmbedding | None" = None
) -> Tensor:
    """Cross-entropy in nats of `targets` [...] under softmax(hidden [..., d] @ weight [V, d].T).

    The softmax, the loss and the sum over chunks in the weight's gradient are fp32 whatever the types of `hidden`,
    `weight` or autocast (float64 for float64 states). Targets of -100 count as nothing. "mean" is over the others,
    and NaN if there are none, as in torch.

    Args:
        reduction: "mean" or "sum": a scalar; "none": the shape of `targets` (its gradient recomputes each chunk).
        tied: takes the weight's gradient in place of autograd; the look-up of the same weight completes it.
    """
    if torch.compiler.is_compiling():
        # Kept out of the graph here and not by a decorator, which would load the compiler (1 s) with this file.
        uncompiled: Callable[..., Tensor] = torch.compiler.disable(head_cross_entropy)
        return uncompiled(hidden, weight, targets, reduction, tied)
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f'reduction is {reduction!r}; it must be "mean", "sum" or "none"')
    states, flat = hidden.flatten(0, -2), targets.flatten()
    device = hidden.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype
    if device == "cpu" or states.dtype == torch.float64:
        # Without AMX a CPU multiplies bf16 two to four times slower than fp32: there the product is fp32.
        dtype = _wide_dtype(states.dtype)
    row_weight = None
    if reduction != "none":
        counted = flat != IGNORED
        row_weight = counted.double()
        if reduction == "mean":
            row_weight /= counted.sum()
    with torch.autocast(device, enabled=False):
        if not (torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad)):
            losses = _chunked_losses(states, weight, flat, dtype)[0]
            losses = losses if row_weight is None else losses @ row_weight
            return losses.to(_wide_dtype(states.dtype)).view(targets.shape if row_weight is None else ())
        if row_weight is None:
            return _recomputed(states, weight, flat, dtype).view(targets.shape)
        loss: Tensor = _HeadCrossEntropy.apply(  # type: ignore[no-untyped-call]
            states, weight, flat, row_weight, dtype, tied
        )
        return loss


def _wide_dtype(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def _chunk_rows(rows: int, vocabulary: int, device: str) -> int:
    """Rows per chunk: as few chunks as the buffer allows, of nearly equal size."""
    max_rows = max(1, (_CPU_BUFFER if device == "cpu" else _GPU_BUFFER) // vocabulary)
    chunks = max(1, math.ceil(rows / max_rows))
    return max(1, math.ceil(rows / chunks))


class TiedEmbedding:
    """The gradient of a weight that is both look-up table and head, between the two backward passes.

    Each alone would make one of the weight's size, for autograd to add them: with GPT-2's vocabulary 150 MB more than
    needed at the moment when all other gradients are there.
    """

    gradient: Tensor | None = None

    def look_up(self, weight: Tensor, tokens: Tensor) -> Tensor:
        """Rows of `weight` [V, d] by id: tokens [...] → [..., d]; the head must get `tied=self`."""
        rows: Tensor = _LookUp.apply(weight, tokens, self)  # type: ignore[no-untyped-call]
        return rows


class _LookUpContext(FunctionCtx):
    tokens: Tensor
    tied: TiedEmbedding


class _LookUp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _LookUpContext, weight: Tensor, tokens: Tensor, tied: TiedEmbedding) -> Tensor:
        ctx.tokens, ctx.tied = tokens, tied
        return functional.embedding(tokens, weight)

    @staticmethod
    def backward(ctx: _LookUpContext, grad: Tensor) -> tuple[Tensor | None, ...]:
        total, ctx.tied.gradient = ctx.tied.gradient, None
        assert total is not None, "the head's backward pass comes first, and once"
        return total.index_add_(0, ctx.tokens.flatten(), grad.flatten(0, -2).to(total.dtype)), None, None


class _HeadContext(FunctionCtx):
    needs_input_grad: tuple[bool, ...]
    gradients: "tuple[Tensor | None, Tensor | None] | None"
    weight_dtype: torch.dtype
    tied: TiedEmbedding | None


class _HeadCrossEntropy(torch.autograd.Function):
    """Σ row_weight · nll, with its gradients taken on the way forward."""

    @staticmethod
    def forward(
        ctx: _HeadContext,
        states: Tensor,
        weight: Tensor,
        targets: Tensor,
        row_weight: Tensor,
        dtype: torch.dtype,
        tied: TiedEmbedding | None,
    ) -> Tensor:
        needs_gradients = ctx.needs_input_grad[0], ctx.needs_input_grad[1]
        losses, *gradients = _chunked_losses(states, weight, targets, dtype, row_weight, needs_gradients)
        ctx.gradients = gradients[0], gradients[1]
        ctx.weight_dtype, ctx.tied = weight.dtype, tied
        return (losses @ row_weight).to(_wide_dtype(states.dtype))

    @staticmethod
    def backward(ctx: _HeadContext, grad: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.gradients is None:
            raise RuntimeError("the head's gradients were already used; compute the loss again for a second backward")
        grad_states, grad_weight = ctx.gradients
        # Handed over, not kept: autograd may then take the buffers as they are instead of copying them.
        ctx.gradients = None
        if grad.device.type != "cpu" or grad.item() != 1.0:
            for gradient in (grad_states, grad_weight):
                if gradient is not None:
                    gradient.mul_(grad)
        if grad_weight is not None:
            grad_weight = grad_weight.to(ctx.weight_dtype)
        if ctx.tied is not None:
            ctx.tied.gradient, grad_weight = grad_weight, None
        return grad_states, grad_weight, None, None, None, None


def _chunked_losses(
    states: Tensor,
    weight: Tensor,
    targets: Tensor,
    dtype: torch.dtype,
    row_weight: Tensor | None = None,
    needs_gradients: tuple[bool, bool] = (False, False),
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """nll [N] of states [N, d], and where needed the gradients of Σ row_weight · nll by states and by weight.

    Losses and their weights are float64: N numbers cost nothing, and their mean is then as good as the logits.
    """
    rows, vocabulary = states.shape[0], weight.shape[0]
    wide = _wide_dtype(states.dtype)
    matrix = weight.to(dtype)
    chunk = _chunk_rows(rows, vocabulary, states.device.type)
    buffer = torch.empty(min(chunk, rows), vocabulary, dtype=wide, device=states.device)
    losses = torch.empty(rows, dtype=torch.float64, device=states.device)
    grad_states = torch.empty_like(states) if needs_gradients[0] else None
    grad_weight = torch.zeros(weight.shape, dtype=wide, device=weight.device) if needs_gradients[1] else None
    for start in range(0, rows, chunk):
        chunk_rows = slice(start, start + chunk)
        x, target = states[chunk_rows].to(dtype), targets[chunk_rows]
        logits = _product(x, matrix.t(), buffer[: x.shape[0]])
        losses[chunk_rows] = _softmax_and_loss(logits, target)
        if row_weight is None:
            continue
        # The softmax, minus one at the target, is d nll / d logits.
        logits[torch.arange(x.shape[0], device=x.device), target.clamp(min=0)] -= 1.0
        errors, scale = logits.to(dtype), row_weight[chunk_rows, None].to(wide)
        if grad_states is not None:
            grad_states[chunk_rows] = _product(errors, matrix) * scale
        if grad_weight is not None:
            # The rows' weights go onto the narrow factor: one pass over [rows, d], none over the vocabulary.
            _add_product(grad_weight, errors.t(), (x * scale).to(dtype))
    return losses, grad_states, grad_weight


def _softmax_and_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """nll [rows] in float64, 0 where ignored; `logits` [rows, V] become their softmax, in place.

    log Σ exp(x) = max x − log max softmax(x): the largest probability is at least 1/V, so its logarithm is exact
    where the target's own might have underflowed.
    """
    at_target = logits.gather(1, targets.clamp(min=0)[:, None])[:, 0].double()
    largest = logits.amax(1).double()
    torch.softmax(logits, 1, out=logits)
    loss = largest - at_target - logits.amax(1).double().log()
    return loss.masked_fill_(targets == IGNORED, 0.0)


def _product(a: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
    """a @ b in fp32 (float64 for float64), also from bf16 factors, without rounding the result to bf16."""
    if a.dtype in (torch.float32, torch.float64):
        return torch.mm(a, b, out=out) if out is not None else torch.mm(a, b)
    product = torch.mm(a, b, out_dtype=torch.float32)
    return product if out is None else out.copy_(product)


def _add_product(total: Tensor, a: Tensor, b: Tensor) -> None:
    """total += a @ b, the sum in fp32."""
    if a.dtype == total.dtype:
        total.addmm_(a, b)
    else:
        total += torch.mm(a, b, out_dtype=torch.float32)


def _recomputed(states: Tensor, weight: Tensor, targets: Tensor, dtype: torch.dtype) -> Tensor:
    """nll [N] whose backward makes each chunk's logits again: the rows' weights are not known beforehand."""
    wide = _wide_dtype(states.dtype)

    def chunk_losses(x: Tensor, matrix: Tensor, target: Tensor) -> Tensor:
        logits = functional.linear(x.to(dtype), matrix.to(dtype)).to(wide)
        return functional.cross_entropy(logits, target, ignore_index=IGNORED, reduction="none")

    chunk = _chunk_rows(states.shape[0], weight.shape[0], states.device.type)
    chunks = zip(states.split(chunk), targets.split(chunk), strict=True)
    return torch.cat([checkpoint(chunk_losses, x, weight, target, use_reentrant=False) for x, target in chunks])
