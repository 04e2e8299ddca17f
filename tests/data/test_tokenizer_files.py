"""Damaged tokenizer files: one message each, naming the file and what is wrong, before anything else is read."""

import json
from pathlib import Path

import pytest

from zeroscale.core.errors import ZeroscaleError
from zeroscale.data import hf_tokenizer, tokenizer_files
from zeroscale.data.tokenizer import Tokenizer

DEEP = "[" * 100_000
HUGE = "9" * 5_000
MODEL = '"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}'

# A file's name, its content, and what the message says.
DAMAGED: dict[str, tuple[str, bytes | str, str]] = {
    "vocabulary not UTF-8": ("vocab.json", b'{"a": 0,\n "\xff": 1}', "is not UTF-8 text"),
    "vocabulary in UTF-16": ("vocab.json", '{"a": 0}'.encode("utf-16"), "is not UTF-8 text"),
    "vocabulary empty": ("vocab.json", "", "not valid JSON"),
    "vocabulary null": ("vocab.json", "null", "token to id, not null"),
    "vocabulary a list": ("vocab.json", '["a"]', "token to id, not a list"),
    "vocabulary deep": ("vocab.json", DEEP, "nested too deeply"),
    "id negative": ("vocab.json", '{"a": -1}', "'a' to -1"),
    "id a fraction": ("vocab.json", '{"a": 0.5}', "'a' to 0.5"),
    "id true": ("vocab.json", '{"a": true}', "'a' to True"),
    "id null": ("vocab.json", '{"a": null}', "'a' to null"),
    "id beyond 32 bits": ("vocab.json", '{"a": 4294967296}', "'a' to 4294967296"),
    "id of thousands of digits": ("vocab.json", f'{{"a": {HUGE}}}', "not valid JSON"),
    "id infinite": ("vocab.json", '{"a": 1e400}', "'a' to inf"),
    "id twice": ("vocab.json", '{"a": 0, "b": 0}', "'a' and 'b' have one id, 0"),
    "token with a lone surrogate": ("vocab.json", '{"\\ud800": 0}', "half a surrogate pair"),
    "merges not UTF-8": ("merges.txt", b"#version: 0.2\na b\n\xe9 c\n", "is not UTF-8 text"),
    "merge of one": ("merges.txt", "a\n", "merge 1 should be two tokens, not 'a'"),
    "merge of three": ("merges.txt", "a b c\n", "merge 1 should be two tokens, not 'a b c'"),
    "merge of nothing": ("merges.txt", "a \n", "merge 1 should be two tokens"),
    "json not UTF-8": ("tokenizer.json", b"\xff\xfe{}", "is not UTF-8 text"),
    "json a list": ("tokenizer.json", "[]", "should hold one JSON object, not a list"),
    "json null": ("tokenizer.json", "null", "should hold one JSON object, not null"),
    "json deep": ("tokenizer.json", DEEP, "nested too deeply"),
    "no model": ("tokenizer.json", "{}", "no object named model"),
    "model a list": ("tokenizer.json", '{"model": []}', "no object named model"),
    "vocab null": ("tokenizer.json", '{"model": {"vocab": null, "merges": []}}', "token to id, not null"),
    "vocab of fractions": ("tokenizer.json", '{"model": {"vocab": {"a": 1.5}, "merges": []}}', "'a' to 1.5"),
    "merges a text": ("tokenizer.json", '{"model": {"vocab": {"a": 0}, "merges": "a b"}}', "merges should be a list"),
    "merge a number": (
        "tokenizer.json",
        '{"model": {"vocab": {"a": 0}, "merges": [1]}}',
        "merge 1 should be two tokens",
    ),
    "added tokens null": ("tokenizer.json", f'{{{MODEL}, "added_tokens": null}}', "added_tokens should be a list"),
    "added token a text": (
        "tokenizer.json",
        f'{{{MODEL}, "added_tokens": ["a"]}}',
        "added token 1 should be an object",
    ),
    "added token without id": ("tokenizer.json", f'{{{MODEL}, "added_tokens": [{{"content": "b"}}]}}', "with an id"),
    "added token negative": (
        "tokenizer.json",
        f'{{{MODEL}, "added_tokens": [{{"content": "b", "id": -1}}]}}',
        "added token 1 should be an object",
    ),
    "normaliser a list": ("tokenizer.json", f'{{{MODEL}, "normalizer": []}}', "normalizer should be an object or null"),
    "pre-tokeniser a text": (
        "tokenizer.json",
        f'{{{MODEL}, "pre_tokenizer": "x"}}',
        "pre_tokenizer should be an object",
    ),
    "config a list": ("tokenizer_config.json", "[]", r"tokenizer_config\.json: should hold one JSON object"),
    "config not UTF-8": ("tokenizer_config.json", b'{"a": "\xff"}', "is not UTF-8 text"),
    "class a number": ("tokenizer_config.json", '{"tokenizer_class": 1}', "tokenizer_class should be a name"),
    "eos a number": ("tokenizer_config.json", '{"eos_token": 7}', "eos_token should be a text, not 7"),
    "bos without content": ("special_tokens_map.json", '{"bos_token": {"id": 1}}', "bos_token should be a text"),
    "decoder a list": ("tokenizer_config.json", '{"added_tokens_decoder": [1]}', "added_tokens_decoder should be an"),
    "decoder's id no number": (
        "tokenizer_config.json",
        '{"added_tokens_decoder": {"x": {"content": "a"}}}',
        "added_tokens_decoder, 'x'",
    ),
    "decoder's token null": (
        "tokenizer_config.json",
        '{"added_tokens_decoder": {"1": null}}',
        "added_tokens_decoder, '1'",
    ),
    "stamp a text": ("zeroscale_tokenizer.json", '"../x"', "should hold one JSON object, not '../x'"),
    "stamp of numbers": ("zeroscale_tokenizer.json", '{"fingerprint": 1}', "should hold a fingerprint"),
    "added a list": ("added_tokens.json", "[]", r"added_tokens\.json: should hold one JSON object"),
    "added fractions": ("added_tokens.json", '{"[PAD]": 0.5}', r"'\[PAD\]' to 0.5"),
}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    Tokenizer.bytes().save(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2", "vocab_size": 257}))
    return tmp_path


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_one_message(name, directory):
    file, content, message = DAMAGED[name]
    (directory / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    gpt2_alone = file == tokenizer_files.STAMP or name.startswith("merge of")
    readers = (lambda: hf_tokenizer.load(directory, 257), lambda: tokenizer_files.check(directory))
    for read in readers[: 1 if gpt2_alone else 2]:
        with pytest.raises(ZeroscaleError, match=message) as caught:
            read()
        said = str(caught.value)
        assert str(directory / file) in said and "\n" not in said and len(said) < 600


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("normalizer", {"type": "Nobody"}),
        ("normalizer", {}),
        ("normalizer", {"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
        ("normalizer", {"type": "Replace", "pattern": {"Regex": "("}, "content": ""}),
        ("pre_tokenizer", {"type": "Split", "pattern": {"Regex": "(?<x"}, "behavior": "Isolated", "invert": False}),
        ("pre_tokenizer", {"type": "Sequence", "pretokenizers": None}),
        ("decoder", {"type": None}),
        ("post_processor", {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "no"}}]}),
        ("model", {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": ["a b"]}),
        ("model", {"type": "Nobody", "vocab": {"a": 0}, "merges": []}),
        ("model", {"type": "Unigram", "vocab": [], "unk_id": 5}),
        ("model", {"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": 5}),
        ("model", {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": 3}),
        ("model", {"type": "BPE", "dropout": 7.0, "vocab": {"a": 0}, "merges": []}),
        ("truncation", {"max_length": -1}),
        ("padding", {"strategy": "?"}),
    ],
)
def test_what_the_library_cannot_read_is_one_message(part, value, directory):
    pytest.importorskip("transformers")
    content = json.loads((directory / "tokenizer.json").read_text())
    (directory / "tokenizer.json").write_text(json.dumps({**content, part: value}))
    with pytest.raises(ZeroscaleError) as caught:
        hf_tokenizer.load_any(directory, 257).encode("a b")
    assert str(directory) in str(caught.value) and "\n" not in str(caught.value)


def test_a_directory_without_a_tokenizer_says_so(tmp_path):
    with pytest.raises(ZeroscaleError, match=r"no tokenizer in here; it should hold vocab\.json \+ merges\.txt"):
        hf_tokenizer.load(tmp_path, 257)
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    (tmp_path / "tokenizer.model").write_bytes(b"\x0a\x05<unk>")
    with pytest.raises(ZeroscaleError, match=r"cannot load this tokenizer: ") as caught:
        hf_tokenizer.load(tmp_path, 257)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)
