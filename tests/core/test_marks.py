"""Marks as values, and in the words that results on disk hold for them."""

import pytest

from zeroscale.core import marks
from zeroscale.core.marks import Mark

DRAWN: marks.SubsetJson = {"suite": "quick", "examples": 1000, "seed": 0}


@pytest.mark.parametrize(
    ("fields", "kinds", "text"),
    [
        ({"source": "files", "data": "500 stories, content as pinned"}, [], ""),
        ({"source": "sample"}, [Mark.SAMPLE], "SAMPLE, no benchmark"),
        ({"source": "corpus"}, [Mark.HELD_OUT], "held-out text"),
        ({"data": "part: 150 of 500 (a slice; of 3)"}, [Mark.PART], "PART: 150 of 500 (a slice; of 3)"),
        (
            {"source": "files", "data": "the card pins no content (sha256 here: ab)", "family": "cloze_word"},
            [Mark.UNPINNED],
            "UNPINNED, the card pins no content",
        ),
        ({"source": "files", "data": "the card pins no content (sha256 here: ab)", "family": "memorisation"}, [], ""),
        (
            {"data": "other data: another split", "limit": 5000},
            [Mark.OTHER_DATA, Mark.LIMITED],
            "OTHER DATA: another split; LIMITED to the first 5,000",
        ),
        (
            {"source": "sample", "subset": DRAWN, "limit": 2},
            [Mark.SAMPLE, Mark.SUBSET, Mark.LIMITED],
            "SAMPLE, no benchmark; SUBSET quick, 1,000 drawn; LIMITED to the first 2",
        ),
    ],
)
def test_the_fields_of_a_result_give_its_marks_and_their_words(fields, kinds, text):
    found = marks.reasons_of(fields)
    assert [reason.mark for reason in found] == kinds
    assert marks.text(found) == text


@pytest.mark.parametrize("mark", [Mark.PART, Mark.OTHER_DATA])
def test_the_mark_of_data_is_read_as_it_was_written(mark):
    assert marks.data_mark(marks.data_words(mark, "150 of 500 stories")) is mark


def test_an_older_file_that_only_says_it_is_a_sample_is_one():
    assert [reason.mark for reason in marks.reasons_of({"is_sample": True})] == [Mark.SAMPLE]
