"""What families say alike when they follow lm-evaluation-harness (0.4.13)."""


def too_short(n_positions: int, max_new_tokens: int) -> str:
    """The note for a model that lm-evaluation-harness would refuse to generate with."""
    return (
        f"lm-evaluation-harness would not generate {max_new_tokens} tokens in a context of {n_positions}: "
        f"here they have {n_positions // 2}, and the prompt the rest"
    )
