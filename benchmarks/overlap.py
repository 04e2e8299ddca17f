"""N-grams of benchmarks looked for in a corpus: MB of text a second, memory, and whether what is found is right.

    python benchmarks/overlap.py                       text made on the spot
    python benchmarks/overlap.py --text DIR            a directory of texts
    python benchmarks/overlap.py --gigabytes 2         the measurement of memory, on so much made text

Benchmarks of the sizes of all the paper's cards (14.6 million words) are made of the same words as the text, so that
some of their n-grams stand in it; without `--gigabytes` the memory is measured on 200 MB. Beside MB/s stands MB per
second of processor time, which a busy machine changes less. Memory is that of all
processes together (the kernel's proportional set size: what several of them share counts once). Speeds are the median
of three turns.
"""

import argparse
import random
import re
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from zeroscale.data.corpus_texts import open_texts
from zeroscale.data.ngrams import bloom, scan
from zeroscale.data.ngrams.index import Builder, NgramIndex
from zeroscale.data.ngrams.scan import Hasher, Piece, batches

N = 8
# Texts of each card and words of each text, as they come out of the released files.
CARDS = {
    "lambada": (5153, 75),
    "cbt_cn, cbt_ne": (4000, 470),
    "wikitext2, wikitext103": (120, 4000),
    "ptb, lm1b": (9800, 24),
    "enwik8, text8": (200, 7800),
    "wsc273": (273, 19),
    "coqa": (500, 330),
    "cnn_dailymail": (11490, 836),
    "wmt14_en_fr, wmt14_fr_en": (12012, 24),
    "natural_questions": (3610, 10),
}


@lru_cache(1)
def vocabulary() -> tuple[list[str], np.ndarray]:
    """20,000 made words, and the frequencies that Zipf's law gives them."""
    draw = random.Random(0)
    words = ["".join(draw.choices("etaoinshrdlucmfwypvbgkjqxz", k=draw.randint(1, 10))) for _ in range(20_000)]
    weights = 1 / np.arange(1, len(words) + 1)
    return words, weights / weights.sum()


def drawn(seed: int, count: int) -> str:
    """So many words."""
    words, weights = vocabulary()
    return " ".join(np.array(words)[np.random.default_rng(seed).choice(len(words), count, p=weights)])


def made_text(directory: Path, megabytes: int) -> Path:
    """So many files of a megabyte, at most 50 different ones: the others are the same again, by other names."""
    directory.mkdir()
    for number in range(megabytes):
        path = directory / f"{number:05d}.txt"
        if number < 50:
            path.write_text(drawn(number, 180_000)[: 10**6])
        else:
            path.hardlink_to(directory / f"{number % 50:05d}.txt")
    return directory


def made_index(directory: Path) -> NgramIndex:
    """Benchmarks as large as all the paper's cards together."""
    directory.mkdir()
    builder = Builder(directory, N)
    for number, (texts, words) in enumerate(CARDS.values()):
        for begin in range(0, texts, 64):
            count = min(64, texts - begin)
            every = drawn(1000 * number + begin, count * words).split(" ")
            builder.add([" ".join(every[i * words : (i + 1) * words]) for i in range(count)])
    builder.finish()
    return NgramIndex(directory)


class Memory:
    """The most that this process and its children had at once, in bytes."""

    def __enter__(self) -> "Memory":
        self.most, self._going = 0, True
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._going = False
        self._thread.join()

    def _watch(self) -> None:
        while self._going:
            self.most = max(self.most, sum(map(_pss, _family())))
            time.sleep(0.1)


def _family() -> list[Path]:
    children = Path("/proc/self/task").glob("*/children")
    found = [Path("/proc/self")]
    for path in children:
        found += [Path("/proc") / child for child in path.read_text().split()]
    return found


def _pss(process: Path) -> int:
    try:
        text = (process / "smaps_rollup").read_text()
    except OSError:
        return 0  # it has just ended
    match = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return 1024 * int(match[1]) if match else 0


def median_of(turns: int, work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, and of processor time (that of child processes too)."""
    times = []
    for _ in range(turns):
        wall, used = time.perf_counter(), processor_seconds()
        work()
        times.append((time.perf_counter() - wall, processor_seconds() - used))
    walls, used = zip(*times, strict=True)
    return statistics.median(walls), statistics.median(used)


def processor_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def plainly(texts: Iterator[str], wanted: set[tuple[str, ...]]) -> int:
    """The same in a few lines of plain Python, with a set."""
    found = set()
    for text in texts:
        words = re.findall(r"[^\W_]+", text.lower())
        found |= wanted.intersection(zip(*(words[i:] for i in range(N)), strict=False))
    return len(found)


def speeds(text: Path, index: NgramIndex, scratch: Path, workers: int) -> None:
    """MB/s of each way over the same text."""
    texts = open_texts(str(text))
    size = texts.about["bytes"]
    wanted = {tuple(word for word in drawn(7, N).split()) for _ in range(1)}

    def filling() -> None:
        (scratch / "filter").unlink(missing_ok=True)

        def fill(take: Callable[[np.ndarray], None]) -> None:
            for _, hashes in scan.run(Hasher(N), batches(texts.pieces(), N), workers, None, ""):
                take(hashes)

        bloom.write(scratch / "filter", size // 5, 1e-8, {"n": N}, fill)

    ways: dict[str, Callable[[], object]] = {
        "read alone": lambda: sum(len(piece.text) for piece in texts.pieces()),
        "looked through, workers=1": lambda: scan.seek(index.directory, texts.pieces(), 1),
        f"looked through, workers={workers}": lambda: scan.seek(index.directory, texts.pieces(), workers),
        f"into a filter (10^-8), workers={workers}": filling,
        "plain Python, a set": lambda: plainly((piece.text for piece in texts.pieces()), wanted),
    }
    print(f"{size / 1e6:.0f} MB of text, {index.distinct:,} different {N}-grams")
    for name, way in ways.items():
        wall, used = median_of(3, way)
        print(
            f"  {name:36} {size / wall / 1e6:6.1f} MB/s   {size / used / 1e6:6.1f} MB per processor second", flush=True
        )
    some = bloom.read(scratch / "filter")
    asked = np.array(index.hashes[: 10**6])
    seconds, _ = median_of(3, lambda: some.contains(asked))
    print(
        f"  asking the filter: {len(asked) / seconds / 1e6:.1f} million n-grams/s; {_megabytes(scratch / 'filter')} MB"
    )


def _megabytes(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.0f}"


def memory(scratch: Path, megabytes: int, workers: int) -> None:
    """The most memory while the index is made, and while made text runs past it."""
    with Memory() as making:
        start = time.perf_counter()
        index = made_index(scratch / "index")
        seconds = time.perf_counter() - start
    print(f"index of {index.header['ngrams']:,} n-grams: made in {seconds:.0f} s, {making.most / 1e6:.0f} MB at most")
    text = open_texts(str(made_text(scratch / "made", megabytes)))
    with Memory() as looking:
        start, before = time.perf_counter(), processor_seconds()
        found, _ = scan.seek(index.directory, text.pieces(), workers)
        seconds, used = time.perf_counter() - start, processor_seconds() - before
    print(
        f"{megabytes:,} MB of made text past it, workers={workers}: {megabytes / seconds:.1f} MB/s, "
        f"{megabytes / used:.1f} MB per processor second; "
        f"{looking.most / 1e6:.0f} MB of memory in all processes at most; {int(found.sum()):,} n-grams found"
    )


def right(scratch: Path) -> None:
    """Against a brute-force count, and against overlaps that were planted."""
    draw = random.Random(1)
    benchmark = [drawn(100 + number, 60) for number in range(200)]
    corpus = [drawn(500 + number, 400) for number in range(100)]
    for number in draw.sample(range(200), 40):
        words = benchmark[number].split()
        begin = draw.randint(0, 40)
        corpus[draw.randrange(100)] += " " + " ".join(words[begin : begin + draw.randint(8, 20)])
    (scratch / "small").mkdir()
    builder = Builder(scratch / "small", N)
    builder.add(benchmark)
    builder.finish()
    index = NgramIndex(scratch / "small")
    found, _ = scan.seek(index.directory, (Piece(text, False) for text in corpus), 1)
    _, hits = index.by_text(found)
    grams = [[tuple(text.split()[i : i + N]) for i in range(60 - N + 1)] for text in benchmark]
    there = {tuple(text.split()[i : i + N]) for text in corpus for i in range(len(text.split()) - N + 1)}
    expected = [sum(gram in there for gram in some) for some in grams]
    assert hits.tolist() == expected, "not what brute force finds"
    print(f"200 texts against 100, 40 passages planted: {sum(expected)} found, as many as by brute force, text by text")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, help="a directory of texts")
    parser.add_argument("--megabytes", type=int, default=100, help="made text, where none is given")
    parser.add_argument("--gigabytes", type=float, default=0.2, help="made text for the measurement of memory")
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        right(scratch)
        memory(scratch, int(1000 * asked.gigabytes), asked.workers)
        text = asked.text or made_text(scratch / "text", asked.megabytes)
        speeds(text, NgramIndex(scratch / "index"), scratch, asked.workers)


if __name__ == "__main__":
    main()
