"""Example pairs in the prompt come from newstest2013 where it is at hand; faulty files are named by line."""

from pathlib import Path

import pytest

from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.tokenizer import Tokenizer
from zeroscale.eval.evaluate import score_cards
from zeroscale.eval.results import Result, read_records
from zeroscale.eval.tasks.translation import Translation
from zeroscale.model.gpt import GPT


def write(folder: Path, year: int, rows: int) -> None:
    for language, word in (("en", "word"), ("fr", "mot")):
        lines = "".join(f"{word} {year} {number}\n" for number in range(rows))
        (folder / f"newstest{year}.{language}").write_text(lines, encoding="utf-8")


def score(model: GPT, tokenizer: Tokenizer, folder: Path, protocol: str = "paper") -> Result:
    (result,) = score_cards(
        model,
        tokenizer,
        ["wmt14_en_fr"],
        source="files",
        data_dir=folder,
        out=folder / "out",
        weights_hash="w",
        bootstrap=100,
        protocol=protocol,
        allow_other_data=True,
    )
    return result


def test_pairs_come_from_newstest2013_where_it_is_and_else_from_rows_that_are_then_not_scored(
    model: GPT, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    write(tmp_path, 2014, 8)
    without = score(model, tokenizer, tmp_path)
    assert (without.n, without.left_out) == (3, 5)
    write(tmp_path, 2013, 6)
    beside = score(model, tokenizer, tmp_path)
    assert (beside.n, beside.left_out) == (8, 0)
    assert any("newstest2013.en" in note for note in beside.notes)
    assert beside.key.data_hash != without.key.data_hash


def test_lm_evals_protocol_shows_no_pairs(model: GPT, tokenizer: Tokenizer, tmp_path: Path) -> None:
    write(tmp_path, 2014, 3)
    assert score(model, tokenizer, tmp_path, "lm-eval").n == 3
    rows = read_records(tmp_path / "out", "wmt14_en_fr", "lm-eval")
    assert rows[1]["prompt"] == "English phrase: word 2014 1\nFrench phrase:"


def test_files_of_unequal_length_and_empty_sentences_are_named(
    model: GPT, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    write(tmp_path, 2014, 8)
    french = tmp_path / "newstest2014.fr"
    lines = french.read_text().split("\n")
    french.write_text("\n".join([*lines[:3], "", *lines[4:]]))
    with pytest.raises(ZeroscaleError, match=r"newstest2014.fr, line 4: field 'fr' should be a text that is not empty"):
        score(model, tokenizer, tmp_path)
    french.write_text("\n".join(lines[:5]))
    with pytest.raises(ZeroscaleError, match="as many lines each"):
        score(model, tokenizer, tmp_path)


def test_a_carriage_return_inside_a_line_does_not_end_it(tmp_path: Path) -> None:
    # As `wc -l` and sacrebleu count.
    english = [f"word {number}\n" for number in range(8)]
    french = [f"mot {number}\r\n" for number in range(8)]  # the \r at a line's end is of the end
    english[5], french[2] = "word\r5\n", "mot\r\u20282\r\n"
    for language, lines in (("en", english), ("fr", french)):
        (tmp_path / f"newstest2014.{language}").write_bytes("".join(lines).encode())
    rows = list(Translation.parse([tmp_path / "newstest2014.en", tmp_path / "newstest2014.fr"]))
    assert [row.content["translation"]["en"] for row in rows] == [line[:-1] for line in english]
    assert [row.content["translation"]["fr"] for row in rows] == [line[:-2] for line in french]
