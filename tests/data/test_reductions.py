"""What of a run is less than was asked for is said in a line each."""

from types import SimpleNamespace

from zeroscale.data.corpus_notes import reductions


def settings(**trainer: int | None) -> SimpleNamespace:
    chosen = {"tokens": 262_144, "val_tokens": 16_384, "score_every": None, "keep_every_tokens": None} | trainer
    return SimpleNamespace(trainer=SimpleNamespace(**chosen), context=32, steps=256)


def index(documents: int = 100, held_out: int = 50_000, train: int = 1_000_000) -> dict[str, object]:
    return {"splits": {"train": {"tokens": train}, "val": {"tokens": held_out, "documents": documents}}}


def test_what_is_as_large_as_asked_for_is_not_spoken_of():
    assert reductions(settings(), index()) == []
    # Each token but the first is scored once.
    assert reductions(settings(), index(held_out=16_385)) == []


def test_a_held_out_split_that_is_too_small_is_counted_in_windows():
    (line,) = reductions(settings(), index(held_out=161 * 32 + 1))
    assert "161 windows of 32 tokens instead of the 512 of trainer.val_tokens=16384" in line


def test_a_held_out_split_of_a_document_or_a_few():
    (line,) = reductions(settings(), index(documents=1))
    assert "all of it is one document" in line and "data.val_fraction" in line
    (line,) = reductions(settings(), index(documents=3))
    assert "3 documents" in line
    # A corpus without held-out text has none to be small.
    assert reductions(settings(), index(documents=0, held_out=0)) == []


def test_a_corpus_that_is_read_again():
    (line,) = reductions(settings(), index(train=100_000))
    assert "100,000 tokens, read 2.62 times for trainer.tokens=262144" in line


def test_intervals_that_no_step_of_the_run_reaches():
    scored, kept = reductions(settings(score_every=256, keep_every_tokens=300_000), index())
    assert "trainer.score_every=256 is not below the run's 256 steps" in scored
    assert "trainer.keep_every_tokens=300000" in kept
