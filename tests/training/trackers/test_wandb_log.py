"""An offline run's file is whole when a run has ended."""

import struct

import pytest

from zeroscale.training.trackers import wandb_log

BLOCK, HEADER = 32 * 1024, b":W&B\x00\x00\x00"


def record(**fields) -> bytes:
    from wandb.proto import wandb_internal_pb2 as pb

    return pb.Record(**fields).SerializeToString()


def steps(number: int) -> list[bytes]:
    from wandb.proto import wandb_internal_pb2 as pb

    items = [pb.HistoryItem(key="step", value_json="1" * 90)]
    return [record(history=pb.HistoryRecord(item=items))] * number


def exited() -> bytes:
    from wandb.proto import wandb_internal_pb2 as pb

    return record(exit=pb.RunExitRecord(exit_code=0))


def written(records: list[bytes]) -> bytes:
    """A log of these records, parts where they do not fit a block."""
    content = HEADER
    for payload in records:
        first = True
        while True:
            left = BLOCK - len(content) % BLOCK
            if left < 7:
                content += bytes(left)
                continue
            part, payload = payload[: left - 7], payload[left - 7 :]
            kind = (1 if first else 4) if not payload else (2 if first else 3)
            content += struct.pack("<IHB", 0, len(part), kind) + part
            first = False
            if not payload:
                break
    return content


@pytest.mark.parametrize("number", [0, 5, 300, 301, 302, 303, 2000], ids=lambda number: f"{number} steps")
def test_a_file_has_ended_with_the_exit_and_not_before(tmp_path, number):
    path = tmp_path / "run-x.wandb"
    whole = written([*steps(number), exited()])
    path.write_bytes(whole)
    assert wandb_log.has_ended(path)
    for shorter in (whole[:-1], whole[:7], whole[: len(whole) // 2], written(steps(number)), b":W", b""):
        path.write_bytes(shorter)
        assert not wandb_log.has_ended(path), len(shorter)


def test_an_exit_that_lies_in_two_blocks_is_found(tmp_path):
    path = tmp_path / "run-x.wandb"
    from wandb.proto import wandb_internal_pb2 as pb

    for room in range(8, 24):  # bytes that the first block has left for the exit
        filler = record(history=pb.HistoryRecord(item=[pb.HistoryItem(key="k", value_json="")]))
        wanted = BLOCK - 7 - 7 - room
        filler = record(history=pb.HistoryRecord(item=[pb.HistoryItem(key="k", value_json="1" * (wanted - 12))]))
        filler = filler + b"\x08\x01" * ((wanted - len(filler)) // 2)
        path.write_bytes(written([filler, record(exit=pb.RunExitRecord(exit_code=70), uuid="u" * 40)]))
        assert wandb_log.has_ended(path)


def test_a_file_of_another_form_is_not_waited_for_and_a_missing_one_is(tmp_path):
    (tmp_path / "run-x.wandb").write_bytes(b"SQLite format 3")
    assert wandb_log.has_ended(tmp_path / "run-x.wandb")
    assert not wandb_log.has_ended(tmp_path / "run-y.wandb")


class LateRun:
    """A run whose file is written after `finish` has returned, as W&B's is on a busy machine."""

    id = "x"

    def __init__(self, folder, content: bytes) -> None:
        self.dir, self.content = str(folder / "files"), content
        self.file = folder / "run-x.wandb"
        self.file.write_bytes(HEADER)

    def finish(self, exit_code: int) -> None:
        self.looks = 0

    def sleep(self, seconds: float) -> None:
        self.looks += 1
        if self.looks == 3:
            self.file.write_bytes(self.content)


def test_what_is_written_late_is_waited_for(tmp_path, monkeypatch):
    run = LateRun(tmp_path, written([*steps(3), exited()]))
    monkeypatch.setattr(wandb_log.time, "sleep", run.sleep)
    wandb_log.finish(run, "offline", 0)
    assert run.looks == 3 and wandb_log.has_ended(run.file)


def test_what_is_never_written_is_said(tmp_path, monkeypatch):
    run = LateRun(tmp_path, written(steps(3)))
    monkeypatch.setattr(wandb_log, "WRITE_SECONDS", 0.05)
    with pytest.raises(TimeoutError, match="is not written to its end"):
        wandb_log.finish(run, "offline", 0)
