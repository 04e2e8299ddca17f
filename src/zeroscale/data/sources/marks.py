"""Marks between texts, such as `<|endoftext|>`: texts are split at one where the user asks for it, else it is counted.

In a text they are plain characters: the tokenizer never makes the token that ends a document of them.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter

# What public corpora and tokenizers write between texts. `<pad>` and the like stand for nothing between texts.
MARKS = (
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|begin_of_text|>",
    "<|startoftext|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|im_end|>",
    "<|im_start|>",
    "<|end|>",
    "<|eos|>",
    "<|bos|>",
    "<|eod|>",
    "<|sep|>",
    "<|endofdocument|>",
    "<|end_of_document|>",
    "<|end_of_sentence|>",
    "<|begin_of_sentence|>",
    "<end_of_turn>",
    "<eos>",
    "<EOS>",
    "<bos>",
    "<BOS>",
    "<eod>",
    "<EOD>",
    "<sep>",
    "<SEP>",
    "</s>",
    "<s>",
    "[EOS]",
    "[BOS]",
    "[EOD]",
    "[SEP]",
    "[CLS]",
    "<｜end▁of▁sentence｜>",
    "<｜begin▁of▁sentence｜>",
)
_LINE_ENDS = b"\r\n"


def count(text: str) -> dict[str, int]:
    """How often each of `MARKS` stands in a text; those that do not are left out."""
    if "<" not in text and "[" not in text:
        return {}
    # Most texts with a "<" hold no mark: the two characters that many begin with save looking for each of those.
    begins = "<|" in text
    likely = [mark for mark in MARKS if begins or not mark.startswith("<|")]
    return {mark: number for mark in likely if (number := text.count(mark))}


def split(blocks: Iterable[bytes], mark: str | None) -> Iterator[Iterator[bytes]]:
    """The texts between the marks of a stream of UTF-8, each as a stream of its own, to be read before the next.

    The mark belongs to no text, and neither do the line ends directly before and behind it. A mark may lie across two
    blocks. Without a mark all is one text.
    """
    if mark is None:
        yield iter(blocks)
        return
    for _, parts in groupby(_numbered(blocks, mark.encode("utf-8")), key=itemgetter(0)):
        yield (part for _, part in parts)


def _numbered(blocks: Iterable[bytes], mark: bytes) -> Iterator[tuple[int, bytes]]:
    """(number of the text, a part of it), in order."""
    number, held, begins = 0, b"", False
    for block in blocks:
        held += block
        *whole, held = held.split(mark)
        for part in whole:
            part = part.rstrip(_LINE_ENDS)
            yield number, part.lstrip(_LINE_ENDS) if begins else part
            number, begins = number + 1, True
        # What may belong to a mark that begins here waits for the next block; so do line ends that may stand before it.
        certain = held[: max(0, len(held) - len(mark) + 1)]
        held = held[len(certain) :]
        if begins:
            certain = certain.lstrip(_LINE_ENDS)
        text = certain.rstrip(_LINE_ENDS)
        held = certain[len(text) :] + held
        if text:
            yield number, text
            begins = False
    yield number, held.lstrip(_LINE_ENDS) if begins else held
