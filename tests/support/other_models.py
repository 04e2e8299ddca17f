"""Small Llamas whose tokenizers are not GPT-2's kind: SentencePiece-like, Metaspace, byte-level without a pattern.

directory = other_models.save("prepend", tmp_path / "model")
twin = other_models.twin("prepend", tmp_path / "model")  # ours and lm-evaluation-harness's of one directory
"""

import json
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import torch
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

transformers = pytest.importorskip("transformers")

SPECIALS = ["<unk>", "<s>", "</s>"]
TEXTS = [
    "the a cat dog house tree runs sees finds small old red green slowly often and but near under it is was",
    "The cat sat on the mat, and the dog of the town ran. It was not the house that he saw; she said so to them.\n",
    'Q: Who is it? A: "The old man," said I. Answer these questions: my your his her its our their trophy suitcase\n',
]
KINDS = ("prepend", "metaspace", "metaspace first", "no pattern", "adds bos")


def tokenizer(kind: str) -> tokenizers.Tokenizer:
    """A tokenizer of 600 tokens at most. `prepend` and `metaspace` give every whole text the same ids."""
    byte_level = kind == "no pattern"
    made = tokenizers.Tokenizer(models.BPE(unk_token=None if byte_level else "<unk>"))
    if byte_level:
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        made.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    else:
        made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
        made.decoder = decoders.Metaspace(prepend_scheme="always")
        alphabet = ["▁", "\n", *map(chr, range(33, 127))]
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=SPECIALS, initial_alphabet=alphabet, show_progress=False, min_frequency=2
    )
    made.train_from_iterator(TEXTS * 3, trainer)
    if kind == "prepend":
        made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        made.pre_tokenizer = None  # type: ignore[assignment]
        made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    elif kind == "metaspace first":
        made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    elif kind == "adds bos":
        made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return made


def save(kind: str, directory: Path, **config: Any) -> Path:
    """A Llama with random weights and that tokenizer, in Hugging Face's format; bos is <s>, eos is </s>."""
    made = tokenizer(kind)
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    llama = transformers.LlamaConfig(
        vocab_size=made.get_vocab_size(),
        max_position_embeddings=512,
        initializer_range=0.5,
        bos_token_id=1,
        eos_token_id=2,
        **shape,
    )
    transformers.LlamaForCausalLM(llama).eval().save_pretrained(directory)
    made.save(str(directory / "tokenizer.json"))
    named = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", **named, **config}
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    return directory


def twin(kind: str, directory: Path) -> Any:
    """As `lm_eval_oracle.twin`, of such a model."""
    from support import lm_eval_oracle as oracle

    from zeroscale.eval import hf_adapter

    return oracle.Twin(save(kind, directory), *hf_adapter.load(directory))
