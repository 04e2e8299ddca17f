"""Numbers, counts, sizes, durations and intervals as text.

Two ways of writing a number: `figure` typesets it for the report (a true minus sign, powers of ten as `^{…}`),
`general` writes it for terminals and files (as printf's %g does). Counts: `count` in words, `scaled` typeset with a
letter, `compact` in three digits and a letter. Times: `duration`. Bytes: `size`. Ranges: `interval`. Text of others, a
file's name among it: `escaped`.
"""

import math
import re
from collections.abc import Callable
from pathlib import PurePath
from typing import Literal

SPACE = "\u00a0"  # between a number and its unit: no line break there
MINUS = "\u2212"
NOTHING = "–"  # stands for a value that is unknown
NOT_FINITE = "not finite"
SUPERSCRIPTS = str.maketrans(f"0123456789-{MINUS}", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁻")
COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def count(n: int, singular: str, plural: str | None = None) -> str:
    """A number in words and its noun: `4, "size"` → "four sizes"; in digits from thirteen on."""
    word = COUNTS[n] if n < len(COUNTS) else f"{n:,}"
    return f"{word} {singular if n == 1 else plural or singular + 's'}"


def figure(value: float, digits: int = 3) -> str:
    """Significant digits without an exponent in the everyday range: 3.4051 → "3.41", 0.00002 → "2 × 10^{−5}"."""
    if value == 0:
        return "0"
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2])  # after rounding: 9.999 is 10.0
    if -4 <= exponent < 6:
        rounded = round(value, digits - 1 - exponent)
        text = f"{rounded:,.{max(0, digits - 1 - exponent)}f}"
    else:
        text = f"{value / 10**exponent:.{digits - 1}f} × 10^{{{exponent}}}"
    return text.replace("-", MINUS)


def general(value: float | None, *, signed: bool = False, missing: str = NOTHING) -> str:
    """Four significant digits as %g writes them: 0.3256, 1.8e+20; `signed`: with a plus sign too."""
    return missing if value is None else f"{value:{'+' if signed else ''}.4g}"


def flat(text: str) -> str:
    """`figure`'s powers of ten in characters, for texts without markup: "2 × 10^{−5}" → "2 × 10⁻⁵"."""
    return re.sub(rf"\^\{{([0-9{MINUS}-]+)\}}", lambda power: power[1].translate(SUPERSCRIPTS), text)


def plain(text: str) -> str:
    """Text without markup: powers in characters or with a caret, ordinary spaces."""
    return flat(re.sub(rf"\^\{{([^{{}}]*[^0-9{{}}{MINUS}-][^{{}}]*)\}}", r"^\1", text)).replace(SPACE, " ")


def printable(text: str) -> str:
    """`plain`, without anything that a terminal would obey: a name in a file may hold escape sequences."""
    return "".join(character if character.isprintable() else " " for character in plain(text))


def scaled(value: float | None, unit: str = "", names: str = "K M B T") -> str:
    """25344 → "25.3 K"; with a unit and SI prefixes: `scaled(3.2e13, "FLOP", "k M G T P E Z Y")` → "32 TFLOP"."""
    if value is None:
        return NOTHING
    prefixes = ["", *names.split()]
    power = 0 if abs(value) < 1 else min(len(prefixes) - 1, int(math.log10(abs(value)) / 3 + 1e-9))
    scaled_value = value / 1000.0**power
    if float(f"{scaled_value:.3g}") >= 1000 and power < len(prefixes) - 1:
        power, scaled_value = power + 1, scaled_value / 1000
    text = f"{scaled_value:,.0f}" if abs(scaled_value) >= 100 or power == 0 else f"{scaled_value:.3g}"
    return f"{text}{SPACE}{prefixes[power]}{unit}".rstrip(SPACE)


def flops(value: float | None) -> str:
    """Floating-point operations with an SI prefix."""
    return scaled(value, "FLOP", "k M G T P E Z Y")


def duration(seconds: float | None, style: Literal["full", "short", "clock"] = "full") -> str:
    """Seconds as text; "–" where unknown.

    Args:
        style: `full`: "48 s", "3 min 05 s", "2 h 10 min", typeset; `short`: "45 s", "12 min", "3.2 h" and, from two
            days on, "5.1 d"; `clock`: "1:05", "12:40", "3:05:00".
    """
    if seconds is None:
        return NOTHING
    if style == "clock":
        minutes, rest = divmod(max(0, round(seconds)), 60)
        return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"
    if style == "short":
        hours = seconds / 3600
        if hours >= 48:
            return f"{hours / 24:.1f} d"
        if hours >= 1:
            return f"{hours:.1f} h"
        return f"{hours * 60:.0f} min" if hours * 60 >= 1 else f"{seconds:.0f} s"
    if seconds < 60:
        return f"{seconds:.3g}{SPACE}s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}{SPACE}min {whole % 60:02d}{SPACE}s"
    return f"{whole // 3600:,}{SPACE}h {whole % 3600 // 60:02d}{SPACE}min"


def size(n_bytes: float | None, style: Literal["scaled", "GiB"] = "scaled") -> str:
    """Bytes in binary units; "–" where unknown.

    Args:
        style: `scaled`: "1.5 GiB", typeset; `GiB`: the number alone, with enough digits for a small model.
    """
    if n_bytes is None:
        return NOTHING
    if style == "GiB":
        gib = n_bytes / 2**30
        if 0 < gib < 0.095:
            return f"{gib:.2g}"
        return f"{gib:.2f}" if gib < 9.995 else f"{gib:.1f}"
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if n_bytes >= scale:
            return f"{n_bytes / scale:.3g}{SPACE}{unit}" if n_bytes < 1000 * scale else f"{n_bytes / scale:,.0f} {unit}"
    return f"{n_bytes:.0f}{SPACE}B"


def interval(
    low: float | None,
    high: float | None,
    digits: int = 3,
    *,
    show: Callable[[float], str] | None = None,
    missing: str = "",
    unbounded: tuple[str, str] | None = None,
) -> str:
    """ "0.021 to 0.342", both ends to the decimals of the wider, or each as `show` writes it.

    Args:
        missing: the text where an end is None.
        unbounded: the texts of an end that is None beside one that is known, where that means infinity.
    """
    if (low is None and high is None) or (unbounded is None and (low is None or high is None)):
        return missing
    if show is not None:
        texts = unbounded or ("", "")
        return f"{texts[0] if low is None else show(low)} to {texts[1] if high is None else show(high)}"
    assert low is not None and high is not None
    widest = max(abs(low), abs(high))
    if not 1e-3 <= widest < 1e6:
        return f"{figure(low, digits)} to {figure(high, digits)}"
    decimals = max(0, digits - 1 - math.floor(math.log10(widest)))
    return f"{low:,.{decimals}f} to {high:,.{decimals}f}".replace("-", MINUS)


# Beyond it margins and squares leave floating point (1.8e308).
LARGEST = 1e300


def number(value: object) -> float | None:
    """The value as a float; None for anything else (empty, text, a truth value), and for NaN, infinities and what is so
    large that an axis around it would end in one."""
    if type(value) is float:  # most are
        return value if -LARGEST <= value <= LARGEST else None
    if isinstance(value, bool):
        return None
    try:
        result = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return result if abs(result) <= LARGEST else None


def power_text(value: float) -> str:
    """FLOPs as papers give them: 10¹⁸, 3 × 10¹⁸, 1.6 × 10¹⁸."""
    if value < 1e6:
        return f"{value:,.0f}"
    return flat(figure(value, 2)).replace(".0 ×", " ×").removeprefix("1 × ")


def flops_text(value: float, digits: int = 2) -> str:
    """A budget in words: 2.1 × 10¹⁸ FLOPs."""
    return f"{flat(figure(value, digits))}{SPACE}FLOPs"


def compact(value: float) -> str:
    """1234567 → "1.23M": three digits and the letter of a power of a thousand, without a space."""
    power = 0
    # 999,500 rounds to 1.00M, not to 1000k.
    while value >= 999.5 and power < 5:
        value, power = value / 1000, power + 1
    if power == 0:
        return f"{value:.0f}"
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{digits}f}{' kMBTP'[power]}"


def money(value: float) -> str:
    """An amount in the currency of the price: "12,340" from a hundred on, with cents below."""
    return f"{value:,.0f}" if value >= 99.995 else f"{value:.2f}"


def escaped(text: str | PurePath) -> str:
    """A path or another text from outside as one line that UTF-8 can hold.

    Control characters, line ends and lone surrogates become escapes. Python holds a byte of a file's name that is not
    UTF-8 as such a surrogate; it becomes that byte's escape: `caf\\xe9.txt`.
    """
    return "".join(_escaped(character) for character in str(text))


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # os.fsdecode's "surrogateescape"
        return f"\\x{code - 0xDC00:02x}"
    # Spaces of every kind are characters like others.
    if character.isprintable() or (character.isspace() and code > 0x9F and code not in (0x2028, 0x2029)):
        return character
    return character.encode("unicode_escape").decode("ascii")
