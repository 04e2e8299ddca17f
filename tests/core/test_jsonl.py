import json

from zeroscale.core import jsonl


def test_a_resumed_record_holds_each_step_once(tmp_path):
    path = tmp_path / "metrics.jsonl"
    first = jsonl.JsonlWriter(path)
    for step in (1, 2, 3, 4):
        first.add({"step": step})
    first.close()
    with open(path, "a") as file:
        file.write('{"step": 5, "train')
    assert [row["step"] for row in jsonl.truncate_after(path, 2)] == [1, 2]
    second = jsonl.JsonlWriter(path)
    second.add({"step": 3})
    second.sync()
    second.close()
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2, 3]


def test_nothing_to_cut_back_makes_no_file(tmp_path):
    assert jsonl.truncate_after(tmp_path / "metrics.jsonl", 0) == [] and not list(tmp_path.iterdir())
