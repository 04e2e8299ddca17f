"""Which column of a CSV of runs is which."""

from collections.abc import Mapping
from pathlib import Path

from zeroscale.core.errors import ZeroscaleError

REQUIRED = ("params", "tokens", "loss")
OPTIONAL = ("flops", "seed")
# What others call the columns; only to say in a message how to name them.
ALIASES = {
    "params": (
        "params", "n", "parameters", "model size", "model_size", "n_params", "num_params", "n_parameters", "size",
    ),
    "tokens": ("tokens", "d", "training tokens", "train_tokens", "n_tokens", "num_tokens", "tokens_seen", "data"),
    "loss": (
        "loss", "l", "val_loss", "val/loss", "train_loss", "final_loss", "test_loss", "eval_loss", "validation_loss",
    ),
    "flops": ("flops", "c", "compute", "training flop", "training flops", "flop", "training_flops", "total_flops"),
    "seed": ("seed", "random_seed", "run_seed"),
}  # fmt: skip


def named_columns(path: Path, header: list[str], columns: Mapping[str, str | None]) -> dict[str, str | None]:
    """Our name → the file's, of the columns that are there. A doubled or missing column is refused."""
    refuse_doubled(path, header, {name for name in columns.values() if name} | {name for name in header if "/" in name})
    named: dict[str, str | None] = {}
    missing = []
    for name in (*REQUIRED, *OPTIONAL):
        column = columns.get(name, name)
        if column in header:
            named[name] = column
        elif name == "tokens" and column is None and columns.get("flops", "flops") in header:
            named[name] = None
        elif name in REQUIRED or column != name:
            missing.append("tokens, nor flops to take them from" if column is None else column)
    if missing:
        raise ZeroscaleError(
            f"{path} has no column {' and no '.join(missing)}; it has {', '.join(header)}. "
            f"A CSV of runs needs {', '.join(REQUIRED)}, and may have {', '.join(OPTIONAL)}: rename its columns, or "
            f"say what they are called{_hint(header)}"
        )
    return named


def refuse_doubled(path: Path, header: list[str], read: set[str]) -> None:
    twice = sorted({name for name in header if header.count(name) > 1} & read)
    if twice:
        raise ZeroscaleError(f"{path} has the column {', '.join(twice)} twice: rename one of them")


def _hint(header: list[str]) -> str:
    """How to name the columns, guessed from what others call them; a guess is never taken without being typed."""
    guesses = []
    for name, aliases in ALIASES.items():
        alias = next((column for column in header if column.lower() in aliases), None)
        if name not in header and alias is not None:
            guesses.append(f"columns.{name}={alias!r}" if " " in alias else f"columns.{name}={alias}")
    if not guesses:
        return ", as in columns.params=NAME"
    return f", as in {' '.join(guesses)}"
