"""JSON read and written by one rule: numbers are finite, texts are characters, nothing is nested without end."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.parsing import plain_values
from zeroscale.core.parsing.regular_file import decode


def parse(content: bytes | str, where: str | Path, strict: bool = True) -> Any:
    """The value of a JSON text; `where`, a file or a file and its line, stands before the message.

    Args:
        strict: refuses NaN, infinities and halves of surrogate pairs, which are no JSON; files that others wrote may
            hold them where nothing depends on it.

    Raises:
        ZeroscaleError: it is no JSON; where strict, the message names the key.
    """
    text = content if isinstance(content, str) else decode(content, where)
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ZeroscaleError(f"{where} is not valid JSON: {error}") from error
    except RecursionError as error:
        raise ZeroscaleError(f"{where} is not valid JSON here: it is nested too deeply") from error
    except ValueError as error:
        # Python reads no integer of more than some thousand digits.
        raise ZeroscaleError(f"{where} is not valid JSON here: an integer has too many digits") from error
    if strict:
        plain_values.check(value, where)
    return value


def dumps(value: object, indent: int | None = None, compact: bool = False) -> str:
    """JSON text. NaN and infinities are refused: they are no JSON (`finite` makes null of them)."""
    separators = (",", ":") if compact else None
    return json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False, separators=separators)


def finite(value: Any) -> Any:
    """The value with null for each NaN and infinity: a number that could not be measured."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value
