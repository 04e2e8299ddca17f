"""The text behind a record that holds none: an article of a stream, a block of a long file. Bounded, for the page."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from zeroscale.core import paths
from zeroscale.eval import published

LONGEST = 600
# Of an article so many lines are looked at; where the next begins, as `harness.tasks.stream` has it.
LINES = 40
TITLE = re.compile(r" ?= (?!=)[^\n]*[^=\s] = ?")


def of(row: dict[str, Any], result: dict[str, Any], settings: dict[str, Any], before: int = 0) -> str:
    """The beginning of what a record was measured on; "" where its text is not at hand.

    `before`: characters of the records before this one. The text is looked for where the scores had it from: the
    card's own sample, or the files of the run's data_dir; nothing is fetched.
    """
    if isinstance(row.get("text"), str):
        return row["text"].strip()[:LONGEST]
    text = _text(result, settings)
    if not text:
        return ""
    if result.get("family") == "characters":
        return text[before : before + min(LONGEST, int(row.get("characters") or 0))].strip()
    return _part(text, str(row.get("title") or ""))


def _part(text: str, title: str) -> str:
    """The lines that begin with a title, or "lines 11 to 20"."""
    numbered = re.fullmatch(r"lines (\d+) to (\d+)", title)
    lines = _lines(text)
    if numbered:
        return "\n".join(lines[int(numbered[1]) - 1 : int(numbered[2])]).strip()[:LONGEST]
    start = next((i for i, line in enumerate(lines) if line.strip(" =") == title), None) if title else None
    if start is None:
        return ""
    ends = range(start + 2, min(start + LINES, len(lines)))
    end = next((i for i in ends if TITLE.fullmatch(lines[i]) and not lines[i - 1].strip()), start + LINES)
    return "\n".join(line.strip() for line in lines[start:end] if line.strip())[:LONGEST]


@cache
def _lines(text: str) -> list[str]:
    return text.split("\n")


def _text(result: dict[str, Any], settings: dict[str, Any]) -> str:
    card = published.card_yaml(str(result.get("card")))
    sources = card.get("sources") or {}
    if result.get("source") == "sample" and sources.get("sample"):
        return _sample(paths.evals() / str(sources["sample"]), result.get("family") == "characters")
    names = [str(name) for name in result.get("origin") or []]
    folder = settings.get("data_dir")
    if result.get("source") != "files" or not folder or len(names) != 1 or result.get("family") != "stream":
        return ""
    files = sources.get("files") or {}
    # Only files that the card itself names: a result's own words open nothing else.
    released = [names for names in files.get("names") or []] + [one.get("names") for one in files.get("excerpts") or []]
    if names not in released:
        return ""
    places = (Path(folder) / str(files.get("directory") or "") / names[0], Path(folder) / names[0])
    return next((_file(path) for path in places if path.is_file()), "")


@cache
def _sample(path: Path, whole: bool) -> str:
    """A sample's rows: as they are, or a line each."""
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError):
        return ""
    texts = [str(row.get("text", row.get("sentence", ""))) for row in rows if isinstance(row, dict)]
    return "".join(texts) if whole else "\n".join(text.removesuffix("\n") for text in texts)


@cache
def _file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
