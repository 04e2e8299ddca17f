"""Plain values to strict settings, with every fault in one message."""

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from zeroscale.config import size_rules
from zeroscale.config.optimizer import ScheduleConfig
from zeroscale.config.raw import RawConfig
from zeroscale.config.train import RESERVED_STUDIES, TrainConfig
from zeroscale.config.trainer import InitFromConfig, TrainerConfig
from zeroscale.core import nodes
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.format import escaped

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")


def build_config(kind: type[T], raw: Mapping[str, object], device_counts: Mapping[str, int] | None = None) -> T:
    """Strict settings from plain values.

    `device_counts` ({"cpu": …, "cuda": …}) adds the check that the machine has the devices asked for.

    Raises:
        ZeroscaleError: one message with every fault: unknown keys, wrong types, missing values, combinations that
            cannot work.
    """
    values: RawConfig = dict(raw)
    if isinstance(values.get("cards"), str):
        values["cards"] = [values["cards"]]
    faults: list[str] = []
    if kind is TrainConfig:
        values, faults = size_rules.resolve(values)
    settings: T | None = None
    if text_faults := list(_text_faults(values)):
        raise _refusal(text_faults)
    try:
        settings = _strict(kind, values)
    except ValidationError as error:
        faults += [_plain_fault(fault) for fault in error.errors()]
    if kind is TrainConfig:
        parts = settings if isinstance(settings, TrainConfig) else _valid_parts(TrainConfig, values)
        faults += combination_faults(parts, device_counts)
    if faults:
        raise _refusal(faults)
    assert settings is not None
    return settings


def _refusal(faults: list[str]) -> ZeroscaleError:
    return ZeroscaleError("\n".join(["the settings do not work:", *(f"  - {fault}" for fault in faults)]))


def _text_faults(value: object, where: str = "") -> Iterator[str]:
    """Keys and texts that no record can hold: bytes that are not UTF-8, and the character NUL."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _text_faults(key, where or "a key")
            yield from _text_faults(item, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _text_faults(item, where)
    elif isinstance(value, str) and re.search("[\ud800-\udfff\0]", value):
        shown = value if len(value) <= 60 else value[:59] + "…"
        yield (
            f"{where}={shown!r}: holds the character NUL, which no name may have"
            if "\0" in value
            else f"{where}='{escaped(shown)}': is not UTF-8, and records are; give the file a name in UTF-8, or a "
            "symbolic link that has one"
        )


def _strict(kind: type[T], value: object) -> T:
    # By way of JSON, where strictness concerns the scalars: a mapping may become a dataclass, a list a tuple.
    return TypeAdapter(kind).validate_json(json.dumps(value))


def _plain_fault(fault: ErrorDetails) -> str:
    # A union's tag ("files" in data.files.path) is pydantic's, not a key of the user's YAML.
    tags = {"bpe", "bytes", "gpt2", "stdlib", "files", "hub"}
    keys = [str(part) for index, part in enumerate(fault["loc"]) if not (index == 1 and part in tags)]
    where = ".".join(keys)
    if fault["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"{where}: unknown key; take it out or check its spelling"
    if fault["type"] in ("missing", "missing_argument"):
        return f"{where}: missing; give it as {where}=…"
    value = repr(fault["input"])
    shown = value if len(value) <= 60 else value[:57] + "…"
    message = fault["msg"].removeprefix("Value error, ")
    return f"{where}={shown}: {message[0].lower()}{message[1:]}"


class ValidParts:
    """The settings that are valid on their own, so that their combinations are checked beside the others' faults; all
    others are None."""

    def __init__(self, parts: dict[str, object]) -> None:
        self.__dict__.update(parts)

    def __getattr__(self, name: str) -> None:
        return None


def _valid_parts(kind: "type[DataclassInstance]", raw: object) -> ValidParts:
    parts: dict[str, object] = {}
    for field in dataclasses.fields(kind):
        if not isinstance(raw, Mapping) or field.name not in raw:
            continue
        try:
            parts[field.name] = _strict(cast(type[object], field.type), raw[field.name])
        except ValidationError:
            if isinstance(field.type, type) and dataclasses.is_dataclass(field.type):
                parts[field.name] = _valid_parts(field.type, raw[field.name])
    return ValidParts(parts)


def combination_faults(settings: TrainConfig | ValidParts, device_counts: Mapping[str, int] | None = None) -> list[str]:
    """Values that are valid one by one and impossible together. Those that are None are passed over."""
    faults: list[str] = []
    nothing = ValidParts({})
    model, trainer = settings.model or nothing, settings.trainer or nothing
    tokenizer, schedule = settings.tokenizer or nothing, settings.schedule or nothing
    if settings.study in RESERVED_STUDIES:
        faults.append(f"study={settings.study}: that folder of outputs/ holds other things; choose another name")
    if model.d_model and model.n_head and model.d_model % model.n_head:
        faults.append(f"model.d_model={model.d_model} is not divisible by model.n_head={model.n_head}")
    if model.vocab_size and tokenizer.vocab_size and model.vocab_size < tokenizer.vocab_size:
        faults.append(
            f"model.vocab_size={model.vocab_size} is smaller than the tokenizer's {tokenizer.vocab_size}; "
            "null takes the tokenizer's"
        )
    if trainer.context_length and model.n_positions and trainer.context_length > model.n_positions:
        faults.append(
            f"trainer.context_length={trainer.context_length} is longer than model.n_positions={model.n_positions}"
        )
    faults += _batch_faults(trainer, trainer.context_length or model.n_positions)
    if schedule.warmup_tokens and trainer.tokens and schedule.warmup_tokens >= trainer.tokens:
        faults.append(
            f"schedule.warmup_tokens={schedule.warmup_tokens} does not end before trainer.tokens={trainer.tokens}"
        )
    faults += _run_faults(trainer)
    faults += _schedule_faults(schedule, trainer, settings.init_from or nothing)
    if settings.cards and settings.cards_from == "files" and not settings.data_dir:
        faults.append("cards_from=files needs data_dir=DIR, the folder of the benchmarks' own files")
    if device_counts and trainer.devices:
        faults += _device_faults(trainer, device_counts)
    return faults


def _batch_faults(trainer: TrainerConfig | ValidParts, context: int | None) -> list[str]:
    faults: list[str] = []
    tokens, batch, devices, micro = (
        trainer.tokens,
        trainer.batch_tokens,
        trainer.devices or 1,
        trainer.micro_batch_tokens,
    )
    if tokens and batch and tokens % batch:
        below = tokens // batch * batch
        near = f"{below} or {below + batch}" if below else f"{batch}"
        faults.append(
            f"trainer.tokens={tokens} is not a whole number of batches of trainer.batch_tokens={batch}; {near} would be"
        )
    if not (batch and context):
        return faults
    unit = context * devices
    if batch % unit:
        near = str(max(unit, round(batch / unit) * unit))
        faults.append(
            f"trainer.batch_tokens={batch} is not divisible by context × devices = {context} × {devices}; "
            f"{near} would be"
        )
    elif micro:
        rows = batch // unit
        if micro % context or rows % (micro // context):
            faults.append(
                f"trainer.micro_batch_tokens={micro} does not divide a device's share of a batch, {rows} rows of "
                f"{context} tokens, into equal parts of whole rows; null chooses one that does"
            )
    return faults


def _run_faults(trainer: TrainerConfig | ValidParts) -> list[str]:
    faults: list[str] = []
    if trainer.strategy == "fsdp" and trainer.devices == 1:
        faults.append("trainer.strategy=fsdp shards a model over devices: give trainer.devices=2 or more, or use auto")
    if trainer.keep_every_tokens and trainer.batch_tokens and trainer.keep_every_tokens % trainer.batch_tokens:
        faults.append(
            f"trainer.keep_every_tokens={trainer.keep_every_tokens} is not a whole number of batches of "
            f"trainer.batch_tokens={trainer.batch_tokens}"
        )
    if trainer.keep_best and trainer.checkpoint_every and trainer.checkpoint_every % (trainer.val_every or 1):
        faults.append(
            f"trainer.keep_best compares checkpoints by their validation loss: trainer.checkpoint_every="
            f"{trainer.checkpoint_every} must be a multiple of trainer.val_every={trainer.val_every}"
        )
    return faults


def _schedule_faults(
    schedule: ScheduleConfig | ValidParts, trainer: TrainerConfig | ValidParts, start: InitFromConfig | ValidParts
) -> list[str]:
    faults: list[str] = []
    tokens, batch = trainer.tokens, trainer.batch_tokens
    if not (tokens and batch):
        return faults
    steps = tokens // batch
    decay = batch * (steps - max(1, round(steps * (schedule.decay_fraction or 0.2))))
    if schedule.name == "wsd" and schedule.warmup_tokens and schedule.warmup_tokens > decay:
        faults.append(
            f"schedule.warmup_tokens={schedule.warmup_tokens} does not end before the decay begins, at {decay} tokens"
        )
    if start.run is None:
        faults += [f"init_from.{key} needs init_from.run" for key in ("tokens", "trunk_tokens") if getattr(start, key)]
        return faults
    for key in ("tokens", "trunk_tokens"):
        if (value := getattr(start, key)) and value % batch:
            faults.append(f"init_from.{key}={value} is not a whole number of batches of trainer.batch_tokens={batch}")
    if start.run != "trunk":
        if not start.tokens or start.tokens >= tokens:
            faults.append(f"init_from.run needs init_from.tokens, fewer than trainer.tokens={tokens}")
        return faults
    if schedule.name != "wsd":
        faults.append(f"init_from.run=trunk belongs to schedule=wsd, not to {schedule.name}")
    elif start.tokens and start.tokens > decay:
        faults.append(f"init_from.tokens={start.tokens} lies in the decay, which begins at {decay} tokens")
    elif not start.trunk_tokens or start.trunk_tokens < (start.tokens or decay):
        faults.append(f"init_from.run=trunk needs init_from.trunk_tokens of at least {start.tokens or decay}")
    return faults


def _device_faults(trainer: TrainerConfig | ValidParts, counts: Mapping[str, int]) -> list[str]:
    kind = trainer.accelerator
    if kind == "auto":
        kind = "cuda" if counts["cuda"] else "cpu"
    machines = nodes.detect_nodes().count
    if not kind or not trainer.devices or trainer.devices <= counts[kind] * machines:
        return []
    devices = f"{counts[kind]} {'CPU core' if kind == 'cpu' else 'GPU'}{'' if counts[kind] == 1 else 's'}"
    have = f"this machine has {devices}" if machines == 1 else f"{machines} machines have {devices} each"
    return [f"trainer.devices={trainer.devices} on trainer.accelerator={trainer.accelerator}: {have}"]
