"""Files in the released form of data sets that may not be passed on: made-up English, tokenised as each was.

The Penn Treebank's tokens come from NLTK's tokeniser, the One Billion Words' from the rules of its tokenizer.perl,
written down here once more; text8's characters from the filter that made it.
"""

import random
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

WHO = ["Mr. Hale", "Mrs. Renn", "the workers", "a spokesman", "Dr. Brandt", "nobody", "the U.S. firm", "the owners"]
SAYS = ["didn't say", "said", "couldn't say", "wasn't sure", "wrote", "denied", "can't tell", "won't believe"]
WHAT = ["the mill's owner", "its profits", "the workers' union", "the well-known bridge", "St. Mary's school", "a loss"]
DOES = ["rose 3.5%", "fell to $1,200", "would open on Nov. 5", "isn't new", "cost $4.7 million", "won 2-1", "'s gone"]
MORE = ["", ", they've said", " (in part)", ' "for good"', "; it's late", " and/or more", ": no more"]


def sentences(n: int, seed: int = 0) -> list[str]:
    """Newspaper-like sentences, with all that a tokeniser does something about. The same for the same seed."""
    draw = random.Random(seed)
    made = []
    for _ in range(n):
        words = [draw.choice(part) for part in (WHO, SAYS, WHAT, DOES)]
        text = f"{words[0]} {words[1]} {words[2]} {words[3]}{draw.choice(MORE)}".replace(" 's", "'s")
        made.append(text[0].upper() + text[1:] + draw.choice([".", ".", "?"]))
    return made


def plain_quotes(text: str) -> str:
    """Straight quotation marks, as all these data sets have."""
    return text.translate(str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"'}))


def treebank_lines(texts: Iterable[str], vocabulary: int = 10_000) -> list[str]:
    """Mikolov's form of the Penn Treebank, a sentence a line between spaces."""
    from nltk.tokenize import TreebankWordTokenizer

    tokenise = TreebankWordTokenizer().tokenize
    rows = []
    for text in texts:
        tokens = [token.lower().replace("/", "\\/") for token in tokenise(plain_quotes(text))]
        tokens = [token for token in tokens if token == "'" or re.search(r"[^\W_]|[$#&]", token)]
        rows.append(["N" if re.fullmatch(r"[\d.,:-]*\d[\d.,:-]*", token) else token for token in tokens])
    counts = Counter(token for row in rows for token in row)
    kept = {"N", *(token for token, _ in counts.most_common(vocabulary))}
    return [" " + " ".join(token if token in kept else "<unk>" for token in row) + " " for row in rows if row]


# Titles whose full stop is never split off: the classic list of non-breaking prefixes, in part.
_PREFIXES = {"Mr", "Mrs", "Ms", "Dr", "St", "Prof", "Sr", "Jr", "Gen", "Col", "Capt", "Lt", "Rev", "Gov", "Sen", "Rep"}


def billion_words_line(text: str) -> str:
    """One sentence as tokenizer.perl writes it: marks alone, `don 't`, `Mr.`, a full stop of its own at the end."""
    text = re.sub(r"([^\w\s.'`,-]|_)", r" \1 ", plain_quotes(text))
    text = re.sub(r"\.{2,}", r" \g<0> ", text)
    text = re.sub(r"(?<!\d),|,(?!\d)", " , ", text)
    text = re.sub(r"(?<![^\W\d_])'(?![^\W\d_])", " ' ", text)  # no letter on either side
    text = re.sub(r"(?<![^\W_])'(?=[^\W\d_])", " ' ", text)  # a letter after it only
    text = re.sub(r"(?<=[^\W\d_])'(?![^\W\d_])", " ' ", text)  # a letter before it only
    text = re.sub(r"(?<=[^\W_])'(?=[^\W\d_])", " '", text)  # letters on both sides, or a digit before: 1990 's
    words = text.split()
    for number, word in enumerate(words):
        stem = word[:-1]
        follows = words[number + 1 : number + 2]
        if not word.endswith(".") or not stem.strip("."):
            continue
        kept = ("." in stem and re.search(r"[^\W\d_]", stem)) or stem in _PREFIXES or (follows and follows[0].islower())
        if not kept:
            words[number] = f"{stem} ."
    return " ".join(words)


_DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def text8_filter(text: str) -> str:
    """Small letters and single spaces alone; digits spelled out."""
    text = re.sub(r"\d", lambda digit: f" {_DIGITS[int(digit[0])]} ", text.lower())
    return re.sub(r"[^a-z]+", " ", text)


def wiki_xml(texts: Sequence[str]) -> str:
    """Pages as enwik8 has them, with characters of one to four bytes."""
    page = (
        "  <page>\n    <title>Åland {number}</title>\n    <id>{number}</id>\n    <revision>\n"
        "      <text xml:space=\"preserve\">'''{text}''' [[日本語]] 𝄞 &ndash; {text}</text>\n"
        "    </revision>\n  </page>\n"
    )
    return "".join(page.format(number=number, text=text) for number, text in enumerate(texts))


def filled(content: bytes, size: int) -> bytes:
    """`content` over and over, cut at `size` bytes wherever that is."""
    return (content * (size // len(content) + 1))[:size]


def wikitext_lines(n: int, unknown: float, seed: int = 0) -> tuple[list[str], list[str]]:
    """So many lines of articles in WikiText's form, with <unk> for a share of the words, and in its raw form."""
    draw = random.Random(seed)
    tokens, raw = [" "], [" "]
    texts = sentences(n, seed)
    for number, text in enumerate(texts):
        if len(raw) >= n:
            break
        heading = f"= Number {number} =" if number % 20 == 0 else f"= = Part {number} = =" if number % 5 == 0 else None
        for line in ([heading, ""] if heading else []) + [billion_words_line(text), ""]:
            line = re.sub(r"(?<=\d)([,.])(?=\d)", r" @\1@ ", re.sub(r"(?<=\w)-(?=\w)", " @-@ ", line))
            raw.append(f" {line} " if line else " ")
            words = ["<unk>" if word.isalpha() and draw.random() < unknown else word for word in line.split()]
            tokens.append(" " + " ".join(words) + " " if words else " ")
    return [line + "\n" for line in tokens[:n]], [line + "\n" for line in raw[:n]]


def write_all(folder: Path) -> Path:
    """A data_dir with the six data sets, each with as many rows or bytes as the released one."""
    size = 100_000_000
    names = ["wikitext2", "wikitext103", "ptb", "lm1b", "enwik8", "text8"]
    paths = {name: folder / name for name in names}
    for path in paths.values():
        path.mkdir(parents=True)
    for name, unknown in (("wikitext2", 0.06), ("wikitext103", 0.005)):
        tokens, raw = wikitext_lines(4358, unknown)
        (paths[name] / "wiki.test.tokens").write_text("".join(tokens), encoding="utf-8")
        if name == "wikitext2":
            (paths[name] / "wiki.test.raw").write_text("".join(raw), encoding="utf-8")
    lines = treebank_lines(sentences(3761), vocabulary=40)
    (paths["ptb"] / "ptb.test.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    lines = [billion_words_line(text) for text in sentences(6075, seed=1)]
    (paths["lm1b"] / "news.en.heldout-00000-of-00050").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    with zipfile.ZipFile(paths["enwik8"] / "enwik8.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("enwik8", filled(wiki_xml(sentences(900, seed=2)).encode(), size))
    (paths["text8"] / "text8").write_bytes(filled(text8_filter(" ".join(sentences(3000, seed=3))).encode(), size))
    return folder
