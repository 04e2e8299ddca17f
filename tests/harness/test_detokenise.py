"""WikiText's detokeniser can always be undone; CBT's reads like plain text."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroscale.harness.detokenise import detokenise_line, detokenise_treebank, retokenise

PIECES = [
    *"abXY=,.;:!?()[]'\"$%-–#",
    "@-@",
    "@,@",
    "@.@",
    "...",
    "'s",
    "'t",
    "'Brien",
    "<unk>",
    "U.S.",
    "No.",
    "7",
    "000",
]
tokens = st.one_of(st.sampled_from(PIECES), st.text("aZ5'.,-@=\"é\0", min_size=1, max_size=5))


@given(st.lists(tokens, max_size=25))
@settings(max_examples=600, deadline=None)
def test_retokenising_gives_the_tokens_back(line: list[str]) -> None:
    original = " ".join(" ".join(line).split())
    result = detokenise_line(" " + original + " ")
    if result.exact:
        assert retokenise(result.text) == original
    else:
        assert result.text == original  # left as it is


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
    result = detokenise_line(line)
    assert result.text == text
    assert result.exact


def test_a_line_without_an_inverse_stays() -> None:
    result = detokenise_line(" the 1,000th time ")  # its comma would come back as @,@
    assert result.text == "the 1,000th time"
    assert not result.exact


@pytest.mark.parametrize("name", ["wikitext2/wiki.test.tokens", "wikitext103/wiki.valid.tokens"])
def test_real_lines_come_back_and_few_are_left_as_they_are(data: Path, name: str) -> None:
    lines = [line for line in (data / name).read_text(encoding="utf-8").split("\n") if line.strip()]
    results = [detokenise_line(line) for line in lines]
    for line, result in zip(lines, results, strict=True):
        assert not result.exact or f" {retokenise(result.text)} " == line
    assert sum(not result.exact for result in results) / len(lines) <= 0.005
    left = sum(result.text.count(mark) for result in results for mark in (" @-@ ", " @,@ ", " , "))
    there = sum(line.count(mark) for line in lines for mark in (" @-@ ", " @,@ ", " , "))
    assert left / there < 0.01


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
