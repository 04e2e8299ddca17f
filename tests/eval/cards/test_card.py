"""Every shipped card is valid; a faulty one names file and field; names resolve."""

from pathlib import Path

import pytest
import yaml

from zeroscale.core import paths
from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.tokenizer import Tokenizer
from zeroscale.eval import tasks
from zeroscale.eval.cards import card as cards
from zeroscale.eval.cards import registry, sources

ROOT = paths.evals().parent


@pytest.mark.parametrize("name", registry.names())
def test_shipped_card_is_valid_and_has_at_least_twelve_samples(name: str) -> None:
    (card,) = registry.resolve([name])
    family = tasks.task_type(card.family)
    options = family.Options.model_validate(card.options("paper"))
    task = family(options, Tokenizer.bytes(), 1024)
    rows = sources.read(card, "sample", None, task.parse)
    assert len(rows.rows) >= 12
    assert task.examples(rows.rows)


@pytest.mark.parametrize("name", registry.names())
def test_every_choice_quotes_the_paper_or_says_assumed(name: str) -> None:
    (card,) = registry.resolve([name])
    for field, choice in card.protocols["paper"].items():
        assert choice.assumed or "'" in choice.says or "context size" in choice.says or "above" in choice.says, field
    assert all(": " in text for text in card.assumptions("paper"))


def test_core_is_the_six_families_in_eight_cards() -> None:
    core = registry.resolve(["core"])
    assert len(core) == 8
    others = {"characters", "pronoun", "question_answer", "memorisation"}
    assert {card.family for card in core} == set(tasks.TASK_TYPES) - others
    assert [card.name for card in registry.resolve(["core", "lambada"])] == [card.name for card in core]


# In the order of its table 3, then of its sections.
TABLE_3 = ["lambada", "cbt_cn", "cbt_ne", "wikitext2", "ptb", "enwik8", "text8", "wikitext103", "lm1b"]
PAPER = [*TABLE_3, "wsc273", "coqa", "cnn_dailymail", "wmt14_en_fr", "wmt14_fr_en", "natural_questions"]


def test_paper_is_every_benchmark_of_the_paper() -> None:
    assert registry.suites()["paper"] == PAPER
    assert [card.name for card in registry.resolve(["paper"])] == PAPER


def test_quick_cards_go_by_names_and_hashes_of_their_own() -> None:
    quick = registry.resolve(["quick"])
    assert [card.name for card in quick] == registry.suites()["quick"]
    for card in quick:
        name = card.name.removesuffix("-quick")
        (whole,) = registry.resolve([name])
        assert name != card.name and "drawn by seed 0" in card.title
        assert card.hash("paper") != whole.hash("paper")
        assert registry.resolve([card.name]) == [card]
    with pytest.raises(ZeroscaleError, match="no card or suite 'lambada-core'"):
        registry.resolve(["lambada-core"])


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"cards": ["lambada"]}, "measures: field required"),
        ({"measures": "x", "cards": []}, "cards"),
        ({"measures": "x", "cards": ["lambada"], "subset": {"seed": 0, "examples": {}}}, "see lambada"),
        (
            {"measures": "x", "cards": ["lambada"], "subset": {"seed": 0, "examples": {"lambada": 0}}},
            "examples.lambada",
        ),
        ({"measures": "x", "cards": ["lambda"]}, "cards that do not exist: lambda"),
        ({"measures": "x", "cards": ["lambada"], "colour": 1}, "colour: no such field"),
    ],
)
def test_a_faulty_suite_names_file_and_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: dict, named: str
) -> None:
    monkeypatch.setattr(paths, "evals", lambda: tmp_path)
    (tmp_path / "suites").mkdir()
    path = tmp_path / "suites" / "mine.yaml"
    path.write_text(yaml.safe_dump(content))
    (tmp_path / "lambada.yaml").write_text((ROOT / "evals" / "lambada.yaml").read_text())
    with pytest.raises(ZeroscaleError) as caught:
        registry.resolve(["mine"])
    assert str(path) in str(caught.value) and named in str(caught.value)


def printed() -> dict[tuple[str, str, str], float]:
    """(card, size, metric) → the paper's number in the card's scale."""
    content = yaml.safe_load((Path(__file__).parents[1] / "paper_numbers.yaml").read_text())
    numbers = {}
    for name, values in content["table_3"].items():
        for size, value in zip(cards.SIZES, values, strict=True):
            numbers[name, size] = value
    numbers |= {(name, "xl"): value for name, value in content["text"].items()}
    for before, values in content["table_4"].items():
        size = "no_model" if before in ("lede_3_", "random_3_") else "xl"
        for metric, value in zip(("rouge1", "rouge2", "rougeL", "rouge_mean"), values, strict=True):
            numbers[f"cnn_dailymail/{before}{metric}", size] = value
    scaled = {}
    for (name, size), value in numbers.items():
        card, _, metric = name.partition("/")
        scaled[card, size, metric.removesuffix(" %")] = value / 100 if metric.endswith("%") else value
    return scaled


@pytest.mark.parametrize("name", registry.names())
def test_a_card_has_the_papers_numbers_and_no_others(name: str) -> None:
    (card,) = registry.resolve([name])
    expected = {(size, metric): value for (of, size, metric), value in printed().items() if of == name}
    found = {
        (size, entry.metric): value
        for entry in card.paper
        for size in (*cards.SIZES, "no_model")
        if (value := getattr(entry, size)) is not None
    }
    assert found == pytest.approx(expected)
    others = yaml.safe_load((Path(__file__).parents[1] / "paper_numbers.yaml").read_text())["reproductions"]
    assert sorted([name, one.size, one.metric, one.value] for one in card.reproductions) == sorted(
        one for one in others if one[0] == name
    )


@pytest.mark.parametrize("name", registry.names())
def test_a_card_says_what_the_whole_benchmark_holds(name: str) -> None:
    (card,) = registry.resolve([name])
    if card.family == "memorisation":
        return  # each corpus has passages of its own
    for source in (card.sources.files, card.sources.hub):
        assert source is None or source.pin is not None
    assert card.licence and card.citation and set(card.metrics)


def test_unknown_name_gives_the_nearest() -> None:
    with pytest.raises(ZeroscaleError, match="did you mean 'lambada'"):
        registry.resolve(["lambda"])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"colour": "red"}, "colour: no such field"),
        ({"licence": None}, "licence"),
        ({"family": "poetry"}, "family: 'poetry' is none of cloze_word"),
        ({"name": "other"}, "name: is 'other', but the file is called"),
        ({"metrics": {"acc": {"direction": "up", "chance": None, "meaning": "x"}}}, "metrics.acc.direction"),
        (
            {"protocols": {"paper": {"window": {"value": 3, "says": "assumed"}}}},
            "protocols.paper.window: no such field",
        ),
        ({"paper": [{"metric": "speed", "source": "nowhere"}]}, "paper.0.metric: 'speed' is not among"),
        (
            {"sources": {"files": {"directory": "x", "names": [["y"]], "pin": {"rows": 0, "called": "z"}}}},
            "files.pin.rows",
        ),
        ({"subset": {"suite": "mine", "examples": 1, "seed": 0}}, "subset: no such field"),
    ],
)
def test_a_mistake_names_file_and_field(tmp_path: Path, change: dict, named: str) -> None:
    content = yaml.safe_load((paths.evals() / "lambada.yaml").read_text())
    path = tmp_path / "lambada.yaml"
    path.write_text(yaml.safe_dump(content | change))
    with pytest.raises(ZeroscaleError) as caught:
        registry.resolve([str(path)])
    assert str(path) in str(caught.value)
    assert named in str(caught.value)


def test_all_faults_come_in_one_message(tmp_path: Path) -> None:
    content = yaml.safe_load((paths.evals() / "lambada.yaml").read_text())
    path = tmp_path / "lambada.yaml"
    path.write_text(yaml.safe_dump(content | {"colour": 1, "unit": ""}))
    with pytest.raises(ZeroscaleError, match=r"(?s)unit.*colour|colour.*unit"):
        registry.load(path)


def test_hash_follows_choices_and_not_prose() -> None:
    (card,) = registry.resolve(["wikitext2"])
    stride = card.protocols["paper"]["stride"].model_copy(update={"value": 32})
    changed = card.model_copy(update={"protocols": {"paper": card.protocols["paper"] | {"stride": stride}}})
    assert changed.hash("paper") != card.hash("paper")
    assert card.model_copy(update={"measures": "something"}).hash("paper") == card.hash("paper")


def test_a_protocol_that_is_not_offered_is_refused() -> None:
    (card,) = registry.resolve(["cnn_dailymail"])
    with pytest.raises(ZeroscaleError, match="no protocol 'lm-eval'; it has: paper"):
        card.options("lm-eval")
