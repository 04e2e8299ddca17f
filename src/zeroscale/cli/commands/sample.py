"""`zeroscale sample`: prompts in; continuations out, streamed to the terminal or written as JSONL."""

import hashlib
import json
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass as settings_dataclass

from zeroscale.config.raw import RawConfig
from zeroscale.config.types import STRICT, Accelerator, FilePath, NonNegativeFloat, Positive, Seed, Share, Text, Threads
from zeroscale.config.validate import build_config
from zeroscale.core import files, machine
from zeroscale.core.errors import ZeroscaleError
from zeroscale.eval import load
from zeroscale.model.generation.text_stream import StopStringDecoder
from zeroscale.runs import resolve

if TYPE_CHECKING:
    from zeroscale.model.protocol import LanguageModel, TextTokenizer

REPORT_SECONDS = 5.0
# A terminal obeys control characters; a model's text must not command it. Their pictures stand in (Unicode, U+2400).
_PICTURES = {**{code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"}, 0x7F: 0x2421}
_PICTURES |= {code: 0xFFFD for code in range(0x80, 0xA0)}


_ESCAPES = {"\\n": "\n", "\\t": "\t", "\\\\": "\\"}


def _unescape(value: object) -> object:
    r"""Reads \n, \t and \\ as most languages do; a single string stands for a list of one."""
    return tuple(
        re.sub(r"\\[nt\\]", lambda match: _ESCAPES[match.group()], text) if isinstance(text, str) else text
        for text in (value if isinstance(value, list | tuple) else [value])
    )


@settings_dataclass(frozen=True, kw_only=True, config=STRICT)
class SampleConfig:
    """A checkpoint, prompts, and how the next token is chosen."""

    study: FilePath | None = None
    """The study that a run is named in by a part of its name, or chosen by filters."""
    checkpoint: FilePath
    revision: str | None
    """Of a hub name: a branch, a tag or a commit."""
    prompt: str | None
    """Empty: a new document is begun."""
    prompts_file: FilePath | None
    out: FilePath | None
    """A JSONL file; None: the terminal."""
    max_new_tokens: Positive
    temperature: NonNegativeFloat
    """0: always the likeliest token."""
    top_k: Positive | None
    """None: draw from all tokens."""
    top_p: Share | None
    seed: Seed
    """Sample j (from 0) of a prompt draws from seed + j and the prompt's text."""
    samples: Annotated[int, Field(gt=0, le=1_000_000)]
    """Of each prompt."""
    stop: Annotated[tuple[Text, ...], BeforeValidator(_unescape)]
    """A text ends before the first of these strings."""
    batch_size: Annotated[int, Field(gt=0, le=1_000_000)]
    """Prompts at a time, with `out`."""
    accelerator: Accelerator
    threads: Threads | None
    """CPU threads; None: every core."""


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


def run(raw: RawConfig) -> int:
    """Continues prompts."""
    print_samples(build_config(SampleConfig, raw))
    return 0


def print_samples(config: SampleConfig) -> None:
    """Continues every prompt and prints or writes the continuations.

    Raises:
        ZeroscaleError: settings that do not fit together, a prompts file that cannot be read, no checkpoint there.
    """
    prompts = _prompts(config)
    if config.out and Path(config.out).is_dir():
        raise ZeroscaleError(f"out={config.out} is a directory; give the name of a file for the JSONL")
    # Nothing is scored here: where scores would land does not matter.
    target = resolve.resolve_checkpoint(config.checkpoint, Path("outputs"), config.revision)
    model, tokenizer = _load(target, config)
    jobs = _jobs(config, prompts, tokenizer)
    left_out = _left_out(config, model.config.n_positions, jobs)
    if config.out is None:
        _to_terminal(config, model, tokenizer, jobs)
        return
    began = time.monotonic()
    ended = _all(config, model, tokenizer, jobs)
    rows = [
        {
            "prompt": job.prompt,
            "continuation": continuation.text,
            "sample": job.sample,
            "seed": job.seed,
            "tokens": continuation.tokens,
            "finish_reason": continuation.finish_reason(config.max_new_tokens),
            "prompt_tokens_left_out": missing,
            "weights_hash": target.weights_hash,
        }
        for job, continuation, missing in zip(jobs, ended, left_out, strict=True)
    ]
    files.write_text(Path(config.out), "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    count = sum(len(continuation.tokens) for continuation in ended)
    rate = count / max(time.monotonic() - began, 1e-9)
    print(f"{config.out}: {len(rows)} continuations of {len(prompts)} prompts, {count:,} tokens, {rate:,.0f} tokens/s")


def _prompts(config: SampleConfig) -> list[str]:
    if (config.prompt is None) == (config.prompts_file is None):
        raise ZeroscaleError('give either prompt="…" (may be empty) or prompts_file=FILE')
    if config.temperature == 0 and config.samples > 1:
        raise ZeroscaleError(
            f"samples={config.samples} with temperature=0 would be the same text {config.samples} times; raise the "
            "temperature or take samples=1"
        )
    return [config.prompt] if config.prompt is not None else read_prompts(Path(config.prompts_file or ""))


def read_prompts(path: Path) -> list[str]:
    """The prompts of a file: the `prompt` field of each line of JSONL (*.jsonl), else each line; blank lines are none.

    Raises:
        ZeroscaleError: naming the line that is no prompt.
    """
    try:
        lines = files.read_lines(path)
    except ZeroscaleError as error:
        raise ZeroscaleError(f"prompts_file={error}") from error
    read = _json_prompt if path.suffix == ".jsonl" else lambda line, where: line
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


def _load(target: resolve.CheckpointRef, config: SampleConfig) -> "tuple[LanguageModel, TextTokenizer]":
    from zeroscale.model.threads import use_threads

    use_threads(config.threads)
    model, tokenizer = load.load(target)
    if machine.resolve_accelerator(config.accelerator) == "cuda":
        model = model.to("cuda")
    return model, tokenizer


def _jobs(config: SampleConfig, prompts: list[str], tokenizer: "TextTokenizer") -> list[Job]:
    # Before a new text stands its beginning or, where there is no token for that, the end of the one before.
    ids = [tokens or [tokenizer.start] for tokens in tokenizer.encode_batch(prompts)]
    return [
        Job(prompt, tokens, number, config.seed + number)
        for prompt, tokens in zip(prompts, ids, strict=True)
        for number in range(config.samples)
    ]


def _left_out(config: SampleConfig, context: int, jobs: list[Job]) -> list[int]:
    """How many tokens of each prompt do not fit, with a warning about them (the rule is `model.generate`'s)."""
    room = context - config.max_new_tokens
    if room < 1:
        raise ZeroscaleError(
            f"max_new_tokens={config.max_new_tokens}: the context of this model holds {context} tokens, one of the "
            f"prompt at least; give 1 to {context - 1}"
        )
    left_out = [max(0, len(job.tokens) - room) for job in jobs]
    prompts = left_out[:: config.samples]
    if too_long := [n for n in prompts if n]:
        whose = "the prompt loses" if len(prompts) == 1 else f"{len(too_long)} of {len(prompts)} prompts lose"
        print(
            f"zeroscale: {whose} tokens at the beginning ({max(too_long):,} at most): beside {config.max_new_tokens} "
            f"new ones the context of {context} has room for {room}",
            file=sys.stderr,
        )
    return left_out


def _grow(
    config: SampleConfig,
    model: "LanguageModel",
    tokenizer: "TextTokenizer",
    jobs: Sequence[Job],
    growing: list[StopStringDecoder],
) -> Iterator[tuple[int, str]]:
    """Continues the jobs together; yields (number of the job, text to show) as it comes."""
    from zeroscale.model.generation.generate import stream

    growing += [StopStringDecoder(tokenizer, config.stop) for _ in jobs]
    fed: StopStringDecoder | None = None

    def stopped(_: list[int]) -> bool:
        # Asked right after the token was taken from the stream, so of the text that was fed last.
        return fed is not None and fed.stopped

    for index, token, _ in stream(
        model,
        [job.tokens for job in jobs],
        config.max_new_tokens,
        stop=stopped,
        eos=tokenizer.eos,
        temperature=config.temperature,
        top_k=config.top_k,
        top_p=config.top_p,
        seed=[job.draws_from for job in jobs],
        batch_size=config.batch_size,
        vocab_size=tokenizer.vocab_size,
    ):
        fed = growing[index]
        yield index, fed.feed(token)
    for index, continuation in enumerate(growing):
        yield index, continuation.end()


def _all(
    config: SampleConfig, model: "LanguageModel", tokenizer: "TextTokenizer", jobs: list[Job]
) -> list[StopStringDecoder]:
    """Every job's continuation; the progress is printed on stderr now and then."""
    ended: list[StopStringDecoder] = []
    printed_at, tokens = time.monotonic(), 0
    for tokens, _ in enumerate(_grow(config, model, tokenizer, jobs, ended), start=1):
        if time.monotonic() - printed_at > REPORT_SECONDS:
            printed_at = time.monotonic()
            print(f"{tokens:,} tokens of {len(jobs) * config.max_new_tokens:,} at most", file=sys.stderr, flush=True)
    return ended


def _to_terminal(config: SampleConfig, model: "LanguageModel", tokenizer: "TextTokenizer", jobs: list[Job]) -> None:
    """One after the other, each under a line of its own where there are several."""
    pictures = _PICTURES if sys.stdout.isatty() else {}
    for job in jobs:
        if len(jobs) > 1:
            print(f"--- sample {job.sample}, seed {job.seed}: {json.dumps(job.prompt[:60], ensure_ascii=False)}")
        for _, text in _grow(config, model, tokenizer, [job], []):
            sys.stdout.write(text.translate(pictures))
            sys.stdout.flush()
        print(flush=True)
