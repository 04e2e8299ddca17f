"""Plain arrays as the fits want them, with every fault named."""

from typing import TYPE_CHECKING

from zeroscale.core.errors import ZeroscaleError

if TYPE_CHECKING:
    from numpy import bool_, float64, intp
    from numpy.typing import ArrayLike, NDArray

    FloatArray = NDArray[float64]
    IntArray = NDArray[intp]
    BoolArray = NDArray[bool_]
    # What a fit takes for a column: anything of which numpy makes one number for each run.
    Column = ArrayLike
    # A number, or one of each of S laws [S].
    Numbers = float | FloatArray

# Values this close in relative terms are one size, one token count: 124,439,808 and a plot's 1.2443e8 are the same.
SAME = 0.01


def check_columns(**columns: "Column") -> list["FloatArray"]:
    """The columns as float64 [n]: one number above zero for each run.

    Raises:
        ZeroscaleError: lengths differ, or a value is not a positive finite number: named as params[3].
    """
    import numpy

    arrays: list[FloatArray] = []
    for name, values in columns.items():
        try:
            column = numpy.asarray(values, float)
        except (TypeError, ValueError) as error:
            raise ZeroscaleError(f"{name}{_no_number(values)}: it must be one number for each run") from error
        if column.ndim != 1:
            raise ZeroscaleError(f"{name} has shape {column.shape}: it must be one number for each run")
        bad = numpy.flatnonzero(~(numpy.isfinite(column) & (column > 0)))
        if len(bad):
            more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
            raise ZeroscaleError(
                f"{name}[{bad[0]}] is {column[bad[0]]:g}{more}: "
                "it must be a finite number above zero; leave the run out"
            )
        arrays.append(column)
    lengths = {name: len(column) for name, column in zip(columns, arrays, strict=True)}
    if len(set(lengths.values())) > 1:
        counts = " and ".join(f"{length} {name}" for name, length in lengths.items())
        raise ZeroscaleError(f"{counts}: each run needs all of them")
    return arrays


def _no_number(values: object) -> str:
    """Which of the values is none, as "[3] is '70M'"."""
    try:
        items = list(values)  # type: ignore[call-overload]
    except TypeError:
        return f" is {values!r}"
    for index, value in enumerate(items):
        try:
            float(value)
        except (TypeError, ValueError):
            return f"[{index}] is {value!r}"
    return " is uneven"


def check_seeds(seed: "Column | None", n: int) -> "FloatArray | None":
    """Seeds as given, one for each run; None where there are none."""
    import numpy

    if seed is None:
        return None
    seeds = numpy.asarray(seed)
    if seeds.shape != (n,):
        raise ZeroscaleError(f"seed has shape {seeds.shape}: it must be one seed for each of the {n} runs")
    return seeds


def group_values(values: "FloatArray", tolerance: float = SAME) -> "IntArray":
    """[n], the number of each value's group, smallest first: a group holds what is within `tolerance` of its smallest.

    (Not of its neighbour: a dense table would become one group.)
    """
    import numpy

    number, first, current = numpy.empty(len(values), int), -numpy.inf, -1
    logs = numpy.log(values)
    for row in numpy.argsort(values, kind="stable"):
        if logs[row] - first > tolerance:
            first, current = logs[row], current + 1
        number[row] = current
    return number


def unit_warnings(params: "FloatArray", tokens: "FloatArray", loss: "FloatArray") -> list[str]:
    """What looks like a wrong unit. The smallest language models anybody fits have ten thousand weights or so."""
    import numpy

    warnings = []
    if params.min() < 5000:
        warnings.append(
            f"params goes down to {params.min():g}, which looks like millions or billions: write 124000000, not 124"
        )
    if tokens.max() < 1e5:
        warnings.append(
            f"tokens is at most {tokens.max():g}, which looks like millions or billions: write 2500000000, not 2.5"
        )
    elif params.min() >= 5000 and numpy.median(tokens / params) > 1e5:
        warnings.append(
            f"a run has {numpy.median(tokens / params):.2g} tokens for each parameter (median): params looks like "
            "thousands or millions; write 124000000, not 124000 or 124"
        )
    if numpy.median(loss) > 12:
        warnings.append(
            f"loss is {numpy.median(loss):.3g} (median), which looks like a perplexity: give its natural logarithm, in "
            "nats per token"
        )
    return warnings
