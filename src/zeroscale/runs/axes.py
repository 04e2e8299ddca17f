"""What a study varied: the settings in which its runs differ, and those among them that were chosen on purpose.

Read from the runs' own config.yaml and manifest.json, never from a command: a second command adds runs to a study.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from zeroscale.config.hashing import NEUTRAL, NOT_HASHED, OF_DIRECTORY
from zeroscale.core.format import SPACE, scaled
from zeroscale.core.own.code import is_own

if TYPE_CHECKING:
    from zeroscale.runs.run import Run

Value = str | int | float | bool | None
"""Of a setting; a list as its JSON text."""
Kind = Literal["size", "setting", "tokens", "seed"]

SIZE, TOKENS, CODE, CORPUS = "model.name", "trainer.tokens", "code", "corpus"
SEEDS = ("seed",)
"""Settings whose values are repeats of one experiment."""
GROUPS = ("model", "tokenizer", "data", "optimizer", "schedule", "trainer", "init_from")
# Within a group, the settings that stand for what was chosen: the others follow from them.
_NAMES = ("name", "kind", "dataset", "path")
# Settings that others may follow from, with the prefixes of those.
_FOLLOW = {TOKENS: ("schedule.", "init_from."), "tokenizer.kind": ("model.vocab_size",)}
# What a reader calls a setting; others are called by the last part of their key, where that is unique.
_SHORT = {SIZE: "model", "tokenizer.vocab_size": "vocab_size"}


@dataclass(frozen=True)
class Axis:
    """A setting that a study varied: its dotted key, what a reader calls it, and its values in order.

    `kind`: "size" is the model's name, "tokens" the length of training, "seed" a repeat, "setting" all else.
    """

    key: str
    short: str
    kind: Kind
    values: tuple[Value, ...]


class Axes:
    """What the runs of a study differ in.

    `columns` are all settings (dotted keys, in a fixed order) in which they do; `varied` the axes: those that no other
    explains. A setting is explained by the model's name where all runs of a model share it, and by the name of its
    group (`optimizer.name`) or the training tokens (a warm-up) likewise. A corpus and a tokenizer count by their
    content, however their paths are spelt: `corpus` is a column where equal settings stand for different content;
    `code` where runs were made by different code, those that did not record it aside.
    """

    def __init__(self, runs: Iterable["Run"]) -> None:
        self.runs = list(runs)
        self._values = {run.name: flat(run.settings) for run in self.runs}
        self._unify("data.", {run.name: run.manifest.get("corpus", {}).get("fingerprint") for run in self.runs})
        self._unify("tokenizer.", {run.name: run.manifest.get("tokenizer", {}).get("fingerprint") for run in self.runs})
        self._add_content()

    def _unify(self, group: str, fingerprints: Mapping[str, str | None]) -> None:
        """Gives the runs of one content the settings of `group` that the first of them has."""
        first: dict[str, dict[str, Value]] = {}
        for run in self.runs:
            values, fingerprint = self._values[run.name], fingerprints[run.name]
            if fingerprint is None:
                continue
            own = {key: value for key, value in values.items() if key.startswith(group)}
            known = first.setdefault(fingerprint, own)
            for key in own:
                values.pop(key)
            values.update(known)

    def _add_content(self) -> None:
        """Adds `code`, and `corpus` where equal settings stand for different content."""
        by_settings: dict[str, set[str]] = {}
        recorded: dict[str, str] = {}
        for run in self.runs:
            values = self._values[run.name]
            values[CODE] = run.code_hash and run.code_hash[:8]
            fingerprint = run.manifest.get("corpus", {}).get("fingerprint")
            if fingerprint is not None:
                settings = [item for item in sorted(values.items()) if item[0].startswith(("data.", "tokenizer."))]
                by_settings.setdefault(json.dumps(settings), set()).add(fingerprint)
                recorded[run.name] = fingerprint
        if any(len(found) > 1 for found in by_settings.values()):
            for name, fingerprint in recorded.items():
                self._values[name][CORPUS] = fingerprint[:8]

    def value(self, run: "Run", key: str) -> Value:
        """A run's setting by dotted key; what an older version did not record has the value that it stood for."""
        return self._values[run.name].get(key, _neutral(key))

    def has(self, key: str) -> bool:
        """Whether any run records this setting."""
        return any(key in values for values in self._values.values())

    @cached_property
    def columns(self) -> tuple[str, ...]:
        keys = {key for values in self._values.values() for key in values}
        differing = [key for key in keys if len(self._distinct(key)) > 1]
        return tuple(sorted(differing, key=_order))

    @cached_property
    def varied(self) -> tuple[Axis, ...]:
        """Size first, then settings, tokens and seeds."""
        keys = [key for key in self.columns if not self._is_explained(key)]
        found = [Axis(key, self._short(key, keys), _kind(key), self._distinct(key)) for key in keys]
        order: tuple[Kind, ...] = ("size", "setting", "tokens", "seed")
        return tuple(sorted(found, key=lambda axis: order.index(axis.kind)))

    @property
    def size(self) -> Axis | None:
        return next((axis for axis in self.varied if axis.kind == "size"), None)

    @property
    def tokens(self) -> Axis | None:
        return next((axis for axis in self.varied if axis.kind == "tokens"), None)

    @property
    def seeds(self) -> tuple[Axis, ...]:
        """Those over whose values runs are repeats of each other."""
        return tuple(axis for axis in self.varied if axis.kind == "seed")

    @property
    def settings(self) -> tuple[Axis, ...]:
        """Those among whose values a law of size and tokens has to choose."""
        return tuple(axis for axis in self.varied if axis.kind == "setting")

    @cached_property
    def labels(self) -> dict[str, str]:
        """What a reader calls each run, by its name; unique."""
        return {run.name: self._plain_label(run) + self.suffix(run) for run in self.runs}

    def suffix(self, run: "Run") -> str:
        """ " (9b9ac34f)", the hash of a run's name, where nothing that was varied tells it from another; else ""."""
        return f" ({run.name.rpartition('-')[2]})" if self._uses[self._plain_label(run)] > 1 else ""

    @cached_property
    def _uses(self) -> Counter[str]:
        return Counter(self._plain_label(run) for run in self.runs)

    def label(self, run: "Run") -> str:
        """ "pocket-s lr=0.003 seed=0": the model and what was varied. The hash of its name comes last, where nothing
        else tells it from another run."""
        return self.labels[run.name]

    def _plain_label(self, run: "Run") -> str:
        model = run.model
        if not model:
            return run.name
        axes = [axis for axis in self.varied if axis.kind != "size"]
        return " ".join([model, *(self.text(axis.key, self.value(run, axis.key)) for axis in axes)])

    def text(self, key: str, value: Value) -> str:
        """ "lr=0.003"; a count of tokens in millions where that tells the study's values apart."""
        axis = next((axis for axis in self.varied if axis.key == key), None)
        short = axis.short if axis else self._short(key, [key])
        shown = show(value)
        if axis and key.endswith("tokens") and isinstance(value, int):
            texts = {_scaled(known) for known in axis.values}
            shown = _scaled(value) if len(texts) == len(axis.values) else shown
        return f"{short}={shown}"

    def _distinct(self, key: str) -> tuple[Value, ...]:
        found = {self._values[run.name].get(key, _neutral(key)) for run in self.runs}
        if key in (CODE, CORPUS):
            found.discard(None)
        return tuple(sorted(found, key=value_order))

    def _is_explained(self, key: str) -> bool:
        if key == CODE and (own := self._own_code()):
            return self._follows(key, own)
        if key == SIZE or key in SEEDS or key in (CODE, CORPUS):
            return False
        given = [SIZE] if SIZE in self.columns else []
        if given and self._follows(key, given):
            return True
        return any(self._follows(key, [*given, other]) for other in self._explaining(key))

    def _own_code(self) -> list[str]:
        """The settings by which runs differ and that name Python of the user's own, whose files count in the code."""
        names = [key for key in ("optimizer.name", "schedule.name") if key in self.columns]
        return [key for key in names if any(is_own(str(value)) for value in self._distinct(key))]

    def _explaining(self, key: str) -> list[str]:
        """The settings that may explain this one, and differ between the runs."""
        group, _, leaf = key.partition(".")
        rank = _NAMES.index(leaf) if leaf in _NAMES else len(_NAMES)
        others = [f"{group}.{name}" for name in _NAMES[:rank]] if group != "model" else []
        others += [other for other, prefixes in _FOLLOW.items() if key.startswith(prefixes)]
        return [other for other in others if other in self.columns and other != key]

    def _follows(self, key: str, others: Sequence[str]) -> bool:
        """Whether the other settings decide this one."""
        seen: dict[tuple[Value, ...], Value] = {}
        for run in self.runs:
            given = tuple(self.value(run, other) for other in others)
            if seen.setdefault(given, self.value(run, key)) != self.value(run, key):
                return False
        return True

    def _short(self, key: str, keys: Sequence[str]) -> str:
        group, _, leaf = key.rpartition(".")
        if key in _SHORT or not group:
            return _SHORT.get(key, key)
        if leaf in _NAMES:
            named = [other for other in keys if other.startswith(f"{group}.") and other.rpartition(".")[2] in _NAMES]
            return group if len(named) < 2 else key
        same = [other for other in keys if other.rpartition(".")[2] == leaf]
        return leaf if len(same) < 2 else key


def flat(settings: Mapping[str, object]) -> dict[str, Value]:
    """What of a run's settings can change its result, and its model's name, by dotted key."""
    found: dict[str, Value] = {}
    _flatten(settings, "", found)
    for key in (*NOT_HASHED, *OF_DIRECTORY):
        if key != SIZE:
            found.pop(key, None)
    return {
        key: value
        for key, value in found.items()
        if not key.startswith(_LEFT_OUT) and (key not in NEUTRAL or value != _neutral(key))
    }


# Groups of which nothing can change a result; of init_from, the directory of its parent.
_LEFT_OUT = ("places.", *(f"{key}." for key in NOT_HASHED if "." not in key and key != "init_from"), "init_from.run")


def _flatten(node: Mapping[str, object], prefix: str, into: dict[str, Value]) -> None:
    for key, value in node.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            _flatten(value, f"{name}.", into)
        else:
            into[name] = _plain(value)


def _plain(value: object) -> Value:
    return value if value is None or isinstance(value, str | int | float | bool) else json.dumps(value)


def _neutral(key: str) -> Value:
    return _plain(NEUTRAL.get(key))


def _kind(key: str) -> Kind:
    if key == SIZE:
        return "size"
    if key == TOKENS:
        return "tokens"
    return "seed" if key in SEEDS else "setting"


def _order(key: str) -> tuple[int, int, str]:
    group = key.partition(".")[0]
    rank = GROUPS.index(group) if group in GROUPS else len(GROUPS)
    return rank, 0 if key.endswith(_NAMES) else 1, key


def value_order(value: Value) -> tuple[int, float, str]:
    """What values are sorted by: null, then numbers, then texts."""
    if value is None:
        return 0, 0.0, ""
    if isinstance(value, int | float):
        return 1, float(value), ""
    return 2, 0.0, value


def show(value: Value) -> str:
    """A setting's value as one types it: "0.003", "true", "null"."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) and float(f"{value:.6g}") == value else str(value)


def _scaled(value: Value) -> str:
    return scaled(value).replace(SPACE, "") if isinstance(value, int) else show(value)
