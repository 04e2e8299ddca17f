"""The settings in which the runs of a fit differ: of a study from its runs, of a CSV from its columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from zeroscale.core.errors import ZeroscaleError
from zeroscale.runs.axes import Axes, Value, show
from zeroscale.runs.where import Wanted, is_among
from zeroscale.scaling.run_selection import Row

# Losses of runs that differ in one of these are on other text, in other units, or given more to read before each token.
INCOMPARABLE = ("data.", "tokenizer.", "corpus", "model.vocab_size", "model.n_positions", "trainer.context_length")


@dataclass(frozen=True)
class RunSettings:
    """Of each run, by its name, the settings that a law has to choose among: size, training length and seed are not."""

    keys: tuple[str, ...] = ()
    short: Mapping[str, str] = field(default_factory=dict)
    """What a reader calls a setting."""
    values: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)

    @classmethod
    def of_study(cls, axes: Axes) -> "RunSettings":
        keys = tuple(axis.key for axis in axes.settings)
        return cls(
            keys=keys,
            short={axis.key: axis.short for axis in axes.settings},
            values={run.name: {key: axes.value(run, key) for key in keys} for run in axes.runs},
        )

    @classmethod
    def of_rows(cls, rows: Mapping[str, Row], keys: Sequence[str]) -> "RunSettings":
        """Of a CSV: `rows` by the run's name, `keys` the columns that are settings."""
        leaves = [key.rpartition(".")[2] for key in keys]
        return cls(
            keys=tuple(keys),
            short={key: leaf if leaves.count(leaf) == 1 else key for key, leaf in zip(keys, leaves, strict=True)},
            values={name: {key: row.get(key) for key in keys} for name, row in rows.items()},
        )

    def of(self, cell: str) -> tuple[Value, ...]:
        known = self.values.get(cell, {})
        return tuple(known.get(key) for key in self.keys)

    def has(self, cell: str, filters: Mapping[str, Wanted]) -> bool:
        """Whether a run of a CSV has these settings, by dotted key or by what a reader calls them.

        Raises:
            ZeroscaleError: there is no such setting.
        """
        by_short = {short: key for key, short in self.short.items()}
        for given, wanted in filters.items():
            key = by_short.get(given, given)
            if key not in self.keys:
                known = ", ".join(f"where.{key}" for key in self.keys) or "none"
                raise ZeroscaleError(f"where.{given}: the file has no such column of settings; it has {known}")
            if not is_among(self.values.get(cell, {}).get(key), wanted):
                return False
        return True

    def text(self, key: str, value: Value) -> str:
        """ "lr=0.003"."""
        return f"{self.short[key]}={show(value)}"


def refuse_incomparable(settings: RunSettings, groups: Sequence[Sequence[str]], source: str) -> None:
    """
    Args:
        groups: names of the runs of each size and training length.
        source: what `runs=` was given.

    Raises:
        ZeroscaleError: runs of one size differ in their text, tokenizer or context: their losses do not compare.
    """
    for position, key in enumerate(settings.keys):
        if not key.startswith(INCOMPARABLE):
            continue
        for group in groups:
            values = sorted({show(settings.of(cell)[position]) for cell in group})
            if len(values) > 1:
                raise ZeroscaleError(
                    f"runs of one size differ in {key} ({', '.join(values)}): losses on other text, with another "
                    "tokenizer or another context do not compare, so none of them is the best. Fit one, or each by "
                    f"itself:\n  zeroscale fit runs={source} where.{key}={values[0]} out=fit-{values[0]}.json\n"
                    "select=all takes all of them as repeats of one another"
                )
