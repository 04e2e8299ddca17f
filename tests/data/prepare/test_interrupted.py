"""A preparation that was killed, stopped or out of disk goes on where it was, to the same bits."""

import contextlib
import dataclasses
import gzip
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from zeroscale.config.data import FilesData
from zeroscale.config.model import BytesTokenizer
from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.corpus import Corpus
from zeroscale.data.prepare.prepare import corpus_directory, prepare

BYTES = BytesTokenizer(kind="bytes")
# Every kind of file, duplicates of both kinds, a site that is left out.
FULL = {
    "url_field": "url",
    "leave_out_sites": ("wikipedia.org",),
    "drop_exact_duplicates": True,
    "near_duplicate_threshold": 0.7,
    "near_duplicate_permutations": 32,
}


def some_files(directory: Path, **changes) -> FilesData:
    """Settings of a corpus of small documents in several formats, written to `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    draw = random.Random(0)
    texts = [" ".join(f"w{draw.randrange(500)}" for _ in range(60)) for _ in range(300)]
    texts += [texts[n] + " and more" for n in range(0, 300, 9)] + texts[::7]
    draw.shuffle(texts)
    rows = [
        {"text": text, "url": f"http://{'en.wikipedia.org' if n % 11 == 0 else 'a.b'}"} for n, text in enumerate(texts)
    ]
    lines = [json.dumps(row) + "\n" for row in rows]
    (directory / "a.jsonl").write_text("".join(lines[:150]))
    (directory / "b.jsonl.gz").write_bytes(gzip.compress("".join(lines[150:300]).encode()))
    (directory / "c.txt").write_text("\n".join(texts) * 5)
    for number, text in enumerate(texts[300:]):
        (directory / f"d{number:03d}.txt").write_text(text)
    return FilesData(**{"kind": "files", "name": "mine", "path": str(directory), "val_fraction": 0.2, **changes})


def start(directory: Path, data: FilesData, *, pause: float = 0.0, before: str = "") -> "subprocess.Popen[str]":
    """A process that prepares `directory` with a commit after every batch; prints the stages, then the fingerprint or
    what went wrong."""
    code = f"""
import json, time
from pathlib import Path
from zeroscale.data.prepare import output, pipeline, prepare
from zeroscale.config.data import FilesData
from zeroscale.core.errors import ZeroscaleError
from zeroscale.config.model import BytesTokenizer
{before}
pipeline.COMMIT_SECONDS, output.BATCH_BYTES = 0.0, 4000
def progress(done, total, stage):
    print(stage, done, flush=True)
    time.sleep({pause} if stage == "tokenising" else 0)
settings = json.loads({json.dumps(dataclasses.asdict(data))!r})
settings["leave_out_sites"] = tuple(settings["leave_out_sites"])
try:
    tokenizer = BytesTokenizer(kind="bytes")
    print(prepare.prepare(FilesData(**settings), tokenizer, Path({str(directory)!r}), progress).fingerprint)
except ZeroscaleError as error:
    print(error)
except KeyboardInterrupt:
    print("stopped")
"""
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(child: "subprocess.Popen[str]", batches: int) -> None:
    for line in child.stdout:
        batches -= line.startswith("tokenising")
        if batches == 0:
            return
    raise AssertionError(f"it ended before: {child.communicate()}")


def contents(directory: Path) -> dict[str, bytes]:
    """Every file of a corpus but source.json, which holds times."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != "source.json"
    }


@pytest.fixture
def reference(tmp_path):
    """A corpus' settings, and what an uninterrupted preparation makes of it."""
    data = some_files(tmp_path / "text", **FULL)
    prepare(data, BYTES, tmp_path / "reference")
    return data, contents(tmp_path / "reference")


def check(directory: Path, data: FilesData, expected: dict[str, bytes]) -> None:
    """The next ordinary preparation gives the same files and leaves nothing beside them."""
    prepare(data, BYTES, directory).verify()
    assert contents(directory) == expected
    beside = [f".{directory.name}.lock", f".{directory.name}.verified.json"]
    assert sorted(path.name for path in directory.parent.iterdir()) in (
        [beside[0], directory.name],
        [*beside, directory.name],
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_again_and_again_it_comes_to_the_same_bits(tmp_path, reference, workers):
    data, expected = reference
    directory, data = tmp_path / "corpora" / "c", dataclasses.replace(data, workers=workers)
    went_on = 0
    for batches in (2, 5, 9, 3):
        child = start(directory, data, pause=0.01)
        for line in child.stdout:
            went_on += line.startswith("going on")
            batches -= line.startswith("tokenising")
            if batches == 0:
                break
        child.send_signal(signal.SIGKILL)
        child.communicate(timeout=300)
        assert not directory.exists() and (directory.parent / ".c.part").is_dir()
    assert went_on == 3
    check(directory, data, expected)


@pytest.mark.slow
def test_killed_at_any_moment_it_comes_to_the_same_bits(tmp_path, reference):
    """Forty corpora, at moments drawn from the whole duration: they fall between any two statements."""
    data, expected = reference
    draw = random.Random(1)
    began = time.monotonic()
    start(tmp_path / "corpora" / "whole", data).communicate(timeout=300)
    whole = time.monotonic() - began
    interrupted = 0
    for number in range(40):
        directory = tmp_path / "corpora" / f"c{number}"
        for _ in range(draw.randint(1, 3)):
            child = start(directory, data)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.communicate(timeout=draw.uniform(0.2 * whole, whole))
            interrupted += child.poll() is None
            child.kill()
            child.communicate()
        prepare(data, BYTES, directory).verify()
        assert contents(directory) == expected
    assert interrupted > 20


def test_ctrl_c_stops_it_and_the_same_command_goes_on(tmp_path, reference):
    data, expected = reference
    directory = tmp_path / "corpora" / "c"
    child = start(directory, dataclasses.replace(data, workers=2), pause=0.5)
    wait_for(child, 3)
    child.send_signal(signal.SIGINT)
    said, faults = child.communicate(timeout=300)
    assert said.endswith("stopped\n") and faults == ""
    check(directory, data, expected)


def test_a_full_disk_is_one_message_and_the_same_command_goes_on(tmp_path, reference):
    data, expected = reference
    directory = tmp_path / "corpora" / "c"
    # A limit on the size of a file stands in for the disk: c.txt alone is longer.
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    said, faults = start(directory, data, before=limit).communicate(timeout=300)
    last = said.splitlines()[-1]
    assert last.startswith("cannot write") and "the same command goes on from there" in last and faults == ""
    assert not directory.exists() and said.count("tokenising") > 5
    lines = start(directory, data).communicate(timeout=300)[0].splitlines()
    assert lines[0].startswith("going on where it stopped") and len(lines[-1]) == 64
    check(directory, data, expected)


def test_with_no_room_from_the_start_nothing_is_left(tmp_path):
    data = some_files(tmp_path / "text")
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))"
    said = start(tmp_path / "corpora" / "c", data, before=limit).communicate(timeout=300)[0]
    assert said.startswith("cannot write") and said.count("\n") == 1
    assert [file.name for file in (tmp_path / "corpora").iterdir()] == [".c.lock"]


def interrupt(directory: Path, data: FilesData, batches: int = 4) -> None:
    child = start(directory, data, pause=0.01)
    wait_for(child, batches)
    child.kill()
    child.communicate()


def test_what_was_made_of_other_text_is_not_gone_on_with(tmp_path):
    data = some_files(tmp_path / "text")
    directory = tmp_path / "corpora" / "c"
    interrupt(directory, data)
    (tmp_path / "text" / "a.jsonl").write_text('{"text": "another text"}\n')
    told = []
    prepare(data, BYTES, directory, lambda *progress: told.append(progress[2]))
    assert set(told) == {"tokenising"}
    assert contents(directory) == contents(prepare(data, BYTES, tmp_path / "reference").directory)


@pytest.mark.parametrize("damage", ["shard gone", "shard cut", "no database", "other settings"])
def test_what_was_damaged_is_made_anew(damage, tmp_path, reference):
    data, expected = reference
    directory = tmp_path / "corpora" / "c"
    interrupt(directory, data if damage != "other settings" else dataclasses.replace(data, max_bytes=100_000))
    part = directory.parent / ".c.part"
    if damage == "shard gone":
        (part / "train-00000.bin").unlink()
    elif damage == "shard cut":
        (part / "train-00000.bin").write_bytes(b"")
    elif damage == "no database":
        (part / "progress.sqlite").write_bytes(b"no database " * 1000)
    check(directory, data, expected)


def test_killed_between_its_last_two_steps_it_is_whole(tmp_path, reference):
    data, expected = reference
    directory = tmp_path / "corpora" / "c"
    prepare(data, BYTES, directory)
    (directory / "progress.sqlite").write_bytes(b"left over")
    check(directory, data, expected)


def test_a_fault_in_the_text_leaves_nothing_to_go_on_with(tmp_path):
    data = some_files(tmp_path / "text")
    (tmp_path / "text" / "z.txt").write_bytes(b"abc\xff")
    with pytest.raises(ZeroscaleError, match=r"z\.txt: not UTF-8 at byte 3"):
        prepare(data, BYTES, tmp_path / "corpora" / "c")
    assert [file.name for file in (tmp_path / "corpora").iterdir()] == [".c.lock"]


def test_two_that_ask_at_once_build_once(tmp_path):
    data = some_files(tmp_path / "text")
    first, second = (start(tmp_path / "corpora" / "c", data, pause=0.02) for _ in range(2))
    said = [child.communicate(timeout=300)[0].splitlines() for child in (first, second)]
    builders = [lines for lines in said if any(line.startswith("tokenising") for line in lines)]
    assert len(builders) == 1
    assert said[0][-1] == said[1][-1] == Corpus.open(tmp_path / "corpora" / "c").fingerprint
    waiting = next(lines for lines in said if lines is not builders[0])
    assert waiting == ["waiting for the process that prepares it 0", waiting[-1]]


def test_the_number_of_workers_is_no_part_of_what_a_corpus_is(tmp_path, reference):
    data, expected = reference
    for workers in (1, 2, 3):
        changed = dataclasses.replace(data, workers=workers)
        assert corpus_directory(tmp_path, changed, BYTES) == corpus_directory(tmp_path, data, BYTES)
        assert contents(prepare(changed, BYTES, tmp_path / f"c{workers}").directory) == expected


MEASURE = """
import json, resource, sys
from pathlib import Path
from zeroscale.data.prepare.prepare import prepare
from zeroscale.config.data import FilesData
from zeroscale.config.model import BpeTokenizer, BytesTokenizer
data = FilesData(kind="files", name="m", path=sys.argv[1], val_fraction=0.05, **json.loads(sys.argv[3]))
kinds = {"bytes": BytesTokenizer(kind="bytes"), "bpe": BpeTokenizer(kind="bpe", vocab_size=1000)}
corpus = prepare(data, kinds[sys.argv[4]], Path(sys.argv[2]))
used = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(used[0] + (data.workers or 1) * used[1], corpus.index["read"]["bytes"])
"""


def made_file(path: Path, megabytes: int) -> Path:
    """Text of a made vocabulary, a megabyte at a time."""
    draw = random.Random(0)
    words = [f"{draw.randrange(16**5):x}" for _ in range(5_000)]
    block = " ".join(draw.choices(words, k=200_000))[: 10**6 - 20]
    with open(path, "w") as handle:
        for number in range(megabytes):
            handle.write(f"{block[number:]}{block[:number]} {number}\n")
    return path


def memory(tmp_path: Path, megabytes: int, tokenizer: str, **settings: object) -> float:
    """MiB that preparing so much text needs at most: this process and all its children at their largest."""
    path = made_file(tmp_path / f"{megabytes}.txt", megabytes)
    arguments = [str(path), str(tmp_path / f"c{megabytes}"), json.dumps(settings), tokenizer]
    said = subprocess.check_output([sys.executable, "-c", MEASURE, *arguments], text=True)
    used, size = map(float, said.split())
    assert size == path.stat().st_size
    return used


def test_memory_does_not_grow_with_the_corpus(tmp_path):
    # 24 MB of text that were held anywhere would show: as text, as tokens (48 MB), or as Python's integers (hundreds).
    assert memory(tmp_path, 28, "bytes") < memory(tmp_path, 4, "bytes") + 20


@pytest.mark.slow
@pytest.mark.parametrize(("megabytes", "tokenizer"), [(2048, "bytes"), (300, "bpe")])
def test_two_gigabytes_take_less_than_one_of_memory(tmp_path, megabytes, tokenizer):
    """BPE learns from the first 256 MiB and holds nothing else that grows, so that a little more than that shows it."""
    used = memory(tmp_path, megabytes, tokenizer, workers=2, drop_exact_duplicates=True)
    print(f"{megabytes} MB, {tokenizer}: {used:.0f} MiB")
    assert used < 1000
