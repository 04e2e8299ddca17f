"""Text escaped for LaTeX."""

import re

from zeroscale.core.format import MINUS, SPACE

# What LaTeX reads as something else, and letters that a plain document has no glyph for.
_ESCAPES = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "|": r"\textbar{}",
    SPACE: "~",
    "–": "--",
    "…": r"\ldots{}",
    **{
        character: f"${command}$"
        for character, command in {
            MINUS: "-",
            "×": r"\times",
            "·": r"\cdot",
            "≥": r"\ge",
            "≤": r"\le",
            "∼": r"\sim",
            "∝": r"\propto",
            "±": r"\pm",
            "↑": r"\uparrow",
            "↓": r"\downarrow",
            "α": r"\alpha",
            "β": r"\beta",
            "σ": r"\sigma",
            "∞": r"\infty",
        }.items()
    },
}
_POWER = re.compile(r"\^\{([^{}]*)\}")


def escape(text: str) -> str:
    """Text as LaTeX prints it letter by letter; `^{…}` is a superscript."""
    parts = []
    end = 0
    for power in _POWER.finditer(text):
        parts += [_letter_by_letter(text[end : power.start()]), rf"\textsuperscript{{{_letter_by_letter(power[1])}}}"]
        end = power.end()
    return "".join([*parts, _letter_by_letter(text[end:])])


def small(text: str) -> str:
    """Escaped text in a smaller size; empty where it is empty."""
    return rf"{{\scriptsize {escape(text)}}}" if text else ""


def _letter_by_letter(text: str) -> str:
    # A line break inside a cell would end nothing, but two would end the paragraph.
    return "".join(_ESCAPES.get(character, character) for character in re.sub(r"[\r\n\u2028\u2029]+", " ", text))
