"""Families of benchmarks. A card names one; each is a small module: rows into requests, answers into records."""

from typing import TYPE_CHECKING

from zeroscale.core.errors import ZeroscaleError

if TYPE_CHECKING:
    from zeroscale.eval.tasks.base import Task

FAMILIES = (
    "cloze_word",
    "stream",
    "multiple_choice",
    "conversation",
    "summary",
    "translation",
    "pronoun",
    "question_answer",
    "characters",
    "memorisation",
)


def family(name: str) -> "type[Task]":
    """The class of a family."""
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

    classes = (
        ClozeWord,
        Stream,
        MultipleChoice,
        Conversation,
        Summary,
        Translation,
        Pronoun,
        QuestionAnswer,
        Characters,
        Memorisation,
    )
    for name_of, task in zip(FAMILIES, classes, strict=True):
        if name_of == name:
            return task
    raise ZeroscaleError(f"there is no family {name!r}; there are {', '.join(FAMILIES)}")
