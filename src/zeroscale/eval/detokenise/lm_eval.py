"""How lm-evaluation-harness (0.4.13, tasks/wikitext) cuts WikiText into pages and detokenises them. Not invertible."""

import re
from collections.abc import Iterable, Iterator

# In this order, as that harness has them; the second rule, with its slashes, hits nothing in WikiText.
_STEPS: tuple[tuple[str, str, bool], ...] = (
    ("s '", "s'", False),
    (r"/' [0-9]/", r"/'[0-9]/", True),
    (" @-@ ", "-", False),
    (" @,@ ", ",", False),
    (" @.@ ", ".", False),
    *((f" {mark} ", f"{mark} ", False) for mark in ":;.!?,"),
    (r"\(\s*([^\)]*?)\s*\)", r"(\1)", True),
    (r"\[\s*([^\]]*?)\s*\]", r"[\1]", True),
    (r"{\s*([^}]*?)\s*}", r"{\1}", True),
    (r"\"\s*([^\"]*?)\s*\"", r'"\1"', True),
    (r"'\s*([^']*?)\s*'", r"'\1'", True),
    ("= = = =", "====", False),
    ("= = =", "===", False),
    ("= =", "==", False),
    (" ° ", "°", False),
    (" \n", "\n", False),
    ("\n ", "\n", False),
    (" N ", " 1 ", False),
    (" 's", "'s", False),
)


def plain_page(page: str) -> str:
    """What the model reads for a page."""
    for old, new, pattern in _STEPS:
        page = re.sub(old, new, page) if pattern else page.replace(old, new)
    return page


def page_counts(page: str) -> tuple[int, int]:
    """Words and bytes of a page before it was detokenised: what its scores are divided by. The empty texts that
    stand at a page's ends for white space are counted as words."""
    return len(re.split(r"\s+", page)), len(page.encode())


def pages(lines: Iterable[str]) -> Iterator[str]:
    """The pages of a file by its lines (the empty one after the last line break included): from a title to the next.

    A line of a formula between two `=` is taken for a title too. Source: EleutherAI/wikitext_document_level.
    """
    page: list[str] = []
    for line in lines:
        if _is_title(line):
            if "".join(page).strip():
                yield "\n".join(page)
            page = []
        page.append(line)
    yield "\n".join(page)


def _is_title(line: str) -> bool:
    line = line.replace("= = =", "===").replace("= =", "==").strip()
    return line.startswith("= ") and line.endswith(" =")
