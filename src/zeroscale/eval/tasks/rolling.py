"""What the task types of long texts share: windows over a text, and the log-probability of each of its parts."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Generic, TypeVar

import numpy as np
from pydantic import Field, model_validator

from zeroscale.eval.engine.requests import RollingLogLikelihood, RollingResult
from zeroscale.eval.tasks.base import Task, TaskOptions

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from zeroscale.model.protocol import TextTokenizer

TextT = TypeVar("TextT", bound="DataclassInstance")
RollingOptionsT = TypeVar("RollingOptionsT", bound="RollingOptions")
PartT = TypeVar("PartT", bound="Part")


class RollingOptions(TaskOptions):
    """How a text longer than the context is cut."""

    window: Annotated[int, Field(gt=0)] | None
    """Tokens of a window; null: as many as the model has positions."""
    stride: Annotated[int, Field(gt=0)] | None
    """By how many tokens windows move on; null: by a whole window. Less gives tokens more context, and costs more."""
    start_token: bool
    """Whether the first token is predicted after the tokenizer's start (GPT-2: `<|endoftext|>`); else it is context
    only."""

    @model_validator(mode="after")
    def _windows_touch(self) -> "RollingOptions":
        if self.window and self.stride and self.stride > self.window:
            raise ValueError(f"stride {self.stride} would leave out tokens between windows of {self.window}")
        return self


@dataclass(frozen=True)
class Part:
    """A part of the text as the model reads it."""

    text: str


class RollingTask(Task[TextT, RollingOptionsT, RollingResult], Generic[TextT, RollingOptionsT, PartT]):
    """All rows make up one example, a text in parts; the parts are the bootstrap's clusters."""

    RECORDS_ARE_CLUSTERS = True

    def __init__(self, options: RollingOptionsT, tokenizer: "TextTokenizer", n_positions: int, seed: int = 0) -> None:
        super().__init__(options, tokenizer, n_positions, seed)
        self._window = min(options.window or n_positions, n_positions)
        self._stride = min(options.stride or self._window, self._window)
        if options.window and options.window > n_positions:
            self.notes.append(f"window {n_positions} instead of {options.window}: the model has no more positions")
        self._last: tuple[TextT, list[PartT], list[RollingLogLikelihood]] | None = None

    @abstractmethod
    def parts(self, example: TextT) -> Sequence[PartT]:
        """The text's parts, in order."""

    def has_separate_parts(self) -> bool:
        """Whether the model reads each part on its own, after a start of its own."""
        return False

    def prepare(self, example: TextT) -> tuple[list[PartT], list[RollingLogLikelihood]]:
        """Parts and requests. Cached, for both are asked for twice and may take a while.

        Texts are encoded as one, however long; no token ends where a part does unless it would in any case.
        """
        if self._last is None or self._last[0] is not example:
            parts = list(self.parts(example))
            texts = [part.text for part in parts]
            ids = self.encode(texts if self.has_separate_parts() else ["".join(texts)])
            start = self.tokenizer.start if self.options.start_token else None
            requests = [RollingLogLikelihood(tuple(tokens), self._window, self._stride, start) for tokens in ids]
            self._last = example, parts, requests
        return self._last[1], self._last[2]

    def requests(self, example: TextT) -> list[RollingLogLikelihood]:
        return self.prepare(example)[1]

    def part_scores(self, example: TextT, answers: Sequence[RollingResult]) -> tuple[np.ndarray, np.ndarray]:
        """Log-probability (nats) and number of scored tokens of each part.

        A token belongs to the part in which its first byte stands.
        """
        parts, requests = self.prepare(example)
        if self.has_separate_parts():
            logprobs = np.array([answer.logprobs.sum() for answer in answers])
            return logprobs, np.array([len(answer.logprobs) for answer in answers])
        ((request,), (answer,)) = requests, answers
        ends = np.cumsum([len(part.text.encode()) for part in parts])
        lengths = self.tokenizer.token_byte_lengths()[np.array(request.tokens, dtype=np.int64)]
        begins = np.cumsum(lengths) - lengths
        if lengths.sum() not in (0, ends[-1]):
            # A normaliser made another text of it (no accents, a space before it): places in it as shares of the whole.
            begins = begins * (ends[-1] / lengths.sum())
        owner = np.searchsorted(ends, begins, side="right").clip(max=len(parts) - 1)
        scored = owner[len(owner) - len(answer.logprobs) :]  # without a start token the first has no score
        logprobs = np.bincount(scored, weights=answer.logprobs, minlength=len(parts))
        return logprobs, np.bincount(scored, minlength=len(parts))
