"""Task types. A card names one; each is a small module: rows into requests, answers into records, records into scores.

To add one: its module here, its line in `TASK_TYPES`, and its line in report/sections/example_view.py, which says how
the report shows a record.
"""

from typing import TYPE_CHECKING, cast

from zeroscale.core.errors import ZeroscaleError
from zeroscale.eval.tasks.base import AnyTask
from zeroscale.eval.tasks.characters import Characters
from zeroscale.eval.tasks.cloze_word import ClozeWord
from zeroscale.eval.tasks.conversation import Conversation
from zeroscale.eval.tasks.memorisation import Memorisation
from zeroscale.eval.tasks.multiple_choice import MultipleChoice
from zeroscale.eval.tasks.pronoun import Pronoun
from zeroscale.eval.tasks.question_answer import QuestionAnswer
from zeroscale.eval.tasks.stream import Stream
from zeroscale.eval.tasks.summary import Summary
from zeroscale.eval.tasks.translation import Translation

if TYPE_CHECKING:
    from zeroscale.eval.cards.card import Card
    from zeroscale.model.protocol import TextTokenizer

# By the names that cards (their key `family`) and results give them.
TASK_TYPES: dict[str, type[AnyTask]] = {
    "cloze_word": ClozeWord,
    "stream": Stream,
    "multiple_choice": MultipleChoice,
    "conversation": Conversation,
    "summary": Summary,
    "translation": Translation,
    "pronoun": Pronoun,
    "question_answer": QuestionAnswer,
    "characters": Characters,
    "memorisation": Memorisation,
}


def task_type(name: str) -> type[AnyTask]:
    """The class of a task type.

    Raises:
        ZeroscaleError: there is none of that name.
    """
    if name not in TASK_TYPES:
        raise ZeroscaleError(f"there is no task type {name!r}; there are {', '.join(TASK_TYPES)}")
    return TASK_TYPES[name]


def build_task(
    card: "Card", protocol: str, tokenizer: "TextTokenizer | None", n_positions: int, seed: int = 0
) -> AnyTask:
    """A card's task by the choices of a protocol.

    Args:
        tokenizer: None for a task that only reads rows: it can make no requests.

    Raises:
        ZeroscaleError: the card does not offer the protocol.
    """
    task = task_type(card.family)
    options = task.Options.model_validate(card.options(protocol))
    built = task(options, cast("TextTokenizer", tokenizer), n_positions, seed)
    built.adds_special = protocol == "lm-eval"
    return built
