"""`protocol: lm-eval` of WMT-14 beside wmt14-en-fr and wmt14-fr-en: the same prompts, texts and scores."""

from pathlib import Path

import pytest
import sacrebleu
from support import lm_eval_oracle as oracle

from zeroscale.data.tokenizer import Tokenizer

TASKS = {"wmt14_en_fr": "wmt14-en-fr", "wmt14_fr_en": "wmt14-fr-en"}


def sentence(seed: int) -> str:
    return oracle.made_text(seed, 7).replace("\n", " ").strip(" ,")


def pairs(begin: int, count: int) -> list[dict[str, str]]:
    """English that is made up, and "French" that is the same words the other way round."""
    english = [sentence(seed) for seed in range(begin, begin + count)]
    return [{"en": text, "fr": " ".join(text.split()[::-1])} for text in english]


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Both tasks' prompts with their answers, so that a model trained on them learns to end a line."""
    rows = pairs(1000, 160)
    forms = [
        f"English phrase: {row['en']}\nFrench phrase: {row['fr']}\n"
        f"French phrase: {row['fr']}\nEnglish phrase: {row['en']}\n"
        for row in rows
    ]
    return ["".join(forms[at : at + 40]) for at in range(0, len(forms), 40)]


@pytest.fixture(scope="module")
def trained(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> oracle.Twin:
    folder = tmp_path_factory.mktemp("trained")
    return oracle.twin(folder, Tokenizer.train_bpe(texts, 330), texts, n_positions=320, steps=120)


@pytest.fixture(scope="module", params=["random", "trained"])
def twin(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> oracle.Twin:
    if request.param == "trained":
        return request.getfixturevalue("trained")
    return oracle.twin(tmp_path_factory.mktemp("random"), Tokenizer.bytes(), n_positions=320)


def write(folder: Path, rows: list[dict[str, str]]) -> Path:
    folder.mkdir()
    for language in ("en", "fr"):
        lines = "".join(row[language] + "\n" for row in rows)
        (folder / f"newstest2014.{language}").write_text(lines, encoding="utf-8")
    return folder


def read(folder: Path, limit: int | None = None) -> list[dict[str, dict[str, str]]]:
    columns = [(folder / f"newstest2014.{name}").read_text(encoding="utf-8").split("\n")[:-1] for name in ("en", "fr")]
    return [{"translation": {"en": en, "fr": fr}} for en, fr in list(zip(*columns, strict=True))[:limit]]


def compare(twin: oracle.Twin, card: str, files: Path, folder: Path, limit: int | None = None) -> list[str]:
    rows = read(files, limit)
    # Its task wants all three splits; without example pairs in the prompt only `test` is read.
    theirs = oracle.evaluate(twin, TASKS[card], dict.fromkeys(("train", "validation", "test"), rows), folder / "theirs")
    result, records = oracle.score(twin, card, files, folder / "ours", limit=limit)
    assert len(records) == len(theirs.samples) == len(rows)
    for record, sample, (text,) in zip(records, theirs.samples, theirs.responses, strict=True):
        assert record["prompt"] == sample["arguments"][0][0]
        assert record["prediction"] == text
    for name in ("bleu", "chrf", "ter"):
        assert result.metrics[name].value == pytest.approx(theirs.scores[name], rel=1e-12)
    return [record["prediction"] for record in records]


@pytest.mark.parametrize("card", TASKS)
def test_prompts_texts_and_scores_are_lm_evals(twin: oracle.Twin, card: str, tmp_path: Path) -> None:
    compare(twin, card, write(tmp_path / "files", pairs(0, 10)), tmp_path)


def test_some_texts_end_at_a_line_break_and_some_words_are_right(trained: oracle.Twin, tmp_path: Path) -> None:
    # Else equal texts and scores would say little.
    files = write(tmp_path / "files", pairs(1000, 20))
    predictions = compare(trained, "wmt14_en_fr", files, tmp_path)
    assert any(0 < len(text) < 60 for text in predictions)
    result, _ = oracle.score(trained, "wmt14_en_fr", files, tmp_path / "again")
    assert result.metrics["chrf"].value > 2


def test_a_prompt_that_does_not_fit_keeps_its_end_and_256_tokens_of_room(twin: oracle.Twin, tmp_path: Path) -> None:
    rows = [{"en": " ".join([row["en"]] * 12), "fr": row["fr"]} for row in pairs(0, 6)]
    files = write(tmp_path / "files", rows)
    compare(twin, "wmt14_en_fr", files, tmp_path)
    result, _ = oracle.score(twin, "wmt14_en_fr", files, tmp_path / "again")
    assert result.truncated == 6


def test_a_context_that_lm_eval_would_refuse_is_scored_and_said(tmp_path: Path) -> None:
    twin = oracle.twin(tmp_path / "twin", Tokenizer.bytes(), n_positions=256)
    result, _ = oracle.score(twin, "wmt14_en_fr", write(tmp_path / "files", pairs(0, 2)), tmp_path / "ours")
    assert any("would not generate 256 tokens in a context of 256" in note for note in result.notes)


@pytest.mark.parametrize("card", TASKS)
def test_real_sentences_agree(data: Path, card: str, tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(data / "gpt2_tokenizer")
    twin = oracle.twin(tmp_path / "twin", tokenizer, n_positions=512, n_layer=1, d_model=16)
    compare(twin, card, data / "wmt14_fr_en", tmp_path, limit=6)


def test_every_real_sentence_is_asked_as_lm_eval_asks_it(data: Path, tmp_path: Path) -> None:
    """All 3,003 prompts both ways, token by token, without a model."""
    tokenizer = Tokenizer.load(data / "gpt2_tokenizer")
    twin = oracle.twin(tmp_path / "twin", tokenizer, n_positions=1024, d_model=4)
    files = data / "wmt14_fr_en"
    for card, name in TASKS.items():
        rows = dict.fromkeys(("train", "validation", "test"), read(files))
        task = oracle.load(name, rows, tmp_path / card)
        examples, requests = oracle.requests(twin, card, files)
        assert len(examples) == len(task.eval_docs) == 3003
        prompts = [task.doc_to_text(doc) for doc in task.eval_docs]
        assert [list(request[0].prompt) for request in requests] == twin.lm.tokenizer(prompts)["input_ids"]
        assert [" " + example.target for example in examples] == [task.doc_to_target(doc) for doc in task.eval_docs]


def test_bleu_chrf_and_ter_of_real_sentences_are_sacrebleus(data: Path) -> None:
    """Against its own corpus scores, for predictions good, bad, short and empty."""
    from zeroscale.eval.metrics.metrics import Bleu
    from zeroscale.eval.metrics.translation import ChrF, TranslationEditRate

    rows = [row["translation"] for row in read(data / "wmt14_fr_en", 200)]
    references = [row["fr"] for row in rows]
    shortened = [" ".join(text.split()[: i % 9]) for i, text in enumerate(references)]
    swapped = [*references[1:], references[0]]
    for predictions in ([row["en"] for row in rows], shortened, swapped, references, [""] * 200, ["x"] * 200):
        several = [[text] for text in references]
        for ours, theirs, wanted in (
            (Bleu(), sacrebleu.corpus_bleu, several),
            (ChrF(), sacrebleu.corpus_chrf, references),
            (TranslationEditRate(), sacrebleu.corpus_ter, references),
        ):
            (score,) = ours.compute(predictions=predictions, references=wanted).values()
            assert score == pytest.approx(theirs(predictions, [references]).score, rel=1e-12, abs=1e-12)
