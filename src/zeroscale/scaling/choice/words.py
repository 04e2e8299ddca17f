"""What was chosen, in sentences with settings and without hashes."""

from collections.abc import Sequence

from zeroscale.core.format import general
from zeroscale.scaling.choice.record import SettingMean, SizeChoice

# What a reader calls the values of an axis: one, several.
NAMES = {"lr": ("learning rate", "rates"), "optimizer": ("optimizer", "optimizers"), "code": ("code", "code")}
SHOWN = 8


def summary(sizes: Sequence[SizeChoice], axes: Sequence[str], left_out: int) -> str:
    """ "For each size the learning rate with the best mean over 5 seeds: pocket-xs lr=0.01, pocket-s lr=0.003; 15 runs
    of other rates are left out"."""
    one, several = NAMES.get(axes[0], (axes[0], "settings")) if len(axes) == 1 else ("setting", "settings")
    if len(axes) > 1:
        one = f"setting of {', '.join(axes[:-1])} and {axes[-1]}"
    elif not axes:
        one, several = "model", "models"
    counts = sorted({len(setting.seeds) for size in sizes for setting in _all(size)})
    seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    by = "the lowest loss (one seed each)" if counts == [1] else f"the best mean loss over {seeds} seeds"
    chosen = [f"{size.name} {size.chosen.label}" for size in sizes if size.chosen and size.others]
    listed = ", ".join(chosen[:SHOWN]) + (f" and {len(chosen) - SHOWN} more" if len(chosen) > SHOWN else "")
    alone = [str(size.name) for size in sizes if not size.others]
    only = f" ({', '.join(alone[:SHOWN])}: one {one} tried)" if alone else ""
    runs = "1 run" if left_out == 1 else f"{left_out} runs"
    return (
        f"For each size the {one} with {by}: {listed}{only}; {runs} of other {several} "
        f"{'is' if left_out == 1 else 'are'} left out"
    )


def notes(sizes: Sequence[SizeChoice]) -> list[str]:
    """Where the choice is by less than the noise, on few seeds, or at an end of what was tried."""
    lines = []
    for size in sizes:
        tied = [str(other.label) for other in size.others if other.within_noise]
        if tied and size.chosen:
            lines.append(
                f"{size.name}: {size.chosen.label} and {_listed(tied)} differ by less than the seeds do (by "
                f"{_by(size)} nats)"
            )
        unknown = [str(other.label) for other in size.others if other.within_noise is None]
        if unknown and size.chosen:
            lines.append(
                f"{size.name}: without two seeds or more of each, how much of the difference between "
                f"{size.chosen.label} and {_listed(unknown)} is noise is not known"
            )
        if size.same_seeds is False:
            lines.append(
                f"{size.name}: the settings were trained with different seeds, so their means are compared as they are"
            )
    ends = [f"{size.name} {size.chosen.label}" for size in sizes if size.edges and size.chosen]
    if ends:
        further = [text for size in sizes for text in size.further]
        lines.append(
            f"At an end of what was tried: {', '.join(ends[:SHOWN])}: a better one may lie beyond"
            + (f"; to see, add: {'; '.join(further[:SHOWN])}" if further else "")
        )
    return lines


def _all(size: SizeChoice) -> list[SettingMean]:
    return [*([size.chosen] if size.chosen else []), *size.others]


def _listed(labels: Sequence[str]) -> str:
    return labels[0] if len(labels) == 1 else f"{', '.join(labels[:-1])} and {labels[-1]}"


def _by(size: SizeChoice) -> str:
    apart = [other.difference for other in size.others if other.within_noise and other.difference is not None]
    return " to ".join(dict.fromkeys((general(min(apart)), general(max(apart)))))
