"""What a corpus' counts tell that its author may not have meant, in words."""

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


def _names(count: NamedCount, limit: int = 5) -> str:
    """ "3 files (a, b, c)", or only the first names and "…"."""
    more = ", …" if count["count"] > limit else ""
    names = ", ".join(escaped(name) for name in count["names"][:limit])
    return f"{count['count']:,} {'file' if count['count'] == 1 else 'files'} ({names}{more})"
