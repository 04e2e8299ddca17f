"""`zeroscale sample`: what streams, what stops, what is written, what is refused."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from zeroscale.cli import compose, main
from zeroscale.cli.commands import sample as sampling
from zeroscale.data.tokenizer import Tokenizer
from zeroscale.model import weights
from zeroscale.model.config import GPTConfig
from zeroscale.model.generation.generate import generate
from zeroscale.model.generation.text_stream import StopStringDecoder
from zeroscale.model.gpt import GPT
from zeroscale.model.weights import from_pretrained

BYTES = Tokenizer.bytes()


@pytest.fixture(scope="module")
def lively(tmp_path_factory) -> Path:
    """A Hugging Face directory of a random model of bytes, far from uniform, with a context of 80."""
    directory = tmp_path_factory.mktemp("lively")
    model = GPT(GPTConfig(vocab_size=257, n_positions=80, n_layer=2, d_model=32, n_head=2), seed=1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(15)
    weights.save_pretrained(model, directory, eos=BYTES.eos)
    BYTES.save(directory)
    return directory


@pytest.fixture
def sample(lively, monkeypatch, tmp_path, capsys):
    """Runs `zeroscale sample` on it in an empty folder; returns (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main.main(["sample", f"checkpoint={lively}", "threads=1", "accelerator=cpu", *arguments])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def records(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def test_greedy_text_is_what_generate_says(sample, lively):
    code, shown, _ = sample("prompt=A cat", "temperature=0", "max_new_tokens=20")
    (expected,) = generate(from_pretrained(lively), [BYTES.encode("A cat")], 20, eos=BYTES.eos)
    assert code == 0 and shown == BYTES.decode(expected) + "\n"
    assert len(set(expected)) > 4, "a model that says one thing proves nothing"


def test_what_streams_is_what_is_written(sample, tmp_path):
    options = ("prompt=A cat", "samples=3", "seed=4", "max_new_tokens=30", "top_p=0.95")
    _, shown, _ = sample(*options)
    assert sample(*options, "out=told/texts.jsonl")[0] == 0
    written = records(tmp_path / "told" / "texts.jsonl")
    heads = [f'--- sample {row["sample"]}, seed {row["seed"]}: "A cat"\n' for row in written]
    assert shown == "".join(head + row["continuation"] + "\n" for head, row in zip(heads, written, strict=True))
    assert [row["seed"] for row in written] == [4, 5, 6] and len({row["continuation"] for row in written}) == 3
    for row in written:
        assert row["continuation"] == BYTES.decode(row["tokens"]) and len(row["tokens"]) <= 30


def test_the_seed_and_the_prompt_alone_decide(sample, tmp_path):
    (tmp_path / "prompts.txt").write_text("A cat\n\nUn café\nA cat\n", encoding="utf-8")
    sample("prompts_file=prompts.txt", "samples=2", "seed=4", "out=all.jsonl", "batch_size=4")
    rows = records(tmp_path / "all.jsonl")
    assert [row["prompt"] for row in rows] == ["A cat"] * 2 + ["Un café"] * 2 + ["A cat"] * 2
    assert rows[0] == rows[4] and rows[1] == rows[5]
    assert rows[0]["tokens"] != rows[1]["tokens"]
    for row in rows[1:4]:
        _, shown, _ = sample(f"prompt={row['prompt']}", f"seed={row['seed']}")
        assert shown == row["continuation"] + "\n"
    # Not the same quantiles for every prompt.
    draws = {sampling.Job(prompt, [0], 0, seed).draws_from for prompt in "ab" for seed in (0, 1)}
    assert len(draws) == 4


def test_a_file_of_json_lines(sample, tmp_path):
    prompts = ["one", 'two\nlines, "quoted"', "", "\ud83d\ude00 smile"]
    text = "".join(json.dumps({"id": n, "prompt": prompt}) + "\n" for n, prompt in enumerate(prompts))
    (tmp_path / "p.jsonl").write_text(text + "\n")
    code, told, _ = sample("prompts_file=p.jsonl", "out=out.jsonl", "max_new_tokens=10", "temperature=0")
    rows = records(tmp_path / "out.jsonl")
    assert code == 0 and told.startswith("out.jsonl: 4 continuations of 4 prompts")
    assert [row["prompt"] for row in rows] == [*prompts[:3], "😀 smile"]
    assert {row["finish_reason"] for row in rows} <= {"length", "end_of_text"}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_text_ends_before_a_stop_string(sample, tmp_path):
    sample("prompt=A cat", "out=free.jsonl", "max_new_tokens=40", "seed=2")
    (free,) = records(tmp_path / "free.jsonl")
    content = BYTES.decode_bytes(free["tokens"])
    pairs = (content[n : n + 2].decode("latin-1") for n in range(5, 38))
    stop = next(pair for pair in pairs if pair.isascii() and pair.isalnum())
    at = content.find(stop.encode())
    listed = f"['{stop}',never there]"
    _, shown, _ = sample("prompt=A cat", f"stop={listed}", "max_new_tokens=40", "seed=2")
    assert shown == content[:at].decode("utf-8", "replace") + "\n"
    sample("prompt=A cat", f"stop={listed}", "max_new_tokens=40", "seed=2", "out=cut.jsonl")
    (cut,) = records(tmp_path / "cut.jsonl")
    assert cut["continuation"] + "\n" == shown and cut["finish_reason"] == "stop"
    assert cut["tokens"] == free["tokens"][: at + 2]


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=40), st.lists(st.text("ab\né😀", min_size=1, max_size=3), max_size=3))
def test_no_half_characters_and_nothing_of_a_stop_string(content, stop):
    one = StopStringDecoder(BYTES, stop)
    shown = []
    for value in content:
        shown.append(one.feed(value))
        assert not one.text or one.text == "".join(shown)
        if one.stopped:
            break
    shown.append(one.end())
    read = content[: len(one.tokens)]
    found = [at for string in stop if (at := read.find(string.encode())) >= 0]
    assert one.stopped == bool(found)
    kept = read[: min(found)] if found else content
    assert "".join(shown) == one.text == kept.decode("utf-8", "replace")


def test_a_character_of_several_tokens_comes_whole():
    one = StopStringDecoder(BYTES, ["é!"])
    assert [one.feed(value) for value in "aé😀é?".encode()] == ["a", "", "", "é", "", "", "😀", "", "", "é?"]


def test_the_end_of_text_ends_a_text_and_an_empty_prompt_begins_one(lively):
    from zeroscale.cli.commands.sample import SampleConfig
    from zeroscale.config.validate import build_config

    (job,) = compose.compose("sample", [f"checkpoint={lively}", "prompt="]).configs
    wanted = build_config(SampleConfig, job[1])
    (begun,) = sampling._jobs(wanted, [""], BYTES)
    assert begun.tokens == [BYTES.eos]
    model = GPT(GPTConfig(vocab_size=257, n_positions=80, n_layer=1, d_model=8, n_head=2), seed=1).eval()
    with torch.no_grad():  # every hidden state is ln_f's bias, and its likeliest token is the end of the text
        model.ln_f.weight.zero_()
        model.ln_f.bias.copy_(model.wte.weight[BYTES.eos] * 1e4)
    (one,) = sampling._all(wanted, model, BYTES, [begun])
    assert one.tokens == [] and one.finish_reason(64) == "end_of_text"


def test_a_prompt_that_does_not_fit_keeps_its_end_and_it_is_said(sample, tmp_path):
    long = "x" * 30 + "A cat sat on the mat"
    options = ("temperature=0", "max_new_tokens=60")
    _, shown, told = sample(f"prompt={long}", *options)
    assert "loses tokens at the beginning (30 at most)" in told and "context of 80 has room for 20" in told
    assert sample(f"prompt={long[30:]}", *options)[1:] == (shown, "")
    sample(f"prompt={long}", *options, "out=o.jsonl")
    assert records(tmp_path / "o.jsonl")[0]["prompt_tokens_left_out"] == 30


def test_a_terminal_is_not_commanded_by_a_text(sample, monkeypatch):
    text = "a\x1b[31mb\tc\nd\x9b\x7f"
    one = iter(text)
    monkeypatch.setattr(sampling, "_grow", lambda *_: ((0, character) for character in one))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert sample("prompt=x", "max_new_tokens=9")[1] == "a␛[31mb\tc\nd\ufffd␡\n"


@settings(deadline=None, max_examples=25, phases=[Phase.explicit, Phase.generate])
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), st.booleans())
@example("", False)
@example('"Hello," she said: a=b, [c]\n\tand {d}\\', True)
@example("???", False)
@example("null", False)
@example("${x} \\${y} \\\\'", False)
def test_a_prompt_arrives_as_it_was_typed(text, multirun):
    for prompt in (text, f"'{text}"):
        overrides = main._overrides([f"prompt={prompt}", "checkpoint=x"], False)
        (job,) = compose.compose("sample", overrides, multirun).configs
        assert job[1]["prompt"] == prompt


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], 'prompt="…"'),
        (["prompt=x", "prompts_file=y"], "either"),
        (["prompt=x", "samples=2", "temperature=0"], "same text 2 times"),
        (["prompt=x", "temperature=-1", "top_p=2", "top_k=0"], "top_k=0: input should be greater than 0"),
        (["prompt=x", "max_new_tokens=80"], "give 1 to 79"),
        (["prompt=x", "stop=['']"], "stop"),
        (["prompt=x", "out=."], "is a directory"),
        (["prompts_file=gone.txt"], "does not exist"),
        (["prompts_file=empty.txt"], "holds no prompt"),
        (["prompts_file=latin.txt"], "not UTF-8"),
        (["prompts_file=bad.jsonl"], "bad.jsonl, line 2: not JSON"),
        (["prompts_file=other.jsonl"], 'other.jsonl, line 1: should be an object with a text for "prompt"'),
        (["-m", "prompt=x", "out=o.jsonl", "seed=1,2"], "several jobs of this multirun would write out=o.jsonl"),
        (["checkpoint=nowhere", "prompt=x"], "nowhere"),
    ],
)
def test_bad_input_is_one_message(sample, tmp_path, arguments, words):
    (tmp_path / "empty.txt").write_text("\n \n")
    (tmp_path / "latin.txt").write_bytes("caf\xe9".encode("latin-1"))
    (tmp_path / "bad.jsonl").write_text('{"prompt": "x"}\n{"prompt": \n')
    (tmp_path / "other.jsonl").write_text('{"text": "x"}\n')
    code, shown, told = sample(*arguments)
    assert (code, shown) == (2, "") and words in told


def test_a_run_is_sampled_by_its_directory(zeroscale, trained):
    cell = trained
    options = ("max_new_tokens=12", "prompt=the old cat,")
    shown = zeroscale("sample", f"checkpoint={cell}", *options).stdout
    last = sorted(cell.glob("checkpoints/step-*"))[-1]
    assert shown.strip() and zeroscale("sample", f"checkpoint={last}", *options).stdout == shown
    assert "the context" in zeroscale("sample", f"checkpoint={cell}", "prompt=x", code=2).stderr


def test_only_a_line_feed_ends_a_prompt(tmp_path):
    (tmp_path / "prompts.txt").write_bytes("one\rand a half\r\ntwo\u2028and more\n\n".encode())
    assert sampling.read_prompts(tmp_path / "prompts.txt") == ["one\rand a half", "two\u2028and more"]
    (tmp_path / "prompts.jsonl").write_bytes(b'{"prompt": "a\\rb"}\r\n{"prompt": "\xe2\x80\xa8"}\n')
    assert sampling.read_prompts(tmp_path / "prompts.jsonl") == ["a\rb", "\u2028"]
