"""How many positions a pass over the model may have, by the memory that is free."""

from typing import TYPE_CHECKING

import torch

from zeroscale.core.machine import free_memory
from zeroscale.model.gpt import GPT

if TYPE_CHECKING:
    from zeroscale.model.protocol import LanguageModel

# A GPU is busy with so many; a CPU with far fewer, but a caller may ask for larger passes there.
_GPU_MOST = 2**16
_CPU_MOST = 2**13
# The share of what is free that a pass may take: allocators keep pieces that fit nothing.
_SHARE = 0.5
# Where the model is not a GPT and its widths have other names.
_ANY_MODEL = 2**13


def batch_tokens(model: "LanguageModel", device: torch.device) -> int:
    """Positions of a batch: a power of two, so that a little more or less free memory does not change the batches (and
    with them the last bits of the scores); halved later where they do not fit after all."""
    if not isinstance(model, GPT):
        return _ANY_MODEL
    most = _GPU_MOST if device.type == "cuda" else _CPU_MOST
    room = int(_SHARE * _free(device)) // _position(model)
    return max(1, min(most, 2 ** (room.bit_length() - 1))) if room else 1


def _position(model: GPT) -> int:
    """Bytes that a position takes while a block is computed: the residual stream and what was normed of it, queries,
    keys and values, what the heads saw (twice, while it is reordered), the inner layer before and after its activation;
    and its row of the mask, as booleans and as numbers, in tries of at most 1.5 contexts."""
    config = model.config
    widths = 7 * config.d_model + 2 * (config.d_inner or 4 * config.d_model)
    element = model.wte.weight.element_size()
    return element * widths + (1 + element) * 3 * config.n_positions // 2


def _free(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return free_memory()
