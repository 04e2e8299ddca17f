"""`zeroscale sample`: prompts in; continuations out, streamed to the terminal or written as JSONL."""

import hashlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zeroscale.cli.commands import Config
from zeroscale.config.commands import SampleConfig
from zeroscale.config.validate import build_config
from zeroscale.core import files, machine
from zeroscale.core.errors import ZeroscaleError
from zeroscale.eval import load
from zeroscale.model.generation.text_stream import StopStringDecoder
from zeroscale.runs import resolve

SAY_EVERY_SECONDS = 5.0
# A terminal obeys control characters; a model's text must not command it. Their pictures stand in (Unicode, U+2400).
_PICTURES = {**{code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"}, 0x7F: 0x2421}
_PICTURES |= {code: 0xFFFD for code in range(0x80, 0xA0)}


@dataclass(frozen=True)
class Job:
    """One continuation to make: the prompt, its tokens, the number of the sample and its seed."""

    prompt: str
    tokens: list[int]
    sample: int
    seed: int

    @property
    def draws_from(self) -> int:
        """The seed and the prompt's text alone decide. The seed alone would not do: every prompt of a file would draw
        its first token at the same quantile."""
        return int.from_bytes(hashlib.sha256(f"{self.seed}\n{self.prompt}".encode()).digest()[:8], "big")


def print_samples(wanted: SampleConfig) -> None:
    """Continues every prompt and shows or writes what came.

    Raises:
        ZeroscaleError: settings that do not fit together, a prompts file that cannot be read, no checkpoint there.
    """
    prompts = _prompts(wanted)
    if wanted.out and Path(wanted.out).is_dir():
        raise ZeroscaleError(f"out={wanted.out} is a directory; give the name of a file for the JSONL")
    # Nothing is scored here: where scores would land does not matter.
    target = resolve.resolve_checkpoint(wanted.checkpoint, Path("outputs"), wanted.revision)
    model, tokenizer = _load(target, wanted)
    jobs = _jobs(wanted, prompts, tokenizer)
    left_out = _left_out(wanted, model.config.n_positions, jobs)
    if wanted.out is None:
        _to_terminal(wanted, model, tokenizer, jobs)
        return
    began = time.monotonic()
    ended = _all(wanted, model, tokenizer, jobs)
    rows = [
        {
            "prompt": job.prompt,
            "continuation": one.text,
            "sample": job.sample,
            "seed": job.seed,
            "tokens": one.tokens,
            "finish_reason": one.finish_reason(wanted.max_new_tokens),
            "prompt_tokens_left_out": missing,
            "weights_hash": target.weights_hash,
        }
        for job, one, missing in zip(jobs, ended, left_out, strict=True)
    ]
    files.write_text(Path(wanted.out), "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    count = sum(len(one.tokens) for one in ended)
    rate = count / max(time.monotonic() - began, 1e-9)
    print(f"{wanted.out}: {len(rows)} continuations of {len(prompts)} prompts, {count:,} tokens, {rate:,.0f} tokens/s")


def _prompts(wanted: SampleConfig) -> list[str]:
    if (wanted.prompt is None) == (wanted.prompts_file is None):
        raise ZeroscaleError('give either prompt="…" (may be empty) or prompts_file=FILE')
    if wanted.temperature == 0 and wanted.samples > 1:
        raise ZeroscaleError(
            f"samples={wanted.samples} with temperature=0 would be the same text {wanted.samples} times; raise the "
            "temperature or take samples=1"
        )
    return [wanted.prompt] if wanted.prompt is not None else read_prompts(Path(wanted.prompts_file or ""))


def read_prompts(path: Path) -> list[str]:
    """The prompts of a file: the `prompt` field of each line of JSONL (*.jsonl), else each line; blank lines are none.

    Raises:
        ZeroscaleError: naming the line that is no prompt.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError as error:
        raise ZeroscaleError(f"prompts_file={path} does not exist") from error
    except UnicodeDecodeError as error:
        raise ZeroscaleError(f"prompts_file={path} is not UTF-8 text (byte {error.start})") from error
    read = _json_prompt if path.suffix == ".jsonl" else lambda line, where: line.removesuffix("\r")
    prompts = [read(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1) if line.strip()]
    if not prompts:
        raise ZeroscaleError(f"prompts_file={path} holds no prompt")
    return prompts


def _json_prompt(line: str, where: str) -> str:
    from zeroscale.data.tokenizer import well_formed

    try:
        content = json.loads(line)
    except json.JSONDecodeError as error:
        raise ZeroscaleError(f"{where}: not JSON ({error}); each line should hold an object with a prompt") from error
    prompt = content.get("prompt") if isinstance(content, dict) else None
    if not isinstance(prompt, str):
        raise ZeroscaleError(f'{where}: should be an object with a text for "prompt", not {line.strip()[:60]}')
    return well_formed(prompt)


def _load(target: resolve.CheckpointRef, wanted: SampleConfig) -> tuple[Any, Any]:
    import torch

    torch.set_num_threads(wanted.threads or machine.cpu_cores())
    model, tokenizer = load.load(target)
    if machine.resolve_accelerator(wanted.accelerator) == "cuda":
        model = model.to("cuda")
    return model, tokenizer


def _jobs(wanted: SampleConfig, prompts: list[str], tokenizer: Any) -> list[Job]:
    # The end of a text is what comes before a new one: training separates documents by it.
    ids = [tokens or [tokenizer.eos] for tokens in tokenizer.encode_batch(prompts)]
    return [
        Job(prompt, tokens, number, wanted.seed + number)
        for prompt, tokens in zip(prompts, ids, strict=True)
        for number in range(wanted.samples)
    ]


def _left_out(wanted: SampleConfig, context: int, jobs: list[Job]) -> list[int]:
    """How many tokens of each prompt do not fit, with a word about them (the rule is `model.generate`'s)."""
    room = context - wanted.max_new_tokens
    if room < 1:
        raise ZeroscaleError(
            f"max_new_tokens={wanted.max_new_tokens}: the context of this model holds {context} tokens, one of the "
            f"prompt at least; give 1 to {context - 1}"
        )
    left_out = [max(0, len(job.tokens) - room) for job in jobs]
    prompts = left_out[:: wanted.samples]
    if too_long := [n for n in prompts if n]:
        whose = "the prompt loses" if len(prompts) == 1 else f"{len(too_long)} of {len(prompts)} prompts lose"
        print(
            f"zeroscale: {whose} tokens at the beginning ({max(too_long):,} at most): beside {wanted.max_new_tokens} "
            f"new ones the context of {context} has room for {room}",
            file=sys.stderr,
        )
    return left_out


def _grow(
    wanted: SampleConfig, model: Any, tokenizer: Any, jobs: Sequence[Job], growing: list[StopStringDecoder]
) -> Iterator[tuple[int, str]]:
    """Continues the jobs together; yields (number of the job, text to show) as it comes."""
    from zeroscale.model.generation.generate import stream

    growing += [StopStringDecoder(tokenizer, wanted.stop) for _ in jobs]
    fed = None

    def stopped(_: list[int]) -> bool:
        # Asked right after the token was taken from the stream, so of the text that was fed last.
        return fed is not None and fed.stopped

    for index, token, _ in stream(
        model,
        [job.tokens for job in jobs],
        wanted.max_new_tokens,
        stop=stopped,
        eos=tokenizer.eos,
        temperature=wanted.temperature,
        top_k=wanted.top_k,
        top_p=wanted.top_p,
        seed=[job.draws_from for job in jobs],
        batch_size=wanted.batch_size,
        vocab_size=tokenizer.vocab_size,
    ):
        fed = growing[index]
        yield index, fed.feed(token)
    for index, one in enumerate(growing):
        yield index, one.end()


def _all(wanted: SampleConfig, model: Any, tokenizer: Any, jobs: list[Job]) -> list[StopStringDecoder]:
    """Every job's continuation, with a word on stderr now and then."""
    ended: list[StopStringDecoder] = []
    said, tokens = time.monotonic(), 0
    for tokens, _ in enumerate(_grow(wanted, model, tokenizer, jobs, ended), start=1):
        if time.monotonic() - said > SAY_EVERY_SECONDS:
            said = time.monotonic()
            print(f"{tokens:,} tokens of {len(jobs) * wanted.max_new_tokens:,} at most", file=sys.stderr, flush=True)
    return ended


def _to_terminal(wanted: SampleConfig, model: Any, tokenizer: Any, jobs: list[Job]) -> None:
    """One after the other, each under a line of its own where there are several."""
    pictures = _PICTURES if sys.stdout.isatty() else {}
    for job in jobs:
        if len(jobs) > 1:
            print(f"--- sample {job.sample}, seed {job.seed}: {json.dumps(job.prompt[:60], ensure_ascii=False)}")
        for _, text in _grow(wanted, model, tokenizer, [job], []):
            sys.stdout.write(text.translate(pictures))
            sys.stdout.flush()
        print(flush=True)


def sample(config: Config) -> int:
    """Continues prompts."""
    wanted = build_config(SampleConfig, config)

    print_samples(wanted)
    return 0
