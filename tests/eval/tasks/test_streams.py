"""Long texts: read from released files, scored in windows, divided by words, tokens, characters and bytes."""

import math
import random
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from support import lm_eval_oracle as oracle
from support import released_formats as forms

from zeroscale.core import paths
from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.tokenizer import Tokenizer
from zeroscale.eval import tasks
from zeroscale.eval.cards import registry as cards
from zeroscale.eval.cards import sources
from zeroscale.eval.cards.rows import Row
from zeroscale.eval.detokenise import RULES
from zeroscale.eval.engine.requests import RollingResult
from zeroscale.eval.evaluate import score_cards
from zeroscale.eval.results import Result, read_records


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six data sets, as large as the released ones."""
    return forms.write_all(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> oracle.Twin:
    texts = [" ".join(forms.sentences(300, seed=9)).lower()]
    tokenizer = Tokenizer.train_bpe([*texts, forms.wiki_xml(forms.sentences(40))], 400)
    return oracle.twin(tmp_path_factory.mktemp("model"), tokenizer, texts, n_positions=64, n_layer=1, steps=10)


@pytest.fixture(scope="module")
def reference(twin: oracle.Twin) -> Any:
    import transformers

    return transformers.GPT2LMHeadModel.from_pretrained(twin.directory).float().eval()


def sum_of_nll(model: Any, stream: Sequence[int], window: int, stride: int) -> float:
    """transformers' loss of all tokens but the first, each predicted once: windows of so many tokens in steps of so
    many, of which the later ones count only what is new in them."""
    import torch

    total, done = 0.0, 0
    while done < len(stream) - 1:
        end = min(window if done == 0 else done + stride, len(stream) - 1)
        inputs = torch.tensor([stream[max(0, end - window) : end]])
        targets = torch.tensor(stream[done + 1 : end + 1])
        with torch.no_grad():
            logits = model(inputs).logits[0, -len(targets) :]
        total += torch.nn.functional.cross_entropy(logits.double(), targets, reduction="sum").item()
        done = end
    return total


def make(name: str, tokenizer: Tokenizer, n_positions: int = 1024, **changed: Any) -> Any:
    (card,) = cards.resolve([name])
    family = tasks.task_type(card.family)
    return family(family.Options(**card.options("paper") | changed), tokenizer, n_positions)


def changed_card(folder: Path, name: str, **changed: Any) -> str:
    """A card of one's own: a shipped one with other choices, and no pin."""
    content = yaml.safe_load((paths.evals() / f"{name}.yaml").read_text(encoding="utf-8"))
    content["name"] = f"my_{name}"
    content["sources"]["files"].pop("pin", None)
    content["protocols"] = {"paper": content["protocols"]["paper"]}
    for field, value in changed.items():
        content["protocols"]["paper"][field]["value"] = value
    path = folder / f"my_{name}.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(path)


def score(twin: oracle.Twin, card: str, data: Path, out: Path, **more: Any) -> tuple[Result, list[dict[str, Any]]]:
    (result,) = score_cards(
        twin.model,
        twin.tokenizer,
        [card],
        source="files",
        data_dir=data,
        out=out,
        weights_hash="w",
        bootstrap=100,
        **more,
    )
    return result, read_records(out, result.card, "paper")


@pytest.mark.parametrize(("stride", "start_token"), [(64, True), (24, True), (24, False), (1, True)])
def test_word_perplexity_equals_transformers_window_by_window(
    twin: oracle.Twin, reference: Any, tmp_path: Path, stride: int, start_token: bool
) -> None:
    lines = forms.treebank_lines(forms.sentences(30, seed=4), vocabulary=30)
    (tmp_path / "ptb.test.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    card = changed_card(tmp_path, "ptb", window=64, stride=stride, start_token=start_token, blocks=7)
    result, records = score(twin, card, tmp_path, tmp_path / "out")
    plain = "".join(f"{RULES['penn'].detokenise(line).text}\n" for line in lines)
    tokens = twin.tokenizer.encode(plain)
    nll = sum_of_nll(reference, [twin.tokenizer.eos, *tokens] if start_token else tokens, 64, stride)
    words = sum(len(line.split()) + 1 for line in lines)
    scored = len(tokens) - (not start_token)
    assert -sum(row["logprob"] for row in records) == pytest.approx(nll, rel=1e-5)
    expected = {
        "word_perplexity": math.exp(nll / words),
        "token_perplexity": math.exp(nll / scored),
        "byte_perplexity": math.exp(nll / len(plain.encode())),
        "bits_per_byte": nll / len(plain.encode()) / math.log(2),
    }
    assert {name: metric.value for name, metric in result.metrics.items()} == pytest.approx(expected, rel=1e-5)
    assert [row["lines"] for row in records] == [7, 7, 7, 7, 2]
    assert result.extra["words"] == words and result.extra["tokens"] == scored


def test_blocks_on_their_own_equal_transformers_sentence_by_sentence(
    twin: oracle.Twin, reference: Any, tmp_path: Path
) -> None:
    lines = [forms.billion_words_line(text) for text in forms.sentences(12, seed=5)]
    (tmp_path / "news.en.heldout-00000-of-00050").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    _, records = score(twin, changed_card(tmp_path, "lm1b", context="block"), tmp_path, tmp_path / "out")
    for line, row in zip(lines, records, strict=True):
        tokens = twin.tokenizer.encode(RULES["billion_words"].detokenise(line).text + "\n")
        nll = sum_of_nll(reference, [twin.tokenizer.eos, *tokens], 64, 64)
        assert (row["tokens"], -row["logprob"]) == (len(tokens), pytest.approx(nll, rel=1e-5))


def test_bits_per_character_equal_transformers(twin: oracle.Twin, reference: Any, tmp_path: Path) -> None:
    text = forms.wiki_xml(forms.sentences(20, seed=6)).encode()
    (tmp_path / "enwik8").write_bytes(text[-4000:])
    card = changed_card(tmp_path, "enwik8", file_bytes=4000, last=2500, block=600, window=64, stride=40)
    result, records = score(twin, card, tmp_path, tmp_path / "out")
    scored = text[-2500:].decode("utf-8", "ignore")
    nll = sum_of_nll(reference, [twin.tokenizer.eos, *twin.tokenizer.encode(scored)], 64, 40)
    assert result.metrics["bits_per_byte"].value == pytest.approx(nll / len(scored.encode()) / math.log(2), rel=1e-5)
    assert result.metrics["bits_per_character"].value == pytest.approx(nll / len(scored) / math.log(2), rel=1e-5)
    assert len(records) == result.metrics["bits_per_byte"].units == 5
    assert all(600 <= row["bytes"] < 604 for row in records[:4])
    assert sum(row["characters"] for row in records) == len(scored) < len(scored.encode())


def test_the_ends_of_lines_count_as_words_or_not(tokenizer: Tokenizer) -> None:
    rows = [Row("here", {"text": line}) for line in ("it 's N", "so <unk>")]
    words = []
    for count_eos in (True, False):
        task = make("ptb", tokenizer, count_eos=count_eos)
        (example,) = task.examples(rows)
        words.append(task.record(example, [RollingResult(np.zeros(len("it's N\nso <unk>\n")), 1)])[0]["words"])
    assert words == [7, 5]


def test_articles_begin_at_titles_after_an_empty_line(tokenizer: Tokenizer) -> None:
    text = " \n = One = \n \n with \n = 1 rad and k = \n a formula \n \n = = Part = = \n \n = Two = \n \n end \n"
    (example,) = make("wikitext2", tokenizer).examples([Row("here", {"text": text})])
    assert [block.title for block in example.blocks] == ["One", "Two"]
    assert "\n".join(line for block in example.blocks for line in block.lines) + "\n" == text


@pytest.mark.parametrize("name", ["wikitext2", "wikitext103", "ptb", "lm1b", "enwik8", "text8"])
def test_a_token_that_reaches_over_a_seam_belongs_to_where_it_begins(name: str) -> None:
    (card,) = cards.resolve([name])
    bpe = Tokenizer.train_bpe(["the bridge \n\nthe bridge , the bridge\n" * 9], 267)
    task = make(name, bpe, **({"block": 37} if card.family == "characters" else {}))
    (example,) = task.examples(sources.read(card, "sample", None, task.parse).rows)
    (request,) = task.requests(example)
    logprobs = -np.arange(1.0, len(request.tokens) + 1)
    rows = task.record(example, [RollingResult(logprobs, 1)])
    parts = [part.text for part in task.parts(example)]
    end = begin = place = 0
    for row, part in zip(rows, parts, strict=True):
        expected = []
        end += len(part.encode())
        while place < len(request.tokens) and begin < end:
            expected.append(logprobs[place])
            begin += len(bpe.decode_bytes([request.tokens[place]]))
            place += 1
        assert (row["tokens"], row["logprob"]) == (len(expected), pytest.approx(sum(expected)))
    assert place == len(request.tokens)


@pytest.mark.parametrize("name", ["wikitext2", "ptb", "lm1b", "enwik8", "text8"])
def test_a_limit_takes_the_first_blocks_and_a_draw_takes_some_in_order(name: str, tokenizer: Tokenizer) -> None:
    (card,) = cards.resolve([name])
    task = make(name, tokenizer)
    examples = task.examples(sources.read(card, "sample", None, task.parse).rows)
    assert len(examples) == 1 and len(examples[0].blocks) >= 2
    assert task.select(examples, 2)[0].blocks == examples[0].blocks[:2]
    (drawn,) = task.draw(examples, 2, seed=3)
    places = [examples[0].blocks.index(block) for block in drawn.blocks]
    assert len(places) == 2 and places == sorted(places)


def test_a_long_text_is_encoded_as_one_whatever_its_blocks(tokenizer: Tokenizer) -> None:
    """How a text of megabytes is encoded piece by piece, and why that is the same, is the tokenizer's business."""
    text = forms.wiki_xml(forms.sentences(50))
    bpe = Tokenizer.train_bpe([text], 300)
    task = make("enwik8", bpe, block=100)
    (example,) = task.examples([Row("here", {"text": text})])
    (request,) = task.requests(example)
    assert list(request.tokens) == bpe.encode(text)
    assert len(example.blocks) > 100 and "".join(example.blocks) == text


SIX = ["wikitext2", "wikitext103", "ptb", "lm1b", "enwik8", "text8"]


def test_released_files_are_scored_from_the_command_line(zeroscale, released: Path, twin: oracle.Twin) -> None:
    shown = zeroscale(
        "eval",
        f"checkpoint={twin.directory}",
        f"cards=[{','.join(SIX)}]",
        f"data_dir={released}",
        "limit=1",
        "bootstrap=100",
        "allow_other_data=true",
    ).stdout
    for name in SIX:
        assert name in shown
    for metric in ("word_perplexity", "token_perplexity", "bits_per_byte", "bits_per_character"):
        assert metric in shown


@pytest.mark.parametrize(("name", "rows"), [("wikitext2", 4358), ("wikitext103", 4358), ("ptb", 3761), ("lm1b", 6075)])
def test_every_line_of_a_released_file_is_a_row(name: str, rows: int, released: Path, tokenizer: Tokenizer) -> None:
    (card,) = cards.resolve([name])
    task = make(name, tokenizer)
    found = sources.read(card, "files", released, task.parse).rows
    (example,) = task.examples(found)
    assert len(found) == rows == sum(len(block.lines) for block in example.blocks)
    assert len(example.blocks) == {"ptb": math.ceil(rows / 25), "lm1b": rows}.get(name, len(example.blocks))


def test_the_last_five_megabytes_are_scored_from_the_zip_or_the_file(
    released: Path, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    for name in ("enwik8", "text8"):
        (card,) = cards.resolve([name])
        task = make(name, tokenizer)
        (example,) = task.examples(sources.read(card, "files", released, task.parse).rows)
        assert sum(len(block.encode()) for block in example.blocks) in range(4_999_994, 5_000_001)
        assert len(example.blocks) == 100
        assert not task.notes
    content = forms.filled(forms.text8_filter("some 12 words").encode(), 5000)
    small = {"file_bytes": 5000, "last": 700}
    (tmp_path / "text8").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "text8.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("text8", content)
    task = make("text8", tokenizer, **small)
    texts = [row.content["text"] for file in ("text8", "text8.zip") for row in task.parse([tmp_path / file])]
    assert texts == [content[-700:].decode()] * 2


def test_characters_that_the_cut_goes_through_are_left_out(tmp_path: Path, tokenizer: Tokenizer) -> None:
    content = "日本語".encode() * 100
    (tmp_path / "enwik8").write_bytes(content)
    for cut in (0, 1, 2):
        (tmp_path / "enwik8").write_bytes(content[: 900 - cut])
        task = make("enwik8", tokenizer, file_bytes=900 - cut, last=300)
        (row,) = task.parse([tmp_path / "enwik8"])
        assert row.content["text"] in ("日本語" * 34)
        assert len(row.content["text"]) in (99, 100)


def test_a_smaller_context_and_another_size_are_said(tokenizer: Tokenizer) -> None:
    task = make("text8", tokenizer, n_positions=128)
    task.examples([Row("here", {"text": "some words"})])
    assert task.notes == [
        "window 128 instead of 1024: the model has no more positions",
        "10 bytes instead of the benchmark's 5,000,000",
    ]


def faulty(name: str, file: str, content: bytes, folder: Path, **changed: Any) -> str:
    (card,) = cards.resolve([name])
    (folder / file).write_bytes(content)
    task = make(name, Tokenizer.bytes(), **changed)
    with pytest.raises(ZeroscaleError) as caught:
        task.examples(sources.read(card, "files", folder, task.parse).rows)
    assert str(folder / file) in str(caught.value) or "holds no examples" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("ptb", b" it 's N \n so <u", "line 2: the file ends in the middle of this line"),
        ("ptb", b" it 's N \n pierre Vinken \n", "line 2: 'Vinken' is not in lower case"),
        ("ptb", b" it 's N \n \n", "line 2: is empty"),
        ("ptb", b" it 's N \r\n", "line 1: ends in \\r\\n"),
        ("ptb", b" it \n caf\xe9 \n", "line 2: not UTF-8 text (byte 4 of the line"),
        ("ptb", b"", "holds no examples"),
        ("lm1b", b"One .\n\nTwo .\n", "line 2: is empty"),
        ("wikitext2", b" \n \n", "line 1: there is no text in it"),
        ("wikitext103", b" \n = <unk> = \n \n a b c <unk> \n", "another vocabulary's file"),
    ],
)
def test_a_broken_line_is_named(name: str, content: bytes, named: str, tmp_path: Path) -> None:
    (card,) = cards.resolve([name])
    assert named in faulty(name, card.sources.files.names[0][0], content, tmp_path)


def test_a_file_of_another_size_or_content_is_refused(tmp_path: Path) -> None:
    assert "holds 999 bytes, but the released file has 100,000,000: cut short" in faulty(
        "enwik8", "enwik8", b"a" * 999, tmp_path
    )
    small = {"file_bytes": 100, "last": 50}
    assert "100: another file" in faulty("text8", "text8", b"a" * 101, tmp_path, **small)
    assert "character 11 is 'É'" in faulty("text8", "text8", b"a" * 60 + "É".encode() * 20, tmp_path, **small)
    assert "not UTF-8 text (byte 2 of it)" in faulty("enwik8", "enwik8", b"a" * 51 + b"\xff" * 49, tmp_path, **small)


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "whole.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("enwik8", random.Random(0).randbytes(5000))
    content = (tmp_path / "whole.zip").read_bytes()
    small = {"file_bytes": 5000, "last": 50}
    assert "not a whole zip archive" in faulty("enwik8", "enwik8.zip", content[:1000], tmp_path, **small)
    damaged = content[:1500] + b"\0" * 40 + content[1540:]
    assert "not a whole zip archive" in faulty("enwik8", "enwik8.zip", damaged, tmp_path, **small)
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a", "x")
        archive.writestr("b", "x")
    assert "should hold one file, but holds 2" in faulty(
        "enwik8", "enwik8.zip", (tmp_path / "two.zip").read_bytes(), tmp_path
    )


def test_a_stride_that_leaves_out_tokens_is_a_fault_of_the_card(tmp_path: Path) -> None:
    with pytest.raises(ZeroscaleError, match="stride 65 would leave out tokens between windows of 64"):
        cards.resolve([changed_card(tmp_path, "ptb", window=64, stride=65)])


def test_real_wikitext2_has_its_published_articles_and_words(data: Path, tokenizer: Tokenizer) -> None:
    (card,) = cards.resolve(["wikitext2"])
    task = make("wikitext2", tokenizer)
    (example,) = task.examples(sources.read(card, "files", data, task.parse).rows)
    parts = task.parts(example)
    assert len(parts) == 60  # Merity et al. 2016, table 1
    assert sum(part.words for part in parts) == 245_569  # the same table, which counts <eos>
    assert sum(part.words - len(block.lines) for part, block in zip(parts, example.blocks, strict=True)) == 241_211
    assert sum(part.lines_not_detokenised for part in parts) / 4358 <= 0.005
