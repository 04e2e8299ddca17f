"""The same function as transformers' GPT2LMHeadModel, for the released shapes: logits, loss, gradients."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from zeroscale.model.hf_format import tensor_names
from zeroscale.model.weights import from_pretrained

# Shapes of the four released models (Radford et al. 2019, table 2; heads of 64 as in OpenAI's hparams.json).
SHAPES = {
    "small": {"n_layer": 12, "n_embd": 768, "n_head": 12},
    "medium": {"n_layer": 24, "n_embd": 1024, "n_head": 16},
    "large": {"n_layer": 36, "n_embd": 1280, "n_head": 20},
    "xl": {"n_layer": 48, "n_embd": 1600, "n_head": 25},
}
FULL = {"vocab_size": 50257, "n_positions": 1024}
CASES = [
    pytest.param("small", {}, id="small"),
    # Width and heads as released; depth and vocabulary cut, so that the default tests stay quick.
    *(pytest.param(size, {"n_layer": 2, "vocab_size": 1009}, id=f"{size}-cut") for size in ("medium", "large", "xl")),
    *(pytest.param(size, {}, id=size, marks=pytest.mark.slow) for size in ("medium", "large", "xl")),
]


def relative(ours: torch.Tensor, exact: torch.Tensor) -> float:
    return ((ours.double() - exact).norm() / exact.norm()).item()


def backward(model, loss: torch.Tensor, keep: Callable[[str, torch.Tensor], None]) -> None:
    """Backward that hands each gradient to `keep` as soon as it is whole and then forgets it: xl's gradients in
    float64 do not fit beside its weights."""

    def hook(name: str, parameter: torch.Tensor) -> None:
        keep(name, parameter.grad)
        parameter.grad = None

    for name, parameter in model.named_parameters():
        parameter.register_post_accumulate_grad_hook(lambda parameter, name=name: hook(name, parameter))
    loss.backward()
    for parameter in model.parameters():
        parameter._post_accumulate_grad_hooks.clear()


def by_transformers(model, tokens: torch.Tensor, keep: Callable) -> tuple[torch.Tensor, torch.Tensor]:
    output = model(tokens, labels=tokens)
    loss = output.loss
    if output.logits.dtype == torch.float64:  # their loss rounds logits to fp32 whatever the model's type
        loss = torch.nn.functional.cross_entropy(output.logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
    backward(model, loss, keep)
    return output.logits.detach(), loss.detach()


def by_ours(directory: Path, tokens: torch.Tensor, keep: Callable) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients go to `keep` under transformers' names, in its layout."""
    model = from_pretrained(directory)
    names = tensor_names(model.config)

    def translate(name: str, gradient: torch.Tensor) -> None:
        keep(names[name].name, gradient.t() if names[name].transposed else gradient)

    loss = model.loss(tokens[:, :-1], tokens[:, 1:])
    backward(model, loss, translate)
    with torch.no_grad():
        return model(tokens), loss.detach()


class GradientErrors:
    """‖found − exact‖ of every tensor; `found` waits in files until the exact one comes by."""

    def __init__(self, folder: Path, sides: tuple[str, ...]) -> None:
        self.folder, self.errors = folder, {side: {} for side in sides}
        self.norms: dict[str, float] = {}

    def keep(self, side: str) -> Callable[[str, torch.Tensor], None]:
        return lambda name, gradient: torch.save(gradient, self.folder / f"{side}.{name}.pt")

    def compare(self, name: str, exact: torch.Tensor) -> None:
        self.norms[name] = exact.norm().item()
        for side, errors in self.errors.items():
            path = self.folder / f"{side}.{name}.pt"
            errors[name] = (torch.load(path, weights_only=True) - exact).norm().item()
            path.unlink()

    def relative(self, side: str) -> float:
        """Of all tensors as one vector."""
        return math.hypot(*self.errors[side].values()) / math.hypot(*self.norms.values())


@pytest.mark.parametrize(("size", "cut"), CASES)
def test_logits_loss_and_gradients_equal_transformers_to_fp32_rounding(size, cut, saved, roomy):
    theirs, directory = saved(**{**FULL, **SHAPES[size], **cut})
    tokens = torch.randint(0, theirs.config.vocab_size, (2, 24))
    gradients = GradientErrors(roomy, ("ours", "theirs"))
    our_logits, our_loss = by_ours(directory, tokens, gradients.keep("ours"))
    their_logits, their_loss = by_transformers(theirs, tokens, gradients.keep("theirs"))
    exact_logits, exact_loss = by_transformers(theirs.double(), tokens, gradients.compare)

    bound = 1e-5
    assert relative(our_logits, exact_logits) <= min(bound, 1.5 * relative(their_logits, exact_logits))
    # A scalar's rounding is a matter of luck, and theirs may be exact; one step of fp32 is allowed to ours.
    assert relative(our_loss, exact_loss) <= max(1.5 * relative(their_loss, exact_loss), 2**-23)
    assert len(gradients.norms) == len(tensor_names(from_pretrained(directory).config))
    assert gradients.relative("ours") <= min(bound, 1.5 * gradients.relative("theirs"))
    for name, norm in gradients.norms.items():
        assert gradients.errors["ours"][name] <= bound * norm, name
    print(
        f"{size}: relative errors of ours and of transformers against float64: "
        f"logits {relative(our_logits, exact_logits):.1e} {relative(their_logits, exact_logits):.1e}, "
        f"loss {relative(our_loss, exact_loss):.1e} {relative(their_loss, exact_loss):.1e}, "
        f"gradients {gradients.relative('ours'):.1e} {gradients.relative('theirs'):.1e}"
    )


@pytest.mark.parametrize(
    "variant",
    [
        {"n_layer": 6},  # distilgpt2's depth
        {"activation_function": "gelu", "n_inner": 100},  # Cerebras-GPT's activation
        {"activation_function": "relu"},
        {"scale_attn_by_inverse_layer_idx": True, "layer_norm_epsilon": 1e-3},
        {"scale_attn_weights": False},
        {"tie_word_embeddings": False},
    ],
    ids=str,
)
def test_relatives_of_gpt2_equal_transformers(variant, saved):
    theirs, directory = saved(**variant)
    ours = from_pretrained(directory)
    tokens = torch.randint(0, 211, (3, 32))
    with torch.no_grad():
        expected = theirs.double()(tokens).logits
        assert relative(ours(tokens), expected) <= 1e-5


def test_dropout_is_on_while_training_alone(saved):
    _, directory = saved(resid_pdrop=0.3, embd_pdrop=0.3, attn_pdrop=0.3)
    ours = from_pretrained(directory)
    tokens = torch.randint(0, 211, (1, 8))
    assert torch.equal(ours(tokens), ours(tokens))
    ours.train()
    assert not torch.allclose(ours(tokens), ours(tokens))
