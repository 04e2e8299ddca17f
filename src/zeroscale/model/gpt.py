"""GPT-2's decoder (Radford et al. 2019, section 2.3; Radford et al. 2018, section 4.1), in torch alone.

Learned positions, layer norm before each sublayer and after the last block, tanh GELU, biases everywhere, the
output head tied to the token embedding. Shapes below: B rows, T tokens, d = d_model, H = n_head, V = vocab_size.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from zeroscale.core.errors import ZeroscaleError
from zeroscale.model import cpu_kernels, recompute
from zeroscale.model.config import GPTConfig
from zeroscale.model.kv_cache import KVCache
from zeroscale.model.loss import TiedEmbedding, head_cross_entropy
from zeroscale.model.recompute import gelu_linear, norm_linear

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "gelu": functional.gelu,
    "relu": functional.relu,
    "silu": functional.silu,
}


class Linear(nn.Linear):
    """`nn.Linear` that leaves its numbers to `GPT.initialise`: no draw from the global generator, no time lost."""

    def reset_parameters(self) -> None:
        pass


class Embedding(nn.Embedding):
    """`nn.Embedding` that leaves its numbers to `GPT.initialise`."""

    def reset_parameters(self) -> None:
        pass


class Attention(nn.Module):
    """Causal self-attention with H heads over the norm of [B, T, d]."""

    def __init__(self, config: GPTConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.n_head = config.n_head
        self.dropout = config.dropout
        self.qkv = Linear(config.d_model, 3 * config.d_model)
        self.proj = Linear(config.d_model, config.d_model)
        self.scale = (config.d_model // config.n_head) ** -0.5 if config.scale_attn_weights else 1.0
        if config.scale_attn_by_inverse_layer_idx:
            self.scale /= layer + 1

    def forward(self, x: Tensor, norm: nn.LayerNorm, mask: Tensor | None, cache: KVCache | None) -> Tensor:
        y: Tensor = self.proj(self.heads(norm_linear(x, norm, self.qkv), mask, cache))
        return y

    def heads(self, qkv: Tensor, mask: Tensor | None, cache: KVCache | None) -> Tensor:
        """Queries, keys and values [B, T, 3d] → what the heads see, [B, T, d]."""
        batch, time, width = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
        q, k, v = qkv.view(batch, time, 3, self.n_head, width // self.n_head).permute(2, 0, 3, 1, 4)
        if cache is not None:
            k, v = cache.append(self.layer, k, v)
        k, v = k.to(q.dtype), v.to(q.dtype)
        if mask is None:
            y = self._attend(q, k, v, None, time > 1)
        else:
            plain = time - mask.shape[2]
            y = self._attend(q[:, :, plain:], k, v, mask, False)
            if plain:
                first = self._attend(q[:, :, :plain], k[:, :, :plain], v[:, :, :plain], None, True)
                y = torch.cat([first, y], 1)
        return y.reshape(batch, time, width)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
        """[B, H, T, d/H] → [B, T, H, d/H]."""
        dropout = self.dropout if self.training else 0.0
        return functional.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=causal, scale=self.scale
        ).transpose(1, 2)


class MLP(nn.Module):
    """The feed-forward sublayer, over the norm of [B, T, d]."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        width = config.d_inner or 4 * config.d_model
        self.activation_name = config.activation
        self.up = Linear(config.d_model, width)
        self.down = Linear(width, config.d_model)
        self.activation = None if config.activation == "gelu_tanh" else ACTIVATIONS[config.activation]

    def forward(self, x: Tensor, norm: nn.LayerNorm) -> Tensor:
        wide = norm_linear(x, norm, self.up)
        return gelu_linear(wide, self.down) if self.activation is None else self.down(self.activation(wide))


class Block(nn.Module):
    """One layer: x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, config: GPTConfig, layer: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.d_model, eps=config.layer_norm_epsilon)
        self.attn = Attention(config, layer)
        self.ln_2 = nn.LayerNorm(config.d_model, eps=config.layer_norm_epsilon)
        self.mlp = MLP(config)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor | None, cache: KVCache | None) -> Tensor:
        if not self.training and cpu_kernels.can_fuse(x, self.mlp.activation_name):
            return self._fused(x, mask, cache)
        x = x + self.drop(self.attn(x, self.ln_1, mask, cache))
        x = x + self.drop(self.mlp(x, self.ln_2))
        return x

    def _fused(self, x: Tensor, mask: Tensor | None, cache: KVCache | None) -> Tensor:
        """The same for inference on a CPU: the activation and the sums inside the products."""
        qkv, proj, up, down = self.attn.qkv, self.attn.proj, self.mlp.up, self.mlp.down
        rows = x.flatten(0, 1)
        y = cpu_kernels.affine(self.ln_1(rows), qkv.weight, qkv.bias)
        y = self.attn.heads(y.view(*x.shape[:2], -1), mask, cache).flatten(0, 1)
        rows = cpu_kernels.affine_add(y, proj.weight, proj.bias, rows)
        inner = cpu_kernels.affine_activation(self.ln_2(rows), up.weight, up.bias, self.mlp.activation_name)
        return cpu_kernels.affine_add(inner, down.weight, down.bias, rows).view_as(x)


class GPT(nn.Module):
    """The decoder. `model(tokens)` gives logits; `model.loss` trains it without ever holding all of them."""

    def __init__(self, config: GPTConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.wte = Embedding(config.padded_vocab_size or config.vocab_size, config.d_model)
        self.wpe = Embedding(config.n_positions, config.d_model)
        self.drop = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.d_model, eps=config.layer_norm_epsilon)
        if not config.tied:
            self.head = Linear(config.d_model, config.padded_vocab_size or config.vocab_size, bias=False)
        self.initialise(seed)

    @torch.no_grad()
    def initialise(self, seed: int) -> None:
        """Draws the weights anew: N(0, 0.02), biases 0, norms 1, and projections into the residual stream
        divided by √N, N = 2·n_layer residual additions (Radford et al. 2019, section 2.3).

        Drawn on the CPU from a generator of its own: same seed, same weights, whatever the device and whatever
        was drawn before. Weights on the meta device stay as they are.
        """
        generator = torch.Generator().manual_seed(seed)
        residual = 0.02 / math.sqrt(2 * self.config.n_layer)
        for name, parameter in self.named_parameters():
            if parameter.is_meta:
                continue
            if parameter.dim() >= 2:
                std = residual if name.endswith(("attn.proj.weight", "mlp.down.weight")) else 0.02
                parameter.copy_(torch.empty(parameter.shape).normal_(0.0, std, generator=generator))
            else:
                parameter.fill_(1.0 if name.endswith("weight") else 0.0)

    @property
    def head_weight(self) -> Tensor:
        """[V, d]: the rows of the output head that stand for real tokens."""
        weight = self.wte.weight if self.config.tied else self.head.weight
        return weight if weight.shape[0] == self.config.vocab_size else weight[: self.config.vocab_size]

    def new_cache(self, batch: int, max_length: int, starts: Sequence[int] | None = None) -> KVCache:
        """An empty cache in the type and on the device of the weights; arguments as `KVCache`."""
        weight = self.wte.weight
        return KVCache(self.config, batch, max_length, weight.dtype, weight.device, starts)

    def hidden(
        self,
        tokens: Tensor,
        cache: KVCache | None = None,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
        embedded: Tensor | None = None,
    ) -> Tensor:
        """The states [B, T, d] after the final layer norm.

        Args:
            tokens: ids [B, T].
            cache: keys and values of what came before in these rows; `tokens` continue it and are added to it.
            positions: [T] or [B, T]; by default each row's own count from its first real token.
            mask: [B, 1, T, all columns], True where a token may look; by default at itself and at what came before.
                With fewer rows than T it is the last tokens', and those before look at what came before them.
            embedded: [B, T, d], the tokens' rows of `wte`, where they have been looked up already.

        Raises:
            ZeroscaleError: when a row would go past `n_positions`, or past the cache's length.
        """
        time = tokens.shape[1]
        if cache is not None:
            positions = cache.positions(time) if positions is None else positions
            mask = cache.mask(time) if mask is None else mask
        elif positions is None:
            if time > self.config.n_positions:
                raise ZeroscaleError(f"{time} tokens do not fit the model's context of {self.config.n_positions}")
            positions = torch.arange(time, device=tokens.device)
        x = self.drop((self.wte(tokens) if embedded is None else embedded) + self.wpe(positions))
        for block in self.blocks:
            x = block(x, mask, cache)
        if cache is not None:
            cache.advance(time)
        states: Tensor = self.ln_f(x)
        return states

    def logits(self, hidden: Tensor) -> Tensor:
        """States [..., d] → logits [..., V]."""
        return functional.linear(hidden, self.head_weight)

    def forward(self, tokens: Tensor, cache: KVCache | None = None, positions: Tensor | None = None) -> Tensor:
        """Ids [B, T] → logits [B, T, V]; arguments as `hidden`."""
        return self.logits(self.hidden(tokens, cache, positions))

    def loss(self, tokens: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
        """Cross-entropy in nats of `targets` [B, T] (the ids that follow `tokens`; -100 is not counted).

        "mean" over the counted targets and "sum": a scalar; "none": [B, T], 0 where not counted.
        """
        table, head = self.wte.weight, self.head_weight
        if reduction == "none" or head is not table or not recompute.gradient_is_shared(table):
            return head_cross_entropy(self.hidden(tokens), head, targets, reduction)
        tied = TiedEmbedding()
        hidden = self.hidden(tokens, embedded=tied.look_up(table, tokens))
        return head_cross_entropy(hidden, head, targets, reduction, tied)
