"""Undoing tokenisation: invertibly for WikiText, the Penn Treebank and the One Billion Word Benchmark."""

from zeroscale.eval.detokenise.moses import BillionWords, WikiText
from zeroscale.eval.detokenise.penn import Penn, detokenise_treebank
from zeroscale.eval.detokenise.rules import Line, Rules

__all__ = ["RULES", "Line", "Rules", "detokenise_treebank"]

RULES: dict[str, Rules] = {"wikitext": WikiText(), "penn": Penn(), "billion_words": BillionWords()}
"""By the name that a card gives them."""
