"""What was tokenised reads like text again, and can always be undone; or the line stays as it is, and is counted."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.released_formats import billion_words_line, plain_quotes, sentences, treebank_lines

from zeroscale.eval.detokenise import RULES
from zeroscale.eval.detokenise.penn import detokenise_treebank
from zeroscale.eval.detokenise.rules import Line

PIECES = [
    *"abXY=,.;:!?()[]'\"$%-–#/&_€",
    *("@-@", "@,@", "@.@", "...", "'s", "'t", "n't", "'ll", "'Brien", "<unk>", "N", "U.S.", "u.s.", "No.", "7", "000"),
    *("c$", "s", "boys", "can", "not", "can't", "gon", "na", "1\\/2", "1,000", "cannot", "don't", "--"),
]
tokens = st.one_of(st.sampled_from(PIECES), st.text("aZ5'.,-@=\"é\\/*\0", min_size=1, max_size=5))


@pytest.mark.parametrize("name", RULES)
@given(line=st.lists(tokens, max_size=25))
@settings(max_examples=500, deadline=None)
def test_retokenising_gives_the_tokens_back_or_the_line_is_left_as_it_is(name: str, line: list[str]) -> None:
    rules = RULES[name]
    original = " ".join(line)
    result = rules.detokenise(f" {original} ")
    if result.exact:
        assert rules.retokenise(result.text) == original
    else:
        assert result.text == original


@pytest.mark.parametrize("name", RULES)
@given(text=st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_text_comes_back(name: str, text: str) -> None:
    rules = RULES[name]
    result = rules.detokenise(text)
    assert (rules.retokenise(result.text) if result.exact else result.text) == text.strip(" ")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (" = = Career = = ", "== Career =="),
        (
            " He had a guest @-@ starring role , in 1 @,@ 200 of 3 @.@ 5 films . ",
            "He had a guest-starring role, in 1,200 of 3.5 films.",
        ),
        (' It is called " Teddy \'s Story " ( 2004 ) . ', 'It is called "Teddy\'s Story" (2004).'),
        (
            " The girls ' school of O 'Brien didn 't open ; the U.S. did . ",
            "The girls' school of O'Brien didn't open; the U.S. did.",
        ),
        (" $ 5 is 20 % of <unk> 's money : fine ! ", "$5 is 20% of <unk>'s money: fine!"),
        (" ", ""),
    ],
)
def test_artefacts_of_wikitext_go(line: str, text: str) -> None:
    assert RULES["wikitext"].detokenise(line) == Line(text, True)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (" mr. <unk> is n't the companies ' chairman ", "mr. <unk> isn't the companies' chairman"),
        (" it 's $ N million a share or c$ N and # N ", "it's $N million a share or c$N and #N"),
        (" they 've said we 'll see what i 'd do i 'm sure ", "they've said we'll see what i'd do i'm sure"),
        (" he can not say who 's gon na win ", "he cannot say who's gonna win"),
        (" about N 1\\/2 of the s&p 500\\* ", "about N 1/2 of the s&p 500*"),
        (" <unk> 's <unk> wo n't ", "<unk>'s <unk> won't"),
        (" the N N stake in r.h. macy & co. ", "the N N stake in r.h. macy & co."),
    ],
)
def test_artefacts_of_the_penn_treebank_go(line: str, text: str) -> None:
    assert RULES["penn"].detokenise(line) == Line(text, True)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('" I don \'t know , " said Mr. Hale ( 48 ) .', '"I don\'t know," said Mr. Hale (48).'),
        ("It was $ 1,200 or 3.5 % on Nov. 5 and / or 6 .", "It was $1,200 or 3.5% on Nov. 5 and/or 6."),
        ("The well-known U.S. firm won 2-1 -- at last .", "The well-known U.S. firm won 2-1 -- at last."),
        ("See http : / / www.example.com for the girls ' choir .", "See http://www.example.com for the girls' choir."),
        ("What of the U.S.", "What of the U.S."),
    ],
)
def test_artefacts_of_the_billion_words_go(line: str, text: str) -> None:
    assert RULES["billion_words"].detokenise(line) == Line(text, True)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("wikitext", "the 1,000th time"),  # its comma would come back as @,@
        ("penn", "the dead's bell"),  # would come back as dead 's
        ("billion_words", "on the day Mr. Hale saw it."),  # its full stop would come back alone
        ("penn", "two  spaces"),
    ],
)
def test_a_line_without_an_inverse_stays(name: str, line: str) -> None:
    assert RULES[name].detokenise(f" {line} ") == Line(line, False)


def check(name: str, lines: Sequence[str], marks: Sequence[str], left_over: float) -> None:
    """Every line comes back, at most 0.5 % are left as they are, and of the artefacts at most a share is left."""
    rules = RULES[name]
    lines = [line for line in lines if line.strip()]
    results = [rules.detokenise(line) for line in lines]
    for line, result in zip(lines, results, strict=True):
        assert (rules.retokenise(result.text) if result.exact else result.text) == line.strip(" ")
    assert sum(not result.exact for result in results) / len(lines) <= 0.005
    there = sum(line.count(mark) for line in lines for mark in marks)
    left = sum(result.text.count(mark) for result in results for mark in marks)
    assert there and left / there < left_over


REAL = [
    "wikitext2/wiki.test.tokens",
    *(pytest.param(f"{name}/wiki.valid.tokens", marks=pytest.mark.slow) for name in ("wikitext2", "wikitext103")),
]


@pytest.mark.parametrize("name", [*REAL, pytest.param("wikitext2/wiki.train.tokens", marks=pytest.mark.slow)])
def test_every_line_of_the_real_wikitext_comes_back(data: Path, name: str) -> None:
    lines = (data / name).read_text(encoding="utf-8").split("\n")
    check("wikitext", lines, [" @-@ ", " @,@ ", " @.@ ", " , ", " 's ", " ( ", " ) "], left_over=0.002)


PENN = [" n't", " 's", " 'll", " 've", "$ "]
BILLION = [" , ", " 's ", " 't ", ' " ', " ( ", " $ ", " % ", " / "]


def test_made_up_news_comes_back() -> None:
    texts = sentences(600)
    check("penn", treebank_lines(texts), PENN, left_over=1e-9)
    check("billion_words", [billion_words_line(text) for text in texts], BILLION, left_over=1e-9)


def real_news(data: Path) -> list[str]:
    articles = (data / "cnn_dailymail" / "validation_part.jsonl").read_text(encoding="utf-8").splitlines()
    lines = (data / "wmt14_fr_en" / "newstest2014.en").read_text(encoding="utf-8").split("\n")
    for article in articles:
        lines += re.split(r"(?<=[.!?]) (?=[A-Z])", " ".join(json.loads(article)["article"].split()))
    return [line for line in lines[::3] if line.strip()]


def novels(data: Path) -> list[str]:
    lines = []
    for path in sorted((data / "corpora" / "english_novels").glob("*.txt"))[::6]:
        text = " ".join(path.read_text(encoding="utf-8").split())
        lines += re.split(r"(?<=[.!?]) (?=[A-Z])", text)[200:500]
    return lines


@pytest.mark.parametrize("texts", [real_news, novels])
def test_real_english_in_the_treebanks_tokens_comes_back(data: Path, texts) -> None:
    lines = treebank_lines(texts(data), vocabulary=2000)
    assert any("<unk>" in line for line in lines)
    check("penn", lines, PENN, left_over=0.05)


@pytest.mark.parametrize("texts", [real_news, novels])
def test_real_english_in_the_billion_words_tokens_comes_back(data: Path, texts) -> None:
    check("billion_words", [billion_words_line(text) for text in texts(data)], BILLION, left_over=0.005)


def test_the_billion_words_of_the_sample_are_as_the_tests_tokeniser_writes_them() -> None:
    from zeroscale.core import paths

    rows = (paths.evals() / "samples" / "lm1b.jsonl").read_text(encoding="utf-8").splitlines()
    for text in [json.loads(row)["text"] for row in rows]:
        assert billion_words_line(RULES["billion_words"].detokenise(text).text) == plain_quotes(text)


@pytest.mark.parametrize(
    ("tokenised", "plain"),
    [
        ("` What is it ? '", "'What is it?'"),
        ("`` I do n't see him , '' said she .", '"I don\'t see him," said she.'),
        ("Bill 's dog ( they 'll say ) ran .", "Bill's dog (they'll say) ran."),
        ("a -LRB- small -RRB- one", "a (small) one"),
    ],
)
def test_treebank_tokens_read_like_text(tokenised: str, plain: str) -> None:
    assert detokenise_treebank(tokenised) == plain
