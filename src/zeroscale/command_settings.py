"""Settings of the commands that take a checkpoint and make something of it: `sample` and `export`."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

_STRICT = ConfigDict(extra="forbid", strict=True)
Positive = Annotated[int, Field(gt=0)]
Text = Annotated[str, Field(min_length=1)]

_ESCAPES = {"\\n": "\n", "\\t": "\t", "\\\\": "\\"}


def _unescaped(value: Any) -> Any:
    r"""A string alone is a list of one; \n, \t and \\ mean what they mean in most languages."""
    if not isinstance(value, list | tuple):
        value = [value]
    return tuple(
        re.sub(r"\\[nt\\]", lambda match: _ESCAPES[match.group()], one) if isinstance(one, str) else one
        for one in value
    )


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class SampleSettings:
    """A checkpoint, prompts, and how the next token is chosen."""

    checkpoint: Text
    revision: str | None
    prompt: str | None
    prompts_file: Text | None
    out: Text | None
    max_new_tokens: Positive
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    top_k: Positive | None
    top_p: Annotated[float, Field(gt=0, le=1)] | None
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    samples: Positive
    stop: Annotated[tuple[Text, ...], BeforeValidator(_unescaped)]
    batch_size: Positive
    accelerator: Literal["auto", "cpu", "cuda"]
    threads: Positive | None


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class ExportSettings:
    """A run, or one of its checkpoints, and the directory to make of it."""

    checkpoint: Text
    out: Text
