"""Undoing tokenisation: invertibly for WikiText, the Penn Treebank and the One Billion Word Benchmark."""

from zeroscale.harness.detokenise.moses import BillionWords, WikiText
from zeroscale.harness.detokenise.penn import Penn, detokenise_treebank
from zeroscale.harness.detokenise.rules import Line, Rules

__all__ = ["RULES", "Line", "Rules", "detokenise_treebank"]

RULES: dict[str, Rules] = {"wikitext": WikiText(), "penn": Penn(), "billion_words": BillionWords()}
"""By the name that a card gives them."""
