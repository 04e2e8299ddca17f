"""The decoder: `GPT` and its `GPTConfig`; generation in `generate`, weights in and out in `weights`."""

from zeroscale.model.gpt import GPT, GPTConfig

__all__ = ["GPT", "GPTConfig"]
