"""The laws that `zeroscale fit` knows. An entry of LAWS says all that the command, the summary and the report ask.

To add a law: its formula and fit in `estimators/`, an entry here, and its name in the help, a comment of conf/fit.yaml.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from zeroscale.core.errors import ZeroscaleError
from zeroscale.scaling import fit_json
from zeroscale.scaling.estimators.chinchilla import fit_chinchilla
from zeroscale.scaling.estimators.envelope import fit_envelope
from zeroscale.scaling.estimators.isoflop import fit_isoflop
from zeroscale.scaling.estimators.kaplan import fit_kaplan
from zeroscale.scaling.estimators.power_law import fit_power_law
from zeroscale.scaling.estimators.results import SurfaceFit
from zeroscale.scaling.estimators.variable_projection import fit_vpnls
from zeroscale.scaling.fit_schema import DataLaw, SizeLaw
from zeroscale.scaling.options import Options
from zeroscale.scaling.run_selection import Selection, SizeGroup
from zeroscale.scaling.run_table import RunTable
from zeroscale.scaling.size_law_json import size_law

if TYPE_CHECKING:
    from zeroscale.scaling.choice.resampling import ChoiceDraws
    from zeroscale.scaling.numerics.arrays import Column

# An envelope is read off anew for each resample, which is slow: more of them than this change no digit that counts.
ENVELOPE_BOOTSTRAP = 1000


@dataclass(frozen=True)
class FitData:
    """What every law is fitted to: all runs as columns, the longest run of each size, and how they are counted."""

    table: RunTable
    selection: Selection
    variable: str
    """The column of the ledger that is N."""
    source: str
    """What the messages call the runs."""
    options: Options
    repeat_choice: "Callable[[Sequence[SizeGroup], int], ChoiceDraws | None]" = lambda sizes, count: None
    """What choosing among settings does to these means, in so many draws."""

    @property
    def budgets(self) -> tuple[float, ...]:
        """FLOPs for which the compute-optimal size is asked."""
        return tuple(self.options.budgets) or self.table.budgets()


class SurfaceFitter(Protocol):
    """Fits L(N, D) = E + A/N^alpha + B/D^beta to plain arrays."""

    def __call__(
        self, params: "Column", tokens: "Column", loss: "Column", *, bootstrap: int, random_seed: int, hold_out: bool
    ) -> SurfaceFit: ...


@dataclass(frozen=True)
class LawInfo:
    """A law by its name in `law=` and in fit.json."""

    title: str
    """In the terminal."""
    label: str
    """On the page of the report, in its figures and tables."""
    kind: Literal["size", "surface", "optimum", "size_and_data", "data", "downstream"]
    """L(N); L(N, D) with five parameters; N_opt(C) alone; another L(N, D); L(D) of each size; each benchmark's loss and
    accuracy."""
    fit: Callable[[FitData], SizeLaw | DataLaw] | None = None
    """Runs → the law's entry in fit.json. None: `downstream.fit_benchmarks` gives an entry for each benchmark,
    `length_law.fit_data_laws` one for each size."""
    surface: SurfaceFitter | None = None
    """The fit on plain arrays, of a surface: two studies are compared by it."""
    figure: str | None = None
    """The figure that stands first in the report where this law leads."""
    lead: int | None = None
    """Rank among the laws that the report's first screen may rest on; None: it never does."""

    @property
    def needs_data(self) -> bool:
        """Whether the runs must vary in tokens as well as in size."""
        return self.kind in ("surface", "optimum", "size_and_data")


def _power(data: FitData) -> SizeLaw:
    sizes = data.selection.sizes
    if len(sizes) < 2:
        raise ZeroscaleError(
            f"{data.source} has finished runs of one size only (N = {sizes[0].params:,.0f}): a law over size needs "
            "at least two, better five"
        )
    fit = fit_power_law(
        [size.params for size in sizes],
        [size.loss for size in sizes],
        loss_sd=[size.loss_sd or 0.0 for size in sizes],
        bootstrap=data.options.bootstrap,
        seed=data.options.seed,
        choice=data.repeat_choice(sizes, data.options.bootstrap),
    )
    return size_law(fit, data.selection, data.variable)


def _chinchilla(data: FitData) -> DataLaw:
    table, options = data.table, data.options
    fit = fit_chinchilla(
        table.params,
        table.tokens,
        table.loss,
        seed=table.seeds,
        delta=options.delta,
        bootstrap=options.bootstrap,
        random_seed=options.seed,
        names=table.names,
    )
    return fit_json.surface_law(fit, table, data.budgets)


def _vpnls(data: FitData) -> DataLaw:
    table, options = data.table, data.options
    fit = fit_vpnls(
        table.params,
        table.tokens,
        table.loss,
        seed=table.seeds,
        bootstrap=options.bootstrap,
        random_seed=options.seed,
        names=table.names,
    )
    return fit_json.surface_law(fit, table, data.budgets)


def _isoflop(data: FitData) -> DataLaw:
    table, options = data.table, data.options
    fit = fit_isoflop(
        table.params,
        table.tokens,
        table.loss,
        flops=table.flops,
        window=options.window,
        tolerance=options.tolerance,
        bootstrap=options.bootstrap,
        random_seed=options.seed,
    )
    return fit_json.isoflop_law(fit, table, data.budgets)


def _envelope(data: FitData) -> DataLaw:
    table, options = data.table, data.options
    fit = fit_envelope(
        table.params,
        table.tokens,
        table.loss,
        flops=table.flops,
        bootstrap=min(options.bootstrap, ENVELOPE_BOOTSTRAP),
        random_seed=options.seed,
    )
    return fit_json.envelope_law(fit, table, data.budgets)


def _kaplan(data: FitData) -> DataLaw:
    table, options = data.table, data.options
    fit = fit_kaplan(
        table.params,
        table.tokens,
        table.loss,
        delta=options.delta,
        bootstrap=options.bootstrap,
        random_seed=options.seed,
    )
    return fit_json.kaplan_law(fit, table)


# In the order in which they are fitted, written and shown.
LAWS: dict[str, LawInfo] = {
    "power": LawInfo(title="power", label="power over size alone", kind="size", fit=_power),
    "chinchilla": LawInfo(
        title="chinchilla (approach 3)",
        label="chinchilla (approach 3)",
        kind="surface",
        fit=_chinchilla,
        surface=fit_chinchilla,
        figure="surface",
        lead=2,
    ),
    "vpnls": LawInfo(
        title="vpnls (variable projection)",
        label="vpnls",
        kind="surface",
        fit=_vpnls,
        surface=fit_vpnls,
        figure="surface",
        lead=3,
    ),
    "isoflop": LawInfo(
        title="isoflop (approach 2)",
        label="isoFLOP (approach 2)",
        kind="optimum",
        fit=_isoflop,
        figure="isoflop",
        lead=1,
    ),
    "envelope": LawInfo(
        title="envelope (approach 1)",
        label="envelope (approach 1)",
        kind="optimum",
        fit=_envelope,
        figure="optimal_size",
        lead=4,
    ),
    "kaplan": LawInfo(title="kaplan", label="kaplan", kind="size_and_data", fit=_kaplan),
    "data": LawInfo(title="power over data alone", label="power over data alone", kind="data"),
    "benchmarks": LawInfo(title="benchmarks", label="benchmarks", kind="downstream"),
}
# Five parameters, with an optimum of their own at every budget.
SURFACES = tuple(name for name, law in LAWS.items() if law.kind == "surface")
# Those that the report's first screen may rest on, the one it prefers first.
LEADING = tuple(
    sorted((name for name, law in LAWS.items() if law.lead is not None), key=lambda name: LAWS[name].lead or 0)
)


def check_names(names: Sequence[str]) -> None:
    """
    Raises:
        ZeroscaleError: a name is neither that of a law nor "auto" nor "all", or there is none.
    """
    unknown = [name for name in names if name not in (*LAWS, "auto", "all")]
    if unknown or not names:
        raise ZeroscaleError(
            f"law={', '.join(unknown) or 'nothing'} is unknown: use auto, all, or some of {', '.join(LAWS)}"
        )


def requested(names: Iterable[str]) -> tuple[str, ...]:
    """The laws that `law=` stands for, in the order of LAWS; "auto" and "all" stand for several."""
    chosen = set(names)
    if "all" in chosen:
        return tuple(LAWS)
    if "auto" in chosen:
        return tuple(name for name, law in LAWS.items() if law.kind != "downstream" or name in chosen)
    return tuple(name for name in LAWS if name in chosen)
