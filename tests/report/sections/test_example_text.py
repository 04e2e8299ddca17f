"""A record that holds no text shows the text it was scored on, where that is at hand, and opens no other file."""

import pyarrow.parquet
import pytest

from zeroscale.core import paths
from zeroscale.report.sections import example_text
from zeroscale.report.views.results import ResultView

SAMPLE = {"source": "sample", "family": "stream", "card": "wikitext2", "origin": ["wikitext2.jsonl"]}


def view(content) -> ResultView:
    return ResultView(0, "run/evals/step-00000000/card.paper.json", content, None)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Real records of an untrained model on two samples, by card."""
    from zeroscale.data.tokenizer import Tokenizer
    from zeroscale.eval.evaluate import score_cards
    from zeroscale.model.config import GPTConfig
    from zeroscale.model.gpt import GPT

    model = GPT(GPTConfig(vocab_size=257, n_positions=128, n_layer=1, d_model=16, n_head=2)).eval()
    out = tmp_path_factory.mktemp("evals")
    options = {"source": "sample", "data_dir": None, "out": out, "weights_hash": "0", "bootstrap": 10}
    cards = ("wikitext2", "ptb", "enwik8")
    results = {
        result.card: view(result.to_json()) for result in score_cards(model, Tokenizer.bytes(), cards, **options)
    }
    rows = {card: pyarrow.parquet.read_table(out / f"{card}.paper.examples.parquet").to_pylist() for card in cards}
    return {card: (results[card], rows[card]) for card in cards}


def test_every_article_of_the_sample_is_found(records):
    result, rows = records["wikitext2"]
    texts = [example_text.find_text(row, result, {}) for row in rows]
    assert all(row["title"] in text for row, text in zip(rows, texts, strict=True))
    assert len(set(texts)) == len(texts) and all(0 < len(text) <= example_text.MAX_LENGTH for text in texts)


def test_blocks_of_lines_and_of_characters_are_found(records):
    result, rows = records["ptb"]
    assert example_text.find_text(rows[0], result, {}).startswith("the mill at low bridge said")
    result, rows = records["enwik8"]
    before, texts = 0, []
    for row in rows:
        texts.append(example_text.find_text(row, result, {}, before))
        before += row["characters"]
    assert texts[0].startswith("<page>\n    <title>Tessel Weir</title>") and len(set(texts)) == len(texts)


def test_released_files_are_read_from_the_runs_data_dir(tmp_path):
    (tmp_path / "wikitext2").mkdir()
    lines = [" ", " = One = ", " ", " first text ", " ", " = Two = ", " ", " second text ", ""]
    (tmp_path / "wikitext2/wiki.test.tokens").write_text("\n".join(lines))
    result = view(SAMPLE | {"source": "files", "origin": ["wiki.test.tokens"]})
    settings = {"data_dir": str(tmp_path)}
    assert example_text.find_text({"title": "Two"}, result, settings) == "= Two =\nsecond text"
    assert example_text.find_text({"title": "One"}, result, settings) == "= One =\nfirst text"
    assert example_text.find_text({"title": "Three"}, result, settings) == ""
    assert example_text.find_text({"title": "Two"}, result, {}) == ""


def test_a_result_opens_no_file_that_its_card_does_not_name(tmp_path):
    (tmp_path / "secret.txt").write_text("= Two =\nsecret")
    for origin in ("secret.txt", "../secret.txt", "wikitext2/../secret.txt"):
        result = view(SAMPLE | {"source": "files", "origin": [origin]})
        assert example_text.find_text({"title": "Two"}, result, {"data_dir": str(tmp_path)}) == ""


def test_a_records_own_text_comes_first():
    assert example_text.find_text({"title": "Two", "text": " its own \n"}, view(SAMPLE), {}) == "its own"


def test_the_samples_are_where_the_cards_say():
    for card in ("wikitext2", "ptb", "enwik8"):
        assert (paths.evals() / f"samples/{card}.jsonl").is_file()
