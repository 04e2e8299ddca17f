"""Preparing a corpus in MB of text a second, and finding a batch far into a corpus of 10^10 tokens.

    python benchmarks/data.py                                  text made on the spot
    python benchmarks/data.py --text DIR --gpt2 DIR            a directory of texts; GPT-2's own vocabulary from files

Preparing (reading, tokenising, splitting, counting, hashing, writing, syncing) is set beside what the `tokenizers`
library does with the same texts in memory, which is tokenising alone. The contestants take turns; a figure is the
median of its turns.
"""

import argparse
import os
import random
import resource
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from zeroscale.config.data import FilesData
from zeroscale.config.model import BpeTokenizer, BytesTokenizer, Gpt2Tokenizer, TokenizerConfig
from zeroscale.core.files import write_json
from zeroscale.data.corpus import FORMAT, Corpus
from zeroscale.data.prepare.encode import EncodeJob
from zeroscale.data.prepare.prepare import prepare
from zeroscale.data.sources import sources
from zeroscale.data.stream import TokenStream

STEP = 10**6


def find_far_batch(directory: Path) -> None:
    """10^10 tokens in 100 shards that are holes: 20 GB in name only."""
    shards = []
    for number in range(100):
        name = f"train-{number:05d}.bin"
        with open(directory / name, "wb") as handle:
            handle.truncate(200_000_000)
        shards.append({"file": name, "tokens": 100_000_000, "bytes": 200_000_000, "sha256": ""})
    splits = {"train": {"shards": shards}, "val": {"shards": []}}
    write_json(directory / "index.json", {"format": FORMAT, "dtype": "<u2", "splits": splits})
    for rows in (8, 512):
        tracemalloc.start()
        stream = TokenStream(Corpus.open(directory), seed=0, context=1024, batch_tokens=rows * 1024)
        stream.windows_at(STEP)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        found = _milliseconds(lambda stream=stream: stream.windows_at(STEP))
        read = _milliseconds(lambda stream=stream: stream.batch_at(STEP))
        print(
            f"  {rows:3} x 1,024 tokens: found in {found:.3f} ms, peak memory {peak / 1e6:.2f} MB;"
            f" found and read in {read:.2f} ms"
        )


def _milliseconds(work: Callable[[], object]) -> float:
    times = []
    for _ in range(50):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def made_text(directory: Path, megabytes: int) -> Path:
    """Words of a made vocabulary at Zipf's frequencies."""
    draw = random.Random(0)
    words = ["".join(draw.choices("etaoinshrdlucmfwypvbgkjqxz", k=draw.randint(1, 10))) for _ in range(20_000)]
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    directory.mkdir()
    for number in range(megabytes):
        (directory / f"{number:04d}.txt").write_text(" ".join(draw.choices(words, weights, k=180_000))[: 10**6])
    return directory


def speeds(text: Path, tokenizer: TokenizerConfig, scratch: Path, turns: int, workers: int) -> None:
    """MB/s of each way, in turns; beside it MB per second of processor time, which a busy machine changes less."""
    plain = {"kind": "files", "name": "benchmark", "path": str(text), "val_fraction": 0.05}
    first = prepare(FilesData(**plain), tokenizer, scratch / "first")
    size = first.index["read"]["bytes"]
    texts = [document.text for document in sources.documents(FilesData(**plain))]
    batches = [texts[start : start + 16] for start in range(0, len(texts), 16)]
    work = EncodeJob(first.tokenizer, 0.05)

    def preparing(**changes: object) -> None:
        with tempfile.TemporaryDirectory(dir=scratch) as fresh:
            prepare(FilesData(**{**plain, **changes}), tokenizer, Path(fresh) / "corpus")

    ways: dict[str, Callable[[], object]] = {
        "`tokenizers` alone, all cores": lambda: [first.tokenizer.encode_batch(batch) for batch in batches],
        "the same, counted, split, packed": lambda: [work.encode(batch) for batch in batches],
        "preparing, workers=1": lambda: preparing(workers=1),
        f"preparing, workers={workers}": lambda: preparing(workers=workers),
        "  without exact duplicates": lambda: preparing(workers=workers, drop_exact_duplicates=True),
        "  without near ones (0.8)": lambda: preparing(workers=workers, near_duplicate_threshold=0.8),
    }
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(turns):
        for name, way in ways.items():
            wall, used = time.perf_counter(), _processor_seconds()
            way()
            seconds[name].append((time.perf_counter() - wall, _processor_seconds() - used))
    for name, times in seconds.items():
        walls, used = zip(*times, strict=True)
        print(
            f"  {name:34} {size / statistics.median(walls) / 1e6:6.1f} MB/s"
            f"   {size / statistics.median(used) / 1e6:6.1f} MB per processor second"
        )


def _processor_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, help="a directory of texts")
    parser.add_argument("--gpt2", type=Path, help="a directory with GPT-2's encoder.json and vocab.bpe")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=20, help="of made text")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "order").mkdir()
        print(f"batch {STEP:,} of 10^10 tokens")
        find_far_batch(Path(directory) / "order")
        text = arguments.text or made_text(Path(directory) / "text", arguments.megabytes)
        kinds: dict[str, TokenizerConfig] = {
            "bytes": BytesTokenizer(kind="bytes"),
            "BPE of 2,048, its training included": BpeTokenizer(kind="bpe", vocab_size=2048),
        }
        if arguments.gpt2:
            kinds["GPT-2's vocabulary"] = Gpt2Tokenizer(kind="gpt2", path=str(arguments.gpt2))
        for name, kind in kinds.items():
            print(f"{name}, {len(os.sched_getaffinity(0))} cores")
            scratch = Path(directory) / name.split()[0]
            scratch.mkdir()
            speeds(text, kind, scratch, arguments.turns, arguments.workers)


if __name__ == "__main__":
    main()
