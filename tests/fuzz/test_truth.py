"""The fuzzer's own eyes: what it must see in files, and that its damage can be repeated."""

import random
from pathlib import Path

import pytest
from fuzz import mutate, truth
from fuzz.runner import snapshot

GOOD = '{"acc": {"value": 0.5, "low": 0.4, "high": 0.6}}'


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.json", GOOD, None),
        ("a.json", GOOD.replace("0.5", "NaN"), "NaN is no JSON"),
        ("a.json", GOOD.replace("0.5", "1e400"), "is inf"),
        ("a.json", GOOD.replace("0.5", "0.7"), "lies outside"),
        ("a.json", GOOD.replace("0.4", "0.9"), "is above high"),
        ("a.jsonl", '{"a": 1}\n{"a": -Infinity}\n', "-Infinity is no JSON"),
        ("a.csv", "a,b\n1,\n", None),
        ("a.csv", "a,b\n1,nan\n", "row 2 holds nan"),
        ("a.csv", "a,b\n1\n", "row 2 has 1 cells under 2"),
    ],
)
def test_untrue_files_are_seen(tmp_path: Path, name: str, text: str, words: str | None) -> None:
    (tmp_path / name).write_text(text)
    faults = truth.files([tmp_path / name], tmp_path)
    assert faults == [] if words is None else any(words in fault for fault in faults)


def test_a_seed_means_the_same_damage_every_time(tmp_path: Path) -> None:
    def damage(number: int) -> tuple[str, dict[bytes, str]]:
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "a.json").write_text(GOOD)
        draw = random.Random(1)
        notes = [mutate.any_file(draw, path) for _ in range(3) for path in mutate.files_below(folder) if path.is_file()]
        return " ".join(notes), snapshot(folder)

    assert damage(1) == damage(2)
