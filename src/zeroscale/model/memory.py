"""What one device holds at the moment of a training step that needs most: arithmetic, nothing is allocated.

tests/model/test_memory.py compares it with what torch's profiler and a training process measure.
"""

from dataclasses import dataclass
from typing import Literal

from zeroscale.model.flops import Params

Precision = Literal["fp32", "bf16-mixed", "fp16-mixed", "bf16-true"]
Strategy = Literal["auto", "ddp", "fsdp"]
Device = Literal["cpu", "cuda"]

# Numbers in the head's one buffer for logits: model/loss.py's.
HEAD_BUFFER = {"cpu": 2**25, "cuda": 2**27}
# Numbers going into a norm or GELU from which on its output is recomputed instead of kept: model/recompute.py's.
RECOMPUTE_FROM = 2**19


@dataclass(frozen=True)
class Shape:
    """A decoder's sizes, as far as memory depends on them."""

    n_layer: int
    d_model: int
    n_head: int
    d_inner: int
    vocab_size: int
    params: Params

    @property
    def block(self) -> int:
        """Weights of one layer."""
        return (self.params.non_embedding - 2 * self.d_model) // self.n_layer

    @property
    def hidden_matrices(self) -> int:
        """Weights of the blocks' matrices: queries, keys, values, projection, and the MLP's two."""
        return self.n_layer * (4 * self.d_model**2 + 2 * self.d_model * self.d_inner)

    @property
    def outside(self) -> int:
        """Weights of embeddings, head and final norm."""
        return self.params.total - self.n_layer * self.block


@dataclass(frozen=True)
class StatesPerWeight:
    """Numbers that an optimizer keeps for each weight from step to step, by kind of weight (`training.optimizer`)."""

    hidden_matrices: int
    """For a weight of the blocks' matrices."""
    rest: int
    """For a weight of embeddings, head, norms and biases."""


@dataclass(frozen=True)
class Step:
    """How a step is computed on one device."""

    micro_batch_tokens: int
    accumulation: int
    devices: int
    strategy: Strategy
    precision: Precision
    device: Device
    activation_checkpointing: bool = False
    compiled: bool = False
    optimizer: StatesPerWeight = StatesPerWeight(hidden_matrices=2, rest=2)
    """AdamW's two moments by default."""

    @property
    def sharded(self) -> bool:
        return self.strategy == "fsdp" and self.devices > 1

    @property
    def stored(self) -> int:
        """Bytes of a weight, a gradient, a moment and a number of the residual stream."""
        return 2 if self.precision == "bf16-true" else 4

    @property
    def width(self) -> int:
        """Bytes of a number inside a layer: autocast makes it half."""
        return 4 if self.precision == "fp32" else 2


@dataclass(frozen=True)
class Memory:
    """Bytes on one device: an estimate by the formulas of `memory.memory_per_device`."""

    parameters: int
    gradients: int
    optimizer: int
    activations: int
    """What the backward pass needs, and the head's chunk of logits."""
    peak: int
    """The most that is held at once: less than the four together, which are not all there at the same time."""


def memory_per_device(shape: Shape, step: Step) -> Memory:
    """Bytes on one device, attention that keeps no T x T scores, dropout 0.

    With P weights, L layers, d, i = d_inner, H heads, V words, T tokens of a micro-batch, s bytes a stored number (4; 2
    with bf16-true) and h bytes inside a layer (4 in fp32, else 2):

        parameters   s P; FSDP: s P / devices, the embeddings and two layers gathered
        optimizer    s (k M + r (P - M)) with M weights in the blocks' matrices: k = r = 2 for AdamW's two moments,
                     k = 1 and r = 2 for Muon's momentum beside AdamW's moments; FSDP: / devices
        gradients    s P; FSDP: s P / devices, and one layer's whole and on its way out
        kept         T (2 s d + h (6 d + 2 i) + 4 H + 16) for each layer: the inputs of both norms, their outputs, q, k,
                     v, attention's output, the MLP before and after GELU, and in fp32 the norms' and softmax's sums;
                     2 d and i numbers less where model/recompute.py recomputes the norms' and GELU's outputs (T d and
                     T i of 2^19 or more, no autocast, not compiled). Autocast also keeps half-precision weights
        head         a chunk of logits in fp32, the gradients by the last states and by the head's weight

    They are not all there at once. The peak is the largest of three moments:

        in the head      everything kept, the last norm's input and output; no gradients yet, unless micro-batches are
                         accumulated or DDP's buckets hold them
        in the last layer's backward pass   everything kept, the head's gradient, gradients by the residual stream
                         and by the MLP's inner values
        at the end       all gradients, and the embedding's twice: by its use as the head and by the look-up

    With activation checkpointing each layer keeps its input alone, and one layer at a time the rest. See also
    Korthikanti et al. 2022, equation 1 (34 s b h for half precision with dropout masks; 36 here without them: the
    residual stream is fp32).
    """
    s, tokens = step.stored, step.micro_batch_tokens
    d, vocab = shape.d_model, shape.vocab_size
    parameters, gradients, passing = _weights(shape, step)
    rest = shape.params.total - shape.hidden_matrices
    states = step.optimizer.hidden_matrices * shape.hidden_matrices + step.optimizer.rest * rest
    optimizer = s * states // (step.devices if step.sharded else 1)
    copies = 2 * shape.n_layer * shape.block if step.precision.endswith("-mixed") else 0
    norms, gelu = _recomputed(shape, step)
    layer = 2 * s * d + step.width * ((4 if norms else 6) * d + (1 if gelu else 2) * shape.d_inner)
    layer += 4 * shape.n_head + 16
    kept = tokens * (s * d if step.activation_checkpointing else layer) * shape.n_layer
    again = tokens * layer if step.activation_checkpointing else 0
    head_gradient = vocab * d * 4
    # Whether gradients of earlier micro-batches, or DDP's buckets, are there all the time.
    standing = gradients if step.accumulation > 1 or (step.devices > 1 and not step.sharded) else 0
    head = 2 * tokens * s * d + tokens * s * d + _chunk(shape, step) + head_gradient
    backward = again + tokens * (2 * s * d + step.width * shape.d_inner * (2 if gelu else 1)) + head_gradient
    stays = parameters + optimizer
    peak = max(
        stays + standing + copies + kept + head,
        stays + max(standing, s * shape.block) + copies + kept + backward + passing,
        stays + gradients + head_gradient + passing + tokens * s * d,
    )
    activations = kept + again + copies + head - head_gradient
    return Memory(parameters, gradients, optimizer, activations, peak)


def _weights(shape: Shape, step: Step) -> tuple[int, int, int]:
    """(parameters, gradients, what of both is on its way between devices)."""
    s, total = step.stored, shape.params.total
    if not step.sharded:
        return s * total, s * total, 0
    gathered = s * (shape.outside + 2 * shape.block)
    # Gradients that are not summed over devices yet stay whole.
    gradients = s * total if step.accumulation > 1 else s * total // step.devices
    return s * total // step.devices + gathered, gradients, 2 * s * shape.block


def _recomputed(shape: Shape, step: Step) -> tuple[bool, bool]:
    """Whether outputs of norms, and of GELU, are computed again in the backward pass."""
    if step.width != step.stored or step.compiled:
        return False, False
    tokens = step.micro_batch_tokens
    return tokens * shape.d_model >= RECOMPUTE_FROM, tokens * shape.d_inner >= RECOMPUTE_FROM


def _chunk(shape: Shape, step: Step) -> int:
    """Bytes of the head's chunk of logits, and of its copies where the products are in half precision."""
    rows = min(step.micro_batch_tokens, max(1, HEAD_BUFFER[step.device] // shape.vocab_size))
    # As many chunks as are needed, of nearly equal size.
    rows = -(-step.micro_batch_tokens // -(-step.micro_batch_tokens // rows))
    half = step.device == "cuda" and step.precision != "fp32"
    # cuda: the product in fp32 before it is copied into the buffer, and the errors in half precision.
    per_logit = 4 + (4 + 2 if half else 0)
    # A copy of the head's weight in the type of the product, where it has another.
    matrix = shape.vocab_size * shape.d_model
    if half:
        matrix *= 0 if step.precision == "bf16-true" else 2
    else:
        matrix *= 4 if step.precision == "bf16-true" else 0
    return rows * shape.vocab_size * per_logit + matrix
