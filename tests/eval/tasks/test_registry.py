"""The registry of task types: what every entry offers, and that the rooms that go by task type know all of them."""

import pytest

from zeroscale.core.errors import ZeroscaleError
from zeroscale.eval import tasks
from zeroscale.eval.cards import registry as cards
from zeroscale.eval.tasks.base import Task
from zeroscale.report.sections import example_view


def test_every_task_type_is_a_task_with_metrics_and_is_used_by_a_card():
    assert all(issubclass(task, Task) and task.METRICS for task in tasks.TASK_TYPES.values())
    assert set(tasks.TASK_TYPES) == {card.family for card in cards.resolve(cards.names())}


def test_every_task_type_has_a_view_in_the_report():
    assert set(example_view._VIEWS) == set(tasks.TASK_TYPES)


def test_an_unknown_one_is_named_with_those_that_there_are():
    with pytest.raises(ZeroscaleError, match=r"no task type 'poetry'; there are cloze_word, .*memorisation"):
        tasks.task_type("poetry")
