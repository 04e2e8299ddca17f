"""The text behind a record that holds none: an article of a stream, a block of a long file. Bounded, for the page."""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from zeroscale.core import paths
from zeroscale.eval import published
from zeroscale.report.sections.example_view import Record
from zeroscale.report.views.results import ResultView

MAX_LENGTH = 600
# How many lines of an article are searched for the next title, whose form is as in `eval.tasks.stream`.
MAX_LINES = 40
TITLE = re.compile(r" ?= (?!=)[^\n]*[^=\s] = ?")


def find_text(record: Record, result: ResultView, settings: Mapping[str, object], characters_before: int = 0) -> str:
    """The beginning of what a record was measured on; "" where its text is not at hand.

    `characters_before`: of the records before this one. The text is looked for where the scores had it from: the
    card's own sample, or the files of the run's data_dir; nothing is fetched.
    """
    if isinstance(record.get("text"), str):
        return str(record["text"]).strip()[:MAX_LENGTH]
    text = _scored_text(result, settings)
    if not text:
        return ""
    if result.task_type == "characters":
        length = min(MAX_LENGTH, int(record.get("characters") or 0))
        return text[characters_before : characters_before + length].strip()
    return _excerpt(text, str(record.get("title") or ""))


def _excerpt(text: str, title: str) -> str:
    """The lines that begin with a title, or "lines 11 to 20"."""
    numbered = re.fullmatch(r"lines (\d+) to (\d+)", title)
    lines = _lines(text)
    if numbered:
        return "\n".join(lines[int(numbered[1]) - 1 : int(numbered[2])]).strip()[:MAX_LENGTH]
    start = next((i for i, line in enumerate(lines) if line.strip(" =") == title), None) if title else None
    if start is None:
        return ""
    ends = range(start + 2, min(start + MAX_LINES, len(lines)))
    end = next((i for i in ends if TITLE.fullmatch(lines[i]) and not lines[i - 1].strip()), start + MAX_LINES)
    return "\n".join(line.strip() for line in lines[start:end] if line.strip())[:MAX_LENGTH]


@cache
def _lines(text: str) -> list[str]:
    return text.split("\n")


def _scored_text(result: ResultView, settings: Mapping[str, object]) -> str:
    """The whole text of a card's sample or file; "" where it is not at hand."""
    card = published.card_yaml(result.card)
    sources = card.get("sources") or {}
    source = result.content.get("source")
    if source == "sample" and sources.get("sample"):
        return _read_sample(paths.evals() / str(sources["sample"]), result.task_type == "characters")
    names = result.texts("origin")
    folder = settings.get("data_dir")
    if source != "files" or not folder or len(names) != 1 or result.task_type != "stream":
        return ""
    files = sources.get("files") or {}
    # Only files that the card itself names: a result's own words open nothing else.
    released = [names for names in files.get("names") or []]
    released += [excerpt.get("names") for excerpt in files.get("excerpts") or []]
    if names not in released:
        return ""
    places = (Path(str(folder)) / str(files.get("directory") or "") / names[0], Path(str(folder)) / names[0])
    return next((_read_file(path) for path in places if path.is_file()), "")


@cache
def _read_sample(path: Path, joined: bool) -> str:
    """A sample's rows: joined as they are, or a line each."""
    try:
        rows = [json.loads(line) for line in path.read_bytes().split(b"\n") if line.strip()]
    except (OSError, ValueError):
        return ""
    texts = [str(row.get("text", row.get("sentence", ""))) for row in rows if isinstance(row, dict)]
    return "".join(texts) if joined else "\n".join(text.removesuffix("\n") for text in texts)


@cache
def _read_file(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
