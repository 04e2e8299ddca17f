"""What every task type does, and the little they share: encoding a context with its continuation."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict

from zeroscale.eval.cards.rows import Row, jsonl
from zeroscale.eval.engine.requests import Answer, Request
from zeroscale.eval.tasks import fewshot

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from zeroscale.eval.metrics.metrics import Measured
    from zeroscale.model.protocol import TextTokenizer

ExampleT = TypeVar("ExampleT", bound="DataclassInstance")
OptionsT = TypeVar("OptionsT", bound="TaskOptions")
AnswerT = TypeVar("AnswerT", bound=Answer)
PartT = TypeVar("PartT")
TokenPair: TypeAlias = "tuple[tuple[int, ...], tuple[int, ...]]"
"""Tokens of a context and of what follows it."""
Record = dict[str, Any]
"""A row of a result's records: column → plain value. Which columns there are is the task type's choice."""
AnyTask: TypeAlias = "Task[Any, Any, Any]"
"""A task of whatever type: its examples are handed back to it and not looked into."""


class TaskOptions(BaseModel):
    """A protocol's choices. Unknown names and wrong types are faults of the card."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Task(ABC, Generic[ExampleT, OptionsT, AnswerT]):
    """One task type with one card's choices, for one tokenizer.

    An example is a frozen dataclass of plain values. A record holds whatever the scores need, so that they can be
    computed again without the model. Every record has `truncated` (tokens that did not fit the model); `eval.records`
    adds `id`, `unit` (the number of its cluster in the bootstrap) and `content`.
    """

    Options: ClassVar[type[TaskOptions]]
    METRICS: ClassVar[tuple[str, ...]]
    """The scores, as the card must list them."""
    RECORDS_ARE_CLUSTERS: ClassVar[bool] = False
    """Whether the bootstrap draws records rather than examples (which matters where an example has several)."""
    DRAWN_FROM_CORPUS: ClassVar[bool] = False
    """Whether the examples are drawn from the corpus that the model was trained on."""
    COLUMNS: ClassVar[tuple[str, ...] | None] = None
    """The fields of a row that examples are made of: what a card's pin covers. None: all."""

    def __init__(self, options: OptionsT, tokenizer: "TextTokenizer", n_positions: int, seed: int = 0) -> None:
        self.options = options
        self.tokenizer = tokenizer
        self.n_positions = n_positions
        self.seed = seed
        self.pool: list[ExampleT] = []
        """What the prompt's examples are drawn from; where it is empty, they are drawn from what is scored."""
        self.pool_name = ""
        self.shots: list[ExampleT] = []
        """The prompt's examples, once `select` has drawn them."""
        self.left_out = 0
        """Examples that are there but not scored."""
        self.adds_special = False
        """Whether texts keep the special tokens that their tokenizer puts around them (OPT's </s>): lm-eval's way."""
        self.notes: list[str] = []
        asked = getattr(options, "max_new_tokens", 0)
        if asked > n_positions // 2 and not getattr(options, "new_first", False):
            self.notes.append(
                f"answers of at most {max(1, n_positions // 2)} tokens instead of {asked}: half of the model's "
                f"{n_positions} positions"
            )
        """Where the protocol had to give way, for the result."""

    @staticmethod
    def parse(paths: list[Path]) -> Iterator[Row]:
        """Rows of the released files. JSON lines, unless the task type overrides this."""
        return jsonl(paths)

    @abstractmethod
    def examples(self, rows: Sequence[Row]) -> list[ExampleT]:
        """Every row, checked; a malformed one is an error that names it."""

    def select(self, examples: list[ExampleT], limit: int | None) -> list[ExampleT]:
        """Those to be scored: the first `limit`, less the protocol's `shots` where they come from the same rows."""
        n = getattr(self.options, "shots", 0)
        split = fewshot.draw(examples, self.pool, n, self.seed)
        self.shots, self.left_out = split.shots, split.left_out
        if n:
            where = self.pool_name if self.pool else "the scored data itself, and left out there"
            self.notes.append(f"{n} examples in each prompt, drawn by seed {self.seed} from {where}")
        return split.rest[:limit]

    def draw(self, examples: list[ExampleT], n: int, seed: int) -> list[ExampleT]:
        """`n` of the examples by seed, in their order; all, where there are no more. A task type whose rows all make
        one example draws from that example's parts."""
        return self.subsample(examples, n, seed)

    def subsample(self, parts: Sequence[PartT], n: int, seed: int) -> list[PartT]:
        """`n` of the parts by seed, in their order; adds a note that says so."""
        places = sorted(Random(seed).sample(range(len(parts)), min(n, len(parts))))
        self.notes.append(f"subset: {len(places):,} of {len(parts):,} drawn by seed {seed}, not the benchmark")
        return [parts[place] for place in places]

    @abstractmethod
    def requests(self, example: ExampleT) -> Sequence[Request]:
        """What the model is asked about an example."""

    @abstractmethod
    def record(self, example: ExampleT, answers: Sequence[AnswerT]) -> list[Record]:
        """Records, one or several, from the answers in the order of `requests`."""

    @staticmethod
    @abstractmethod
    def measure(records: Sequence[Record], options: OptionsT) -> "list[Measured]":
        """Scores of all records. Needs no model."""

    @staticmethod
    def extra_outputs(records: Sequence[Record], options: OptionsT) -> dict[str, object]:
        """What is reported next to the scores and is no score (a curve, a count): JSON values for `Result.extra`."""
        return {}

    def texts(self, example: ExampleT) -> list[str]:
        """What an example says, for a search of the training corpus; no n-gram reaches over the end of a text. By
        default every text in it but its own name."""
        texts: list[str] = []
        for field in fields(example):
            if field.name != "id":
                _gather(getattr(example, field.name), texts)
        return texts

    def fewshot_prefix(self, shot: Callable[[ExampleT], str]) -> str:
        """The text of the prompt's examples; `shot` gives one with its answer and what parts it from the next."""
        return "".join(shot(example) for example in self.shots)

    def pair(self, context: str, target: str) -> TokenPair:
        """`pairs` of one target."""
        return self.pairs(context, [target])[0]

    def pairs(self, context: str, targets: Sequence[str]) -> list[TokenPair]:
        """Tokens of a context and of each text that may follow it, both encoded as one text, whose tail the target is:
        whole[len(tokens of the context):], as in lm-evaluation-harness (`TemplateLM._encode_pair`).

        White space at the context's end belongs to the target, where tokenizers put it. Where a token reaches over the
        seam and leaves the target none of its own, the target begins with that token. Before an empty context the
        start token stands.
        """
        before = context.rstrip()
        texts = [context[len(before) :] + target for target in targets]
        if not before:
            return [((self.tokenizer.start,), tuple(ids)) for ids in self.tokenizer.encode_batch(texts)]
        if self.tokenizer.splits_before_space and all(text[:1] in (" ", "\n") for text in texts):
            first, *ends = self.tokenizer.encode_batch([before, *texts])
            return [(tuple(first), tuple(ids)) for ids in ends]
        first, *wholes = self.encode([before, *(before + text for text in texts)])
        return [self._tail(first, whole) for whole in wholes]

    def _tail(self, first: list[int], whole: list[int]) -> TokenPair:
        if len(whole) > len(first):
            return tuple(first), tuple(whole[len(first) :])
        common = min(_common(first, whole), len(whole) - 1)
        return tuple(whole[:common]) or (self.tokenizer.start,), tuple(whole[common:])

    def prompt(self, head: str, tail: str) -> tuple[tuple[int, ...], int]:
        """Tokens of a prompt encoded as one text, and how many of the last ones make up `tail`."""
        whole, first = self.encode([head + tail, head])
        (last,) = self.tokenizer.encode_batch([tail])
        # Apart from what stands before it a text may have a token more: a space that is put before every text.
        return tuple(whole) or (self.tokenizer.start,), min(len(whole) - _common(first, whole), len(last))

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokens of whole texts; with what the tokenizer puts around them under lm-eval's protocol, which keeps it."""
        return self.tokenizer.encode_whole(texts) if self.adds_special else self.tokenizer.encode_batch(texts)


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two sequences begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (mine, yours) in pairs if mine != yours), min(len(one), len(other)))


def _gather(value: object, texts: list[str]) -> None:
    """Adds the texts in nested lists and tuples."""
    if isinstance(value, str):
        texts.append(value)
    elif isinstance(value, list | tuple):
        for item in value:
            _gather(item, texts)


def truncated(answers: Sequence[Answer]) -> int:
    """Tokens that did not fit, over an example's answers."""
    return sum(getattr(answer, "truncated", 0) + getattr(answer, "unscored", 0) for answer in answers)


def too_short(n_positions: int, max_new_tokens: int) -> str:
    """The note for a model that lm-evaluation-harness would refuse to generate with."""
    return (
        f"lm-evaluation-harness would not generate {max_new_tokens} tokens in a context of {n_positions}: "
        f"here they have {n_positions // 2}, and the prompt the rest"
    )
