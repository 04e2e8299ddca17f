"""Optimizers of your own. `optimizer.name: optimizers:Lion` chooses the class below."""

from collections.abc import Iterable

import torch


class Lion(torch.optim.Optimizer):
    """Lion (Chen et al. 2023, algorithm 2): the sign of an interpolated momentum, decoupled weight decay.

    zeroscale hands over two groups (matrices, with weight decay; gains and biases, without), `lr`, those of `betas`,
    `eps`, `momentum` and `weight_decay` that the signature names, and `optimizer.options`.
    """

    def __init__(
        self, params: Iterable[dict[str, object]], lr: float, betas: tuple[float, float], cautious: bool = False
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": 0.0, "cautious": cautious})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One step; gradients are there already."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                momentum = state.setdefault("momentum", torch.zeros_like(weight))
                update = torch.lerp(weight.grad, momentum, group["betas"][0]).sign_()
                if group["cautious"]:
                    update *= (update * weight.grad > 0).to(update.dtype)
                weight.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-group["lr"])
                momentum.lerp_(weight.grad, 1 - group["betas"][1])
