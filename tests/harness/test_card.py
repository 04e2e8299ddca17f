"""Every shipped card is valid; a faulty one names file and field; names resolve."""

from pathlib import Path

import pytest
import yaml

from zeroscale import paths
from zeroscale.errors import ZeroscaleError
from zeroscale.harness import card as cards
from zeroscale.harness import sources, tasks
from zeroscale.tokenizer import Tokenizer


@pytest.mark.parametrize("name", cards.names())
def test_shipped_card_is_valid_and_has_at_least_twelve_samples(name: str) -> None:
    (card,) = cards.resolve([name])
    family = tasks.family(card.family)
    options = family.Options.model_validate(card.options("paper"))
    task = family(options, Tokenizer.bytes(), 1024)
    rows = sources.read(card, "sample", None, task.parse)
    assert len(rows.rows) >= 12
    assert task.examples(rows.rows)


@pytest.mark.parametrize("name", cards.names())
def test_every_choice_quotes_the_paper_or_says_assumed(name: str) -> None:
    (card,) = cards.resolve([name])
    for field, choice in card.protocols["paper"].items():
        assert choice.assumed or "'" in choice.says or "context size" in choice.says or "above" in choice.says, field
    assert all(": " in text for text in card.assumptions("paper"))


def test_core_is_the_six_families_in_eight_cards() -> None:
    core = cards.resolve(["core"])
    assert len(core) == 8
    assert {card.family for card in core} == set(tasks.FAMILIES)
    assert [card.name for card in cards.resolve(["core", "lambada"])] == [card.name for card in core]


def test_unknown_name_gives_the_nearest() -> None:
    with pytest.raises(ZeroscaleError, match="did you mean 'lambada'"):
        cards.resolve(["lambda"])


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
    ],
)
def test_a_mistake_names_file_and_field(tmp_path: Path, change: dict, named: str) -> None:
    content = yaml.safe_load((paths.evals() / "lambada.yaml").read_text())
    path = tmp_path / "lambada.yaml"
    path.write_text(yaml.safe_dump(content | change))
    with pytest.raises(ZeroscaleError) as caught:
        cards.resolve([str(path)])
    assert str(path) in str(caught.value)
    assert named in str(caught.value)


def test_all_faults_come_in_one_message(tmp_path: Path) -> None:
    content = yaml.safe_load((paths.evals() / "lambada.yaml").read_text())
    path = tmp_path / "lambada.yaml"
    path.write_text(yaml.safe_dump(content | {"colour": 1, "unit": ""}))
    with pytest.raises(ZeroscaleError, match=r"(?s)unit.*colour|colour.*unit"):
        cards.load(path)


def test_hash_follows_choices_and_not_prose() -> None:
    (card,) = cards.resolve(["wikitext2"])
    stride = card.protocols["paper"]["stride"].model_copy(update={"value": 32})
    changed = card.model_copy(update={"protocols": {"paper": card.protocols["paper"] | {"stride": stride}}})
    assert changed.hash("paper") != card.hash("paper")
    assert card.model_copy(update={"measures": "something"}).hash("paper") == card.hash("paper")


def test_a_protocol_that_is_not_offered_is_refused() -> None:
    (card,) = cards.resolve(["lambada"])
    with pytest.raises(ZeroscaleError, match="no protocol 'lm-eval'; it has: paper"):
        card.options("lm-eval")
