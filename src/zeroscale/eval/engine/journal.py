"""What a model has answered so far, on disk: an evaluation that is killed goes on from here.

A folder beside the result, with a dot before its name; each file in it holds one chunk of answers and is whole or
absent. Numbers are written so that they come back to the last bit.
"""

import dataclasses
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zeroscale.core.files import disk_errors, write_bytes
from zeroscale.eval.engine import requests as rq
from zeroscale.eval.engine.cost import added

Answers = dict[int, list[rq.Answer]]
# By the names that unfinished journals hold, whatever the classes are called.
_KINDS: dict[str, type] = {"Scored": rq.LogLikelihoodResult, "Rolled": rq.RollingResult, "Generated": rq.GenerateResult}
_NAMES = {kind: name for name, kind in _KINDS.items()}


class AnswerLog:
    """Answers by the number of what was asked, under the hash of all that they depend on (`Key.answers`)."""

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        self.key = key
        self._chunks = 0

    def read(self) -> tuple[Answers, dict[str, float]]:
        """What is there, and what it cost. Entries under another key are of no use to anybody: they are removed."""
        answers: Answers = {}
        cost: dict[str, float] = {}
        for path in sorted(self.folder.glob("[!.]*.json")):
            self._chunks = max(self._chunks, int(path.stem) + 1)
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
                if content["key"] != self.key:
                    self.remove()
                    return {}, {}
                found = {int(number): [_restored(one) for one in some] for number, some in content["answers"].items()}
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # damaged after it was written: asked again
            answers |= found
            cost = added(cost, content["cost"])
        return answers, cost

    def append(self, answers: Answers, cost: Mapping[str, float]) -> None:
        """Writes one chunk."""
        plain = {str(number): [_plain(one) for one in some] for number, some in answers.items()}
        content = {"key": self.key, "cost": dict(cost), "answers": plain}
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        write_bytes(self.folder / f"{self._chunks:06d}.json", text.encode("utf-8", "surrogatepass"))
        self._chunks += 1

    def remove(self) -> None:
        """Nothing is left of it."""
        with disk_errors(self.folder):
            shutil.rmtree(self.folder, ignore_errors=True)
        self._chunks = 0


def _plain(answer: rq.Answer) -> dict[str, Any]:
    fields = {}
    for field in dataclasses.fields(answer):
        value = getattr(answer, field.name)
        array = isinstance(value, np.ndarray)
        fields[field.name] = {"dtype": str(value.dtype), "values": value.tolist()} if array else value
    return {"kind": _NAMES[type(answer)], **fields}


def _restored(content: dict[str, Any]) -> Any:
    fields = {}
    for name, value in content.items():
        if isinstance(value, dict):
            value = np.array(value["values"], dtype=value["dtype"])
        fields[name] = tuple(value) if isinstance(value, list) else value
    return _KINDS[fields.pop("kind")](**fields)
