"""The scoring engine beside lm-evaluation-harness: same weights, data, dtype and threads, in turn in one run.

    OMP_WAIT_POLICY=passive MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=4294967296 \
        python benchmarks/engine.py data=DIR [task=lambada,cloze,coqa,wikitext,memory] [turns=1]

DIR holds lambada/, coqa/, wikitext2/, corpora/ and gpt2_tokenizer/ (the benchmarks' own files). GPT-2 small's shape
with random weights. lm-eval is given each question as a document of its own, its batches 16 requests; process start,
reading weights and imports are left out for both. Where the two can be compared, the largest difference is shown.
"""

import json
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from zeroscale.data.tokenizer import Tokenizer
from zeroscale.eval.engine import requests as rq
from zeroscale.eval.engine.cost import describe
from zeroscale.eval.engine.engine import Engine
from zeroscale.eval.engine.loglikelihood import plan
from zeroscale.model.weights import from_pretrained

BATCH = 16


class Pair:
    """Ours and theirs with the same weights and tokenizer."""

    def __init__(self, data: Path, directory: Path) -> None:
        self.data = data
        self.directory = directory
        self.tokenizer = Tokenizer.load(data / "gpt2_tokenizer")
        if not (directory / "config.json").is_file():
            save_weights(directory, self.tokenizer)
        self.ours = from_pretrained(directory).eval()
        self._theirs: Any = None

    @property
    def theirs(self) -> Any:
        if self._theirs is None:
            self._theirs = lm_eval_model(self.directory)
        return self._theirs

    def encode(self, context: str, target: str) -> rq.LogLikelihood:
        whole = self.tokenizer.encode(context + target)
        first = len(self.tokenizer.encode(context))
        return rq.LogLikelihood(tuple(whole[:first]), tuple(whole[first:]))


def save_weights(directory: Path, tokenizer: Tokenizer) -> None:
    import transformers

    torch.manual_seed(0)
    transformers.GPT2LMHeadModel(transformers.GPT2Config()).save_pretrained(directory)
    tokenizer.save(directory)


def lm_eval_model(directory: Path) -> Any:
    import logging

    import transformers
    from lm_eval.models.huggingface import HFLM

    logging.disable(logging.WARNING)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return HFLM(pretrained=str(directory), device="cpu", dtype="float32", batch_size=BATCH)


def instances(kind: str, rows: list[tuple[Any, ...]]) -> list[Any]:
    from lm_eval.api.instance import Instance

    return [Instance(request_type=kind, doc={}, arguments=row, idx=index) for index, row in enumerate(rows)]


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


def by_turns(name: str, ours: Callable[[], Any], theirs: Callable[[], Any], turns: int, least: float) -> Any:
    ratios, last = [], None
    for _ in range(turns):
        (mine, found), (other, expected) = seconds(ours), seconds(theirs)
        ratios.append(other / mine)
        last = found, expected
        print(f"  {name}: ours {mine:.1f} s, lm-eval {other:.1f} s: {other / mine:.2f} times (aim {least})", flush=True)
    return last


def lambada(pair: Pair, turns: int) -> None:
    lines = (pair.data / "lambada/lambada_test.jsonl").read_text(encoding="utf-8").splitlines()[:200]
    rows = [tuple(re.match(r"(.*)(\s\S+)$", json.loads(line)["text"], re.DOTALL).groups()) for line in lines]
    scores(pair, "LAMBADA, 200 passages", rows, turns, 1.8)


def cloze(pair: Pair, turns: int) -> None:
    """Twelve stories of 500 tokens, each with ten endings of a noun and the rest of a sentence."""
    text = next((pair.data / "corpora/english_novels").iterdir()).read_text(encoding="utf-8")
    tokens = pair.tokenizer.encode(text[20_000:200_000])
    words = sorted({word for word in re.findall(r"[a-z]{4,9}", text[20_000:60_000])})
    draw = random.Random(0)
    rows = []
    for question in range(12):
        story = pair.tokenizer.decode(tokens[question * 600 : question * 600 + 500])
        rest = pair.tokenizer.decode(tokens[question * 600 + 501 : question * 600 + 511])
        rows += [(story, f" {word}{rest}") for word in draw.sample(words, 10)]
    scores(pair, "ten-candidate cloze, 12 questions", rows, turns, 12)


def scores(pair: Pair, name: str, rows: list[tuple[str, ...]], turns: int, least: float) -> None:
    engine = Engine(pair.ours, pair.tokenizer)
    found, expected = by_turns(
        name,
        lambda: engine.run([pair.encode(*row) for row in rows]),
        lambda: pair.theirs.loglikelihood(instances("loglikelihood", rows), disable_tqdm=True),
        turns,
        least,
    )
    worst = max(abs(a.logprobs.sum() - b[0]) for a, b in zip(found, expected, strict=True))
    print(f"  largest difference of a log-likelihood {worst:.1e}; {describe(asdict(engine.usage))}")
    limit(pair, engine, [pair.encode(*row) for row in rows], turns)


def coqa(pair: Pair, turns: int) -> None:
    stories = json.loads(next((pair.data / "coqa").glob("*.json")).read_text(encoding="utf-8"))["data"][:4]
    prompts = []
    for story in stories:
        said = story["story"] + "\n\n"
        for question, answer in zip(story["questions"], story["answers"], strict=True):
            said += f"Q: {question['input_text']}\nA:"
            prompts.append(said)
            said += f" {answer['input_text']}\n"
    engine = Engine(pair.ours, pair.tokenizer)
    never = rq.Stop("never")
    settings = {"until": [], "max_gen_toks": 20, "do_sample": False}
    found, expected = by_turns(
        f"CoQA, {len(prompts)} turns of 4 conversations, 20 new tokens",
        lambda: engine.run([rq.GenerateUntil(tuple(pair.tokenizer.encode(text)), 20, never) for text in prompts]),
        lambda: pair.theirs.generate_until(instances("generate_until", [(t, dict(settings)) for t in prompts]), True),
        turns,
        5,
    )
    same = sum(a.text.strip() == b.strip() for a, b in zip(found, expected, strict=True))
    print(f"  the same text: {same} of {len(found)}; {describe(asdict(engine.usage))}")


def wikitext(pair: Pair, turns: int) -> None:
    text = (pair.data / "wikitext2/wiki.test.tokens").read_text(encoding="utf-8")
    tokens = pair.tokenizer.encode(text[:60_000])[: 8 * 1024]
    text = pair.tokenizer.decode(tokens)
    engine = Engine(pair.ours, pair.tokenizer)

    def requests() -> list[rq.Request]:
        return [rq.RollingLogLikelihood(tuple(pair.tokenizer.encode(text)), 1024, 1024, pair.tokenizer.eos)]

    found, expected = by_turns(
        "WikiText rolling, 8 windows",
        lambda: engine.run(requests()),
        lambda: pair.theirs.loglikelihood_rolling(instances("loglikelihood_rolling", [(text,)]), disable_tqdm=True),
        turns,
        1.4,
    )
    sums = f"{found[0].logprobs.sum():.3f} and {float(expected[0]):.3f}"
    print(f"  log-likelihoods {sums}; {describe(asdict(engine.usage))}")
    limit(pair, engine, requests(), turns)


def limit(pair: Pair, engine: Engine, requests: list[rq.Request], turns: int) -> None:
    """Which share of the machine's matrix rate the FLOPs that were needed reached.

    Needed are, for every position computed, two for each weight of the blocks and four times the width for each
    position that it attends to, in every block; and for every position scored two for each weight of the head.
    """
    a = torch.randn(4096, 4096)
    torch.mm(a, a)
    rate = max(2 * 4096**3 / seconds(lambda: torch.mm(a, a))[0] for _ in range(5))
    windows = [
        window
        for one in requests
        for window in (
            rq.rolling_windows(one, engine.n_positions)
            if isinstance(one, rq.RollingLogLikelihood)
            else [rq.loglikelihood_window(one, engine.n_positions)[0]]
        )
    ]
    tries = [tree for batch in plan(engine, windows) for tree in batch.tries]
    attended = sum(depth + 1 for tree in tries for depth in tree.depths)
    body = 2 * sum(map(len, tries)) * sum(p.numel() for p in pair.ours.blocks.parameters())
    attention = 4 * attended * pair.ours.config.d_model * pair.ours.config.n_layer
    head = 2 * sum(len(window.targets) for window in windows) * pair.ours.head_weight.numel()
    needed = turns * (body + attention + head)
    share = needed / engine.usage.seconds / rate
    took = f"{needed / 1e9:,.0f} GFLOP in {engine.usage.seconds:.1f} s"
    print(f"  {took}: {share:.0%} of {rate / 1e9:.0f} GFLOP/s (a product of 4,096 x 4,096 x 4,096)")


def memory(pair: Pair, turns: int) -> None:
    """Peak memory beyond what stands after loading, LAMBADA, 16 requests at a time, each in a process of its own."""
    peaks = {}
    for side in ("ours", "theirs"):
        command = [sys.executable, __file__, f"data={pair.data}", f"peak={side}", f"directory={pair.directory}"]
        peaks[side] = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])
    print(
        f"  peak memory beyond the weights: ours {peaks['ours']:.0f} MiB, lm-eval {peaks['theirs']:.0f} MiB: "
        f"{peaks['ours'] / peaks['theirs']:.2f} of theirs (aim 0.33)"
    )


def peak(pair: Pair, side: str) -> None:
    lines = (pair.data / "lambada/lambada_test.jsonl").read_text(encoding="utf-8").splitlines()[:64]
    rows = [tuple(re.match(r"(.*)(\s\S+)$", json.loads(line)["text"], re.DOTALL).groups()) for line in lines]
    requests = [pair.encode(*row) for row in rows]
    longest = max(len(request.context) + len(request.target) for request in requests)
    engine = Engine(pair.ours, pair.tokenizer, BATCH * longest)
    if side == "theirs":
        pair.ours = None  # type: ignore[assignment]
        work = lambda: pair.theirs.loglikelihood(instances("loglikelihood", rows), disable_tqdm=True)  # noqa: E731
        assert pair.theirs
    else:
        work = lambda: engine.run(requests)  # noqa: E731
    with open("/proc/self/clear_refs", "w") as reset:
        reset.write("5")  # the peak counts from here
    before = resident()
    work()
    with open("/proc/self/status") as status:
        highest = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    print((highest - before) / 1024)


def resident() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() // 1024


def main() -> None:
    given = dict(argument.split("=", 1) for argument in sys.argv[1:])
    with tempfile.TemporaryDirectory() as directory:
        pair = Pair(Path(given["data"]), Path(given.get("directory", directory)))
        if "peak" in given:
            peak(pair, given["peak"])
            return
        import lm_eval

        print(f"torch {torch.__version__}, lm-eval {lm_eval.__version__}, {torch.get_num_threads()} threads, fp32")
        tasks = {"lambada": lambada, "cloze": cloze, "coqa": coqa, "wikitext": wikitext, "memory": memory}
        assert pair.theirs is not None
        for name in given.get("task", ",".join(tasks)).split(","):
            tasks[name](pair, int(given.get("turns", 1)))


if __name__ == "__main__":
    main()
