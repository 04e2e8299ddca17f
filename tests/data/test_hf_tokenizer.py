"""Tokenizers of other people's directories beside transformers' AutoTokenizer and the tokenizers library."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from tokenizers import decoders, models

from zeroscale.core.errors import ZeroscaleError
from zeroscale.data import hf_tokenizer
from zeroscale.data.tokenizer import END_OF_TEXT, Tokenizer

transformers = pytest.importorskip("transformers")

WORDS = "the town and a house in the town of cats, 123 and 4567 words; Hello there! ﬁne café cafe\u0301\n"
TEXTS = ["Hello", "the town", "The Town OF cats", " lead", "trail ", "a\nb\t c  d", "12345", "ﬁne cafe\u0301", "", "🤖"]
ROWS = 400
Edit = Callable[[dict[str, Any], dict[str, Any]], None]


@pytest.fixture(scope="module")
def trained() -> Tokenizer:
    return Tokenizer.train_bpe([f"{WORDS}{n % 5} {n % 7}" for n in range(50)], 300)


def edited(directory: Path, trained: Tokenizer, edit: Edit, drop: str = "") -> Path:
    """A directory with this tokenizer, its tokenizer.json and tokenizer_config.json edited, and a config.json."""
    trained.save(directory)
    content, config = (
        json.loads((directory / name).read_text()) for name in ("tokenizer.json", "tokenizer_config.json")
    )
    edit(content, config)
    (directory / "tokenizer.json").write_text(json.dumps(content))
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
    (directory / "config.json").write_text(json.dumps({"model_type": "gpt2", "vocab_size": ROWS}))
    for name in drop.split():
        (directory / name).unlink()
    return directory


def part(name: str, value: Any) -> Edit:
    return lambda content, config: content.__setitem__(name, value)


def option(name: str, value: Any) -> Edit:
    return lambda content, config: content["model"].__setitem__(name, value)


def setting(name: str, value: Any) -> Edit:
    return lambda content, config: config.__setitem__(name, value)


def added(content: str, place: int, special: bool = False, **flags: bool) -> Edit:
    token = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": not special, **flags}
    return lambda json, _: json["added_tokens"].append({"id": place, "content": content, "special": special, **token})


def nothing(content: dict[str, Any], config: dict[str, Any]) -> None:
    pass


def byte_level(**options: bool) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True, **options}


def sequence(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", "pretokenizers": list(parts)}


SPLIT = {"type": "Split", "pattern": {"Regex": r"\d|\s+|\S+"}, "behavior": "Isolated", "invert": False}
TEMPLATE = {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": END_OF_TEXT, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {END_OF_TEXT: {"id": END_OF_TEXT, "ids": [299], "tokens": [END_OF_TEXT]}},
}
EDITS: dict[str, Edit] = {
    "as saved": nothing,
    "lowercase": part("normalizer", {"type": "Lowercase"}),
    "nfc": part("normalizer", {"type": "NFC"}),
    "nfkc": part("normalizer", {"type": "NFKC"}),
    "strip": part("normalizer", {"type": "Strip", "strip_left": True, "strip_right": True}),
    "strip accents": part(
        "normalizer", {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}]}
    ),
    "replace": part("normalizer", {"type": "Replace", "pattern": {"String": "town"}, "content": "cats"}),
    "prepend": part("normalizer", {"type": "Prepend", "prepend": " "}),
    "no regex": part("pre_tokenizer", byte_level(use_regex=False)),
    "prefix space": part("pre_tokenizer", byte_level(add_prefix_space=True)),
    "trim offsets": part("pre_tokenizer", byte_level(trim_offsets=False)),
    "digits": part("pre_tokenizer", sequence({"type": "Digits", "individual_digits": True}, byte_level())),
    "split": part("pre_tokenizer", sequence(SPLIT, byte_level(use_regex=False))),
    "whitespace": part("pre_tokenizer", sequence({"type": "Whitespace"}, byte_level())),
    "no pre-tokenizer": part("pre_tokenizer", None),
    "ignore merges": option("ignore_merges", True),
    "end of word": option("end_of_word_suffix", "</w>"),
    "template": part("post_processor", TEMPLATE),
    "truncation": part("truncation", {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}),
    "padding": part(
        "padding",
        {
            "strategy": {"Fixed": 9},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "!",
        },
    ),
    "town": added("town", 300),
    "town alone": added("town", 300, single_word=True),
    "town and space": added("town", 300, lstrip=True, rstrip=True),
    "special": added("[PAD]", 300, special=True),
    "add_prefix_space": setting("add_prefix_space", True),
    "add_bos_token": setting("add_bos_token", True),
    "decoder": setting("added_tokens_decoder", {"300": {"content": "town", "special": False, "normalized": True}}),
    "pad": setting("pad_token", "[PAD]"),
}
OURS = ("as saved", "trim offsets", "truncation", "padding", "special", "pad")


@pytest.mark.parametrize("kind", [None, "GPT2Tokenizer", "PreTrainedTokenizerFast"])
@pytest.mark.parametrize("name", EDITS)
def test_ids_are_those_of_auto_tokenizer(name, kind, trained, tmp_path):
    def edit(content: dict[str, Any], config: dict[str, Any]) -> None:
        config["tokenizer_class"] = kind
        EDITS[name](content, config)

    directory = edited(tmp_path, trained, edit, drop="vocab.json merges.txt")
    found = hf_tokenizer.load(directory, ROWS)
    assert isinstance(found, Tokenizer) == (name in OURS)
    theirs = transformers.AutoTokenizer.from_pretrained(directory)
    assert found.encode_batch(TEXTS) == theirs(TEXTS, add_special_tokens=False)["input_ids"]
    assert found.encode_whole(TEXTS) == theirs(TEXTS)["input_ids"]
    if kind == "PreTrainedTokenizerFast" and name not in ("truncation", "padding"):
        library = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
        if not name.startswith(("add_", "decoder")):  # of tokenizer_config.json it knows nothing
            assert found.encode_batch(TEXTS) == [library.encode(text, add_special_tokens=False).ids for text in TEXTS]


@pytest.mark.parametrize("name", ["as saved", "add_prefix_space", "add_bos_token", "pad"])
def test_vocab_and_merges_alone_are_read_as_auto_tokenizer_reads_them(name, trained, tmp_path):
    directory = edited(tmp_path, trained, EDITS[name], drop="tokenizer.json")
    found = hf_tokenizer.load(directory, ROWS)
    theirs = transformers.AutoTokenizer.from_pretrained(directory)
    assert found.encode_batch(TEXTS) == theirs(TEXTS, add_special_tokens=False)["input_ids"]
    if name == "add_prefix_space":
        assert found.encode("Hello") == trained.encode(" Hello")


def test_each_part_gives_another_fingerprint(trained, tmp_path):
    same = (*OURS, "add_prefix_space", "decoder")  # as transformers has it, for this class and beside "town"
    names = [*(name for name in EDITS if name not in same), "as saved"]
    found = set()
    for number, name in enumerate(names):
        edit = EDITS[name]
        directory = edited(tmp_path / str(number), trained, edit, drop="vocab.json merges.txt")
        config = json.loads((directory / "tokenizer_config.json").read_text())
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
        (directory / "tokenizer_config.json").write_text(json.dumps(config))
        found.add(hf_tokenizer.load(directory, ROWS).fingerprint)
    assert len(found) == len(names)


@pytest.mark.parametrize("place", [300, 305])
def test_a_padding_token_beyond_the_model_changes_nothing(place, trained, tmp_path):
    directory = edited(tmp_path, trained, added("[PAD]", place, special=True), drop="vocab.json merges.txt")
    found = hf_tokenizer.load(directory, trained.vocab_size)
    assert isinstance(found, Tokenizer) and found.fingerprint == trained.fingerprint
    assert found.encode_batch([*TEXTS, "[PAD]"]) == trained.encode_batch([*TEXTS, "[PAD]"])
    same = hf_tokenizer.load_any(directory, trained.vocab_size)
    assert same.encode_batch([*TEXTS, "[PAD]"]) == trained.encode_batch([*TEXTS, "[PAD]"])
    assert (same.vocab_size, same.base_size) == (300, 299)
    assert len(same.token_byte_lengths()) == 300


def test_a_padding_token_in_the_vocabulary_itself_changes_nothing(trained, tmp_path):
    directory = edited(tmp_path, trained, nothing, drop="tokenizer.json")
    vocabulary = json.loads((directory / "vocab.json").read_text())
    (directory / "vocab.json").write_text(json.dumps({**vocabulary, "[PAD]": 300}))
    assert hf_tokenizer.load(directory, 300).fingerprint == trained.fingerprint
    resized = hf_tokenizer.load(directory, 301)
    assert resized.vocab_size == 301 and resized.encode("[PAD]") == trained.encode("[PAD]")


def test_a_token_that_the_model_does_not_know_is_named_where_a_text_holds_it(trained, tmp_path):
    directory = edited(tmp_path, trained, added("town", 300), drop="vocab.json merges.txt")
    found = hf_tokenizer.load(directory, 300)
    assert found.encode("a house") == trained.encode("a house")
    with pytest.raises(ZeroscaleError, match=r"'town' is token 300, and the model's vocabulary has 300"):
        found.encode("the town")


def test_merges_left_out_at_random_are_refused(trained, tmp_path):
    def edit(content: dict[str, Any], config: dict[str, Any]) -> None:
        content["model"]["dropout"] = 0.1
        config["tokenizer_class"] = "PreTrainedTokenizerFast"

    with pytest.raises(ZeroscaleError, match=r"leaves out merges at random \(dropout 0.1 in tokenizer.json\)"):
        hf_tokenizer.load(edited(tmp_path, trained, edit), ROWS)


def test_a_gap_in_the_ids_is_no_fault(trained, tmp_path):
    directory = edited(tmp_path, trained, added("[PAD]", 305, special=True), drop="vocab.json merges.txt")
    found = hf_tokenizer.load(directory, ROWS)
    theirs = transformers.AutoTokenizer.from_pretrained(directory)
    assert found.encode_batch(TEXTS) == theirs(TEXTS, add_special_tokens=False)["input_ids"]
    assert found.vocab_size == len(found.token_byte_lengths()) >= 301
    assert found.decode_bytes(found.encode("the town")) == b"the town"


def test_a_text_starts_with_bos_and_else_with_eos(trained, tmp_path):
    def edit(content: dict[str, Any], config: dict[str, Any]) -> None:
        added("<s>", 300, special=True)(content, config)
        config |= {"bos_token": "<s>", "tokenizer_class": "PreTrainedTokenizerFast"}

    directory = edited(tmp_path, trained, edit, drop="vocab.json merges.txt special_tokens_map.json")
    found = hf_tokenizer.load(directory, ROWS)
    assert (found.start, found.eos) == (300, trained.eos)
    assert found.start == transformers.AutoTokenizer.from_pretrained(directory).bos_token_id
    assert trained.start == trained.eos
    with pytest.raises(ZeroscaleError, match="'<s>' is token 300"):  # the model has no row for it
        _ = hf_tokenizer.load(directory, 300).start


def test_gpt2_itself_is_refused_where_its_files_ask_for_more(trained, tmp_path):
    directory = edited(tmp_path, trained, part("normalizer", {"type": "Lowercase"}))
    with pytest.raises(ZeroscaleError, match=r"not GPT-2's tokenizer: its normalizer is Lowercase"):
        Tokenizer.gpt2(str(directory))


def test_without_transformers_the_part_is_named(trained, tmp_path, monkeypatch):
    directory = edited(tmp_path, trained, setting("add_prefix_space", True))
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(ZeroscaleError, match=r"it has add_prefix_space in tokenizer_config\.json.*zeroscale\[hf\]"):
        hf_tokenizer.load(directory, ROWS)


def test_what_transformers_leaves_out_is_said(trained, tmp_path, capsys):
    def lowercase(content: dict[str, Any], config: dict[str, Any]) -> None:
        content["normalizer"] = {"type": "Lowercase"}

    hf_tokenizer.load(edited(tmp_path, trained, lowercase), ROWS)
    assert "tokenizer.json's normalizer Lowercase is not used" in capsys.readouterr().err
    (tmp_path / "plain").mkdir()
    hf_tokenizer.load(edited(tmp_path / "plain", trained, setting("add_prefix_space", True)), ROWS)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("kind", ["WordPiece", "BPEDecoder", "Metaspace"])
def test_the_bytes_of_tokens_are_those_of_the_text(kind, tmp_path):
    words = ["the", "town", "house", "un", "do", "."]
    if kind == "WordPiece":
        model = models.WordPiece({word: i for i, word in enumerate(["[UNK]", *words, "##do"])}, unk_token="[UNK]")
        text, parts = "the town undo .", [b" the", b" town", b" un", b"do", b" ."]
    else:
        mark = {"BPEDecoder": "{}</w>", "Metaspace": "▁{}"}[kind]
        model = models.WordLevel({mark.format(w): i for i, w in enumerate(["[UNK]", *words])}, unk_token="[UNK]")
        text, parts = "the town house", [b" the", b" town", b" house"]
    made = tokenizers.Tokenizer(model)
    made.decoder = {
        "WordPiece": decoders.WordPiece(cleanup=False),
        "BPEDecoder": decoders.BPEDecoder(),
        "Metaspace": decoders.Metaspace(),
    }[kind]
    made.add_special_tokens(["</s>"])
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_object=made, eos_token="</s>")
    found = hf_tokenizer.TransformersTokenizer(theirs, "here", len(theirs))
    spelled = {"WordPiece": ["the", "town", "un", "##do", "."], "BPEDecoder": ["the</w>", "town</w>", "house</w>"]}
    ids = theirs.convert_tokens_to_ids(spelled.get(kind, ["▁the", "▁town", "▁house"]))
    assert [found.decode_bytes([token]) for token in ids] == parts
    assert found.decode(ids) == text
    assert found.token_byte_lengths()[ids].tolist() == [len(part) for part in parts]


@pytest.mark.parametrize("form", ["vocab.txt", "tokenizer.json"])
def test_word_pieces_of_a_gpt2_are_auto_tokenizers(form, tmp_path):
    # As GPT-2s for Chinese have it.
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "town", "un", "##do", "."]
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n")
    if form == "tokenizer.json":
        transformers.BertTokenizerFast(vocab=str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
        (tmp_path / "vocab.txt").unlink()
    config = {"tokenizer_class": "BertTokenizer", "eos_token": "[SEP]"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2", "vocab_size": 10}))
    found, theirs = hf_tokenizer.load(tmp_path, 10), transformers.AutoTokenizer.from_pretrained(tmp_path)
    texts = ["The town undo.", "the  town"]
    assert found.encode_batch(texts) == theirs(texts, add_special_tokens=False)["input_ids"]
    assert found.encode_whole(texts) == theirs(texts)["input_ids"]
    assert 6 in found.encode(texts[0])
