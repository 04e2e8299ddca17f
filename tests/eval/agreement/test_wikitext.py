"""`protocol: lm-eval` of WikiText-2 beside lm-eval's wikitext: its code and model class, the same weights and pages."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import lm_eval_oracle as oracle
from support import released_formats as forms

from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.tokenizer import Tokenizer
from zeroscale.eval.detokenise import lm_eval as ours


@pytest.fixture(scope="module", params=["random", "trained"])
def twin(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> oracle.Twin:
    texts = [" ".join(forms.sentences(100, seed)) for seed in (11, 12)]
    tokenizer = Tokenizer.train_bpe(texts, 400)
    return oracle.twin(
        tmp_path_factory.mktemp("twin"),
        tokenizer,
        texts if request.param == "trained" else (),
        n_positions=96,
        steps=20,
    )


def raw_file(folder: Path) -> Path:
    """Pages in WikiText's raw form; the second is shorter than a window, the last ends with the file."""
    _, lines = forms.wikitext_lines(90, unknown=0.0)
    odd = [" \n", " = Short = \n", " \n", ' " Quotes \' and " ( more ) , 5 ° N 3 @.@ 5 , naïve 猫 . \n']
    path = folder / "wiki.test.raw"
    path.write_text("".join([*lines[:43], *odd, *lines[43:]]), encoding="utf-8")
    return path


def cut(path: Path) -> list[dict[str, str]]:
    """A file's pages by the rule of the data set that lm-eval reads, in words of its own: a page begins at each line
    that, outer white space and the marks of sections apart, is `= … =`."""
    pages, page = [], ""
    for line in path.read_text(encoding="utf-8").split("\n"):
        bare = line.replace("= = =", "===").replace("= =", "==").strip()
        if bare[:2] == "= " and bare[-2:] == " =":
            pages.append(page[:-1])
            page = ""
        page += line + "\n"
    return [{"page": text} for text in [*pages, page[:-1]] if text.strip()]


def compare(twin: oracle.Twin, path: Path, folder: Path, limit: int | None = None) -> None:
    pages = cut(path)
    splits = {split: pages for split in ("test", "validation", "train")}  # it loads all three, and scores the first
    theirs = oracle.evaluate(twin, "wikitext", splits, folder / "theirs", limit=limit)
    result, records = oracle.score(twin, "wikitext2", path.parent, folder / "ours", limit=limit)
    assert len(records) == len(theirs.samples) == (limit or len(pages))
    for row, (loglikelihood,) in zip(records, theirs.responses, strict=True):
        assert row["logprob"] == pytest.approx(loglikelihood, rel=1e-6, abs=1e-4)
    for metric in ("word_perplexity", "byte_perplexity", "bits_per_byte"):
        value, expected = result.metrics[metric].value, theirs.scores[metric]
        assert value == pytest.approx(expected, rel=1e-6)
        assert expected > 1e3 or abs(value - expected) < 1e-4  # four decimals are what lm-eval's table shows
    counts = [sample["word_perplexity"][1] for sample in theirs.samples]
    assert [row["words"] for row in records] == counts
    assert [row["bytes"] for row in records] == [sample["byte_perplexity"][1] for sample in theirs.samples]


def test_log_likelihoods_and_perplexities_are_lm_evals(twin: oracle.Twin, tmp_path: Path) -> None:
    compare(twin, raw_file(tmp_path), tmp_path)


def gpt2(folder: Path, data: Path) -> oracle.Twin:
    return oracle.twin(folder, Tokenizer.load(data / "gpt2_tokenizer"), n_positions=1024, n_layer=1, d_model=16)


def test_real_pages_with_gpt2s_tokenizer_are_lm_evals(data: Path, tmp_path: Path) -> None:
    compare(gpt2(tmp_path / "model", data), data / "wikitext2" / "wiki.test.raw", tmp_path, limit=2)


@pytest.mark.slow
def test_all_real_pages_are_lm_evals(data: Path, tmp_path: Path) -> None:
    """With a small vocabulary: lm-eval holds the probabilities of all of it at every position."""
    path = data / "wikitext2" / "wiki.test.raw"
    tokenizer = Tokenizer.train_bpe([path.read_text(encoding="utf-8")[:200_000]], 1000)
    compare(oracle.twin(tmp_path / "model", tokenizer, n_positions=512, n_layer=1, d_model=16), path, tmp_path)


def test_every_real_page_is_cut_and_detokenised_as_lm_eval_does(data: Path) -> None:
    from lm_eval.tasks.wikitext.preprocess_wikitext import wikitext_detokenizer

    for name, number in {"wiki.test.raw": 62, "wiki.valid.tokens": 60}.items():
        lines = (data / "wikitext2" / name).read_text(encoding="utf-8").split("\n")
        pages = list(ours.pages(lines))
        assert len(pages) == number  # 62 is what lm-eval reports for the test set
        assert [{"page": page} for page in pages] == cut(data / "wikitext2" / name)
        for page in pages:
            assert ours.plain_page(page) == wikitext_detokenizer({"page": page})


@given(st.text("aN1 \n.,:;!?'\"()[]{}=@-°/s", max_size=60))
@settings(max_examples=400, deadline=None)
def test_any_page_is_detokenised_and_counted_as_lm_eval_does(page: str) -> None:
    from lm_eval.tasks.wikitext import preprocess_wikitext as theirs

    assert ours.plain_page(page) == theirs.wikitext_detokenizer({"page": page})
    counts = theirs.process_results({"page": page}, (0.0,))
    assert ours.page_counts(page) == (counts["word_perplexity"][1], counts["byte_perplexity"][1])


@given(st.lists(st.sampled_from([" = T = ", " = = S = = ", "", " ", "text", " = x k = ", "= ="]), max_size=9))
def test_pages_are_cut_alike(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    path = tmp_path_factory.mktemp("cut") / "wiki.test.raw"
    path.write_text("\n".join(lines), encoding="utf-8")
    found = [page for page in ours.pages(lines or [""]) if page.strip()]
    assert [{"page": page} for page in found] == cut(path)


def test_the_form_with_unk_and_a_file_that_is_not_there_are_refused(twin: oracle.Twin, tmp_path: Path) -> None:
    (tmp_path / "wiki.test.tokens").write_text(" \n = One = \n \n a <unk> b \n", encoding="utf-8")
    with pytest.raises(ZeroscaleError, match=r"for: wiki.test.raw"):
        oracle.score(twin, "wikitext2", tmp_path, tmp_path / "ours")
    (tmp_path / "wiki.test.raw").write_text(" \n = One = \n \n a <unk> b \n", encoding="utf-8")
    with pytest.raises(ZeroscaleError, match="another form of it"):
        oracle.score(twin, "wikitext2", tmp_path, tmp_path / "ours")


def test_pages_may_come_from_the_hub_as_rows(twin: oracle.Twin, tmp_path: Path) -> None:
    from zeroscale.eval.cards.rows import Row

    path = raw_file(tmp_path)
    _, ((*from_file,),) = oracle.requests(twin, "wikitext2", tmp_path)
    rows = [Row("here", json.loads(json.dumps(page))) for page in cut(path)]
    from zeroscale.eval import tasks
    from zeroscale.eval.cards import registry as cards

    (card,) = cards.resolve(["wikitext2"])
    family = tasks.task_type(card.family)
    task = family(family.Options(**card.options("lm-eval")), twin.tokenizer, twin.model.config.n_positions)
    assert task.requests(task.examples(rows)[0]) == from_file
    assert math.prod(len(request.tokens) for request in from_file)
