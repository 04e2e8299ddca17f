"""The answers so far, on disk: an evaluation that is killed goes on from here.

A folder beside the result, with a dot before its name; each file in it holds one chunk of answers and is whole or
absent. Numbers are written so that they come back to the last bit.
"""

import dataclasses
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from zeroscale.core.files import disk_errors, write_bytes
from zeroscale.eval.engine import requests as rq
from zeroscale.eval.engine.cost import add_costs

Answers = dict[int, list[rq.Answer]]
# By the names that unfinished journals hold, whatever the classes are called.
_KINDS: dict[str, type[rq.Answer]] = {
    "Scored": rq.LogLikelihoodResult,
    "Rolled": rq.RollingResult,
    "Generated": rq.GenerateResult,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


class AnswerLog:
    """Answers by the number of their request group, under the hash of all that they depend on (`Key.answers`).

    Args:
        folder: None: nothing is kept.
    """

    def __init__(self, folder: Path | None, key: str) -> None:
        self.folder = folder
        self.key = key
        self._chunks = 0

    def read(self) -> tuple[Answers, dict[str, float]]:
        """The answers kept so far, and what they cost. Entries under another key are removed."""
        answers: Answers = {}
        cost: dict[str, float] = {}
        if self.folder is None:
            return answers, cost
        for path in sorted(self.folder.glob("[!.]*.json")):
            self._chunks = max(self._chunks, int(path.stem) + 1)
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
                if content["key"] != self.key:
                    self.remove()
                    return {}, {}
                chunk = {
                    int(number): [_restored(answer) for answer in group] for number, group in content["answers"].items()
                }
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # damaged after it was written: asked again
            answers |= chunk
            cost = add_costs(cost, content["cost"])
        return answers, cost

    def append(self, answers: Answers, cost: Mapping[str, float]) -> None:
        """Writes one chunk."""
        if self.folder is None:
            return
        plain = {str(number): [_plain(answer) for answer in group] for number, group in answers.items()}
        content = {"key": self.key, "cost": dict(cost), "answers": plain}
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        write_bytes(self.folder / f"{self._chunks:06d}.json", text.encode("utf-8", "surrogatepass"))
        self._chunks += 1

    def remove(self) -> None:
        """Deletes the folder."""
        if self.folder is None:
            return
        with disk_errors(self.folder):
            shutil.rmtree(self.folder, ignore_errors=True)
        self._chunks = 0


def _plain(answer: rq.Answer) -> dict[str, object]:
    fields: dict[str, object] = {}
    for field in dataclasses.fields(answer):
        value = getattr(answer, field.name)
        is_array = isinstance(value, np.ndarray)
        fields[field.name] = {"dtype": str(value.dtype), "values": value.tolist()} if is_array else value
    return {"kind": _NAMES[type(answer)], **fields}


def _restored(content: dict[str, object]) -> rq.Answer:
    fields: dict[str, object] = {}
    for name, value in content.items():
        if isinstance(value, dict):
            value = np.array(value["values"], dtype=value["dtype"])
        fields[name] = tuple(value) if isinstance(value, list) else value
    kind = _KINDS[str(fields.pop("kind"))]
    return kind(**fields)  # type: ignore[arg-type]
