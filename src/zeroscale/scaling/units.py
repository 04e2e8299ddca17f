"""Numbers as people in the field say them: 124M, 8.1 GiB, 40 min."""


def compact(value: float) -> str:
    """1234567 → "1.23M": three digits and a power of a thousand, as sizes are spoken of in the field."""
    power = 0
    # 999,500 rounds to 1.00M, not to 1000k.
    while value >= 999.5 and power < 5:
        value, power = value / 1000, power + 1
    if power == 0:
        return f"{value:.0f}"
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{digits}f}{' kMBTP'[power]}"


def gibibytes(value: int) -> str:
    """Bytes in GiB, with enough digits for a pocket model."""
    gib = value / 2**30
    if 0 < gib < 0.095:
        return f"{gib:.2g}"
    return f"{gib:.2f}" if gib < 9.995 else f"{gib:.1f}"


def hours(hours: float | None) -> str:
    """Hours as "3.2 h", "12 min", "45 s" or, from two days on, "5.1 d"; "–" where unknown."""
    if hours is None:
        return "–"
    if hours >= 48:
        return f"{hours / 24:.1f} d"
    if hours >= 1:
        return f"{hours:.1f} h"
    return f"{hours * 60:.0f} min" if hours * 60 >= 1 else f"{hours * 3600:.0f} s"


def money(value: float) -> str:
    """An amount in whatever currency the price was: 12,340 from a hundred on, with cents below."""
    return f"{value:,.0f}" if value >= 99.995 else f"{value:.2f}"
