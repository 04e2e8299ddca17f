"""Compare this environment with the recorded one and flag what can change results."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from zeroscale.runs.manifest import Environment, Hardware, Manifest
from zeroscale.runs.numerics import Numerics
from zeroscale.runs.source import SourceFacts

Matters = Literal["no", "scores", "yes"]
"""What a difference can change: no compared number; scores only; training too."""

SAME_BITS = "cannot matter"
_WORDS: dict[Matters, str] = {"no": SAME_BITS, "scores": "can matter to scores", "yes": "can matter"}

# Packages by what they compute; one that is not listed can change training.
_PACKAGES: dict[str, tuple[Matters, str]] = {
    "sacrebleu": ("scores", "it measures BLEU"),
    "rouge-score": ("scores", "it measures ROUGE"),
    "evaluate": ("scores", "it calls the metrics"),
    "datasets": ("scores", "it reads hub data; their content is checked by hash"),
    "hydra-core": ("no", "the settings are read as they were resolved"),
    "pydantic": ("no", "it checks settings and computes nothing"),
    "wandb": ("no", "it shows runs and computes nothing"),
    "safetensors": ("no", "it reads tensors as they are"),
}
_FEEDS = "it only feeds the GPU"
# Parts of `numerics.Numerics`; one that is not listed can change training.
_NUMERICS: dict[str, tuple[Matters, str]] = {
    "processor": ("yes", "another processor may take other kernels"),
    "instructions": ("yes", "kernels are chosen by what a processor can do; listed is what the other lacks"),
    "caches": ("yes", "products are cut into blocks by their sizes"),
    "interop_threads": ("no", "operations of one step run one after the other"),
    "deterministic": ("yes", "other algorithms"),
    "compile": ("yes", "compiled and eager arithmetic are ordered otherwise"),
}
# What counts where a GPU computes.
_OF_GPU = ("cuda", "cudnn", "deterministic", "compile")
# Rooms of the package by what they do; one that is not listed can change training.
_ROOMS: dict[str, tuple[Matters, str]] = {
    "eval": ("scores", "the harness"),
    "scaling": ("no", "the laws"),
    "report": ("no", "the report"),
    "provenance": ("no", "the record and this comparison"),
    "cli": ("no", "the commands"),
}
# Manifests of version 0.1.0 name the rooms of that time: what each became. Files changed their names as well, so that
# the hashes of the two layouts say nothing of what the code computes.
_FORMER_ROOMS = {
    ".": ("config", "core", "launch", "runs", "training"),
    "commands": ("cli",),
    "harness": ("eval",),
    "overlap": ("eval",),
    "reproduce": ("provenance",),
}


@dataclass(frozen=True)
class Difference:
    """One part of the environment that differs."""

    what: str
    recorded: str
    here: str
    matters: Matters
    why: str

    @property
    def words(self) -> str:
        return f"{self.what}: {self.recorded} there, {self.here} here: {_WORDS[self.matters]} ({self.why})"


@dataclass(frozen=True)
class Comparison:
    """What is the same, what differs, and what was not recorded."""

    same: list[str]
    different: list[Difference]
    unknown: list[str]

    @property
    def can_matter(self) -> list[Difference]:
        return [difference for difference in self.different if difference.matters != "no"]


def compare(recorded: Environment, here: Environment) -> Comparison:
    """Compare this environment with the recorded one and flag what can change results. Both may be whole manifests;
    what neither records is left out."""
    collector = _Collector()
    _add_source(recorded.get("source") or {}, here["source"], collector)
    old_packages, packages = recorded.get("packages"), here["packages"]
    for name in sorted((old_packages or {}).keys() | packages.keys()):
        if old_packages is None:
            collector.unknown.append(name)
            continue
        matters, why = _PACKAGES.get(name, ("yes", "another version may round in another order"))
        if name == "python":
            why = "the standard library is a corpus, and its text is another"
        collector.add(name, old_packages.get(name, "none"), packages.get(name, "none"), matters, why)
    if (hardware := recorded.get("hardware")) is None:
        collector.unknown.append("hardware")
    else:
        _add_hardware(hardware, here["hardware"], collector)
    collector.add("threads", recorded.get("threads"), here["threads"], "yes", "sums are split by threads")
    _add_numerics(recorded, here, collector)
    _add_variables(recorded.get("variables"), here["variables"], collector)
    old, new = cast(Manifest, recorded), cast(Manifest, here)
    for what, old_facts, facts in (
        ("corpus", old.get("corpus"), new.get("corpus")),
        ("tokenizer", old.get("tokenizer"), new.get("tokenizer")),
    ):
        fingerprint = facts.get("fingerprint") if facts else None
        collector.add(what, old_facts.get("fingerprint") if old_facts else None, fingerprint, "yes", "other tokens")
    why = "gradients are summed in another order"
    collector.add("micro_batch_tokens", old.get("micro_batch_tokens"), new.get("micro_batch_tokens"), "yes", why)
    return Comparison(collector.same, collector.different, collector.unknown)


class _Collector:
    """The parts of a `Comparison` while they are collected."""

    def __init__(self) -> None:
        self.same: list[str] = []
        self.different: list[Difference] = []
        self.unknown: list[str] = []

    def add(self, name: str, old: object, new: object, matters: Matters, why: str) -> None:
        """Sort one value into same, different or unknown (not recorded)."""
        if old is None:
            self.unknown.extend([name] if new is not None else [])
        elif old == new:
            self.same.append(name)
        else:
            self.different.append(Difference(name, _shown(old), _shown(new), matters, why))


def _add_hardware(old: Hardware, new: Hardware, collector: _Collector) -> None:
    chips = "another processor may take other kernels"
    gpu, old_gpu = new["gpu"] or "none", old.get("gpu") or "none"
    collector.add("gpu", old_gpu, gpu, "yes", "another device rounds in another order")
    on_gpu = "none" not in (gpu, old_gpu)
    matters: Matters = "no" if on_gpu else "yes"
    collector.add("cpu", old.get("cpu"), new["cpu"], matters, _FEEDS if on_gpu else chips)
    collector.add("cpu kernels", old.get("kernels"), new["kernels"], matters, _FEEDS if on_gpu else chips)
    collector.add("cores", old.get("cores"), new["cores"], "no", "the number of threads is what counts")
    collector.add("memory", old.get("memory_bytes"), new["memory_bytes"], "no", "no number depends on it")
    collector.add("system", old.get("system"), new["system"], "yes", "its libraries may round in another order")


def _add_numerics(recorded: Environment, here: Environment, collector: _Collector) -> None:
    """Each part of the numerical surroundings that differs, under its own name; what is the same, under one."""
    old, new = recorded.get("numerics"), here.get("numerics") or Numerics()
    if old is None:
        collector.unknown.extend(["numerics"] if new else [])
        return
    on_gpu = all((side.get("hardware") or Hardware()).get("gpu") for side in (recorded, here))
    same = True
    for name in sorted(old.keys() | new.keys()):
        there, value = old.get(name), new.get(name)
        if there == value:
            continue
        same = False
        matters, why = _NUMERICS.get(name, ("yes", "another may round in another order"))
        if on_gpu and name not in _OF_GPU:
            matters, why = "no", _FEEDS
        if isinstance(there, list) and isinstance(value, list):
            there, value = (sorted(set(side) - set(other)) for side, other in ((there, value), (value, there)))
        collector.different.append(Difference(name, _shown(there), _shown(value), matters, why))
    if same:
        collector.same.append("numerics")


def _add_variables(old: Mapping[str, str] | None, new: Mapping[str, str], collector: _Collector) -> None:
    if old is None:
        collector.unknown.append("environment variables")
    elif old == new:
        collector.same.append("environment variables")
    else:
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                there, here = (side.get(name, "not set") for side in (old, new))
                collector.different.append(Difference(name, there, here, "yes", "it steers the numerical libraries"))


def _add_source(old: SourceFacts, new: SourceFacts, collector: _Collector) -> None:
    """By the content of the rooms where both are recorded, so that clones and copies of one source are the same; else
    by revision."""
    old_rooms, rooms = old.get("rooms"), new.get("rooms")
    if old_rooms and rooms:
        _add_rooms(old, old_rooms, new, rooms, collector)
        return
    if not old:
        collector.unknown.append("source")
        return
    clean = old.get("dirty") is False and new.get("dirty") is False
    if old.get("revision") and old["revision"] == new.get("revision") and clean:
        collector.same.append("source")
    else:
        what = "the code that computes"
        collector.different.append(Difference("source", _revision(old), _revision(new), "yes", what))


def _add_rooms(
    old: SourceFacts, old_rooms: Mapping[str, str], new: SourceFacts, rooms: Mapping[str, str], collector: _Collector
) -> None:
    moved = old_rooms.keys() & (_FORMER_ROOMS.keys() - {"."})
    changed = sorted(room for room in old_rooms.keys() | rooms.keys() if old_rooms.get(room) != rooms.get(room))
    if not changed:
        collector.same.append("source")
    elif _revision(old) != _revision(new):
        why = "its rooms have other names, which follow" if moved else "what is another in it follows, room by room"
        collector.different.append(Difference("revision", _revision(old), _revision(new), "no", why))
    for room in _renamed(changed) if moved else changed:
        matters, why = _ROOMS.get(room, ("yes", "the code that computes"))
        name = "src/zeroscale" if room == "." else f"src/zeroscale/{room}"
        old_hash, new_hash = ((side.get(room) or "nothing")[:8] for side in (old_rooms, rooms))
        if moved:
            old_hash = "+".join(_former(room, old_rooms)) or "nothing"
        collector.different.append(Difference(name, old_hash, new_hash, matters, why))


def _renamed(changed: list[str]) -> list[str]:
    """The rooms of today that rooms of either layout stand for."""
    return sorted({new for room in changed for new in _FORMER_ROOMS.get(room, (room,))})


def _former(room: str, rooms: Mapping[str, str]) -> list[str]:
    """What a room of today was in a manifest of the former layout: names with hashes."""
    former = sorted({room, *(old for old, new in _FORMER_ROOMS.items() if room in new)})
    return [f"{old}@{rooms[old][:8]}" for old in former if old in rooms]


def _revision(source: SourceFacts) -> str:
    name = (source.get("revision") or "")[:12] or f"version {source.get('version', 'unknown')}"
    return name + (" with uncommitted changes" if source.get("dirty") else "")


def _shown(value: object) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{key}={item}" for key, item in value.items()) or "none"
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return text if len(text) <= 40 or " " in text else f"{text[:12]}…"
