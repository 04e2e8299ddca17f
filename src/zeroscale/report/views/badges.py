"""What of a benchmark a result scored: the word that stands beside each of its scores, and the reasons in full."""

import re
from typing import Any

HELD_OUT = "held_out"
BENCHMARK = "BENCHMARK"
SAMPLE = "SAMPLE"
Result = dict[str, Any]


def badges(result: Result) -> str:
    """The leading words of a result's `mark`: "PART, LIMITED" of "PART: 150 of 500 stories; LIMITED to …"."""
    if result.get("card") == HELD_OUT:
        return "HELD-OUT TEXT"
    return ", ".join(dict.fromkeys(map(_capitals, _reasons(result)))) or BENCHMARK


def _reasons(result: Result) -> list[str]:
    """Why a result is no score of the benchmark, the first for a sample."""
    reasons = [reason for reason in re.split(r"; (?=[A-Z]{2})", str(result.get("mark") or "")) if _capitals(reason)]
    sample = result.get("is_sample") or result.get("source") == "sample"
    return [SAMPLE, *(one for one in reasons if not one.startswith(SAMPLE))] if sample else reasons


def _capitals(reason: str) -> str:
    found = re.match(r"[A-Z]{2,}(?: [A-Z]{2,})*(?![a-z])", reason)
    return found[0] if found else ""


def notes(results: list[tuple[str, Result]]) -> list[str]:
    """The reasons in full, each with the runs it is true of where these are not all; then what is not known of data
    that nothing is known against. `results`: (run's label, result)."""
    reasons = {label: [one for one in _reasons(result) if one != SAMPLE] for label, result in results}
    told = []
    for reason in dict.fromkeys(one for found in reasons.values() for one in found):
        runs = [label for label, found in reasons.items() if reason in found]
        told.append(reason + ("." if len(runs) == len(results) else f" ({', '.join(runs)})."))
    unknown = dict.fromkeys(str(result.get("data")) for _, result in results if badges(result) == BENCHMARK)
    return told + [f"The data: {text}." for text in unknown if text.startswith(("as many", "the card pins"))]
