"""What the fuzzer found once stays right: each entry of found.yaml."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from fuzz import seeds
from fuzz.hunter import Hunter
from fuzz.runner import Attempt

ENTRIES = yaml.safe_load(Path(__file__).with_name("found.yaml").read_text(encoding="utf-8"))


def build(entry: dict[str, Any], seed: Path, work: Path) -> Attempt:
    """The files of an entry, and its command line."""
    for name, place in entry.get("start", {}).items():
        seeds.copy(seed / name, work / place)
    for place, content in entry.get("write", {}).items():
        path = work / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes.fromhex(content["hex"]) if isinstance(content, dict) else content.encode("utf-8"))
    for place, target in entry.get("link", {}).items():
        (work / place).unlink(missing_ok=True)
        (work / place).symlink_to(target)
    for place, values in entry.get("set", {}).items():
        path = work / place
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    for place, line in entry.get("append", {}).items():
        with open(work / place, "a", encoding="utf-8") as file:
            file.write(f"{line}\n")
    return Attempt(entry["argv"], entry["name"], ("*",), frozenset({entry["code"]}))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["name"])
def test_it_is_right_today(hunter: Hunter, entry: dict[str, Any]) -> None:
    outcome = hunter.runner.attempt(lambda work: build(entry, hunter.seeds, work))
    assert not outcome.faults, outcome.text()
    assert entry.get("says", "") in outcome.stdout + outcome.stderr, outcome.text()
