"""What a corpus' counts tell that its author may not have meant, in words; and what of a run is less than was asked."""

import math

from zeroscale.config.train import TrainConfig
from zeroscale.core.format import escaped
from zeroscale.data.corpus import CorpusIndex, NamedCount


def notes(index: CorpusIndex) -> list[str]:
    """What was not read, and what was read otherwise than its author may have meant, a line each."""
    lines: list[str] = []
    if files := index.get("files"):
        counts = (
            (files["empty"], "empty, no text"),
            (files["left_out"], "left out"),
            (files["repeated"], "another name of what is read"),
            (files["as_text"], "read as plain text, whatever the name"),
        )
        lines += [f"{words}: {_names(count)}" for count, words in counts if count["count"]]
        if files["beyond_max_bytes"]:
            lines.append(f"beyond data.max_bytes, not read: {files['beyond_max_bytes']:,} files")
    if index.get("split_at") == 0:
        mark = escaped(str(index["settings"].get("data.split_on")))
        lines.append(f"data.split_on={mark} stands nowhere in the texts: none of them is split")
    for mark, number in sorted(index.get("marks", {}).items()):
        lines.append(
            f"{mark} stands {number:,} times in the texts, as plain characters that end no document;"
            f" 'data.split_on={mark}' splits the texts there"
        )
    if replaced := index.get("replaced_surrogates"):
        lines.append(f"{replaced:,} lone surrogates in texts, which no UTF-8 can hold, have become U+FFFD")
    return lines


FEW_DOCUMENTS = 4
"""A held-out split of so few is said: its loss tells of them more than of the corpus."""


def reductions(settings: TrainConfig, index: CorpusIndex) -> list[str]:
    """What of a run is smaller than its settings ask for, and what is so small that a number rests on little, a line
    each."""
    trainer, lines = settings.trainer, []
    train, held_out = index["splits"]["train"], index["splits"]["val"]
    if 0 < (scored := held_out["tokens"] - 1) < trainer.val_tokens:
        asked, windows = (math.ceil(tokens / settings.context) for tokens in (trainer.val_tokens, scored))
        lines.append(
            f"held-out text: {windows:,} windows of {settings.context} tokens instead of the {asked:,} of "
            f"trainer.val_tokens={trainer.val_tokens}: the held-out split has no more; a larger data.val_fraction "
            "holds out more"
        )
    if 0 < held_out["documents"] <= FEW_DOCUMENTS:
        number = held_out["documents"]
        what = "one document" if number == 1 else f"{number} documents"
        lines.append(
            f"held-out text: all of it is {what}: the loss on it tells little of other text; a larger "
            "data.val_fraction holds out more"
        )
    if train["tokens"] and trainer.tokens > train["tokens"]:
        passes = trainer.tokens / train["tokens"]
        lines.append(
            f"training text: {train['tokens']:,} tokens, read {passes:.3g} times for trainer.tokens={trainer.tokens}"
        )
    if trainer.score_every is not None and trainer.score_every >= settings.steps:
        lines.append(
            f"cards are scored at the end only: trainer.score_every={trainer.score_every} is not below the run's "
            f"{settings.steps:,} steps"
        )
    if trainer.keep_every_tokens is not None and trainer.keep_every_tokens >= trainer.tokens:
        lines.append(
            f"no checkpoint is kept on the way: trainer.keep_every_tokens={trainer.keep_every_tokens} is not below "
            f"trainer.tokens={trainer.tokens}"
        )
    return lines


def _names(count: NamedCount, limit: int = 5) -> str:
    """ "3 files (a, b, c)", or only the first names and "…"."""
    more = ", …" if count["count"] > limit else ""
    names = ", ".join(escaped(name) for name in count["names"][:limit])
    return f"{count['count']:,} {'file' if count['count'] == 1 else 'files'} ({names}{more})"
